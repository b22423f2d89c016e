//! A run as text: each event as it comes, and a summary at the end.

use crate::scenario::pipeline::PipelineRecord;
use crate::scenario::record::{Detail, Event, Proof, Record};
use crate::scenario::tickets::TicketsRun;
use crate::scenario::verdict::Verdict;
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use unicode_width::UnicodeWidthStr;

/// The heading over the lines of events.
pub fn heading() -> String {
    let faint = Style::new().dimmed();
    format!("{faint}{:>9}  {:<11} {:>7} {:>7}  what{faint:#}", "ms", "process", "PID", "PPID")
}

/// One event in a line; `began_ns` is when the run began.
pub fn event_line(event: &Event, began_ns: u64) -> String {
    let ms = event.at_ns.saturating_sub(began_ns) as f64 / 1e6;
    let style = style_of(&event.what);
    let Event { process, pid, ppid, text, .. } = event;
    let process = pad(process, 11);
    format!("{ms:>9.3}  {process} {pid:>7} {ppid:>7}  {style}{text}{style:#}")
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

/// What came of it all, in a few lines.
pub fn summary(record: &Record) -> String {
    match &record.detail {
        Detail::Tickets(tickets) => tickets_summary(&tickets.runs),
        Detail::Life { proof } => proof_line(proof),
        Detail::Pipeline(pipeline) => pipeline_summary(pipeline, record.verdict),
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

fn tickets_summary(runs: &[TicketsRun]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
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
    let told: Vec<String> = runs.iter().map(tickets_sentence).collect();
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

fn pipeline_summary(pipeline: &PipelineRecord, verdict: Verdict) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
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
    let mut lines = vec![table.to_string(), format!("depth over time  {}", depth_line(pipeline))];
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
    lines.join("\n")
}

/// How full the queue was, from the beginning to the end, in at most 60 columns.
fn depth_line(pipeline: &PipelineRecord) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let depth: Vec<usize> = pipeline.depth.iter().map(|depth| depth.queued).collect();
    let most = depth.iter().copied().max().unwrap_or(0);
    let width = depth.len().div_ceil(60).max(1);
    let bars: String = depth
        .chunks(width)
        .map(|chunk| chunk.iter().copied().max().unwrap_or(0))
        .map(|queued| BARS[(queued * 8).div_ceil(most.max(1))])
        .collect();
    format!("{bars} (at most {most})")
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
