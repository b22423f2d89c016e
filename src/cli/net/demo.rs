//! Runs demos.

use super::args::{DemoArgs, Traced};
use super::show::Show;
use crate::cli::fault::{BROKEN, Fault};
use crate::cli::output::{self, Format, json};
use crate::net::demo::damage::Damage;
use crate::net::demo::{Entry, Stage, Staging};
use crate::net::registry::PROGRAMS;
use crate::report::net::{DemoView, Demos};
use crate::supervisor::Supervisor;
use crate::sys::clock::monotonic_ns;
use crate::sys::signal::Interrupt;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

pub(super) use super::show::TRACE_COLUMN;

/// Runs the demo of the program `name`, or every demo. The exit code is 3 if a check failed.
pub(super) fn run(name: Option<&str>, traced: Option<Traced>, args: &DemoArgs) -> ExitCode {
    carry_out(name, traced, args).unwrap_or_else(|fault| fault.report())
}

fn carry_out(name: Option<&str>, traced: Option<Traced>, args: &DemoArgs) -> Result<ExitCode, Fault> {
    let begin = |error: io::Error| Fault::could_not_run(&error).context("processes cannot be supervised");
    let interrupt = Interrupt::install().map_err(begin)?;
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(begin)?;
    let width = io::stdout().is_terminal().then(|| usize::from(output::width()));
    let show = Show { width, verbose: args.verbose, whole_trace: traced == Some(Traced::All) };
    let damage = args.damage.or(args.cut.map(Damage::cut));
    let staging = Staging { trace: traced.is_some(), damage };
    let (mut checks, mut failed, mut views) = (0, 0, Vec::new());
    for entry in PROGRAMS.iter().filter(|entry| name.is_none_or(|name| name == entry.name())) {
        let began = monotonic_ns();
        let mut stage = Stage::new(&supervisor, staging);
        let played = stage.play(|stage| entry.demo(stage));
        let entries = stage.finish();
        let view = DemoView::new(entry.name(), entry.about(), began, &entries);
        (checks, failed) = (checks + view.checks, failed + view.failed);
        if args.format == Format::Json {
            views.push(view);
        } else {
            let entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
            // A reader that has closed the pipe (`| head`) does not change the result of the checks.
            output::write(&show.demo(entry.name(), entry.about(), began, &entries))?;
        }
        if let Some(signal) = interrupt.received() {
            drop(supervisor);
            return Err(Fault::interrupted(signal));
        }
        played.map_err(|error| {
            Fault::could_not_run(&error)
                .context(format_args!("the demo of {}", entry.name()))
                .or_hint("run it with `-v` to see what each process does")
        })?;
    }
    let verdict = match failed {
        _ if args.format == Format::Json => json(&Demos { demos: views }),
        0 => format!("all {checks} checks passed\n"),
        _ => format!("{failed} of {checks} checks failed\n"),
    };
    output::write(&verdict)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}
