//! How often to look: at once while little happens, rarely in a storm, because each look costs the watched program.

use std::time::Duration;

/// The longest sleep of a step: records wait in the rings meanwhile.
const IDLE: Duration = Duration::from_millis(10);
/// The same while processes come and go: for a process that lives this long, a pidfd is opened in time.
const BUSY: Duration = Duration::from_millis(1);
/// After this long without a fork it is idle again; forks are counted over the same time.
const WINDOW_NS: u64 = 100_000_000;
/// More forks than this in a window are a storm.
const STORM: u32 = 20;

/// Recent forks.
#[derive(Debug)]
pub(super) struct Pace {
    forked_ns: u64,
    window_ns: u64,
    in_window: u32,
    before: u32,
}

impl Pace {
    /// The command itself counts as a fork.
    pub(super) fn new(now_ns: u64) -> Self {
        Self { forked_ns: now_ns, window_ns: now_ns, in_window: 1, before: 0 }
    }

    /// A watched process forked.
    pub(super) fn forked(&mut self, now_ns: u64) {
        self.turn(now_ns);
        self.forked_ns = now_ns;
        self.in_window += 1;
    }

    /// Whether so many processes come and go that a wake-up for each end would slow them down: the process that ends pays
    /// for it.
    pub(super) fn storms(&mut self, now_ns: u64) -> bool {
        self.turn(now_ns);
        self.in_window.max(self.before) > STORM
    }

    /// The longest sleep. If exit statuses are announced, a storm needs no haste.
    pub(super) fn sleep(&mut self, now_ns: u64, announced: bool) -> Duration {
        let calm = now_ns.saturating_sub(self.forked_ns) >= WINDOW_NS;
        if calm || (announced && self.storms(now_ns)) { IDLE } else { BUSY }
    }

    fn turn(&mut self, now_ns: u64) {
        let windows = now_ns.saturating_sub(self.window_ns) / WINDOW_NS;
        if windows > 0 {
            self.before = if windows == 1 { self.in_window } else { 0 };
            self.in_window = 0;
            self.window_ns += windows * WINDOW_NS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_storm_is_looked_at_rarely_and_a_single_fork_at_once() {
        let mut pace = Pace::new(0);
        assert_eq!(pace.sleep(MS, true), BUSY);
        assert_eq!(pace.sleep(200 * MS, true), IDLE);
        for n in 0..100 {
            pace.forked((200 + n) * MS);
        }
        assert!(pace.storms(299 * MS));
        assert_eq!(pace.sleep(299 * MS, true), IDLE);
        assert_eq!(pace.sleep(299 * MS, false), BUSY);
        assert!(pace.storms(305 * MS), "the last window counts as well");
        assert!(!pace.storms(500 * MS));
        pace.forked(501 * MS);
        assert_eq!(pace.sleep(502 * MS, true), BUSY);
    }
}
