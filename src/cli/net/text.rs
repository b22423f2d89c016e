//! Text for a terminal: without control sequences, and wrapped.

use unicode_width::UnicodeWidthChar;

/// Text with control characters escaped, which could move a terminal's cursor or change its colours.
pub(super) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Breaks `line` at `width` columns, between words if possible, and continues at `column`.
pub(super) fn wrap(line: &str, column: usize, width: usize) -> String {
    let (mut text, mut at, mut space) = (String::with_capacity(line.len()), 0, None);
    for c in line.chars() {
        let wide = c.width().unwrap_or(0);
        if c == '\n' {
            (at, space) = (0, None);
        } else if at + wide > width {
            let pad = " ".repeat(column);
            match space.take() {
                // The word that does not fit moves to the next line, with the part of it that was written.
                Some(space) => {
                    let word = text.split_off(space);
                    text.truncate(text.trim_end().len());
                    at =
                        column + word.trim_start().chars().filter_map(UnicodeWidthChar::width).sum::<usize>();
                    text += &format!("\n{pad}{}", word.trim_start());
                }
                None => {
                    text += &format!("\n{pad}");
                    at = column;
                }
            }
        }
        if c == ' ' && at > column {
            space = Some(text.len());
        }
        text.push(c);
        at += if c == '\n' { 0 } else { wide };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_continues_under_its_own_text() {
        assert_eq!(wrap("  ok  one two three", 6, 14), "  ok  one two\n      three");
        assert_eq!(wrap("  ok  火锅火锅火锅", 6, 14), "  ok  火锅火锅\n      火锅");
        assert_eq!(wrap("  ok  one threefour", 6, 14), "  ok  one\n      threefou\n      r");
        assert_eq!(wrap("\nshort", 0, 14), "\nshort");
    }

    #[test]
    fn a_message_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\tb\n火"), "a\\u{1b}[2J\tb\n火");
    }
}
