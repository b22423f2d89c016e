//! A run as text: each event as it comes, and a summary at the end.

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
        "torn" => AnsiColor::Red.on_default().bold(),
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
