//! Options of every verb that runs a program: where it runs, what is noise, and what is right.

use std::path::PathBuf;

use clap::Args;

use super::quoted;
use crate::cli::fault::Fault;
use crate::explore::traced::{Command, Criteria, NoiseRules};

/// Where a program runs.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Place {
    /// Run in copies of DIR, which itself is never written; `empty` for an empty folder [default: this folder]
    #[arg(long, value_name = "DIR|empty", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Files that make no difference between outcomes, such as 'log/*'; a pattern without / matches names
    /// anywhere. Can be given several times
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    ignore: Vec<String>,
    /// Outcomes that differ only in what was written to standard output and error are one
    #[arg(long)]
    same_output: bool,
}

fn pattern(text: &str) -> Result<String, String> {
    NoiseRules::check(text).map(|()| text.to_owned())
}

impl Place {
    /// The command `argv` in this place.
    pub(in crate::cli) fn command(&self, argv: &[String]) -> Result<Command, Fault> {
        let directory = match &self.dir {
            Some(dir) if dir.as_os_str() == "empty" => None,
            dir => {
                let dir = dir.clone().unwrap_or_else(|| PathBuf::from("."));
                let path = dir.canonicalize().map_err(|error| {
                    Fault::could_not_run(&error)
                        .context(format!("cannot read {}", dir.display()))
                        .or_hint("give the folder of the program with --dir DIR, or --dir empty")
                })?;
                Some(path)
            }
        };
        let home = std::env::var_os("HOME").and_then(|home| PathBuf::from(home).canonicalize().ok());
        let is_home =
            directory.is_some() && (directory == home || directory.as_deref() == Some("/".as_ref()));
        if is_home && self.dir.is_none() {
            return Err(Fault::bad_arguments(
                "this folder is your home, and it would be copied for every execution",
            )
            .hint("change to the program's folder, or give --dir DIR or --dir empty"));
        }
        let noise = NoiseRules { files: self.ignore.clone(), output: self.same_output };
        Ok(Command { directory, noise, ..Command::new(argv) })
    }

    /// These options again, as they are typed.
    pub(in crate::cli) fn typed(&self) -> String {
        let mut text = String::new();
        if let Some(dir) = &self.dir {
            text.push_str(&format!(" --dir {}", quoted(&dir.to_string_lossy())));
        }
        for pattern in &self.ignore {
            text.push_str(&format!(" --ignore {}", quoted(pattern)));
        }
        if self.same_output {
            text.push_str(" --same-output");
        }
        text
    }
}

/// What of its environment a traced program meets.
#[derive(Args, Clone, Debug)]
pub(super) struct Control {
    /// Also try schedules in which a call with a time limit times out although another process could go on
    #[arg(long)]
    timeouts: bool,
    /// Refuse writes outside of the folder (EROFS) instead of naming them
    #[arg(long)]
    strict: bool,
}

impl Control {
    /// The command under this control.
    pub(super) fn over(&self, command: Command) -> Command {
        Command { timeouts: self.timeouts, strict: self.strict, ..command }
    }

    /// These options again, as they are typed.
    pub(super) fn typed(&self) -> String {
        let timeouts = if self.timeouts { " --timeouts" } else { "" };
        let strict = if self.strict { " --strict" } else { "" };
        format!("{timeouts}{strict}")
    }
}

/// What is right. A deadlock never is; without any of these, a crash by a signal and a process that outlives the
/// command are wrong, too.
#[derive(Args, Clone, Debug)]
pub(super) struct Wishes {
    /// Run CMD by the shell in what each outcome left; it is right if CMD exits with 0. $STATUS, $STDOUT and
    /// $STDERR hold the exit status and the output
    #[arg(long, value_name = "CMD")]
    check: Option<String>,
    /// An outcome is right if the command exits with N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8))]
    expect_exit: Option<u8>,
    /// All outcomes must be the same
    #[arg(long)]
    expect_same: bool,
    /// Only a deadlock is wrong
    #[arg(long)]
    no_deadlock: bool,
}

impl Wishes {
    /// As the engine takes them.
    pub(super) fn criteria(&self) -> Criteria {
        Criteria {
            check: self.check.clone(),
            expect_exit: self.expect_exit.map(i32::from),
            expect_same: self.expect_same,
            no_deadlock: self.no_deadlock,
        }
    }

    /// These options again, as they are typed.
    pub(super) fn typed(&self) -> String {
        let mut text = String::new();
        if let Some(check) = &self.check {
            text.push_str(&format!(" --check {}", quoted(check)));
        }
        if let Some(exit) = self.expect_exit {
            text.push_str(&format!(" --expect-exit {exit}"));
        }
        text
    }
}
