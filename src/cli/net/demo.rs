//! The demos: what happened, line by line, then what had to be so and whether it was.

use super::args::Traced;
use super::text::{printable, wrap};
use crate::cli::fault::{BROKEN, Fault};
use crate::net::demo::damage::Damage;
use crate::net::demo::{Entry, PLAYS, Stage, Staging};
use crate::net::event::{Event, What};
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::signal::Interrupt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Lines of one scene after which the rest of what crossed the wire is only counted.
const SHOWN: usize = 40;

/// Connections in a row at one end after which the next ones are only counted.
const IN_A_ROW: usize = 3;

/// Lines of a server's trace that are shown of its beginning, and of its end.
const TRACED: [usize; 2] = [40, 20];

/// Where the text of an event begins, of a check, and of a scene: lines that are too long go on there.
const COLUMNS: [usize; 3] = [29, 13, 0];

/// Columns of a terminal below which there is no room for text beside the time, the role and the PID.
const NARROW: usize = 60;

/// As [`COLUMNS`], of a line of a trace.
pub(super) const TRACE_COLUMN: usize = 12;

/// Runs the demo called `name`, or all; 3 when something was not as it had to be.
pub(super) fn run(name: &str, traced: Option<Traced>, damage: Option<Damage>) -> ExitCode {
    let begin = |error| Fault::could_not_run(&error).context("no processes can be supervised").report();
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(error) => return begin(error),
    };
    let supervisor = match Supervisor::with_interrupt(interrupt) {
        Ok(supervisor) => supervisor,
        Err(error) => return begin(error),
    };
    let width = io::stdout().is_terminal().then(|| usize::from(crate::cli::output::width()));
    let show = Show { width, all_of_a_trace: traced == Some(Traced::All) };
    let trace = traced.map(|_| width.unwrap_or(usize::MAX));
    let staging = Staging { trace, damage };
    let (mut right, mut checks) = (true, 0);
    for (program, play) in PLAYS.iter().filter(|(program, _)| name == "all" || name == *program) {
        let began = monotonic_ns();
        let mut stage = Stage::new(&supervisor, staging);
        let played = stage.play(*play);
        let entries = stage.finish();
        checks += entries.iter().filter(|entry| matches!(entry, Entry::Check { .. })).count();
        right &= !entries.iter().any(|entry| matches!(entry, Entry::Check { held: false, .. }));
        if let Err(error) = write_all(&show.tell(program, began, &entries)) {
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

/// How a tale is shown.
#[derive(Debug, Clone, Copy)]
struct Show {
    /// Columns of the terminal; in a pipe a line stays a line.
    width: Option<usize>,
    all_of_a_trace: bool,
}

impl Show {
    fn tell(self, program: &str, began: u64, entries: &[Entry]) -> String {
        let mut text = format!("== {program} ==\n");
        let (mut shown, mut in_a_row) = (0, 0);
        let [event_column, check_column, scene_column] = COLUMNS;
        // Where little room would be left, an event goes on under its role.
        let event_column =
            if self.width.is_some_and(|width| width < NARROW) { check_column } else { event_column };
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
                    self.trace(&mut text, lines);
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
            self.line(&mut text, &line, column);
        }
        text.push('\n');
        text
    }

    fn line(self, text: &mut String, line: &str, column: usize) {
        match self.width {
            Some(width) => *text += &wrap(line, column, width),
            None => *text += line,
        }
        text.push('\n');
    }

    /// The first lines and the last: how connections begin and end is in them, between them is data.
    fn trace(self, text: &mut String, lines: &[String]) {
        let [first, last] = TRACED;
        let left_out = if self.all_of_a_trace { 0 } else { lines.len().saturating_sub(first + last) };
        for (at, line) in lines.iter().enumerate() {
            if left_out == 0 || at < first || at >= lines.len() - last {
                self.line(text, line, TRACE_COLUMN);
            } else if at == first {
                let more = format!(
                    "{:TRACE_COLUMN$}… {left_out} more lines of the trace; --trace=all shows them",
                    ""
                );
                self.line(text, &more, TRACE_COLUMN);
            }
        }
    }
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
    use crate::sys::pid::Pid;

    const SHOW: Show = Show { width: None, all_of_a_trace: false };

    #[test]
    fn a_long_trace_is_shown_from_both_ends_or_as_a_whole() {
        let trace = |count: usize| Entry::Trace((0..count).map(|n| format!("line {n}.")).collect());
        assert!(!SHOW.tell("file", 0, &[trace(60)]).contains('…'));
        let text = SHOW.tell("file", 0, &[trace(100)]);
        assert_eq!(text.matches("line ").count(), 60);
        assert!(
            text.contains("line 39.\n            … 40 more lines")
                && text.contains("all shows them\nline 80.")
        );
        let all = Show { all_of_a_trace: true, ..SHOW }.tell("file", 0, &[trace(100)]);
        assert_eq!((all.matches("line ").count(), all.contains('…')), (100, false));
    }

    #[test]
    fn many_connections_in_a_row_are_counted() {
        let event = |what| {
            let peer = Some(([127, 0, 0, 1], 9).into());
            Entry::Event { who: "server", event: Event { at_ns: 0, pid: Pid::from_raw(7), peer, what } }
        };
        let mut entries: Vec<Entry> = (0..50).map(|_| event(What::Opened)).collect();
        entries.push(event(What::Closed));
        let text = SHOW.tell("upper", 0, &entries);
        assert_eq!(text.matches("is connected with 127").count(), 3);
        assert!(text.contains("is connected with 47 more\n"), "{text}");
        assert!(text.contains("is done with"), "{text}");
    }
}
