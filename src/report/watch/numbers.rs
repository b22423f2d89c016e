//! Durations as people read them.

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
}
