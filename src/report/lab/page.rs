//! Lays out a sheet for a terminal, Chinese and English: lines are wrapped to its width.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::lab::lang::Lang;
use crate::lab::sheet::Section;

/// The text of a part with its title.
pub fn section(section: &Section, number: usize, of: usize, points: u32, lang: Lang, width: u16) -> String {
    let bold = Style::new().bold();
    let worth = match lang {
        Lang::En => format!("{points} {}", if points == 1 { "point" } else { "points" }),
        Lang::Zh => format!("{points} 分"),
    };
    let mut text = format!("{bold}{number}/{of}  {}{bold:#}  ({worth})\n\n", section.title);
    text.push_str(&page(&section.text, width));
    text
}

/// Lays out Markdown for a terminal: paragraphs are wrapped, code is not.
pub fn page(markdown: &str, width: u16) -> String {
    let width = usize::from(width).clamp(20, 100);
    let code = AnsiColor::Cyan.on_default();
    let mut text = String::new();
    let mut paragraph = String::new();
    let mut fenced = false;
    let flush = |paragraph: &mut String, text: &mut String| {
        if paragraph.is_empty() {
            return;
        }
        let (first, rest) = hanging(paragraph);
        let pieces = wrapped(paragraph.trim(), width.saturating_sub(rest.len()));
        for (number, piece) in pieces.iter().enumerate() {
            let _ = writeln!(text, "{}{piece}", if number == 0 { &first } else { &rest });
        }
        paragraph.clear();
    };
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            flush(&mut paragraph, &mut text);
            fenced = !fenced;
        } else if fenced {
            let _ = writeln!(text, "    {code}{line}{code:#}");
        } else if line.trim().is_empty() {
            flush(&mut paragraph, &mut text);
            if !text.is_empty() && !text.ends_with("\n\n") {
                text.push('\n');
            }
        } else if line.starts_with("- ") || line.starts_with('|') {
            flush(&mut paragraph, &mut text);
            paragraph = line.to_owned();
            if line.starts_with('|') {
                flush(&mut paragraph, &mut text);
            }
        } else {
            if paragraph.ends_with(|c: char| c.is_ascii()) {
                paragraph.push(' ');
            }
            // Marks of emphasis are left out.
            paragraph.push_str(&line.trim().replace("**", ""));
        }
    }
    flush(&mut paragraph, &mut text);
    text
}

/// The indents of the first line of a paragraph and of the others.
fn hanging(paragraph: &str) -> (String, String) {
    let is_item = paragraph.starts_with("- ");
    (String::new(), if is_item { "  ".to_owned() } else { String::new() })
}

/// Lines of at most `width` columns: broken at spaces, and between any two wide characters.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    // Where the last piece of the line begins that may begin a line.
    let mut last = 0;
    for piece in pieces(text) {
        let is_space = piece.trim().is_empty();
        if !line.is_empty() && line.width() + piece.trim_end().width() > width {
            // Punctuation takes what it follows along to the next line.
            let rest = if is_closing(piece) && last > 0 { line.split_off(last) } else { String::new() };
            lines.push(line.trim_end().to_owned());
            line = rest;
            last = 0;
            if is_space {
                continue;
            }
        }
        if !is_closing(piece) {
            last = line.len();
        }
        line.push_str(piece);
        // A word longer than a line is cut.
        while line.trim_end().width() > width {
            let at = cut(&line, width);
            let rest = line.split_off(at);
            lines.push(std::mem::replace(&mut line, rest));
            last = 0;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// Whether it is punctuation that must not begin a line.
fn is_closing(piece: &str) -> bool {
    piece.starts_with(['，', '。', '；', '：', '！', '？', '）', '、', '”', '》', ',', '.', ')'])
}

fn cut(line: &str, width: usize) -> usize {
    let mut columns = 0;
    for (at, c) in line.char_indices() {
        columns += c.width().unwrap_or(0);
        if columns > width {
            return at.max(c.len_utf8());
        }
    }
    line.len()
}

/// Splits a text into words with the space after them, and single wide characters.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let is_wide = |c: char| c.width().unwrap_or(0) > 1;
        let breaks = before.is_some_and(|before| before == ' ' && c != ' ' || is_wide(before) || is_wide(c));
        if breaks {
            pieces.push(&text[start..at]);
            start = at;
        }
        before = Some(c);
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_window_in_both_languages() {
        let english = "A process that has ended and was not waited for is a zombie, until its parent waits.";
        let chinese = "已经结束、但父进程还没有等待它的进程叫做僵尸进程，直到父进程调用 wait 为止。";
        for text in [english, chinese, &"x".repeat(200)] {
            for width in [10, 24, 40, 80] {
                let lines = wrapped(text, width);
                assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:?}");
                let joined: String = lines.concat().replace(' ', "");
                assert_eq!(joined, text.replace(' ', ""));
                assert!(width < 24 || !lines.iter().any(|line| is_closing(line)), "{width}: {lines:?}");
            }
        }
    }

    #[test]
    fn code_is_not_wrapped_and_items_hang() {
        let page = page("one two\nthree\n\n- `a`: first choice of all\n\n```\nx    =  1\n```\n", 20);
        let plain = anstream::adapter::strip_str(&page).to_string();
        assert!(plain.contains("one two three\n\n- "), "{plain}");
        assert!(plain.contains("    x    =  1\n"), "{plain}");
        assert!(plain.contains("- `a`: first\n  choice of all\n"), "{plain}");
    }
}
