//! Sums of time by state, by what was waited for, and their check against the kernel's own sums.

use std::collections::BTreeMap;

use crate::observe::event::State;
use crate::sys::procfs::stat::SchedStat;

/// Time by state, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// On a CPU.
    pub running_ns: u64,
    /// In line for a CPU.
    pub ready_ns: u64,
    /// Waiting for something else.
    pub blocked_ns: u64,
    /// Stopped.
    pub stopped_ns: u64,
    /// Ended and not yet reaped.
    pub zombie_ns: u64,
}

impl Sums {
    pub(super) fn add(&mut self, state: State, ns: u64) {
        match state {
            State::Running => self.running_ns += ns,
            State::Ready => self.ready_ns += ns,
            State::Blocked => self.blocked_ns += ns,
            State::Stopped => self.stopped_ns += ns,
            State::Zombie => self.zombie_ns += ns,
            State::Reaped => {}
        }
    }

    /// The life from start to end: all but the time as a zombie.
    pub fn alive_ns(&self) -> u64 {
        self.running_ns + self.ready_ns + self.blocked_ns + self.stopped_ns
    }
}

/// How often and how long a process was blocked on one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitSum {
    /// How often.
    pub times: u64,
    /// How long in all, nanoseconds.
    pub ns: u64,
    /// The longest, nanoseconds.
    pub longest_ns: u64,
}

/// Waits by number of their name; 0 is "not seen".
pub(super) type WaitSums = BTreeMap<u32, WaitSum>;

/// A process may wait for ever new things for hours: the rest is summed under "not seen".
pub(super) const MOST_WAITS: usize = 256;

pub(super) fn add_wait(sums: &mut WaitSums, wait: u32, ns: u64) {
    let wait = if sums.len() < MOST_WAITS || sums.contains_key(&wait) { wait } else { 0 };
    let sum = sums.entry(wait).or_default();
    sum.times += 1;
    sum.ns += ns;
    sum.longest_ns = sum.longest_ns.max(ns);
}

/// The records' sums beside the kernel's own (`schedstat`), both at one moment at which the thread was off the
/// CPU.
///
/// Records do not show when a blocked thread was woken, only when it got the CPU; the kernel's time in line
/// does contain that. So in line by the kernel, less in line by the records, is the hidden part: it is moved
/// from blocked to ready. What must agree without any such step is the time on the CPU, and that the kernel's
/// time in line is not the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// When both were read.
    pub at_ns: u64,
    /// On the CPU by the records, and by the kernel.
    pub running_ns: (u64, u64),
    /// In line by the records (preempted and new), and by the kernel.
    pub ready_ns: (u64, u64),
    /// Life so far.
    pub wall_ns: u64,
    /// Times that it got a CPU.
    pub turns: u64,
    /// What a hypervisor has taken away from the machine meanwhile.
    pub stolen_ns: u64,
}

impl Check {
    pub(super) fn new(at_ns: u64, wall_ns: u64, sums: &Sums, kernel: &SchedStat, stolen_ns: u64) -> Self {
        Self {
            at_ns,
            wall_ns,
            turns: kernel.turns,
            stolen_ns,
            running_ns: (sums.running_ns, kernel.running_ns),
            ready_ns: (sums.ready_ns, kernel.ready_ns),
        }
    }

    /// The time between being woken and getting the CPU, which the records do not show.
    pub fn hidden_ns(&self) -> u64 {
        self.ready_ns.1.saturating_sub(self.ready_ns.0)
    }

    /// How far the two sources are apart: running by one less running by the other, and time in line that the
    /// records have and the kernel does not.
    pub fn difference_ns(&self) -> u64 {
        self.running_ns.0.abs_diff(self.running_ns.1) + self.ready_ns.0.saturating_sub(self.ready_ns.1)
    }

    /// What may differ: 1 ms and 1 % of the time; 10 µs for each time that it got a CPU, for the switch itself
    /// (and the way to an idle CPU) is in the kernel's sums and between the records; and what the hypervisor
    /// took away meanwhile, which the kernel's sums leave out.
    pub fn tolerance_ns(&self) -> u64 {
        const A_SWITCH_NS: u64 = 10_000;
        1_000_000 + self.wall_ns / 100 + self.turns * A_SWITCH_NS + self.stolen_ns
    }

    /// Whether the sources agree.
    pub fn holds(&self) -> bool {
        self.difference_ns() <= self.tolerance_ns()
    }
}
