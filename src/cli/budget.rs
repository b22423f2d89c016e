//! The budget of a search, as typed: `1000` executions, `10s`, `5m`.

use std::time::Duration;

/// When a search stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Budget {
    /// After this many executions.
    Executions(u64),
    /// After this much time.
    Time(Duration),
}

impl std::str::FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = |suffix: &str, seconds: f64| {
            let number = text.strip_suffix(suffix)?.parse::<f64>().ok().filter(|number| *number > 0.0)?;
            Duration::try_from_secs_f64(number * seconds).ok().map(Budget::Time)
        };
        let budget = unit("ms", 1e-3).or_else(|| unit("s", 1.0)).or_else(|| unit("m", 60.0));
        let count = || text.parse().ok().filter(|count| *count > 0).map(Budget::Executions);
        budget
            .or_else(count)
            .ok_or_else(|| "a number of executions (1000) or a time (10s, 5m), above zero".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_count_or_a_time_above_zero() {
        assert_eq!("1000".parse(), Ok(Budget::Executions(1000)));
        assert_eq!("1.5s".parse(), Ok(Budget::Time(Duration::from_millis(1500))));
        assert_eq!("2m".parse(), Ok(Budget::Time(Duration::from_secs(120))));
        assert_eq!("20ms".parse(), Ok(Budget::Time(Duration::from_millis(20))));
        for wrong in ["0", "0s", "-1s", "", "s", "nan s", "NaNs", "1e999s", "10 s", "x"] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
    }
}
