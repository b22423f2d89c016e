//! `proclab run`: one free run, reported line by line, then summed up.

use std::process::ExitCode;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::fault::{BROKEN, Fault};
use super::output::{self, Format, terminal_width};
use super::scenario::{chosen, fault, offer};
use super::watch::{self, WatchArgs};
use crate::observe::notes::Notes;
use crate::process::chain;
use crate::report::run as report;
use crate::scenario::contract::{Act, Verb};
use crate::scenario::run::record::{Event, Record};
use crate::scenario::run::stage::{RunError, Stage};
use crate::scenario::run::verdict::Verdict;
use crate::supervisor::Supervisor;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::Interrupt;
use std::time::Duration;

/// How long processes may take to end after Ctrl-C before they are killed.
const GRACE: Duration = Duration::from_secs(1);

/// `proclab run SCENARIO …`.
#[derive(Clone, Debug)]
pub(crate) struct RunArgs(ArgMatches);

/// The options of every run.
#[derive(Clone, Debug, Args)]
struct Common {
    /// Output format: lines of text, or one JSON object per run (see `proclab schema run`)
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Watch the processes while they run, as with `proclab watch`
    #[arg(long)]
    watch: bool,
}

impl Args for RunArgs {
    fn augment_args(command: Command) -> Command {
        let command = command.after_help(
            "Exit codes: 0 done; 1 could not run; 2 bad arguments; 3 ran, and an invariant broke.\n\nExamples:\n  \
             proclab run tickets                      the sale without a lock, then with one\n  \
             proclab run tickets --buyers 4 --stock 1 --lock flock\n  \
             proclab run life zombie                  a short lesson on real processes",
        );
        offer(command, Verb::Run, Common::augment_args)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RunArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

/// Runs `proclab run …`.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    carry_out(args).unwrap_or_else(|fault| fault.report())
}

fn carry_out(args: &RunArgs) -> Result<ExitCode, Fault> {
    let (entry, matches) = chosen(&args.0)?;
    let common =
        Common::from_arg_matches(matches).map_err(|error| Fault::bad_arguments(error.to_string()))?;
    if common.watch {
        let args = WatchArgs::of_this_run().map_err(|error| Fault::could_not_run(&error))?;
        return Ok(watch::run(&args));
    }
    let acts = entry.acts(matches).map_err(fault)?;
    // Several records are printed one per line, so that a program can separate them.
    let shape = if acts.len() > 1 { Shape::Line } else { Shape::Page };
    let count = acts.len();
    let mut broken = Vec::new();
    for (nth, act) in acts.into_iter().enumerate() {
        let title = act.title.clone().unwrap_or_default();
        if common.format == Format::Text && !title.is_empty() {
            output::write(&report::title(&title, nth > 0))?;
        }
        if !perform(common.format, shape, act)? {
            broken.push(title.lines().next().unwrap_or_default().to_owned());
        }
    }
    // By now the first verdicts have scrolled away.
    if common.format == Format::Text && count > 1 {
        output::write(&report::tally(count, &broken))?;
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

/// The layout of a record in JSON.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Page,
    Line,
}

/// Carries out a run and prints it. Returns whether its invariants held.
fn perform(format: Format, shape: Shape, act: Act) -> Result<bool, Fault> {
    let begin = |error: std::io::Error| Fault::could_not_run(&error).context("the run could not begin");
    let interrupt = Interrupt::install().map_err(begin)?;
    // A thousand children need more descriptors than a shell allows. If the limit cannot be raised, a run that
    // needs more reports it.
    let _ = raise_open_file_limit();
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(begin)?.grace(GRACE);
    let mut began_ns = None;
    let mut notes = Notes::inherited();
    let mut written = Ok(());
    let mut listener = |event: &Event| {
        notes.tell(&event.note());
        if format == Format::Text && written.is_ok() && !event.is_for_watchers() {
            let heading = if began_ns.is_none() { report::heading() + "\n" } else { String::new() };
            let line = report::event_line(event, *began_ns.get_or_insert(event.at_ns), width());
            written = output::write(&format!("{heading}{line}\n"));
        }
    };
    let played = (act.play)(Stage::new(&supervisor, interrupt, &mut listener));
    match played {
        Ok(record) => {
            supervisor.finish().map_err(|error| Fault::could_not_run(&error))?;
            written.and_then(|()| show(format, shape, &record))?;
            Ok(record.verdict == Verdict::Ok)
        }
        Err(error) => {
            // Fails only for a process that cannot be ended, such as one that has changed its user.
            let ended = supervisor.shutdown();
            // After Ctrl-C, the interrupt is taken as the cause of any failure: children may have received it too.
            let fault = interrupt.received().map_or_else(|| fault_of(&error), Fault::interrupted);
            Err(match ended {
                Ok(()) => fault,
                Err(left) => fault.hint(chain(&left)),
            })
        }
    }
}

fn width() -> Option<usize> {
    terminal_width().map(usize::from)
}

fn fault_of(error: &RunError) -> Fault {
    let fault = Fault::could_not_run(error);
    match error {
        RunError::Scratch(error) => Fault::could_not_run(error),
        RunError::Expression { .. } => fault.hint("write numbers, + - * / ^ and brackets: '1+2*(3-4)'"),
        _ => fault,
    }
}

fn show(format: Format, shape: Shape, record: &Record) -> Result<(), Fault> {
    let text = match format {
        Format::Text => format!("\n{}\n", report::summary(record, width())),
        Format::Json => {
            let json = match shape {
                Shape::Page => serde_json::to_string_pretty(record),
                Shape::Line => serde_json::to_string(record),
            };
            format!("{}\n", json.map_err(|error| Fault::could_not_run(&error))?)
        }
    };
    output::write(&text)
}
