//! A run as text: each event as it comes, and a summary at the end.

use crate::scenario::pipeline::run::PipelineRecord;
use crate::scenario::run::record::{Detail, Event, Proof, Record};
use crate::scenario::run::verdict::Verdict;
use crate::scenario::tickets::run::TicketsRun;
use anstream::adapter::strip_str;
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

/// The heading over the lines of events.
pub fn heading() -> String {
    let faint = Style::new().dimmed();
    format!("{faint}{:>9}  {:<11} {:>7} {:>7}  what{faint:#}", "ms", "process", "PID", "PPID")
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

/// What came of it all, in a few lines of at most `width` columns.
pub fn summary(record: &Record, width: Option<usize>) -> String {
    match &record.detail {
        Detail::Tickets(tickets) => tickets_summary(&tickets.runs, width),
        Detail::Life { proof } => wrapped(&proof_line(proof), width).join("\n"),
        Detail::Pipeline(pipeline) => pipeline_summary(pipeline, record.verdict, width),
        Detail::Eval { answer } => match answer.as_ref().and_then(|answer| answer.value) {
            Some(value) => value.to_string(),
            None => "the child ended before it put its answer into the queue".to_owned(),
        },
    }
}

fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ok => AnsiColor::Blue.on_default().bold(),
        _ => AnsiColor::Red.on_default().bold(),
    }
}

fn tickets_summary(runs: &[TicketsRun], width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header([
        "lock",
        "in stock",
        "sold",
        "left in the file",
        "torn reads",
        "verdict",
        "ms",
        "waited for the lock",
    ]);
    for run in runs {
        let outcome = &run.outcome;
        let style = verdict_style(outcome.verdict);
        table.add_row([
            run.lock.clone(),
            outcome.initial.to_string(),
            outcome.sold.to_string(),
            outcome.left.map_or_else(|| "no number".to_owned(), |left| left.to_string()),
            outcome.torn_reads.to_string(),
            format!("{style}{}{style:#}", outcome.verdict.name()),
            format!("{:.0}", run.wall_ns as f64 / 1e6),
            format!("{:.0} ms", run.waited_ns as f64 / 1e6),
        ]);
    }
    for column in [1, 2, 3, 4, 6, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // A verdict is one word, and the word that is looked for.
    if let Some(verdict) = table.column_mut(5) {
        verdict.set_constraint(ColumnConstraint::ContentWidth);
    }
    let told: Vec<String> = runs.iter().flat_map(|run| wrapped(&tickets_sentence(run), width)).collect();
    format!("{table}\n{}", told.join("\n"))
}

fn tickets_sentence(run: &TicketsRun) -> String {
    let outcome = &run.outcome;
    let (lock, initial, sold) = (&run.lock, outcome.initial, outcome.sold);
    let left =
        outcome.left.map_or_else(|| "the file holds no number".to_owned(), |left| format!("{left} left"));
    match outcome.verdict {
        Verdict::Ok => format!("{lock}: {sold} of {initial} sold, {left}: every ticket is accounted for."),
        Verdict::Oversold => format!(
            "{lock}: {sold} buyers have a ticket, but there were {initial}: they read the same number before anybody wrote."
        ),
        Verdict::LostUpdate => format!(
            "{lock}: {sold} of {initial} sold, yet {left}: one buyer's number was written over another's."
        ),
        Verdict::TornRead => format!(
            "{lock}: {} read the file while another had emptied it and not yet written.",
            plural(outcome.torn_reads, "buyer")
        ),
        Verdict::Crashed => format!("{lock}: a buyer's process ended before its visit did."),
        Verdict::Deadlock | Verdict::Unproven => format!("{lock}: everybody waits for somebody."),
    }
}

fn pipeline_summary(pipeline: &PipelineRecord, verdict: Verdict, width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(width) = width.and_then(|width| u16::try_from(width).ok()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(["process", "ate", "blocked on full or empty"]);
    for (name, blocked_ns) in &pipeline.blocked_ns {
        let ate = pipeline.eaten.get(name).map(u64::to_string).unwrap_or_default();
        table.add_row([name.clone(), ate, format!("{:.1} ms", *blocked_ns as f64 / 1e6)]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let style = verdict_style(verdict);
    let ate: u64 = pipeline.eaten.values().sum();
    let items = |items: &[(usize, u64)]| {
        items
            .iter()
            .map(|(producer, number)| format!("producer-{producer}/{number}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut lines = vec![depth_line(pipeline, width)];
    lines.extend(pipeline.stuck.clone());
    for loss in &pipeline.losses {
        lines.push(format!("message {} was lost with PID {}, which had taken it", loss.message, loss.pid));
    }
    if !pipeline.missing.is_empty() {
        lines.push(format!("never eaten: {}", items(&pipeline.missing)));
    }
    if !pipeline.twice.is_empty() {
        lines.push(format!("eaten twice: {}", items(&pipeline.twice)));
    }
    let proof = if pipeline.missing.is_empty() && pipeline.twice.is_empty() {
        "every item exactly once"
    } else {
        "not every item exactly once"
    };
    let stuck = match pipeline.stuck.len() {
        0 => String::new(),
        1 => ", but one consumer waited for ever".to_owned(),
        n => format!(", but {n} consumers waited for ever"),
    };
    lines.push(format!("{style}{verdict}:{style:#} {} put, {ate} eaten: {proof}{stuck}", pipeline.produced));
    // The depth is no text: it was made to fit.
    let told = lines.iter().enumerate().flat_map(|(nth, line)| match nth {
        0 => vec![line.clone()],
        _ => wrapped(line, width),
    });
    [table.to_string()].into_iter().chain(told).collect::<Vec<_>>().join("\n")
}

/// How full the queue was, from the beginning to the end, in at most 60 columns of bars.
fn depth_line(pipeline: &PipelineRecord, width: Option<usize>) -> String {
    const HEAD: &str = "depth over time  ";
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let depth: Vec<usize> = pipeline.depth.iter().map(|depth| depth.queued).collect();
    let most = depth.iter().copied().max().unwrap_or(0);
    let tail = format!(" (at most {most})");
    let columns = width.map_or(60, |width| width.saturating_sub(HEAD.len() + tail.len()).clamp(10, 60));
    let per_bar = depth.len().div_ceil(columns).max(1);
    let bars: String = depth
        .chunks(per_bar)
        .map(|chunk| chunk.iter().copied().max().unwrap_or(0))
        .map(|queued| BARS[(queued * 8).div_ceil(most.max(1))])
        .collect();
    format!("{HEAD}{bars}{tail}")
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
    use crate::scenario::pipeline::run::{Depth, LossRecord};

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

    #[test]
    fn a_summary_of_a_pipeline_fits_into_the_terminal() {
        let depth = (0..500).map(|at_ns| Depth { at_ns, queued: at_ns as usize % 5 }).collect();
        let names = |name: &str| (0..3).map(|nth| (format!("{name}-{nth}"), 4_000_000)).collect();
        let pipeline = PipelineRecord {
            produced: 12,
            eaten: names("consumer"),
            missing: (0..9).map(|number| (0, number)).collect(),
            twice: vec![(1, 1)],
            losses: vec![LossRecord { pid: 4_000_000, message: 123_456 }],
            stuck: vec!["consumer-1 (PID 4000000) waits on the empty queue, and nobody is left".to_owned()],
            blocked_ns: names("consumer"),
            depth,
        };
        for width in [40, 60, 80] {
            let text = pipeline_summary(&pipeline, Verdict::Deadlock, Some(width));
            for line in text.lines() {
                assert!(columns(line) <= width, "{width}: {line}");
            }
            let (line, next) = text[text.find("deadlock:").unwrap()..].split_once('\n').unwrap();
            let word = next.split(' ').next().unwrap();
            assert!(columns(line) + 1 + columns(word) > width, "colours take no room: {text}");
        }
        let whole = pipeline_summary(&pipeline, Verdict::Deadlock, None);
        assert!(
            whole.lines().any(|line| line.starts_with("never eaten: ") && line.ends_with("producer-0/8"))
        );
    }
}
