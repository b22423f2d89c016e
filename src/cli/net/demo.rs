//! The demos: what happened, line by line, then what had to be so and whether it was.

use super::print::printable;
use crate::cli::fault::{BROKEN, Fault};
use crate::net::demo::{Entry, PLAYS, Stage};
use crate::net::event::{Event, What};
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::signal::Interrupt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use unicode_width::UnicodeWidthChar;

/// Lines of one scene after which the rest of what crossed the wire is only counted.
const SHOWN: usize = 40;

/// Connections in a row at one end after which the next ones are only counted.
const IN_A_ROW: usize = 3;

/// Where the text of an event begins, of a check, and of a scene: lines that are too long go on there.
const COLUMNS: [usize; 3] = [29, 13, 0];

/// Runs the demo called `name`, or all; 3 when something was not as it had to be.
pub(super) fn run(name: &str, traced: bool) -> ExitCode {
    let begin = |error| Fault::could_not_run(&error).context("no processes can be supervised").report();
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(error) => return begin(error),
    };
    let supervisor = match Supervisor::interrupted_by(interrupt) {
        Ok(supervisor) => supervisor,
        Err(error) => return begin(error),
    };
    // In a pipe a line stays a line.
    let width = io::stdout().is_terminal().then(|| usize::from(crate::cli::lab::width()));
    let (mut right, mut checks) = (true, 0);
    for (program, play) in PLAYS.iter().filter(|(program, _)| name == "all" || name == *program) {
        let began = monotonic_ns();
        let mut stage = Stage::new(&supervisor, traced);
        let played = play(&mut stage);
        let entries = stage.finish();
        checks += entries.iter().filter(|entry| matches!(entry, Entry::Check { .. })).count();
        right &= !entries.iter().any(|entry| matches!(entry, Entry::Check { held: false, .. }));
        if let Err(error) = write_all(&tell(program, began, &entries, width)) {
            return Fault::could_not_run(&error).context("the output cannot be written").report();
        }
        if let Some(signal) = interrupt.received() {
            drop(supervisor);
            return Fault::interrupted(signal).report();
        }
        if let Err(error) = played {
            return Fault::could_not_run(&error).context(format_args!("the demo {program}")).report();
        }
    }
    let verdict =
        if right { format!("all {checks} checks held\n") } else { "a check did not hold\n".to_owned() };
    if let Err(error) = write_all(&verdict) {
        return Fault::could_not_run(&error).context("the output cannot be written").report();
    }
    if right { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
}

/// Who has closed the output does not want to read on; the checks still count.
fn write_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn tell(program: &str, began: u64, entries: &[Entry], width: Option<usize>) -> String {
    let mut text = format!("== {program} ==\n");
    let (mut shown, mut in_a_row) = (0, 0);
    let [event_column, check_column, scene_column] = COLUMNS;
    for (at, entry) in entries.iter().enumerate() {
        let (line, column) = match entry {
            Entry::Scene(scene) => {
                if shown > SHOWN {
                    text += &format!("{:>11}  … and {} more lines\n", "", shown - SHOWN);
                }
                shown = 0;
                (format!("\n{scene}"), scene_column)
            }
            Entry::Trace(lines) => {
                text += &(lines.join("\n") + "\n");
                continue;
            }
            Entry::Fact(fact) => (format!("{:check_column$}{fact}", ""), check_column),
            Entry::Check { what, held } => {
                (format!("{:>11}  {what}", if *held { "ok" } else { "NOT SO" }), check_column)
            }
            Entry::Event { who, event } => match line(event) {
                None => continue,
                Some(mut what) => {
                    let opens = |entry: Option<&Entry>| {
                        matches!(entry, Some(Entry::Event { event: next, .. })
                            if next.what == What::Opened && next.pid == event.pid)
                    };
                    in_a_row = if opens(Some(entry)) { in_a_row + 1 } else { 0 };
                    if in_a_row > IN_A_ROW {
                        if opens(entries.get(at + 1)) {
                            continue;
                        }
                        what = format!("is connected with {} more", in_a_row - IN_A_ROW);
                    }
                    shown += 1;
                    if shown > SHOWN {
                        continue;
                    }
                    let at = event.at_ns.saturating_sub(began) as f64 / 1e6;
                    let what = printable(&what).replace('\n', "\\n");
                    (format!("{at:>8.2} ms  {who} {:<8} {what}", event.pid), event_column)
                }
            },
        };
        text += &width.map_or_else(|| line.clone(), |width| wrap(&line, column, width));
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Breaks `line` where it would leave the screen, between words if there are any, and goes on at `column`.
fn wrap(line: &str, column: usize, width: usize) -> String {
    let (mut text, mut at, mut space) = (String::with_capacity(line.len()), 0, None);
    for c in line.chars() {
        let wide = c.width().unwrap_or(0);
        if c == '\n' {
            (at, space) = (0, None);
        } else if at + wide > width {
            let pad = " ".repeat(column);
            match space.take() {
                // The word that does not fit moves, with what of it was written.
                Some(space) => {
                    let word = text.split_off(space);
                    text.truncate(text.trim_end().len());
                    at =
                        column + word.trim_start().chars().filter_map(UnicodeWidthChar::width).sum::<usize>();
                    text += &format!("\n{pad}{}", word.trim_start());
                }
                None => {
                    text += &format!("\n{pad}");
                    at = column;
                }
            }
        }
        if c == ' ' && at > column {
            space = Some(text.len());
        }
        text.push(c);
        at += if c == '\n' { 0 } else { wide };
    }
    text
}

fn line(event: &Event) -> Option<String> {
    Some(match &event.what {
        What::Listening(address) => format!("listens on {address}"),
        What::Opened => format!("is connected with {}", event.peer?),
        What::Sent(bytes) => format!("--> {bytes}"),
        What::Received(bytes) if bytes.length == 0 => "<-- the end of the stream".to_owned(),
        What::Received(bytes) => format!("<-- {bytes}"),
        What::Message(text) => format!("message: {text}"),
        What::Note(text) => format!("note: {text}"),
        What::Failed(why) => format!("FAILED: {why}"),
        What::Closed => format!("is done with {}", event.peer?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_under_its_own_text() {
        assert_eq!(wrap("  ok  one two three", 6, 14), "  ok  one two\n      three");
        assert_eq!(wrap("  ok  火锅火锅火锅", 6, 14), "  ok  火锅火锅\n      火锅");
        assert_eq!(wrap("  ok  one threefour", 6, 14), "  ok  one\n      threefou\n      r");
        assert_eq!(wrap("\nshort", 0, 14), "\nshort");
    }

    #[test]
    fn many_connections_in_a_row_are_counted() {
        let event = |what| {
            let peer = Some(([127, 0, 0, 1], 9).into());
            Entry::Event { who: "server", event: Event { at_ns: 0, pid: 7, peer, what } }
        };
        let mut entries: Vec<Entry> = (0..50).map(|_| event(What::Opened)).collect();
        entries.push(event(What::Closed));
        let text = tell("upper", 0, &entries, None);
        assert_eq!(text.matches("is connected with 127").count(), 3);
        assert!(text.contains("is connected with 47 more\n"), "{text}");
        assert!(text.contains("is done with"), "{text}");
    }
}
