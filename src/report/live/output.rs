//! What the watched program wrote to the terminal that it was given.

/// Bytes that are kept; beyond it the oldest are discarded.
const MOST: usize = 4 << 20;

/// The program's output so far.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    n_forgotten: u64,
}

impl Output {
    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > MOST + MOST / 4 {
            let surplus = self.bytes.len() - MOST;
            self.bytes.drain(..surplus);
            self.n_forgotten += surplus as u64;
        }
    }

    /// The bytes that are kept, as they were written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of discarded bytes.
    pub fn n_forgotten(&self) -> u64 {
        self.n_forgotten
    }

    /// The `count` lines before the last `after` ones as plain text: escape sequences are removed, and a carriage return restarts the
    /// line.
    pub(super) fn last_lines(&self, count: usize, after: usize) -> Vec<String> {
        const LOOKED_AT: usize = 64 << 10;
        let tail = &self.bytes[self.bytes.len().saturating_sub(LOOKED_AT)..];
        let text = String::from_utf8_lossy(tail);
        let mut lines: Vec<String> = text.lines().map(plain).collect();
        // Scrolled past the beginning, the first lines stay.
        lines.truncate((lines.len().saturating_sub(after)).max(count));
        lines.drain(..lines.len().saturating_sub(count));
        lines
    }
}

fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                // CSI sequences end with a letter or `~`; other sequences are one character long.
                if chars.next() == Some('[') {
                    chars.by_ref().find(|c| c.is_ascii_alphabetic() || *c == '~');
                }
            }
            '\r' if chars.peek().is_some() => text.clear(),
            '\t' => text.push_str("    "),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_screen() {
        assert_eq!(plain("\u{1b}[1;31mred\u{1b}[0m and\tplain\u{7}"), "red and    plain");
        assert_eq!(plain("10%\r20%\r"), "20%");
    }

    #[test]
    fn output_is_bounded_and_its_end_is_kept() {
        let mut output = Output::default();
        for _ in 0..700 {
            output.push(&[b'x'; 10_000]);
        }
        output.push(b"\nend\n");
        assert!(output.bytes().len() <= MOST + MOST / 4 && output.n_forgotten() > 0);
        assert_eq!(output.last_lines(1, 0), ["end"]);
    }
}
