//! What reading `/proc` may cost: a share of one CPU, kept by reading less often.

use crate::sys::clock::{monotonic_ns, thread_cpu_ns};

/// The credit at the start, as time of the share: short runs are read at the full rate, long ones on average as rarely
/// as the share requires.
const SAVED_NS: f64 = 2e9;

/// Paces rounds of reads so that their CPU time stays below a share of one CPU.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// The share, in percent of one CPU.
    percent: f64,
    /// CPU time that may be spent before the next pause, nanoseconds; if negative, it must be earned first.
    credit_ns: f64,
    /// Between the starts of two rounds, if the share permits.
    period_ns: u64,
    due_ns: u64,
    begun_ns: u64,
    longest_ns: u64,
}

/// A round in progress: when it began, by the clock and by the CPU time of this thread.
#[derive(Debug)]
pub(super) struct Timer {
    begun_ns: u64,
    cpu_ns: u64,
}

impl Timer {
    /// The CPU time that the round has taken so far.
    pub(super) fn cost_ns(&self) -> u64 {
        thread_cpu_ns().saturating_sub(self.cpu_ns)
    }
}

impl Budget {
    /// Rounds `period_ns` apart that take at most `percent` of one CPU.
    pub(super) fn new(percent: f64, period_ns: u64) -> Self {
        let credit_ns = SAVED_NS * percent / 100.0;
        Self { percent, credit_ns, period_ns, due_ns: 0, begun_ns: 0, longest_ns: 0 }
    }

    /// When the next round is due.
    pub(super) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// The longest time between the starts of two rounds so far, the current one included.
    pub(super) fn longest_gap_ns(&self) -> u64 {
        let present_ns = if self.begun_ns > 0 { monotonic_ns() - self.begun_ns } else { 0 };
        self.longest_ns.max(present_ns)
    }

    /// Begins a round.
    pub(super) fn begin(&mut self) -> Timer {
        let begun_ns = monotonic_ns();
        if self.begun_ns > 0 {
            self.earn(begun_ns - self.begun_ns);
            self.longest_ns = self.longest_ns.max(begun_ns - self.begun_ns);
        }
        self.begun_ns = begun_ns;
        Timer { begun_ns, cpu_ns: thread_cpu_ns() }
    }

    /// Ends a round: the next one is due after the period, or when the cost is earned.
    pub(super) fn end(&mut self, timer: Timer) {
        let cost_ns = timer.cost_ns();
        self.due_ns = timer.begun_ns + self.period_ns.max(self.spend(cost_ns));
    }

    fn earn(&mut self, ns: u64) {
        let share = self.percent / 100.0;
        self.credit_ns = (self.credit_ns + ns as f64 * share).min(SAVED_NS * share);
    }

    /// How long it takes to earn what was spent beyond the credit.
    fn spend(&mut self, cost_ns: u64) -> u64 {
        const LONGEST_NS: f64 = 5e9;
        self.credit_ns -= cost_ns as f64;
        let debt_ns = (-self.credit_ns).max(0.0);
        (debt_ns * 100.0 / self.percent.max(0.01)).min(LONGEST_NS) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_is_earned_before_the_next_round_and_credit_is_bounded() {
        let mut budget = Budget::new(5.0, 5_000_000);
        assert_eq!(budget.spend(100_000_000), 0, "two seconds are saved at the beginning");
        assert_eq!(budget.spend(1_000_000), 20_000_000);
        budget.earn(20_000_000);
        assert_eq!(budget.spend(0), 0);
        budget.earn(u64::MAX / 2);
        assert_eq!(budget.spend(101_000_000), 20_000_000);
        assert_eq!(budget.spend(u64::MAX), 5_000_000_000);
    }
}
