//! `proclab explore -- COMMAND …`: every interleaving of the processes of a program.

use clap::{ArgMatches, Args, FromArgMatches};

use super::{Place, engine};
use crate::cli::budget::Budget;
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, Format, json};
use crate::explore::traced::{Answer, Search, Task, token};
use crate::report::traced::TracedExploration;

/// Random executions before the search, so that something is seen at once.
const RANDOM: u64 = 20;

/// The options of an exploration of a program.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for a program")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    place: Place,
    /// Stop after this many executions (`1000`) or this much time (`10s`); the answer is then bounded
    #[arg(long, value_name = "N|TIME")]
    budget: Option<Budget>,
    /// The seed of random decisions
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Execute every schedule, not one of each class of equivalent ones
    #[arg(long)]
    naive: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The program and its arguments
    #[arg(last = true, required = true, value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

/// Explores.
pub(in crate::cli) fn answer(matches: &ArgMatches) -> Result<(String, Finding), Fault> {
    let options =
        Options::from_arg_matches(matches).map_err(|error| Fault::bad_arguments(error.to_string()))?;
    let command = options.place.command(&options.command)?;
    let mut search = Search {
        random: RANDOM,
        seed: options.seed,
        exhaustive: true,
        naive: options.naive,
        ..Search::default()
    };
    match options.budget {
        Some(Budget::Executions(most)) => search.executions = Some(most),
        Some(Budget::Time(time)) => search.time = Some(time),
        None => {}
    }
    let Answer::Findings(findings) = engine(command.clone(), Task::Search(search))? else {
        return Err(Fault::bad_arguments("the engine gave another answer"));
    };
    let view = TracedExploration::new(&options.command, &findings, |steps| {
        token::encode(&command, steps.iter().map(|step| step.task.as_str()))
    });
    let text = if options.format == Format::Json { json(&view) } else { view.text() };
    Ok((text, Finding::of(!view.is_suspicious())))
}
