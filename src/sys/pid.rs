//! The ID of a process or thread.

use nix::unistd::{getpid, getppid, gettid};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The ID of a process or thread in this process's PID namespace (`pid_t`).
///
/// The kernel may reuse an ID once its process has been reaped, so use a pidfd to signal a process or to wait for it.
/// Zero stands for a process outside this namespace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Pid(i32);

impl Pid {
    /// The ID of a process outside this namespace, as the kernel reports it.
    pub const UNKNOWN: Pid = Pid(0);

    /// Creates an ID from the number that a system call returned.
    pub const fn from_raw(pid: i32) -> Pid {
        Pid(pid)
    }

    /// The number, for use in system calls.
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// The ID of the calling process.
    pub fn this() -> Pid {
        Pid(getpid().as_raw())
    }

    /// The ID of the current parent of the calling process.
    pub fn parent() -> Pid {
        Pid(getppid().as_raw())
    }

    /// The ID of the calling thread.
    pub fn this_thread() -> Pid {
        Pid(gettid().as_raw())
    }

    /// Converts to the type of the `nix` crate.
    pub(crate) const fn as_nix(self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.0)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Pid {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Pid, ParseIntError> {
        text.parse().map(Pid)
    }
}
