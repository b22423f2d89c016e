//! Durations for people.

/// `850 ns`, `3.2 µs`, `12.4 ms`, `1.203 s`, `2 h 05 min`: three digits are enough to compare by eye.
pub(crate) fn short(ns: u64) -> String {
    let value = |unit: f64| ns as f64 / unit;
    match ns {
        0 => "0".to_owned(),
        1..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", value(1e3)),
        1_000_000..100_000_000 => format!("{:.2} ms", value(1e6)),
        100_000_000..1_000_000_000 => format!("{:.1} ms", value(1e6)),
        1_000_000_000..3_600_000_000_000 => format!("{:.3} s", value(1e9)),
        _ => format!("{} h {:02} min", ns / 3_600_000_000_000, ns / 60_000_000_000 % 60),
    }
}

/// A duration with `≥` in front if it is a lower bound.
pub(crate) fn at_least(ns: u64, is_lower_bound: bool) -> String {
    format!("{}{}", if is_lower_bound { "≥" } else { "" }, short(ns))
}

/// A duration between two bounds: both, if they differ by 0.1 ms and 5 % or more; only the upper one with `≤`, if the
/// lower one says nothing.
pub(crate) fn between(at_most_ns: u64, at_least_ns: u64) -> String {
    let negligible_ns = (at_most_ns / 20).max(100_000);
    match at_most_ns.saturating_sub(at_least_ns) {
        room if room < negligible_ns => short(at_most_ns),
        room if room * 20 > at_most_ns * 19 => format!("≤{}", short(at_most_ns)),
        _ => format!("{}–{}", short(at_least_ns), short(at_most_ns)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_the_unit_that_suits_it() {
        assert_eq!(short(850), "850 ns");
        assert_eq!(short(12_400_000), "12.40 ms");
        assert_eq!(short(1_203_000_000), "1.203 s");
        assert_eq!(short(7_500_000_000_000), "2 h 05 min");
    }

    #[test]
    fn bounds_are_shown_where_they_matter() {
        assert_eq!(between(10_000_000, 9_990_000), "10.00 ms");
        assert_eq!(between(7_200_000, 300_000), "≤7.20 ms");
        assert_eq!(between(7_200_000, 3_000_000), "3.00 ms–7.20 ms");
        assert_eq!(at_least(7_200_000, true), "≥7.20 ms");
    }
}
