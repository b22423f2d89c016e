//! Why a command could not be done: one line of what and why, one of what to do.

use crate::sys::signal::signal_name;
use anstream::eprintln;
use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;

/// The command could not run.
pub(crate) const COULD_NOT_RUN: u8 = 1;
/// The arguments make no sense.
pub(crate) const BAD_ARGUMENTS: u8 = 2;
/// The command ran, and an invariant broke: oversold, lost, deadlocked.
pub(crate) const BROKEN: u8 = 3;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Fault {
    code: u8,
    what: String,
    hint: Option<String>,
}

impl Fault {
    /// Something stood in the way: the error and all its sources.
    pub(crate) fn could_not_run(error: &dyn Error) -> Fault {
        Fault { code: COULD_NOT_RUN, what: chain(error), hint: None }
    }

    /// The arguments make no sense.
    pub(crate) fn bad_arguments(what: impl Display) -> Fault {
        Fault { code: BAD_ARGUMENTS, what: what.to_string(), hint: None }
    }

    /// The user, or the system, wanted the command to end: 128 and the signal's number, as shells count.
    pub(crate) fn interrupted(signal: i32) -> Fault {
        let code = u8::try_from(128 + signal).unwrap_or(COULD_NOT_RUN);
        Fault {
            code,
            what: format!("interrupted by {}: all processes were ended", signal_name(signal)),
            hint: None,
        }
    }

    /// With what was being done in front.
    pub(crate) fn context(mut self, doing: impl Display) -> Fault {
        self.what = format!("{doing}: {}", self.what);
        self
    }

    /// With what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it on standard error; the code to exit with.
    pub(crate) fn report(&self) -> ExitCode {
        let (red, cyan) =
            (anstyle::AnsiColor::Red.on_default().bold(), anstyle::AnsiColor::Cyan.on_default());
        eprintln!("{red}error:{red:#} {}", self.what);
        if let Some(hint) = &self.hint {
            eprintln!("{cyan}hint:{cyan:#} {hint}");
        }
        ExitCode::from(self.code)
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line = format!("{line}: {error}");
        source = error.source();
    }
    line.replace('\n', " ")
}
