//! Sums of time by state, by what was waited for, and their check against the kernel's own sums.

use std::collections::BTreeMap;

use crate::observe::event::State;

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
    /// Alive, and nothing tells in which state.
    pub unknown_ns: u64,
}

impl Sums {
    pub(super) fn add(&mut self, state: State, ns: u64) {
        match state {
            State::Running => self.running_ns += ns,
            State::Ready => self.ready_ns += ns,
            State::Blocked => self.blocked_ns += ns,
            State::Stopped => self.stopped_ns += ns,
            State::Zombie => self.zombie_ns += ns,
            State::Unknown => self.unknown_ns += ns,
            State::Reaped => {}
        }
    }

    /// The life from start to end: all but the time as a zombie.
    pub fn alive_ns(&self) -> u64 {
        self.running_ns + self.ready_ns + self.blocked_ns + self.stopped_ns + self.unknown_ns
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.running_ns += other.running_ns;
        self.ready_ns += other.ready_ns;
        self.blocked_ns += other.blocked_ns;
        self.stopped_ns += other.stopped_ns;
        self.zombie_ns += other.zombie_ns;
        self.unknown_ns += other.unknown_ns;
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
/// Records do not show when a blocked thread was woken, only when it got the CPU; the kernel's sums do contain
/// that: as time in line, or as time on the CPU, since a CPU that is woken for a thread books with the clock of
/// the wake-up (`rq_clock_skip_update`). So on the CPU or in line by the kernel, less the same by the records, is
/// the hidden part: it is moved from blocked to ready. What must agree without any such step is how often it got
/// a CPU, how long it had it, and that the kernel's time on and in line for a CPU together is not the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// When both were read.
    pub at_ns: u64,
    /// On the CPU by the records, and by the kernel.
    pub running_ns: (u64, u64),
    /// In line by the records (preempted and new), and by the kernel.
    pub ready_ns: (u64, u64),
    /// Times that it got a CPU by the records, and by the kernel.
    pub turns: (u64, u64),
    /// How often it lost the CPU while it could have gone on, by the records.
    pub preempted: u64,
    /// Life so far.
    pub wall_ns: u64,
    /// What a hypervisor has taken away from the machine meanwhile, at the most.
    pub stolen_ns: u64,
    /// Of a thread that has ended, from its last record to its end: it may have lost the CPU in between.
    pub unrecorded_ns: u64,
}

impl Check {
    /// The time between being woken and having the CPU, which the records do not show.
    ///
    /// What a hypervisor takes away is time on the CPU by the records alone: in line by the kernel and not by the
    /// records is hidden all the same.
    pub fn hidden_ns(&self) -> u64 {
        let all = (self.running_ns.1 + self.ready_ns.1).saturating_sub(self.running_ns.0 + self.ready_ns.0);
        all.max(self.ready_ns.1.saturating_sub(self.ready_ns.0))
    }

    /// How far the two sources are apart: on the CPU by one and not by the other, or on the CPU and in line by
    /// the records and neither by the kernel. What the records have in line after a wake-up that they know, or
    /// a fork, and the kernel on the CPU is the same time under another name.
    pub fn difference_ns(&self) -> u64 {
        let (recorded, kernel) = self.running_ns;
        let renamed = self.ready_ns.0.saturating_sub(self.ready_ns.1);
        let mut short = (recorded + self.ready_ns.0).saturating_sub(kernel + self.ready_ns.1);
        if self.turns.0 > self.turns.1 {
            // The time in line before a turn that the kernel does not count is in none of its sums.
            short = 0;
        }
        kernel
            .saturating_sub(recorded)
            .saturating_sub(renamed)
            .max(recorded.saturating_sub(kernel))
            .max(short)
    }

    /// What may differ:
    ///
    /// - for each turn on a CPU, the switch and the way out of an idle CPU's sleep: the kernel's sums count
    ///   from the decision or the wake-up, the records from when the switch is done;
    /// - two clocks: one follows the time server's corrections, 500 ppm at the most, the other does not;
    /// - what the hypervisor took away meanwhile, which the kernel's sums leave out and the records do not;
    /// - what was not recorded of the thread's end, and the beginning of its first record;
    ///
    /// all together no more than 1 ms and 2 % of the life.
    pub fn tolerance_ns(&self) -> u64 {
        const A_TURN_NS: u64 = 20_000;
        const CLOCKS: u64 = 2_000;
        const ENDS_NS: u64 = 100_000;
        const MOST_NS: u64 = 1_000_000;
        const MOST_PART: u64 = 50;
        let stolen_ns = if self.running_ns.0 > self.running_ns.1 { self.stolen_ns } else { 0 };
        let explained =
            ENDS_NS + self.turns.1 * A_TURN_NS + self.wall_ns / CLOCKS + stolen_ns + self.unrecorded_ns;
        // However many reasons there are: a larger part of a life in doubt is a difference.
        explained.min(MOST_NS + self.wall_ns / MOST_PART)
    }

    /// Whether both sources have the same turns: a record that is missing shows here however short the turn.
    ///
    /// The kernel itself leaves out the turn after a preemption that came when the thread had already said
    /// that it will sleep (`sched_info_depart`), so it may have fewer by the number of preemptions at the most.
    pub fn turns_agree(&self) -> bool {
        let (recorded, kernel) = self.turns;
        (kernel..=kernel + self.preempted).contains(&recorded)
            || (self.unrecorded_ns > 0 && recorded < kernel)
    }

    /// Whether the sources agree.
    pub fn holds(&self) -> bool {
        self.turns_agree() && self.difference_ns() <= self.tolerance_ns()
    }
}
