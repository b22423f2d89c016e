//! Options of the verbs that run a program: where it runs, what is noise, and what is correct.

use std::path::PathBuf;

use clap::Args;

use super::quoted;
use crate::cli::fault::Fault;
use crate::explore::traced::{Command, Criteria, Limits, NoiseRules};

/// Where a program runs.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Place {
    /// Run in copies of DIR, which itself is never written; `empty` for an empty folder [default: this folder]
    #[arg(long, value_name = "DIR|empty", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Ignore these files when outcomes are compared, such as 'log/*'; a pattern without / matches names anywhere.
    /// Can be given several times
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    ignore: Vec<String>,
    /// Ignore standard output and error when outcomes are compared
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

    /// These options, as they are typed.
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

/// How a traced program is controlled.
#[derive(Args, Clone, Debug)]
pub(super) struct Control {
    /// Also try schedules in which a time limit expires although another process could continue
    #[arg(long)]
    timeouts: bool,
    /// Refuse writes outside the folder (EROFS) instead of reporting them, and give no privileges and no network
    #[arg(long)]
    strict: bool,
    /// Bound each execution: processes (alive at once), steps, cpu (seconds per step), calls (between two steps),
    /// entries (of the folder), and in bytes (1000, 64K, 2M, 1G) memory, output, file (the largest), written (in
    /// all) and folder. Can be given several times
    #[arg(long, value_name = "NAME=N", value_parser = limit)]
    limit: Vec<(String, u64)>,
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let names = Limits::NAMES.join(", ");
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("NAME=N, where NAME is one of {names}"))?;
    if !Limits::NAMES.contains(&name) {
        return Err(format!("there is no such bound; there are {names}"));
    }
    let shift = [('K', 10), ('M', 20), ('G', 30)].into_iter().find(|(unit, _)| value.ends_with(*unit));
    let digits = value.trim_end_matches(['K', 'M', 'G']);
    let number =
        digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift.map_or(0, |it| it.1)));
    let is_one_unit = value.len() - digits.len() <= 1;
    let number = number.filter(|number| *number > 0 && is_one_unit);
    Ok((name.to_owned(), number.ok_or_else(|| "a number above zero (1000, 64K, 2M, 1G)".to_owned())?))
}

impl Control {
    /// The command with these options.
    pub(super) fn over(&self, command: Command) -> Command {
        let mut command = Command { timeouts: self.timeouts, strict: self.strict, ..command };
        for (name, value) in &self.limit {
            command.limits.set(name, *value);
        }
        command
    }

    /// These options, as they are typed.
    pub(super) fn typed(&self) -> String {
        let timeouts = if self.timeouts { " --timeouts" } else { "" };
        let strict = if self.strict { " --strict" } else { "" };
        let limits = self.limit.iter().map(|(name, value)| format!(" --limit {name}={value}"));
        format!("{timeouts}{strict}{}", limits.collect::<String>())
    }
}

/// What is correct. A deadlock never is; without any of these, a crash by a signal and a process that outlives the
/// command are wrong as well.
#[derive(Args, Clone, Debug)]
pub(super) struct Wishes {
    /// Run the shell command CMD in the folder of each outcome, which is correct if CMD exits with 0. $STATUS, $STDOUT
    /// and $STDERR are the exit status and the output
    #[arg(long, value_name = "CMD")]
    check: Option<String>,
    /// An outcome is correct if the command exits with N
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
    /// The criteria for the engine.
    pub(super) fn criteria(&self) -> Criteria {
        Criteria {
            check: self.check.clone(),
            expect_exit: self.expect_exit.map(i32::from),
            expect_same: self.expect_same,
            no_deadlock: self.no_deadlock,
            check_patience: None,
        }
    }

    /// These options, as they are typed.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_has_a_name_and_a_number() {
        assert_eq!(limit("written=2M"), Ok(("written".to_owned(), 2 << 20)));
        assert_eq!(limit("steps=100"), Ok(("steps".to_owned(), 100)));
        for wrong in
            ["steps", "steps=", "steps=0", "steps=-1", "other=1", "file=1KK", "file=1T", "file=99999999999G"]
        {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
