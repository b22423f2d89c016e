//! Sums of time by state, by what was waited for, and their check against the kernel's own sums.

use super::reasons::unlisted;
use crate::observe::event::State;

/// Time by state, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// On a CPU.
    pub running_ns: u64,
    /// In the run queue.
    pub ready_ns: u64,
    /// Waiting for something else.
    pub blocked_ns: u64,
    /// Stopped.
    pub stopped_ns: u64,
    /// Ended and not yet reaped.
    pub zombie_ns: u64,
    /// Alive in an unknown state.
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

    /// The lifetime from start to end: all but the time as a zombie.
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

/// How often and for how long a thread was blocked on one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitSum {
    /// How often.
    pub times: u64,
    /// The total, nanoseconds.
    pub ns: u64,
    /// The longest, nanoseconds.
    pub longest_ns: u64,
}

/// Sums by the number of a wait; 0 is "not seen". Most threads wait for few things, so they are a list in the order of
/// their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct WaitSums(Vec<(u32, WaitSum)>);

/// A thread may wait for ever new things for hours: beyond this number they are summed by their kinds.
pub(super) const MOST_WAITS: usize = 256;

impl WaitSums {
    /// Adds a wait of `ns`.
    pub(super) fn add(&mut self, wait: u32, ns: u64) {
        let listed = self.0.len() < MOST_WAITS || self.place(wait).is_ok();
        let sum = self.entry(if listed { wait } else { unlisted(wait) });
        sum.times += 1;
        sum.ns += ns;
        sum.longest_ns = sum.longest_ns.max(ns);
    }

    /// Prolongs a wait that was added by `ns`, to `length_ns`.
    pub(super) fn prolong(&mut self, wait: u32, ns: u64, length_ns: u64) {
        let listed = self.place(wait).is_ok();
        let sum = self.entry(if listed { wait } else { unlisted(wait) });
        sum.ns += ns;
        sum.longest_ns = sum.longest_ns.max(length_ns);
    }

    fn place(&self, wait: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&wait, |(number, _)| *number)
    }

    fn entry(&mut self, wait: u32) -> &mut WaitSum {
        let place = self.place(wait).unwrap_or_else(|place| {
            self.0.insert(place, (wait, WaitSum::default()));
            place
        });
        &mut self.0[place].1
    }

    /// The numbers of the waits.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|(number, _)| *number)
    }

    /// Sums those that are not kept by their kinds.
    pub(super) fn keep(&mut self, is_kept: impl Fn(u32) -> bool) {
        let is_gone = |number: u32| number != unlisted(number) && !is_kept(number);
        let gone: Vec<(u32, WaitSum)> = self.0.extract_if(.., |(number, _)| is_gone(*number)).collect();
        for (number, gone) in gone {
            let sum = self.entry(unlisted(number));
            sum.times += gone.times;
            sum.ns += gone.ns;
            sum.longest_ns = sum.longest_ns.max(gone.longest_ns);
        }
    }

    /// Gives back the room for further waits.
    pub(super) fn compact(&mut self) {
        self.0.shrink_to_fit();
    }

    /// The sums, in the order of their numbers.
    pub(super) fn into_vec(self) -> Vec<(u32, WaitSum)> {
        self.0
    }
}

/// The records' sums beside the kernel's own (`schedstat`), at a time when the thread was off the CPU.
///
/// Records do not show when a blocked thread was woken, only when it got the CPU. The kernel's sums include that delay:
/// as time in the run queue, or as time on the CPU, because a CPU that is woken for a thread books from the clock of the
/// wake-up (`rq_clock_skip_update`). So the kernel's time on a CPU and in the run queue, minus the same by the records,
/// is the hidden delay: it is moved from blocked to running and ready, as the kernel has it. Without any correction must agree how often the thread got a
/// CPU, for how long, and that the kernel's time on a CPU and in the run queue together is not the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// When.
    pub at_ns: u64,
    /// On the CPU by the records, and by the kernel.
    pub running_ns: (u64, u64),
    /// In the run queue by the records (preempted and new), and by the kernel.
    pub ready_ns: (u64, u64),
    /// How often it got a CPU by the records, and by the kernel.
    pub turns: (u64, u64),
    /// How often it lost the CPU while it could have continued, by the records.
    pub preempted: u64,
    /// The lifetime so far.
    pub wall_ns: u64,
    /// At most what a hypervisor has stolen meanwhile.
    pub stolen_ns: u64,
    /// For an ended thread, the time from its last record to its end: it may have lost the CPU in between.
    pub unrecorded_ns: u64,
}

/// At most what the kernel counts as a part of a turn before and after its records.
const A_TURN_NS: u64 = 20_000;

impl Check {
    /// The wake-up delays, which the records do not show, at least.
    ///
    /// Time on the CPU by the records only may be in the kernel's time in the run queue: if a virtual CPU stands still
    /// after another thread was woken on it, the kernel books the time from the wake-up on as the run queue's
    /// (`rq_clock_skip_update`), and the switch is recorded when the CPU goes on. It is no delay of a wake-up.
    pub fn hidden_ns(&self) -> u64 {
        (self.running_ns.1 + self.ready_ns.1).saturating_sub(self.running_ns.0 + self.ready_ns.0)
    }

    /// The part of [`hidden_ns`](Self::hidden_ns) that the kernel books as time on the CPU, as `getrusage` and `top` show it:
    /// it counts from the decision to switch, or from the wake-up.
    pub fn hidden_running_ns(&self) -> u64 {
        let more_ns = self.running_ns.1.saturating_sub(self.running_ns.0);
        more_ns.min(self.turns.1 * A_TURN_NS).min(self.hidden_ns())
    }

    /// Whether the kernel has so much less time on the CPU that a part of the delays may be missing in
    /// [`hidden_ns`](Self::hidden_ns): stolen time is in none of its sums.
    pub fn lacks_running_time(&self) -> bool {
        const ENDS_NS: u64 = 100_000;
        const PART: u64 = 1_000;
        let all_ns = self.running_ns.0 + self.ready_ns.0;
        let short_ns = self.running_ns.0.saturating_sub(self.running_ns.1);
        short_ns > ENDS_NS + all_ns / PART && self.ready_ns.1 > self.ready_ns.0
    }

    /// How far the two sources are apart: on the CPU by one and not by the other, or on the CPU and in the run queue by the
    /// records and neither by the kernel. Time in the run queue by the records, after a recorded wake-up or a fork, and on
    /// the CPU by the kernel is the same time under another name.
    pub fn difference_ns(&self) -> u64 {
        let (recorded, kernel) = self.running_ns;
        let renamed = self.ready_ns.0.saturating_sub(self.ready_ns.1);
        let mut short = (recorded + self.ready_ns.0).saturating_sub(kernel + self.ready_ns.1);
        // It may have lost the CPU once more after its last record, a turn that the kernel counts.
        const A_TURN_MORE_NS: u64 = 100_000;
        let may_lack_one = self.preempted > 0 && self.unrecorded_ns > A_TURN_MORE_NS;
        if self.turns.0 > self.turns.1 || may_lack_one {
            // The time in the run queue before a turn that the kernel does not count is in none of its sums.
            short = 0;
        }
        kernel
            .saturating_sub(recorded)
            .saturating_sub(renamed)
            .max(recorded.saturating_sub(kernel))
            .max(short)
    }

    /// The permitted difference:
    ///
    /// - per turn on a CPU, the switch and the exit from an idle CPU's sleep: the kernel's sums count from the decision or
    ///   the wake-up, the records from the end of the switch;
    /// - two clocks: one follows the time server's corrections, at most 500 ppm, the other does not;
    /// - stolen time, which the kernel's sums leave out and the records do not;
    /// - the part of the thread's end that was not recorded, and the beginning of its first record;
    ///
    /// all together at most 1 ms plus 2 % of the lifetime.
    pub fn tolerance_ns(&self) -> u64 {
        const CLOCKS: u64 = 2_000;
        const ENDS_NS: u64 = 100_000;
        const MOST_NS: u64 = 1_000_000;
        const MOST_PART: u64 = 50;
        let stolen_ns = if self.running_ns.0 > self.running_ns.1 { self.stolen_ns } else { 0 };
        let explained =
            ENDS_NS + self.turns.1 * A_TURN_NS + self.wall_ns / CLOCKS + stolen_ns + self.unrecorded_ns;
        // Whatever the reasons, a larger part is a difference.
        explained.min(MOST_NS + self.wall_ns / MOST_PART)
    }

    /// Whether both sources have the same turns: a missing record shows here however short the turn was.
    ///
    /// The kernel leaves out the turn after a preemption of a thread that was already about to sleep
    /// (`sched_info_depart`), so it may have fewer turns, by at most the number of preemptions.
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
