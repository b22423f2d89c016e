//! What happens in a tree, why it cannot go on, and what its children are doing.

use super::super::shutdown::ShutdownError;
use super::spec::Restart;
use crate::process::Exit;
use crate::sys::pid::Pid;
use std::fmt;
use std::io;
use std::time::Duration;

/// Something that has happened in a tree. A child is named by its path: the IDs from the root, with `/` between.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeEvent {
    /// A process was started, and is ready if its readiness is required.
    Started {
        /// The child.
        child: String,
        /// Its PID.
        pid: Pid,
    },
    /// A process could not be started, or was not ready in time.
    StartFailed {
        /// The child.
        child: String,
        /// Why.
        reason: String,
    },
    /// A process has ended by itself.
    Exited {
        /// The child.
        child: String,
        /// Its PID.
        pid: Pid,
        /// How.
        exit: Exit,
    },
    /// A process missed its heartbeat, and was killed.
    Unwell {
        /// The child.
        child: String,
        /// Its PID.
        pid: Pid,
    },
    /// A child was ended by its tree.
    Stopped {
        /// The child.
        child: String,
    },
    /// A child will be restarted.
    Restarting {
        /// The child.
        child: String,
        /// After this time.
        after: Duration,
    },
    /// A tree below the root exceeded its intensity, and all of its children were ended.
    GivenUp {
        /// The tree.
        child: String,
    },
}

impl fmt::Display for TreeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeEvent::Started { child, pid } => write!(f, "{child}: started (PID {pid})"),
            TreeEvent::StartFailed { child, reason } => write!(f, "{child}: not started: {reason}"),
            TreeEvent::Exited { child, pid, exit } => write!(f, "{child}: ended (PID {pid}): {exit}"),
            TreeEvent::Unwell { child, pid } => write!(f, "{child}: no heartbeat, killed (PID {pid})"),
            TreeEvent::Stopped { child } => write!(f, "{child}: stopped"),
            TreeEvent::Restarting { child, after } if after.is_zero() => write!(f, "{child}: restarting"),
            TreeEvent::Restarting { child, after } => write!(f, "{child}: restarting in {after:?}"),
            TreeEvent::GivenUp { child } => write!(f, "{child}: given up: too many restarts"),
        }
    }
}

/// A tree failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A child could not be started; those that were started before it have been ended.
    #[error("child `{child}` of the tree cannot be started: {reason}")]
    Start {
        /// The child.
        child: String,
        /// Why.
        reason: String,
    },
    /// It exceeded its intensity; all children were ended.
    #[error("the tree was given up: more than {restarts} restarts in {period:?}, the last of `{child}`")]
    GivenUp {
        /// The child that would have been restarted.
        child: String,
        /// The maximum number of restarts …
        restarts: u32,
        /// … in this period.
        period: Duration,
    },
    /// There is no such child.
    #[error("there is no child `{child}` in the tree")]
    NoChild {
        /// The child, as it was requested.
        child: String,
    },
    /// Some processes could not be ended.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
    /// The system refused to wait.
    #[error("waiting for the children failed")]
    Os(#[from] io::Error),
}

/// The present state of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildState {
    /// Its path.
    pub child: String,
    /// When it is restarted.
    pub restart: Restart,
    /// Its PID while it runs; `None` for a tree.
    pub pid: Option<Pid>,
    /// Whether it is a tree.
    pub is_tree: bool,
}
