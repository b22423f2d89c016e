//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// How long to wait before something that failed is tried again: longer after each failure, and not for the same time
/// in every process.
///
/// After the n-th failure in a row it is `first` × 2ⁿ⁻¹, at most `max`, of which a random half at most is taken off
/// (*jitter*), so that what failed together does not come back together.
///
/// ```
/// use proclab::supervisor::BackOff;
/// use std::time::Duration;
///
/// let back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(10));
/// assert!(back_off.delay(1) <= Duration::from_millis(100));
/// assert!(back_off.delay(30) >= Duration::from_secs(5));
/// assert_eq!(BackOff::NONE.delay(3), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    first: Duration,
    max: Duration,
}

impl BackOff {
    /// Try again at once.
    pub const NONE: BackOff = BackOff { first: Duration::ZERO, max: Duration::ZERO };

    /// A wait that begins with `first` and grows to `max`.
    pub const fn new(first: Duration, max: Duration) -> BackOff {
        BackOff { first, max }
    }

    /// The wait after so many failures in a row.
    pub fn delay(&self, failures: u32) -> Duration {
        let doubled =
            self.first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let whole = doubled.min(self.max);
        if whole.is_zero() {
            return whole;
        }
        whole.mul_f64(1.0 - rand::random_range(0.0..0.5))
    }
}

impl Default for BackOff {
    fn default() -> BackOff {
        BackOff::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_its_bound_and_is_never_the_same() {
        let back_off = BackOff::new(Duration::from_millis(10), Duration::from_millis(35));
        for (failures, whole) in [(1, 10), (2, 20), (3, 35), (40, 35), (u32::MAX, 35)] {
            let delay = back_off.delay(failures);
            assert!(
                delay <= Duration::from_millis(whole) && delay >= Duration::from_millis(whole) / 2,
                "{delay:?}"
            );
        }
        let delays: std::collections::BTreeSet<_> = (0..100).map(|_| back_off.delay(3)).collect();
        assert!(delays.len() > 50);
    }
}
