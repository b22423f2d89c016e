//! The summary for people: the source of information, the table, the check, deadlocks.

use std::fmt::Write;

use super::deadlock::deadlock_line;
use super::model::{KnownReasons, ProcessReport, WatchReport};
use super::numbers::short;
use super::table;
use crate::observe::tier::Tier;
use crate::observe::timeline::old_in_words;
use crate::sys::pid::Pid;
use crate::sys::procfs::text::printable;

/// The whole summary; with `threads` each thread has a row. Tables, lists and drawings are not wider than `width`. Each
/// sentence is one line, so that it can be searched for.
pub fn summary(report: &WatchReport, width: usize, threads: bool) -> String {
    let mut text = report.summary.iter().map(|said| format!("{said}\n")).collect::<String>();
    text.push('\n');
    text.push_str(&heading(report));
    text.push('\n');
    text.push_str(&table::processes(report, width, threads));
    text.push_str(&footing(report));
    text.push_str(&super::scheduling::line(report));
    if let Some(drawing) = &report.timeline {
        text.push('\n');
        text.push_str(&super::strips::text(drawing, width));
    }
    text.push_str(&signals(report));
    if let Some(descriptors) = &report.descriptors {
        text.push_str(&table::descriptors(descriptors, width));
    }
    if let Some(comparison) = &report.comparison {
        text.push_str(&super::compare::text(comparison, width));
    }
    text
}

/// A command as it can be typed in a shell, harmless to a terminal.
pub fn shell_words(command: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=+,./:@%^".contains(c);
    let quoted = |word: &String| match !word.is_empty() && word.chars().all(is_plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    let words: Vec<String> = command.iter().map(quoted).collect();
    printable(words.join(" ").as_bytes())
}

/// What was watched and in which tier: the top of every view.
pub fn heading(report: &WatchReport) -> String {
    let what = match &report.command {
        Some(command) => format!("`{}`", shell_words(command)),
        None => format!("process {}", report.pid),
    };
    let n = report.processes.len() as u64 + report.folded_processes;
    let processes = if n == 1 { "1 process".to_owned() } else { format!("{n} processes") };
    let mut text = format!("watched {what} for {}: {processes}\n", short(report.wall_ns));
    let _ = writeln!(text, "{} tier: {}", report.tier, report.resolution);
    for refusal in &report.why_not_better {
        let _ = writeln!(text, "not the {} tier: {}", refusal.tier, refusal.why);
    }
    if report.lost_records > 0 {
        let _ = writeln!(
            text,
            "WARNING: {} of {} records were lost: times may be wrong, and processes missing",
            report.lost_records,
            report.records + report.lost_records
        );
    }
    text
}

/// The last signals, each with sender and receiver, without SIGCHLD.
fn signals(report: &WatchReport) -> String {
    const TOLD: usize = 20;
    let name = |tid: Pid| {
        let of = |process: &&ProcessReport| {
            process.pid == tid || process.threads.iter().any(|thread| thread.tid == tid)
        };
        match report.processes.iter().find(of) {
            Some(process) => format!("{tid} {}", process.name),
            None if tid == Pid::UNKNOWN => "the kernel".to_owned(),
            None => tid.to_string(),
        }
    };
    let sent: Vec<_> = report.signals.iter().filter(|sent| sent.signal != "SIGCHLD").collect();
    let mut text = String::new();
    if sent.len() > TOLD {
        let _ = writeln!(text, "{} earlier signals are in the JSON report", sent.len() - TOLD);
    }
    for sent in sent.iter().skip(sent.len().saturating_sub(TOLD)) {
        let (at, from, to) = (short(sent.at_ns), name(sent.from), name(sent.to));
        let _ = writeln!(text, "signal: {from} sent {} to {to} at {at}", sent.signal);
    }
    text
}

fn footing(report: &WatchReport) -> String {
    let mut text = String::new();
    for process in &report.processes {
        if let Some(since_ns) = process.unrecorded_since_ns {
            let (pid, name, at) = (process.pid, &process.name, short(since_ns));
            let hidden = if process.unknown_ns > 0 {
                "; where /proc does not show it, its state is unknown"
            } else {
                ""
            };
            let _ = writeln!(
                text,
                "{pid} {name}: no records after {at}, when an exec gained privileges: its later times are sums from /proc, read every few milliseconds{hidden}"
            );
        }
        if let Some(orphan) = &process.orphan {
            let adopted = orphan.new_parent.map_or("its new parent was not seen".to_owned(), |new| {
                format!("adopted by {new}{}", if new.as_raw() == 1 { " (init)" } else { "" })
            });
            let (pid, name, at) = (process.pid, &process.name, short(orphan.at_ns));
            let _ = writeln!(
                text,
                "orphan: {pid} {name} lost its parent {} at {at}; {adopted}",
                old_in_words(orphan.old_parent)
            );
        }
    }
    for deadlock in &report.deadlocks {
        let _ = writeln!(text, "{}", deadlock_line(deadlock));
    }
    let check = &report.conservation;
    if report.tier == Tier::Sampled {
        text.push_str("run + ready + blocked = wall by construction: all come from the same sums\n");
    } else if check.checked == 0 {
        text.push_str(
            "run + ready + blocked = wall: not checked, no process was blocked long enough for its sums to be read\n",
        );
    } else {
        let n_folded = usize::try_from(report.folded_processes).unwrap_or(usize::MAX);
        let unasked = report.processes.len().saturating_add(n_folded).saturating_sub(check.checked);
        let unasked = match unasked {
            0 => String::new(),
            _ => format!("; the sums of {unasked} could not be read in time"),
        };
        let percent = check.largest_difference_ns as f64 / check.of_ns.max(1) as f64 * 100.0;
        let verdict = match check.checked - check.holding {
            0 if check.checked == 1 => "the one process that was compared with schedstat agrees".to_owned(),
            0 => format!("all {} processes that were compared with schedstat agree", check.checked),
            n => {
                format!("{n} of {} processes that were compared with schedstat DIFFER", check.checked)
            }
        };
        let _ = writeln!(
            text,
            "run + ready + blocked = wall: {verdict}{unasked}; largest difference {} of a life of {} ({percent:.1} %; {} allowed)",
            short(check.largest_difference_ns),
            short(check.of_ns),
            short(check.tolerance_ns)
        );
    }
    if let Some(known) = &report.known_reasons {
        let KnownReasons { blocked_ns, not_seen_ns, longest_ns, tid, name } = known;
        let seen = (blocked_ns - not_seen_ns) as f64 / (*blocked_ns).max(1) as f64 * 100.0;
        let _ = writeln!(
            text,
            "the reason is known for {seen:.1} % of the blocked time; the longest wait not seen is {} of {tid} {name}",
            short(*longest_ns)
        );
    }
    if report.forgotten_waits > 0 {
        let _ = writeln!(
            text,
            "{} reasons for waits are no longer listed: those waits are under their kinds, as `a child`",
            report.forgotten_waits
        );
    }
    if report.folded_processes > 0 {
        let _ = writeln!(
            text,
            "{} more processes ended long ago and are only counted: they are in the sums and averages, and not in the table",
            report.folded_processes
        );
    }
    text
}
