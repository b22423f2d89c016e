//! What any source can report about a process: the events that a timeline is built from.

use crate::sys::pid::Pid;
use serde::{Deserialize, Serialize};

use super::waits::Wait;
use crate::process::Exit;
use crate::sys::procfs::stat::SchedStat;

/// A process's state, in the terms of an operating systems course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It can run and waits for a CPU.
    Ready,
    /// It has a CPU.
    Running,
    /// It waits for something other than a CPU.
    Blocked,
    /// It was stopped by a signal or a debugger.
    Stopped,
    /// It has ended, and its exit status has not been collected yet.
    Zombie,
    /// Its exit status was collected; the PID is free.
    Reaped,
    /// It is alive in an unknown state.
    Unknown,
}

impl State {
    /// The name of the state.
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
    /// The thread; equal to `pid` for events of the process.
    pub tid: Pid,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// `ppid` forked it: a new process, or a new thread if `ppid` is its own process. Ignored unless `ppid` is
    /// watched.
    Forked {
        /// The process that called fork.
        ppid: Pid,
    },
    /// The root of the watch: a process whose parent is not watched.
    Rooted {
        /// Its parent.
        ppid: Pid,
        /// The kernel's sums from before its exec.
        before_exec: SchedStat,
    },
    /// It was already running when the watch began.
    Found {
        /// Its parent.
        ppid: Pid,
        /// Its state at that moment.
        state: State,
    },
    /// It changed its name.
    Named {
        /// The name, at most 15 bytes.
        name: String,
        /// By `execve`: it is another program from here on.
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
        /// Its number.
        number: i32,
        /// The thread that sent it; 0 for the kernel itself (a timer, a fault, a terminal).
        by: Pid,
    },
    /// It received a signal that the kernel sent.
    SignalReceived {
        /// Its number.
        number: i32,
    },
    /// It got a CPU.
    In {
        /// The CPU.
        cpu: u32,
    },
    /// It left the CPU.
    Out {
        /// It could have continued: it is ready, not blocked.
        preempted: bool,
    },
    /// It was woken: it is ready from here on.
    Woken {
        /// The thread that woke it; 0 for the kernel itself (a timer, a device).
        by: Pid,
    },
    /// The kernel's state letter, read while it was off the CPU.
    Letter(char),
    /// What it is blocked on, read while it was off the CPU.
    Blocked(Wait),
    /// The kernel's own sums for it, read while it was off the CPU.
    Sums(SchedStat),
    /// The same, read of a thread that may have had the CPU meanwhile.
    SumsInPassing(SchedStat),
    /// Time that the hypervisor has stolen from this machine's CPUs since boot, nanoseconds; it belongs to no process.
    Stolen(u64),
    /// A look at a thread without records.
    Sampled {
        /// Its state at that time.
        state: State,
        /// The kernel's sums.
        sums: SchedStat,
        /// What it was blocked on.
        wait: Option<Wait>,
    },
    /// The thread ended, when its process's parent was `ppid`.
    Exited {
        /// The parent.
        ppid: Pid,
    },
    /// How the process ended.
    Status(Exit),
    /// Its last thread has ended: it was found to be a zombie.
    Ended,
    /// Its parent ended, and it has a new one.
    Adopted {
        /// The new parent.
        by: Pid,
    },
    /// It was found after its parent, a watched process, had ended, and has a new one. It began at this time at the
    /// earliest.
    Orphaned {
        /// The new parent.
        by: Pid,
    },
    /// It is alive, but `/proc` does not show it any more.
    Hidden,
    /// The kernel recorded its exit at `since_ns`, but it is alive: its records ended there, as they do at an `execve`
    /// that gains privileges.
    Unrecorded {
        /// The time of its last record.
        since_ns: u64,
    },
    /// A process that is not the parent it was known to have has collected its exit status: it had adopted it.
    Collected {
        /// That process.
        by: Pid,
    },
    /// It was reaped between `not_before_ns` and `at_ns`.
    Reaped {
        /// It was still a zombie at this time.
        not_before_ns: u64,
        /// Its parent ignores SIGCHLD: the kernel removed it, and no process collected its status.
        by_itself: bool,
    },
}
