//! Why a command failed: one line that says what failed and why, and one that says what to do.

use crate::process::{CommandError, ScratchError, StartError, chain};
use crate::scenario::run::stage::Reason;
use crate::supervisor::ShutdownError;
use crate::sys::resource::{Obstacle, ProcessLimit, nearest_process_limit, obstacle};
use crate::sys::signal::signal_name;
use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// The command could not run.
pub(crate) const COULD_NOT_RUN: u8 = 1;
/// The arguments are invalid.
pub(crate) const BAD_ARGUMENTS: u8 = 2;
/// The command ran, and an invariant broke: oversold, lost, deadlocked.
pub(crate) const BROKEN: u8 = 3;

/// An error with its sources.
pub(crate) type Cause = dyn Error + 'static;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Fault {
    code: u8,
    what: String,
    hint: Option<String>,
}

impl Fault {
    /// An error occurred: its text and those of all its sources.
    pub(crate) fn could_not_run(error: &Cause) -> Fault {
        Fault { code: COULD_NOT_RUN, what: chain(error), hint: remedy(error) }
    }

    /// The arguments are invalid.
    pub(crate) fn bad_arguments(what: impl Display) -> Fault {
        Fault { code: BAD_ARGUMENTS, what: what.to_string(), hint: None }
    }

    /// A signal asked the command to end: the code is 128 plus the signal's number, as in shells.
    pub(crate) fn interrupted(signal: i32) -> Fault {
        let code = u8::try_from(128 + signal).unwrap_or(COULD_NOT_RUN);
        Fault {
            code,
            what: format!("interrupted by {}: all processes were ended", signal_name(signal)),
            hint: None,
        }
    }

    /// Prefixes the activity that failed.
    pub(crate) fn context(mut self, doing: impl Display) -> Fault {
        self.what = format!("{doing}: {}", self.what);
        self
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    /// Adds this hint, unless there is one already.
    pub(crate) fn or_hint(self, hint: &str) -> Fault {
        if self.hint.is_none() { self.hint(hint) } else { self }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Prints it on standard error and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (red, cyan) =
            (anstyle::AnsiColor::Red.on_default().bold(), anstyle::AnsiColor::Cyan.on_default());
        // One line without control characters, even if a file name or an argument contains some.
        // If standard error cannot be written, the exit code still reports the failure.
        let mut stderr = anstream::stderr();
        let _ = writeln!(stderr, "{red}error:{red:#} {}", self.what.replace(char::is_control, " "));
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "{cyan}hint:{cyan:#} {hint}");
        }
        ExitCode::from(self.code)
    }
}

/// The remedy for an error that can occur in any command.
fn remedy(error: &Cause) -> Option<String> {
    let sources = || std::iter::successors(Some(error), |&error| error.source());
    if sources().any(|error| matches!(error.downcast_ref(), Some(ScratchError::Make { .. }))) {
        return Some("set TMPDIR to a folder that can be written to".to_owned());
    }
    if sources().any(|error| matches!(error.downcast_ref(), Some(StartError::DiedBeforeReady { .. }))) {
        return Some("it was killed, or a sandbox refuses a system call that it needs".to_owned());
    }
    if let Some(hint) = sources().find_map(|error| command_hint(error.downcast_ref()?)) {
        return Some(hint.to_owned());
    }
    // Each process that could not be ended has a cause of its own.
    let unended = || {
        let left = &sources().find_map(|error| error.downcast_ref::<ShutdownError>())?.left;
        left.iter().find_map(|left| Reason::of(&left.error).errno)
    };
    let text = match obstacle(Reason::of(error).errno.or_else(unended)?)? {
        Obstacle::OwnFiles => "raise the limit of open files (`ulimit -n`), or ask for fewer processes",
        Obstacle::SystemFiles => {
            "the system-wide limit of open files is reached (fs.file-max): end other programs"
        }
        // Only the limit of processes causes this: a write that would block is waited for.
        Obstacle::Again => return Some(more_processes()),
        Obstacle::FileSize => "raise the limit of the size of files (`ulimit -f`)",
        Obstacle::Room => "the disk is full: free some space",
        Obstacle::Memory => "not enough memory: end other programs, or ask for fewer processes",
        Obstacle::Refused => {
            "a sandbox or the kernel refuses a system call that this needs: run it where that is allowed"
        }
    };
    Some(text.to_owned())
}

/// How to start a command that could not be started; `None` where the system's error has a remedy of its own.
fn command_hint(error: &CommandError) -> Option<&'static str> {
    Some(match error {
        CommandError::NotFound { .. } => "check the spelling, or give the program's path",
        CommandError::NoInterpreter { .. } => {
            "install it, or name another interpreter in front of the program"
        }
        CommandError::NotExecutable { .. } => "make it executable with `chmod +x`, or name its interpreter",
        CommandError::Nul { .. } => "leave the NUL byte out",
        CommandError::Os { .. } => return None,
    })
}

/// How to allow more processes.
fn more_processes() -> String {
    match nearest_process_limit() {
        Some(ProcessLimit::User(most)) => {
            format!("raise the limit of this user's processes (`ulimit -u`, now {most}), or ask for fewer")
        }
        Some(ProcessLimit::ControlGroup(group, most)) => {
            let file = group.join("pids.max");
            format!(
                "raise the control group's limit of processes ({}, now {most}), or ask for fewer",
                file.display()
            )
        }
        Some(ProcessLimit::System(most)) => {
            format!(
                "the system allows {most} threads (kernel.threads-max): end other programs, or ask for fewer processes"
            )
        }
        None => "raise the limit of processes (`ulimit -u`), or ask for fewer".to_owned(),
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}
