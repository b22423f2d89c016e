//! Results as text: prediction and measurement side by side, with differences marked.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::page::wrapped;
use super::told::{details, state};
use crate::lab::lang::Lang;
use crate::lab::mark::{LabMark, PartMark, State};
use crate::lab::score::Row;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The sign of a state.
pub fn sign(state: State) -> &'static str {
    match state {
        State::Right => "✓",
        State::Partly => "◐",
        State::Wrong => "✗",
        State::Open => "·",
        State::Failed => "!",
    }
}

/// Points without superfluous zeros.
pub fn points(points: f64) -> String {
    // An empty sum is minus zero.
    let text = format!("{:.2}", points + 0.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A whole lab.
pub fn lab(mark: &LabMark, lang: Lang, width: u16) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{BOLD}{}{BOLD:#}  ({})\n", mark.title, mark.student);
    for one in &mark.parts {
        text.push_str(&part(one, lang, width));
    }
    for misread in &mark.answers {
        let _ =
            writeln!(text, "{BAD}answers.toml:{}:{}: {}{BAD:#}", misread.line, misread.column, misread.what);
    }
    let sum = format!("{} / {}", points(mark.score), mark.max);
    let _ = writeln!(text, "{} {BOLD}{sum}{BOLD:#}", lang.say("Points:", "得分："));
    text
}

/// One part.
pub fn part(mark: &PartMark, lang: Lang, width: u16) -> String {
    let style = match mark.state {
        State::Right => GOOD,
        State::Wrong | State::Failed | State::Partly => BAD,
        State::Open => DIM,
    };
    let mut text = String::new();
    let head = format!("{} {}", sign(mark.state), mark.title);
    let tail = format!("{}  {}/{}", state(mark.state, lang), points(mark.score), mark.max);
    let gap = usize::from(width).saturating_sub(head.width() + tail.width()).max(2);
    let _ = writeln!(text, "{style}{head}{style:#}{}{style}{tail}{style:#}", " ".repeat(gap.min(40)));
    if mark.state != State::Open {
        text.push_str(&rows(&mark.rows, lang));
        for detail in details(mark, lang) {
            for line in detail.lines() {
                let indent = line.len() - line.trim_start().len();
                for piece in wrapped(line.trim_start(), usize::from(width).saturating_sub(2 + indent)) {
                    let _ = writeln!(text, "  {}{piece}", " ".repeat(indent));
                }
            }
        }
        text.push('\n');
    } else {
        for note in &mark.notes {
            let _ = writeln!(text, "  {}", super::told::note(note, lang));
        }
    }
    text
}

/// Prediction and measurement side by side.
fn rows(rows: &[Row], lang: Lang) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let none = "—".to_owned();
    let heads = ["", lang.say("predicted", "预测"), lang.say("measured", "实测")].map(str::to_owned);
    let mut table = vec![heads];
    for row in rows {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| none.clone());
        table.push([row.label.clone(), shown(&row.predicted), shown(&row.measured)]);
    }
    let widths: Vec<usize> =
        (0..3).map(|column| table.iter().map(|line| line[column].width()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, line) in table.iter().enumerate() {
        let cell = |column: usize| {
            let fill = widths[column].saturating_sub(line[column].width());
            format!("{}{}", line[column], " ".repeat(fill))
        };
        let label = if widths[0] == 0 { String::new() } else { format!("{}  ", cell(0)) };
        let (style, sign) = match number.checked_sub(1).map(|at| rows[at].right) {
            None => (DIM, ""),
            Some(Some(true)) => (GOOD, "✓"),
            Some(Some(false)) => (BAD, "✗"),
            Some(None) => (DIM, "~"),
        };
        let _ = writeln!(text, "  {style}{label}{}  {}  {sign}{style:#}", cell(1), cell(2));
    }
    text
}
