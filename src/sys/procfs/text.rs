//! Text that other programs choose: their names, arguments and paths.

/// Makes text safe for a terminal: control characters, including C1 and DEL, and characters that change the writing
/// direction are replaced by `?`.
pub fn printable(bytes: &[u8]) -> String {
    let harmful = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    String::from_utf8_lossy(bytes).chars().map(|c| if harmful(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_c1_controls_and_direction_changes_are_replaced() {
        assert_eq!(printable(b"\x1b[2Jred\n"), "?[2Jred?");
        assert_eq!(printable("a\u{9b}31m\u{202e}b 火".as_bytes()), "a?31m?b 火");
    }
}
