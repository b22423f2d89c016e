//! A run as text: each event as it comes, and a summary at the end.

use crate::scenario::run::record::{Cell, Event, Line, Proof, Record, Table as Data};
use crate::scenario::run::verdict::Verdict;
use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

/// The widest table: a wider one is no easier to read.
const MAX_TABLE: u16 = 300;

/// The heading over the lines of events.
pub fn heading() -> String {
    let faint = Style::new().dimmed();
    format!("{faint}{:>9}  {:<11} {:>7} {:>7}  what{faint:#}", "ms", "process", "PID", "PPID")
}

/// A title over one of several runs, with an empty line before it if it is not the first.
pub fn title(title: &str, is_later: bool) -> String {
    let bold = Style::new().bold();
    format!("{}{bold}{title}{bold:#}\n", if is_later { "\n" } else { "" })
}

/// The result of several runs: how many were right, and the titles of those that were not.
pub fn tally(count: usize, broken: &[String]) -> String {
    let kept = format!("\n{} of {count} proven\n", count - broken.len());
    broken.iter().fold(kept, |text, title| format!("{text}not proven: {title}\n"))
}

/// One event in a line, or in as many as it takes on a terminal of `width` columns; `began_ns` is when the
/// run began.
pub fn event_line(event: &Event, began_ns: u64, width: Option<usize>) -> String {
    let ms = event.at_ns.saturating_sub(began_ns) as f64 / 1e6;
    let style = style_of(&event.what);
    let Event { process, pid, ppid, text, .. } = event;
    let process = pad(process, 11);
    let head = format!("{ms:>9.3}  {process} {pid:>7} {ppid:>7}  ");
    let lines = wrapped(text, width.map(|width| width.saturating_sub(head.width())));
    let lines: Vec<String> = lines.iter().map(|line| format!("{style}{line}{style:#}")).collect();
    format!("{head}{}", lines.join(&format!("\n{}", " ".repeat(head.width()))))
}

/// A text in lines of at most `width` columns, broken between words; whole where no width is known, or
/// where it is too narrow to be read.
fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    const LEAST: usize = 16;
    let Some(width) = width.filter(|width| *width >= LEAST) else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one from the beginning");
        if line.is_empty() {
            line.push_str(word);
        } else if columns(line) + 1 + columns(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// How wide a text is on a terminal: colours take no room.
fn columns(text: &str) -> usize {
    strip_str(text).to_string().width()
}

/// Names may be wider than they have characters (火锅); what is too wide stays whole.
fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Colours that colour-blind people can tell apart, and never the only sign of a thing.
fn style_of(what: &str) -> Style {
    match what {
        "begin" | "end" => Style::new().bold(),
        "bought" => AnsiColor::Blue.on_default().bold(),
        "torn" | "deadlock" | "doomed" | "lost" => AnsiColor::Red.on_default().bold(),
        "wait" => AnsiColor::Yellow.on_default(),
        "none" | "unlock" | "truncate" => Style::new().dimmed(),
        _ => Style::new(),
    }
}

/// The summary, in a few lines of at most `width` columns.
pub fn summary(record: &Record, width: Option<usize>) -> String {
    let mut parts = Vec::new();
    if let Some(data) = &record.summary.table {
        parts.push(table(data, width));
    }
    for line in &record.summary.lines {
        match line {
            Line::Text(said) => parts.extend(wrapped(&said.text, width)),
            Line::Verdict(verdict, said) => {
                let style = verdict_style(*verdict);
                parts.extend(wrapped(&format!("{style}{verdict}:{style:#} {said}"), width));
            }
            Line::Proof(proof) => parts.extend(wrapped(&proof_line(proof), width)),
            // It was made to fit.
            Line::Series { name, values } => parts.push(series(name, values, width)),
        }
    }
    parts.join("\n")
}

/// A table of at most `width` columns. A verdict is never broken: it is the word that is looked for.
fn table(data: &Data, width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.min(MAX_TABLE));
    }
    table.set_header(data.head.iter().copied());
    for row in &data.rows {
        table.add_row(row.iter().map(|cell| match cell {
            Cell::Text(text) | Cell::Number(text) => text.clone(),
            Cell::Verdict(verdict) => {
                let style = verdict_style(*verdict);
                format!("{style}{verdict}{style:#}")
            }
        }));
    }
    for (index, cell) in data.rows.first().into_iter().flatten().enumerate() {
        let Some(column) = table.column_mut(index) else { continue };
        match cell {
            Cell::Text(_) => {}
            Cell::Number(_) => column.set_cell_alignment(CellAlignment::Right),
            Cell::Verdict(_) => drop(column.set_constraint(ColumnConstraint::ContentWidth)),
        }
    }
    table.to_string()
}

fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => AnsiColor::Blue.on_default().bold(),
        _ => AnsiColor::Red.on_default().bold(),
    }
}

/// How a value changed over the run, in at most 60 columns of bars.
fn series(name: &str, values: &[usize], width: Option<usize>) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0);
    let (head, tail) = (format!("{name}  "), format!(" (at most {most})"));
    let columns = width.map_or(60, |width| width.saturating_sub(head.width() + tail.width()).clamp(10, 60));
    let per_bar = values.len().div_ceil(columns).max(1);
    let bars: String = values
        .chunks(per_bar)
        .map(|chunk| chunk.iter().copied().max().unwrap_or(0))
        .map(|value| BARS[(value * 8).div_ceil(most.max(1))])
        .collect();
    format!("{head}{bars}{tail}")
}

/// A count with its noun.
pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn proof_line(proof: &Proof) -> String {
    let style = verdict_style(if proof.holds { Verdict::Ok } else { Verdict::Crashed });
    match (proof.holds, &proof.seen) {
        (true, _) => format!("{style}proven:{style:#} {}", proof.claim),
        (false, seen) => {
            let seen = seen.as_deref().unwrap_or("it was not so");
            format!("{style}not proven:{style:#} {} ({seen})", proof.claim)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::said::Said;
    use crate::scenario::run::record::{Detail, Summary};

    #[test]
    fn a_text_is_broken_between_words_and_loses_none() {
        let text = "opens it for writing: 火锅 is empty now";
        let lines = wrapped(text, Some(20));
        assert_eq!(lines, ["opens it for", "writing: 火锅 is", "empty now"]);
        assert!(lines.iter().all(|line| line.width() <= 20));
        assert_eq!(wrapped(text, None), [text]);
        assert_eq!(wrapped(text, Some(3)), [text], "too narrow to be read");
        assert_eq!(wrapped("a-word-that-is-longer-than-that b", Some(16)).len(), 2);
    }

    fn said(text: &str) -> Said {
        Said::new("It", [], [text.to_owned(), String::new()])
    }

    fn record(summary: Summary) -> Record {
        Record {
            scenario: String::new(),
            parameters: serde_json::Value::Null,
            processes: Vec::new(),
            events: Vec::new(),
            detail: Detail::default(),
            verdict: Verdict::Deadlock,
            summary,
        }
    }

    #[test]
    fn a_summary_fits_into_the_terminal() {
        let row = |nth: usize| {
            vec![
                Cell::Text(format!("consumer-{nth}")),
                Cell::Number("4000000".into()),
                Cell::Verdict(Verdict::LostUpdate),
            ]
        };
        let head = vec!["process", "ate", "verdict"];
        let record = record(Summary {
            table: Some(Data { head, rows: (0..3).map(row).collect() }),
            lines: vec![
                Line::Series { name: "queue depth".into(), values: (0..500).map(|nth| nth % 5).collect() },
                Line::Text(said("consumer-1 (PID 4000000) waits on the empty queue, and no process is left")),
                Line::Verdict(
                    Verdict::Deadlock,
                    said("12 put, 12 eaten: every item exactly once, but one waited"),
                ),
            ],
        });
        for width in [40, 60, 80] {
            let text = summary(&record, Some(width));
            for line in text.lines() {
                assert!(columns(line) <= width, "{width}: {line}");
            }
            let (line, next) = text[text.find("deadlock:").unwrap()..].split_once('\n').unwrap_or(("", ""));
            let word = next.split(' ').next().unwrap();
            assert!(width == 80 || columns(line) + 1 + columns(word) > width, "colours take no room: {text}");
        }
        assert!(summary(&record, Some(65_535)).len() < 10_000, "a window of any width takes little memory");
    }
}
