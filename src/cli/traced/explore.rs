//! `proclab explore -- COMMAND …`: every interleaving of the processes of a program.

use std::path::PathBuf;
use std::time::Instant;

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};

use super::options::{Control, Place, Wishes};
use super::saved::{Saved, SavedSearch};
use super::{engine, quoted, unexpected};
use crate::cli::budget::Budget;
use crate::cli::fault::Fault;
use crate::cli::files::Output;
use crate::cli::output::{Finding, Format, json, width};
use crate::cli::progress::Progress;
use crate::explore::traced::{Answer, Found, Sampler, Search, Task, WitnessStep, token};
use crate::report::traced::TracedExploration;
use crate::sys::signal::Interrupt;
use crate::sys::task::allowed_cpus;

/// The number of random executions before the search, which show something at once.
const RANDOM: u64 = 20;

/// The default number of random schedules.
const SAMPLES: u64 = 1000;

/// How schedules are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum StrategyArg {
    /// A few random ones, then one of each class, to the end
    #[default]
    Dpor,
    /// Any process, with equal probability
    Random,
    /// Every interleaving, with nearly equal probability
    Uniform,
    /// Random priorities, changed at a few points
    Pct,
}

impl StrategyArg {
    fn sampler(self) -> Option<Sampler> {
        match self {
            Self::Dpor => None,
            Self::Random => Some(Sampler::Random),
            Self::Uniform => Some(Sampler::Uniform),
            Self::Pct => Some(Sampler::Pct),
        }
    }
}

/// The options of an exploration of a program.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for a program")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    wishes: Wishes,
    /// Stop after this many executions (`1000`) or this much time (`10s`, `5m`); the answer is then bounded
    #[arg(long, value_name = "N|TIME")]
    budget: Option<Budget>,
    /// Also kill up to N processes per schedule, at any of their steps
    #[arg(long, value_name = "N", default_value_t = 0)]
    kills: usize,
    /// Execute all schedules with at most N preemptions (switches away from a process that could continue); the
    /// answer is then bounded
    #[arg(long, value_name = "N", conflicts_with = "naive")]
    preemptions: Option<usize>,
    /// How schedules are chosen: each class once, or --budget (default: 1000) random ones
    #[arg(long, value_enum, default_value_t)]
    strategy: StrategyArg,
    /// The seed of random decisions
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Execute every schedule instead of one of each class of equivalent schedules
    #[arg(long)]
    naive: bool,
    /// Execute N schedules at the same time once the search is long, each on a processor of its own [default: the number
    /// of processors; 1 with a number of executions as --budget]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Continue the search in FILE, if it exists, and save its progress there
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    resume: Option<PathBuf>,
    #[command(flatten)]
    control: Control,
    /// Write the shortest schedule of the most surprising outcome to FILE, for `proclab replay FILE`
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    save: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The program and its arguments
    #[arg(last = true, required = true, value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

impl Options {
    /// The number of executions at the same time. Which ones a bounded number includes depends on their order.
    fn jobs(&self) -> usize {
        match (self.jobs, self.budget) {
            (Some(jobs), _) => jobs.into(),
            (None, Some(Budget::Executions(_))) => 1,
            (None, _) => allowed_cpus().map_or(1, |cpus| cpus.len()),
        }
    }
}

/// Runs the exploration.
pub(in crate::cli) fn answer(matches: &ArgMatches) -> Result<(String, Finding), Fault> {
    let options =
        Options::from_arg_matches(matches).map_err(|error| Fault::bad_arguments(error.to_string()))?;
    let command = options.control.over(options.place.command(&options.command)?);
    let criteria = options.wishes.criteria();
    let mut search = Search {
        random: RANDOM,
        seed: options.seed,
        exhaustive: true,
        naive: options.naive,
        kills: options.kills,
        preemptions: options.preemptions,
        jobs: options.jobs(),
        ..Search::default()
    };
    if let Some(sampler) = options.strategy.sampler() {
        if options.naive || options.preemptions.is_some() {
            return Err(Fault::bad_arguments(
                "--naive and --preemptions belong to a search to the end, and chance has none",
            )
            .hint("leave them out, or use --strategy dpor"));
        }
        search.sampler = sampler;
        search.exhaustive = false;
        search.random = match options.budget {
            Some(Budget::Executions(most)) => most,
            Some(Budget::Time(_)) => u64::MAX,
            None => SAMPLES,
        };
    }
    if options.resume.is_some() && !search.exhaustive {
        return Err(Fault::bad_arguments("--resume belongs to a search to the end, and chance has none")
            .hint("leave it out, or use --strategy dpor"));
    }
    search.keep = options.resume.is_some();
    match options.budget {
        Some(Budget::Executions(most)) => search.executions = Some(most),
        Some(Budget::Time(time)) => search.time = Some(time),
        None => {}
    }
    Interrupt::install().map_err(|error| Fault::could_not_run(&error))?;
    // Before the search, which would be lost if the file could not be written.
    let save = options.save.as_deref().map(Output::create).transpose()?;
    let before =
        options.resume.as_deref().map(|file| SavedSearch::read(file, &command, &search)).transpose()?;
    let place = options.resume.as_deref().map(Output::create).transpose()?;
    let begin = Instant::now();
    let mut bar = Progress::new();
    let (task, before) = match before.flatten() {
        None => (Task::Search(search.clone(), criteria.clone()), 0.0),
        Some(saved) => (Task::Continue(search.clone(), criteria.clone(), saved.position), saved.seconds),
    };
    let told = engine(command.clone(), task, &mut |progress| {
        bar.search(progress, begin);
    });
    bar.finish();
    let Answer::Findings(mut findings) = told? else { return Err(unexpected()) };
    let seconds = before + begin.elapsed().as_secs_f64();
    if let Some((place, position)) = place.zip(findings.position.take()) {
        place.publish(&SavedSearch::new(&command, &search, position, seconds)?.bytes()?)?;
    }
    let encode =
        |found: &Found| token::encode(&command, found.witness.iter().map(WitnessStep::choice), &found.facts);
    let view = TracedExploration::new(&options.command, &findings, &criteria, encode, seconds);
    let again = |token: &str| again(token, &options);
    if let Some((file, worst)) = save.zip(view.outcomes.first()) {
        file.publish(json(&Saved::new(&command, worst)?).as_bytes())?;
    }
    let text = match options.format {
        Format::Json => json(&view),
        Format::Text => view.text(width(), again) + &advice(&options, findings.ended),
    };
    let interrupted = Interrupt::installed().and_then(Interrupt::received);
    Ok((text, interrupted.map_or(Finding::of(view.is_right()), Finding::Unknown)))
}

/// How to continue a search that did not end.
fn advice(options: &Options, ended: bool) -> String {
    match &options.resume {
        _ if ended || options.strategy != StrategyArg::Dpor => String::new(),
        Some(file) => {
            format!("to continue: run the same command again; its progress is in {}\n", file.display())
        }
        None => "to be able to continue later: --resume FILE\n".to_owned(),
    }
}

/// The command line that replays a token.
fn again(token: &str, options: &Options) -> String {
    let words: Vec<_> = options.command.iter().map(|word| quoted(word)).collect();
    format!(
        "proclab replay {}{}{}{} -- {}",
        quoted(token),
        options.place.typed(),
        options.control.typed(),
        options.wishes.typed(),
        words.join(" ")
    )
}
