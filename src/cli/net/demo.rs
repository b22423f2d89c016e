//! The demos: what happened, line by line, then what had to be so and whether it was.

use super::print::printable;
use crate::cli::fault::{BROKEN, Fault};
use crate::net::demo::{Entry, PLAYS, Stage};
use crate::net::event::{Event, What};
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::signal::Interrupt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Lines of one scene after which the rest of what crossed the wire is only counted.
const SHOWN: usize = 40;

/// Runs the demo called `name`, or all; 3 when something was not as it had to be.
pub(super) fn run(name: &str, traced: bool) -> ExitCode {
    let supervisor = match Interrupt::install().and_then(Supervisor::interrupted_by) {
        Ok(supervisor) => supervisor,
        Err(error) => {
            return Fault::could_not_run(&error).context("no processes can be supervised").report();
        }
    };
    let (mut right, mut checks) = (true, 0);
    for (program, play) in PLAYS.iter().filter(|(program, _)| name == "all" || name == *program) {
        let began = monotonic_ns();
        let mut stage = Stage::new(&supervisor, traced);
        let played = play(&mut stage);
        let entries = stage.finish();
        checks += entries.iter().filter(|entry| matches!(entry, Entry::Check { .. })).count();
        right &= !entries.iter().any(|entry| matches!(entry, Entry::Check { held: false, .. }));
        // Who has closed the output does not want to read on; the checks still count.
        let _ = write_all(&tell(program, began, &entries));
        if let Err(error) = played {
            return Fault::could_not_run(&error).context(format_args!("the demo {program}")).report();
        }
    }
    let verdict =
        if right { format!("all {checks} checks held\n") } else { "a check did not hold\n".to_owned() };
    let _ = write_all(&verdict);
    if right { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
}

fn write_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn tell(program: &str, began: u64, entries: &[Entry]) -> String {
    let mut text = format!("== {program} ==\n");
    let mut shown = 0;
    for entry in entries {
        let line = match entry {
            Entry::Scene(scene) => {
                if shown > SHOWN {
                    text += &format!("{:>11}  … and {} more lines\n", "", shown - SHOWN);
                }
                shown = 0;
                format!("\n{scene}")
            }
            Entry::Trace(lines) => lines.join("\n"),
            Entry::Fact(fact) => format!("             {fact}"),
            Entry::Check { what, held } => format!("{:>11}  {what}", if *held { "ok" } else { "NOT SO" }),
            Entry::Event { who, event } => match line(event) {
                None => continue,
                Some(what) => {
                    shown += 1;
                    if shown > SHOWN {
                        continue;
                    }
                    let at = event.at_ns.saturating_sub(began) as f64 / 1e6;
                    format!("{at:>8.2} ms  {who} {:<8} {}", event.pid, printable(&what).replace('\n', "\\n"))
                }
            },
        };
        text += &line;
        text.push('\n');
    }
    text.push('\n');
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
