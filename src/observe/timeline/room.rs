//! How long a thread can have been in line for a CPU between two readings of the kernel's sums, as far as its records and
//! the looks at it say.
//!
//! Linux counts a whole sleep as time in the run queue if it moves the thread to another CPU while its dequeueing is
//! delayed (`DELAY_DEQUEUE`, Linux 6.12 and later): `enqueue_task` notes the time, and nothing takes the note back before
//! the thread is woken. On a loaded machine that happens to one of a hundred sleeps.

use super::sums::Sums;
use crate::sys::procfs::stat::SchedStat;

/// The room for wake-up delays since the last comparison, and what the sums had beyond it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    /// Blocked by the records and not seen asleep, since the last comparison.
    pub(super) ns: u64,
    /// Time in the run queue by the kernel's sums that was none, at least, and at most what they had beside the records.
    pub(super) false_ns: u64,
    recorded: Sums,
    kernel: SchedStat,
}

impl Room {
    /// Begins the comparison at sums that are taken as those of the kernel.
    pub(super) fn begin(&mut self, recorded: Sums) {
        let Sums { running_ns, ready_ns, .. } = recorded;
        *self = Self { recorded, kernel: SchedStat { running_ns, ready_ns, turns: 0 }, ..Self::default() };
    }

    /// Compares what both sums have grown by; returns how much of the kernel's time in the run queue is in doubt so far.
    pub(super) fn compare(&mut self, recorded: Sums, kernel: SchedStat) -> u64 {
        const A_TURN_NS: u64 = 20_000;
        const READING_NS: u64 = 1_000_000;
        let ready_ns = kernel.ready_ns.saturating_sub(self.kernel.ready_ns);
        let by_kernel_ns = ready_ns + kernel.running_ns.saturating_sub(self.kernel.running_ns);
        let recorded_ready_ns = recorded.ready_ns.saturating_sub(self.recorded.ready_ns);
        let by_records_ns = recorded_ready_ns + recorded.running_ns.saturating_sub(self.recorded.running_ns);
        // On both together: a part of a turn is time on the CPU by one of them, and in the run queue by the other.
        let excess_ns =
            by_kernel_ns.saturating_sub(by_records_ns).min(ready_ns.saturating_sub(recorded_ready_ns));
        let turns = kernel.turns.saturating_sub(self.kernel.turns);
        if excess_ns > self.ns + READING_NS + turns * A_TURN_NS {
            self.false_ns += excess_ns;
        }
        *self = Self { ns: 0, false_ns: self.false_ns, recorded, kernel };
        self.false_ns
    }
}
