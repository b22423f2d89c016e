//! The failures of a watch, with hints.

use std::io;

use crate::cli::fault::Fault;
use crate::observe::watch::WatchError;
use crate::process::CommandError;

/// The system refused a call.
pub(super) fn system(error: &io::Error) -> Fault {
    // A reached limit has a hint of its own.
    Fault::could_not_run(error)
        .context("cannot watch")
        .or_hint("the system refused: try again, or watch fewer processes")
}

/// The command could not be started.
pub(super) fn command(error: &CommandError) -> Fault {
    Fault::could_not_run(error)
        .context("cannot run the command")
        .or_hint("give the program's own path, or another program")
}

/// The watch could not begin.
pub(super) fn watch(error: &WatchError) -> Fault {
    let hint = match error {
        WatchError::Command(error) => return command(error),
        WatchError::Os(error) => return system(error),
        WatchError::NoProcess { .. } => "list the processes with `ps -ef`",
        WatchError::Thread { pid, .. } => {
            let hint = format!("watch the process, its threads included, with `--pid {pid} --threads`");
            return Fault::could_not_run(error).hint(hint);
        }
        WatchError::NotYours { .. } => "watch a process of your own, or use sudo",
        WatchError::Tier { .. } => "leave out --tier to use the best available one",
    };
    Fault::could_not_run(error).hint(hint)
}
