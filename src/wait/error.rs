//! Why a wait failed.

use crate::sys::pid::Pid;
use std::io;

/// A wait for the first of several things failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitAnyError {
    /// The interrupt of a child's supervisor became readable.
    #[error("the wait was interrupted")]
    Interrupted,
    /// One of them is the child of another process, of which this one is a copy.
    #[error("process {pid} is not a child of this process: only its parent can wait for it")]
    NotOurChild {
        /// The PID.
        pid: Pid,
    },
    /// The system refused.
    #[error("waiting failed")]
    Os(#[from] io::Error),
}
