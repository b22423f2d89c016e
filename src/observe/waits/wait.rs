//! What a thread can be blocked on.

use crate::sys::pid::Pid;
use std::fmt;

use super::words;

/// What a thread is blocked on, and which threads could end the wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wait {
    /// In [`words`]: `pipe from 4243`, `timer`, `lock data/ticket_count held by 4240 buyer-1`.
    pub on: String,
    /// The kind of thing.
    pub kind: Kind,
    /// What could end it.
    pub ends: Ends,
}

/// The kinds of things that a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A file lock.
    FileLock,
    /// A lock or condition in memory (futex), a semaphore.
    Lock,
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// The end of a child.
    Child,
    /// A point in time.
    Timer,
    /// A signal.
    Signal,
    /// A terminal.
    Terminal,
    /// A disk or another device.
    Device,
    /// Any of several descriptors.
    Several,
    /// Something else.
    Other,
}

/// What could end a wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ends {
    /// Only a thread of one of these processes, its own included (and a signal, as always).
    Only(Vec<Pid>),
    /// Only one of these threads.
    Threads(Vec<Pid>),
    /// Time, a person, a device, an unwatched process: no watched process is needed, or nothing is known.
    Outside,
}

impl Wait {
    /// A wait that may be ended from outside.
    pub fn outside(kind: Kind, on: impl Into<String>) -> Self {
        Self { on: on.into(), kind, ends: Ends::Outside }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::shown(&self.on, |_| None))
    }
}
