//! What can be learnt about a process at a moment, whatever the source: the timeline's alphabet.

use crate::sys::pid::Pid;
use serde::{Deserialize, Serialize};

use super::waits::Wait;
use crate::process::Exit;
use crate::sys::procfs::stat::SchedStat;

/// A process's state in the words of an operating systems course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It could run and waits for a CPU.
    Ready,
    /// It has a CPU.
    Running,
    /// It waits for something other than a CPU.
    Blocked,
    /// It was stopped by a signal or a debugger.
    Stopped,
    /// It has ended and its exit status has not been taken yet.
    Zombie,
    /// Its exit status was taken; the PID is free.
    Reaped,
    /// It lives, and its state is not known.
    Unknown,
}

impl State {
    /// The state in a word.
    pub fn word(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Running => "running",
            State::Blocked => "blocked",
            State::Stopped => "stopped",
            State::Zombie => "zombie",
            State::Reaped => "reaped",
            State::Unknown => "unknown",
        }
    }

    /// The kernel's letter as `ps` shows it: `R` is running and ready alike.
    pub fn letter(self) -> char {
        match self {
            State::Ready | State::Running => 'R',
            State::Blocked => 'S',
            State::Stopped => 'T',
            State::Zombie => 'Z',
            State::Reaped => 'X',
            State::Unknown => '?',
        }
    }
}

/// Something that happened to a thread, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub at_ns: u64,
    /// Its process.
    pub pid: Pid,
    /// The thread; equal to `pid` for what concerns the process.
    pub tid: Pid,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// `ppid` forked it: a new process, or a new thread when `ppid` is its own process. Of no interest unless
    /// `ppid` is watched.
    Forked {
        /// The process that called fork.
        ppid: Pid,
    },
    /// The watch begins with it: a process whose parent is not watched.
    Rooted {
        /// Its parent.
        ppid: Pid,
        /// What the kernel has booked for it before its exec.
        before_exec: SchedStat,
    },
    /// It was there when the watch began.
    Found {
        /// Its parent.
        ppid: Pid,
        /// Its state at that moment.
        state: State,
    },
    /// It took a name.
    Named {
        /// The name, at most 15 bytes.
        name: String,
        /// By `execve`: it is another program from now on.
        exec: bool,
    },
    /// Its command line.
    CommandLine(String),
    /// Its process group and session.
    Group {
        /// The group.
        pgid: Pid,
        /// The session.
        session: Pid,
    },
    /// A signal was sent to it.
    Signal {
        /// Which.
        number: i32,
        /// The thread that sent it, or on whose CPU the kernel did.
        by: Pid,
    },
    /// It got a CPU.
    In {
        /// Which.
        cpu: u32,
    },
    /// It left the CPU.
    Out {
        /// It could have gone on: ready, not blocked.
        preempted: bool,
    },
    /// It may go on: it is ready from now.
    Woken {
        /// The thread that did it; 0 for the kernel itself (a timer, a device).
        by: Pid,
    },
    /// The kernel's letter for it, seen while off the CPU.
    Letter(char),
    /// What it is blocked on, seen while off the CPU.
    Blocked(Wait),
    /// The kernel's own sums for it, read while it was off the CPU.
    Sums(SchedStat),
    /// Time that the hypervisor has taken away from this machine's CPUs since it booted, nanoseconds; concerns
    /// no process.
    Stolen(u64),
    /// A look at a thread that nothing is recorded of.
    Sampled {
        /// Its state then.
        state: State,
        /// What the kernel had booked for it.
        sums: SchedStat,
        /// What it was blocked on then.
        wait: Option<Wait>,
    },
    /// The thread ended; its process's parent was `ppid`.
    Exited {
        /// The parent at that moment.
        ppid: Pid,
    },
    /// How the process ended.
    Status(Exit),
    /// Its parent died and it has a new one.
    Adopted {
        /// The new parent.
        by: Pid,
    },
    /// It lives, and `/proc` does not show it any more.
    Hidden,
    /// The kernel has recorded its exit at `since_ns`, and it lives: its records ended there, as they do at an
    /// `execve` that gains privileges.
    Unrecorded {
        /// The moment of its last record.
        since_ns: u64,
    },
    /// It was reaped at `at_ns`, or at some moment before it since `not_before_ns`.
    Reaped {
        /// It was still a zombie then.
        not_before_ns: u64,
        /// Its parent ignores SIGCHLD: the kernel has taken it away, and no process its status.
        by_itself: bool,
    },
}
