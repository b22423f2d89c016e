//! What differs between two outcomes: a small diff of files and output, as `diff -u` would show it.

use std::collections::BTreeMap;

use similar::DiffTag;
use similar::algorithms::{Capture, Replace, myers};

use super::view::{TracedFile, TracedOutcome};

/// The most lines of one diff, and the longest line.
const LINES: usize = 12;
const COLUMNS: usize = 100;

/// How `outcome` differs from `usual`, a line each: `-` is what the usual outcome has, `+` what this one has.
pub(super) fn between(outcome: &TracedOutcome, usual: &TracedOutcome) -> Vec<String> {
    let mut lines = Vec::new();
    for (task, end) in &outcome.exit {
        let other = usual.exit.get(task);
        if other != Some(end) {
            let before = other.map_or_else(|| "no such process".to_owned(), |end| ended(*end));
            lines.push(format!("{task}: {} (usually {before})", ended(*end)));
        }
    }
    for task in usual.exit.keys().filter(|task| !outcome.exit.contains_key(*task)) {
        lines.push(format!("{task}: no such process"));
    }
    let streams = [("stdout", &outcome.stdout, &usual.stdout), ("stderr", &outcome.stderr, &usual.stderr)];
    for (name, ours, theirs) in streams {
        for task in keys(ours, theirs) {
            let of = |written: &BTreeMap<String, String>| written.get(task).cloned().unwrap_or_default();
            diff(&format!("{name} of {task}"), &of(theirs), &of(ours), &mut lines);
        }
    }
    for path in keys(&outcome.files, &usual.files) {
        match (usual.files.get(path), outcome.files.get(path)) {
            (Some(theirs), Some(ours)) if theirs != ours => changed(path, theirs, ours, &mut lines),
            (None, Some(ours)) => {
                lines.push(format!("{path}: {} (usually not there)", ours.shown()));
                if let Some(text) = ours.text.as_ref().filter(|_| ours.kind == "file") {
                    diff("", "", text, &mut lines);
                }
            }
            (Some(_), None) => lines.push(format!("{path}: not there")),
            _ => {}
        }
    }
    lines
}

/// What the usual outcome is: what it wrote and left.
pub(super) fn whole(outcome: &TracedOutcome) -> Vec<String> {
    let mut lines = Vec::new();
    for (task, end) in outcome.exit.iter().filter(|(_, end)| **end != Some(0)) {
        lines.push(format!("{task}: {}", ended(*end)));
    }
    for (name, streams) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        for (task, text) in streams {
            diff(&format!("{name} of {task}"), "", text, &mut lines);
        }
    }
    for (path, file) in outcome.files.iter().filter(|(_, file)| file.kind != "folder") {
        let text = file.text.as_deref().filter(|text| file.kind == "file" && text.lines().count() == 1);
        lines.push(match text {
            Some(text) => format!("{path}: {:?}", shortened(text.trim_end_matches('\n'))),
            None => format!("{path}: {}", file.shown()),
        });
    }
    if lines.len() > 2 * LINES {
        let more = lines.len() - 2 * LINES;
        lines.truncate(2 * LINES);
        lines.push(format!("… and {more} more lines; --format json has all"));
    }
    lines
}

fn keys<'a, T>(one: &'a BTreeMap<String, T>, other: &'a BTreeMap<String, T>) -> Vec<&'a String> {
    let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn ended(end: Option<i32>) -> String {
    match end {
        None => "not ended".to_owned(),
        Some(code) if code < 0 => crate::sys::signal::signal_name(-code),
        Some(code) => format!("exit {code}"),
    }
}

fn changed(path: &str, theirs: &TracedFile, ours: &TracedFile, lines: &mut Vec<String>) {
    match (&theirs.text, &ours.text) {
        (Some(before), Some(after)) if ours.kind == "file" && theirs.kind == "file" && before != after => {
            diff(path, before, after, lines);
        }
        _ if theirs.mode != ours.mode && theirs.hash == ours.hash && theirs.text == ours.text => {
            lines.push(format!("{path}: mode {:04o} (usually {:04o})", ours.mode, theirs.mode));
        }
        _ => lines.push(format!("{path}: {} with other content (usually {})", ours.shown(), theirs.shown())),
    }
}

/// Adds the lines in which two texts differ, below their name.
fn diff(name: &str, before: &str, after: &str, lines: &mut Vec<String>) {
    if before == after {
        return;
    }
    if !name.is_empty() {
        lines.push(format!("{name}:"));
    }
    let [old, new] = [before, after].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let mut changes = changes(&old, &new).into_iter();
    for (sign, line) in changes.by_ref().take(LINES) {
        // A line without its newline is told apart from one with it.
        let end = if line.ends_with('\n') { "" } else { " (no newline)" };
        lines.push(format!("  {sign} {}{end}", shortened(line.trim_end_matches('\n'))));
    }
    let more = changes.count();
    if more > 0 {
        lines.push(format!("  … and {more} more lines"));
    }
    if after.is_empty() {
        lines.push("  (now empty)".to_owned());
    }
}

/// The lines that were removed (`-`) and added (`+`), in their order.
fn changes<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    let mut ops = Replace::new(Capture::new());
    // One algorithm: the general interface compiles all of them, for each kind of sequence.
    let Ok(()) = myers::diff(&mut ops, old, 0..old.len(), new, 0..new.len());
    let removed_and_added = ops.into_inner().into_ops().into_iter().flat_map(|op| {
        let is_equal = op.tag() == DiffTag::Equal;
        let removed = old[op.old_range()].iter().map(|line| ('-', *line));
        let added = new[op.new_range()].iter().map(|line| ('+', *line));
        removed.chain(added).filter(move |_| !is_equal)
    });
    removed_and_added.collect()
}

/// A line without what could command a terminal.
fn shortened(line: &str) -> String {
    let mut text: String = line
        .chars()
        .take(COLUMNS)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if line.chars().count() > COLUMNS {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_names_what_was_lost_and_what_came() {
        let mut lines = Vec::new();
        diff("n", "3\n", "2\n", &mut lines);
        assert_eq!(lines, ["n:", "  - 3", "  + 2"]);
        lines.clear();
        diff("n", "3", "3\n", &mut lines);
        assert_eq!(lines, ["n:", "  - 3 (no newline)", "  + 3"]);
        lines.clear();
        diff("n", "3\n", "", &mut lines);
        assert_eq!(lines, ["n:", "  - 3", "  (now empty)"]);
        assert_eq!(shortened("\u{1b}[2J"), "\\u{1b}[2J");
    }
}
