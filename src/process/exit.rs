//! How a process ended.

use crate::sys::signal::signal_name;
use crate::sys::wait::How;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A signal by its number, real-time signals included (`signal(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signal(pub i32);

impl Signal {
    /// Ctrl-C.
    pub const INT: Signal = Signal(2);
    /// Ends the process at once; cannot be caught.
    pub const KILL: Signal = Signal(9);
    /// Hang-up: the terminal was closed.
    pub const HUP: Signal = Signal(1);
    /// User-defined.
    pub const USR1: Signal = Signal(10);
    /// A child has ended, stopped, or continued.
    pub const CHLD: Signal = Signal(17);
    /// A request to terminate.
    pub const TERM: Signal = Signal(15);
    /// Continues a stopped process.
    pub const CONT: Signal = Signal(18);
    /// Stops the process; cannot be caught.
    pub const STOP: Signal = Signal(19);
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&signal_name(self.0))
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal.
        signal: Signal,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
    /// Other code in this process reaped it, and its status is lost.
    Stolen,
}

impl Exit {
    /// Whether it exited with code 0.
    ///
    /// ```
    /// use proclab::{Exit, Signal};
    ///
    /// assert!(Exit::Code(0).success());
    /// assert!(!Exit::Signal { signal: Signal::KILL, core_dumped: false }.success());
    /// ```
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The value of Python's `Process.exitcode`: the exit code, the negative number of a signal, or `None` if the
    /// status was lost.
    ///
    /// ```
    /// use proclab::{Exit, Signal};
    ///
    /// assert_eq!(Exit::Code(3).python(), Some(3));
    /// assert_eq!(Exit::Signal { signal: Signal::KILL, core_dumped: false }.python(), Some(-9));
    /// ```
    pub fn python(self) -> Option<i32> {
        match self {
            Exit::Code(code) => Some(code),
            Exit::Signal { signal, .. } => Some(-signal.0),
            Exit::Stolen => None,
        }
    }
}

impl From<How> for Exit {
    fn from(how: How) -> Self {
        match how {
            How::Exited(code) => Exit::Code(code),
            How::Killed { signal, core_dumped } => Exit::Signal { signal: Signal(signal), core_dumped },
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal { signal, core_dumped: false } => write!(f, "{signal}"),
            Exit::Signal { signal, core_dumped: true } => write!(f, "{signal} (core dumped)"),
            Exit::Stolen => f.write_str("reaped by other code, status unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_told_as_python_and_people_tell_them() {
        assert_eq!(Exit::Code(8).python(), Some(8));
        assert_eq!(Exit::Signal { signal: Signal::TERM, core_dumped: false }.python(), Some(-15));
        assert_eq!(Exit::Stolen.python(), None);
        assert_eq!(
            Exit::Signal { signal: Signal(11), core_dumped: true }.to_string(),
            "SIGSEGV (core dumped)"
        );
        assert_eq!(Signal(37).to_string(), "SIGRTMIN+3");
    }
}
