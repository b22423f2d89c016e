//! The delay before a failed operation is tried again.

use std::time::Duration;

/// The delay before a failed operation is tried again. It grows with each failure, and differs between processes.
///
/// After the n-th failure in a row it is `first` × 2ⁿ⁻¹, at most `max`, minus a random part of up to one half
/// (*jitter*), so that operations that failed together are not retried together.
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
    /// No delay.
    pub const NONE: BackOff = BackOff { first: Duration::ZERO, max: Duration::ZERO };

    /// A delay that begins with `first` and grows to `max`.
    ///
    /// ```
    /// use proclab::supervisor::BackOff;
    /// use std::time::Duration;
    ///
    /// let back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(10));
    /// # let _ = back_off;
    /// ```
    pub const fn new(first: Duration, max: Duration) -> BackOff {
        BackOff { first, max }
    }

    /// The delay after this many failures in a row.
    ///
    /// ```
    /// use proclab::supervisor::BackOff;
    /// use std::time::Duration;
    ///
    /// let back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(10));
    /// assert!(back_off.delay(2) <= Duration::from_millis(200));
    /// ```
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
