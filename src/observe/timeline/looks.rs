//! What the looks at a thread without records have shown.

use crate::observe::event::State;
use crate::sys::procfs::stat::SchedStat;

/// What the looks at a thread have shown so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Looks {
    /// The kernel's sums at the last look.
    pub(super) seen: Option<SchedStat>,
    /// The part of the unknown time that the kernel may still book, or that was spent asleep.
    pub(super) pending_ns: u64,
    /// Time on a CPU since the thread was last seen asleep.
    pub(super) ran_ns: u64,
    /// Stolen time when the thread was last seen asleep.
    pub(super) stolen_ns: u64,
    /// The wait that the current sleep is counted as; `None` until it is known.
    pub(super) told: Option<ToldWait>,
    /// What the kernel books next may have begun before this thread was watched, or under another TID.
    pub(super) in_line_before: bool,
}

/// A part of a sleep that is counted as a wait for one thing.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToldWait {
    pub(super) wait: u32,
    pub(super) ns: u64,
}

impl Looks {
    /// The first sums of a thread that was found in `state`. Those of one that can run are not complete.
    pub(super) fn begin(&mut self, state: State, kernel: SchedStat) {
        match state {
            State::Blocked | State::Stopped => self.seen = Some(kernel),
            _ => self.in_line_before = true,
        }
    }

    /// The next sums are those of another thread, which has taken over the TID.
    pub(super) fn of_another() -> Self {
        Self { in_line_before: true, ..Self::default() }
    }

    pub(super) fn have_begun(&self) -> bool {
        self.seen.is_some() || self.in_line_before
    }

    /// How much of the time that seems to be spent asleep may have been spent on a CPU, in interrupts or stolen: the
    /// kernel's sums leave both out.
    pub(super) fn lost_ns(&self, stolen_ns: u64) -> u64 {
        const INTERRUPTS: u64 = 50;
        self.ran_ns / INTERRUPTS + stolen_ns.saturating_sub(self.stolen_ns)
    }
}
