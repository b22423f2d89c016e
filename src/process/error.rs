//! The errors of processes, one type per operation.

use super::exit::Exit;
use super::live::Panic;
use crate::sys::pid::Pid;
use std::io;

/// An error and its causes in one line: `what: why: why`.
#[cfg(feature = "explore")]
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let all: Vec<String> = causes.map(ToString::to_string).collect();
    all.join(": ").replace('\n', " ")
}

/// A process could not be started. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A daemon may not have children, as in Python's `multiprocessing`.
    #[error("daemon `{name}` may not have children: start them from another process")]
    DaemonHasChildren {
        /// The daemon's name.
        name: String,
    },
    /// `child_entry` was not called.
    #[error(
        "this program never called `proclab::child_entry()`, so a fresh copy of it would run its main again: make that call the first line of main"
    )]
    NoChildEntry,
    /// A fork would copy one thread, but the locks of all of them.
    #[error(
        "fork is refused while this process has {n_threads} threads: use StartMethod::Spawn or ForkServer, or fork before the first thread"
    )]
    Threads {
        /// The number of threads, including the calling one.
        n_threads: usize,
    },
    /// The fork server has several threads before it runs any code of this program, started by a library that is
    /// loaded with it.
    #[error(
        "the fork server has {n_threads} threads before it begins, started by a library that is loaded with this program: use StartMethod::Spawn"
    )]
    ServerThreads {
        /// The number of threads.
        n_threads: usize,
    },
    /// The child died before it had its arguments.
    #[error("process `{name}` died before it was ready: {exit}")]
    DiedBeforeReady {
        /// The process's name.
        name: String,
        /// How it died.
        exit: Exit,
    },
    /// The arguments could not be sent, or the child could not read them.
    #[error("the arguments of process `{name}` cannot be passed: {reason}")]
    Args {
        /// The process's name.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A setting is refused: a working directory that does not exist, a limit that may not be raised, and the like.
    #[error("process `{name}` cannot be started: {setting} is refused")]
    Setting {
        /// The process's name.
        name: String,
        /// The builder's method, with its argument.
        setting: String,
        /// Why it is refused.
        source: io::Error,
    },
    /// The function is in a library, where a fresh copy of the executable may not find it.
    #[error("the body of process `{name}` is not part of the executable: only Fork can start it")]
    NotInExecutable {
        /// The process's name.
        name: String,
    },
    /// The supervisor's interrupt became readable during the start; the child has been ended.
    #[error("the start of process `{name}` was interrupted")]
    Interrupted {
        /// The process's name.
        name: String,
    },
    /// The system refused.
    #[error("process `{name}` cannot be started: {operation} failed")]
    Os {
        /// The process's name.
        name: String,
        /// The operation.
        operation: &'static str,
        /// The error of the system.
        source: io::Error,
    },
}

/// A process could not be waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It is the child of another process, of which this one is a copy.
    #[error("process {pid} is not a child of this process: only its parent can join it")]
    NotOurChild {
        /// The PID.
        pid: Pid,
    },
    /// The supervisor's interrupt became readable during the wait.
    #[error("the wait was interrupted")]
    Interrupted,
    /// The system refused.
    #[error("waiting failed")]
    Os(#[from] io::Error),
}

/// A process has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// Its body panicked.
    #[error("process `{name}` panicked: {panic}")]
    Panicked {
        /// The process's name.
        name: String,
        /// Its message and location.
        panic: Panic,
    },
    /// It ended before its body returned.
    #[error("process `{name}` ended without a result: {exit}")]
    Ended {
        /// The process's name.
        name: String,
        /// How it ended.
        exit: Exit,
    },
    /// What it returned could not be sent or read.
    #[error("the result of process `{name}` cannot be passed: {reason}")]
    Unreadable {
        /// The process's name.
        name: String,
        /// The reason.
        reason: String,
    },
    /// The system refused a resource that the result needs, such as descriptors for the handles in it.
    #[error("the result of process `{name}` cannot be passed")]
    Os {
        /// The process's name.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The result was already taken.
    #[error("the result of process `{name}` was taken already")]
    Taken {
        /// The process's name.
        name: String,
    },
    /// It could not be waited for.
    #[error("process `{name}` cannot be waited for")]
    Join {
        /// The process's name.
        name: String,
        /// The reason.
        source: JoinError,
    },
}
