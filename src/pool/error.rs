//! The errors of the pool, one type per operation.

use crate::process::{Exit, Panic, StartError};
use crate::sys::pid::Pid;
use crate::wire::codec::EncodeError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A pool could not be started; nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A pool without workers would never run a job.
    #[error("a pool needs at least one worker")]
    NoWorkers,
    /// A worker cannot be started.
    #[error("a worker of the pool cannot be started")]
    Start(#[from] StartError),
    /// The system refused memory, descriptors or a thread.
    #[error("what the pool needs is unavailable")]
    Os(#[from] io::Error),
}

/// A job was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The pool was closed, shut down or terminated.
    #[error("the pool is closed: it takes no more jobs")]
    Closed,
    /// The arguments cannot be sent.
    #[error("the arguments of the job cannot be passed")]
    Args(#[from] EncodeError),
    /// The function lies in a library, where a worker may not find it.
    #[error("the function is not part of the executable, so a worker cannot find it")]
    NotInExecutable,
}

/// A job failed. Other jobs and the pool are unaffected unless a variant says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// It panicked. Its worker goes on with the next job.
    #[error("the job panicked: {0}")]
    Panicked(Panic),
    /// Its worker ended while it ran: it was killed, crashed or exited.
    #[error("the worker (PID {pid}) ended while it ran the job: {exit}")]
    Died {
        /// The worker.
        pid: Pid,
        /// The exit of the worker.
        exit: Exit,
    },
    /// It ran for longer than its limit, and its worker was killed.
    #[error("the job ran for longer than its limit of {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// Its arguments could not be decoded by the worker, or its result not be encoded there or decoded here.
    #[error("the arguments or the result of the job cannot be passed: {0}")]
    Unreadable(String),
    /// It was cancelled before it began.
    #[error("the job was cancelled before it began")]
    Cancelled,
    /// The pool was closed before the job was submitted: an item of a map.
    #[error("the pool is closed: it takes no more jobs")]
    Closed,
    /// The pool was terminated before the job was done.
    #[error("the pool was terminated before the job was done")]
    Terminated,
    /// Workers can no longer be started; the pool is closed.
    #[error("the pool has no workers left: {0}")]
    NoWorkers(Arc<Lost>),
    /// The result was already taken.
    #[error("the result of the job was taken already")]
    Taken,
}

/// Why a pool has no workers left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// Several workers in a row ended before they were ready.
    #[error("{count} workers in a row ended in their initializer, the last by {exit}")]
    Initializer {
        /// The number of workers.
        count: u32,
        /// The exit of the last one.
        exit: Exit,
    },
    /// They cannot be started.
    #[error("they cannot be started")]
    Start(#[from] StartError),
    /// What a worker needs is unavailable.
    #[error("what they need is unavailable")]
    Os(#[from] io::Error),
    /// The pool's own thread panicked.
    #[error("the thread of the pool panicked")]
    Panicked,
}

/// A job has no result yet, or has failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ResultTimeoutError {
    /// The job is not done yet.
    #[error("the job was not done before the timeout")]
    Timeout,
    /// It is done and has no result.
    #[error(transparent)]
    Job(#[from] JobError),
}
