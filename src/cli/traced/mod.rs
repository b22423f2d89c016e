//! `explore`, `trials` and `replay` of any program.

mod departed;
pub(super) mod explore;
mod options;
pub(super) mod replay;
mod saved;
mod step;
pub(super) mod trials;

use std::os::fd::AsFd;

#[cfg(feature = "serve")]
pub(super) use options::Place;

use super::fault::Fault;
use crate::explore::traced::{Answer, Command, EngineError, Failure, Progress, Task, carry_out};
use crate::supervisor::Supervisor;
use crate::sys::signal::Interrupt;

/// Lets the engine carry out `task`. Ctrl-C ends it like a budget, and it answers with what is known.
fn engine(command: Command, task: Task, watch: &mut dyn FnMut(&Progress)) -> Result<Answer, Fault> {
    let interrupt = Interrupt::install().map_err(|error| Fault::could_not_run(&error))?;
    let supervisor = Supervisor::new().map_err(|error| Fault::could_not_run(&error))?;
    let start = |process| supervisor.start(process);
    carry_out(start, command, task, Some(interrupt.as_fd()), None, watch).map_err(|error| {
        let fault = Fault::could_not_run(&error);
        match &error {
            EngineError::Failed { why: Failure::NotAllowed, .. } => fault.hint("tracing needs ptrace: allow it in the container (--cap-add SYS_PTRACE, or a seccomp profile that permits it), or set kernel.yama.ptrace_scope to 0 or 1; `proclab trials` needs none"),
            EngineError::Failed { why: Failure::TooLarge, .. } => {
                fault.hint("give the program's own folder with --dir DIR, or --dir empty")
            }
            EngineError::Failed { why: Failure::NoProgram, .. } => fault.hint(
                "check the spelling: a name is looked up in PATH, and a path in the folder of --dir; for shell syntax use: -- sh -c '…'",
            ),
            _ => match interrupt.received() {
                Some(signal) => Fault::interrupted(signal),
                None => fault,
            },
        }
    })
}

/// The engine's answer does not belong to its task, which is a bug.
fn unexpected() -> Fault {
    Fault::could_not_run(&std::io::Error::other("the engine answered something else than it was asked"))
}

/// A word, quoted for a shell if necessary.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%^".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_shown_can_be_pasted() {
        assert_eq!(quoted("tickets.py"), "tickets.py");
        assert_eq!(quoted("echo 'a' > b"), r"'echo '\''a'\'' > b'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("~"), "'~'");
    }
}
