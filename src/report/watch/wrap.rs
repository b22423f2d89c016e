//! Lines that fit a width.

/// The columns of what is neither a terminal nor told otherwise.
pub const DEFAULT_WIDTH: usize = 80;
/// Below this, nothing fits.
const LEAST: usize = 40;
/// The indent of the lines that continue another one.
const INDENT: &str = "    ";

/// The width that the environment variable `COLUMNS` asks for, or the default.
pub fn width_of(columns: Option<&str>) -> usize {
    let asked = columns.and_then(|columns| columns.trim().parse().ok()).filter(|columns| *columns > 0);
    asked.unwrap_or(DEFAULT_WIDTH).max(LEAST)
}

/// The lines of `text`, broken at spaces so that none is longer than `width`; a longer word is broken where the line
/// ends. Each line ends in a newline.
pub fn wrap(text: &str, width: usize) -> String {
    text.lines().map(|line| one(line, width.max(LEAST))).collect()
}

fn one(line: &str, width: usize) -> String {
    let mut text = String::new();
    let mut used = 0;
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    text.push_str(&indent);
    used += indent.chars().count();
    let mut at_start = true;
    for word in line.trim_start().split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let gap = usize::from(!at_start);
        if used + gap + word.len() > width && !at_start {
            text.push('\n');
            text.push_str(INDENT);
            used = INDENT.len();
        } else if gap == 1 {
            text.push(' ');
            used += 1;
        }
        while used + word.len() > width {
            let rest = word.split_off(width - used);
            text.extend(word);
            text.push('\n');
            text.push_str(INDENT);
            used = INDENT.len();
            word = rest;
        }
        used += word.len();
        text.extend(word);
        at_start = false;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_where_the_line_ends() {
        let words = "eight letters and more of them, until the line is full and the next begins";
        let text = wrap(words, 40);
        assert_eq!(text, "eight letters and more of them, until\n    the line is full and the next begins\n");
        let path = "x".repeat(90);
        let text = wrap(&format!("a {path} b"), 40);
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
        assert_eq!(text.matches('x').count(), 90);
        assert_eq!(wrap("short\n\n", 40), "short\n\n");
    }

    #[test]
    fn columns_are_as_the_environment_says() {
        assert_eq!(width_of(None), 80);
        assert_eq!(width_of(Some("132")), 132);
        assert_eq!(width_of(Some("0")), 80);
        assert_eq!(width_of(Some("wide")), 80);
        assert_eq!(width_of(Some("3")), 40);
    }
}
