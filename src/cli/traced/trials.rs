//! `proclab trials -- COMMAND …`: free runs of a program, each in a fresh copy of the folder.

use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};

use super::options::{Place, Wishes};
use super::{engine, unexpected};
use crate::cli::budget::Budget;
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, Format, json, width};
use crate::cli::progress::Progress;
use crate::explore::traced::{Answer, Task, Trials};
use crate::report::traced::TracedTrials;
use crate::sys::signal::Interrupt;

/// The options of free runs of a program.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for a program")]
pub(in crate::cli) struct Options {
    /// The number of runs
    #[arg(short = 'n', long = "trials", value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    n: u64,
    /// End a run that takes longer, which is an outcome of its own
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    wishes: Wishes,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The program and its arguments
    #[arg(last = true, required = true, value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

fn time(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(Budget::Time(time)) => Ok(time),
        _ => Err("a time (10s, 500ms), above zero".to_owned()),
    }
}

/// Runs the trials.
pub(in crate::cli) fn answer(matches: &ArgMatches) -> Result<(String, Finding), Fault> {
    let options =
        Options::from_arg_matches(matches).map_err(|error| Fault::bad_arguments(error.to_string()))?;
    let command = options.place.command(&options.command)?;
    let criteria = options.wishes.criteria();
    let trials = Trials { runs: options.n, patience: options.timeout };
    let mut bar = Progress::new();
    let told = engine(command, Task::Trials(trials, criteria.clone()), &mut |progress| {
        bar.count(progress.executions, options.n, "runs");
    });
    bar.finish();
    let Answer::Rates(rates, checked) = told? else { return Err(unexpected()) };
    let view = TracedTrials::new(&options.command, &rates, &checked, &criteria, options.n);
    let text = if options.format == Format::Json { json(&view) } else { view.text(width()) };
    let interrupted = Interrupt::installed().and_then(Interrupt::received);
    Ok((text, interrupted.map_or(Finding::of(view.is_right()), Finding::Unknown)))
}
