//! `proclab explore`: every interleaving, counted.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::cabinet;
use super::fault::Fault;
use super::files::{self, Output};
use super::gate::{Gated, could_not, diverged, failed, usage, with_lab};
use super::output::{Finding, Format, json, print, width};
use super::progress::Progress;
use super::scenario::{chosen, fault, offer, or_command};
use super::traced;
use crate::explore::search::{Tally, search};
use crate::explore::strategy::replay::Replay;
use crate::explore::strategy::{
    Strategy, exhaustive::Exhaustive, pct::Pct, random::Random, uniform::Uniform,
};
use crate::report::exploration::{Exploration, OutcomeView};
use crate::scenario::contract::Verb;
use crate::scenario::run::verdict::Verdict;
use crate::sys::signal::Interrupt;

/// The default number of schedules of a random strategy.
const SAMPLES: u64 = 1000;
/// The number of ordering constraints that `pct` looks for.
const DEPTH: usize = 3;

/// The maximum size of a saved search, in bytes.
const MAX_SAVED: u64 = 1 << 30;

/// `proclab explore SCENARIO …`.
#[derive(Clone, Debug)]
pub(crate) struct ExploreArgs(ArgMatches);

/// The options of every exploration.
#[derive(Args, Clone, Debug)]
pub(super) struct Search {
    /// Also kill up to N processes, at every step of every schedule
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    kills: u8,
    /// Execute one schedule per class of equivalent schedules
    #[arg(long)]
    pub(super) reduce: bool,
    /// Stop after this many schedules (`1000`) or this much time (`10s`); the search is then incomplete
    #[arg(long, value_name = "SCHEDULES|TIME")]
    budget: Option<Budget>,
    /// Continue from FILE, if it exists, and save the progress of the search to it
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// How to choose the process that runs next
    #[arg(long, value_enum, default_value_t)]
    strategy: StrategyArg,
    /// The seed of random decisions
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write the shortest schedule of the worst outcome to FILE, for `proclab replay FILE`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Explore every lock of the scenario, and compare them in one table
    #[arg(long, conflicts_with_all = ["resume", "save", "strategy", "kills"])]
    cabinet: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum StrategyArg {
    /// Depth first, until every schedule is done
    #[default]
    Dfs,
    /// Each process with the same probability
    Random,
    /// Each interleaving with nearly the same probability
    Uniform,
    /// Random priorities, changed at a few points
    Pct,
}

/// The extent of an exploration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// The maximum number of kills.
    pub(super) kills: usize,
    /// Whether to execute one schedule per class only.
    pub(super) reduce: bool,
}

/// An unfinished search, as saved to a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The code of the experiment.
    experiment: String,
    kills: usize,
    reduce: bool,
    search: Exhaustive,
    tally: Tally<Verdict>,
    seconds: f64,
}

impl Args for ExploreArgs {
    fn augment_args(command: Command) -> Command {
        let command = command.after_help(
            "Examples:\n  proclab explore tickets --lock none --no-search --store rename\n  \
             proclab explore tickets --cabinet            every lock, in one table\n  \
             proclab explore pipeline --sentinels 1       one None too few\n  \
             proclab explore -- python3 tickets.py        any program, in a copy of this folder\n  \
             proclab explore --dir empty -- sh -c 'echo a >> log & echo b >> log; wait'",
        );
        or_command::<traced::explore::Options>(
            offer(command, Verb::Explore, Search::augment_args),
            Verb::Explore,
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ExploreArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

/// Runs the command.
pub(crate) fn run(args: &ExploreArgs) -> ExitCode {
    if args.0.subcommand_name().is_none() {
        return print(traced::explore::answer(&args.0));
    }
    print(answer(args))
}

fn answer(args: &ExploreArgs) -> Result<(String, Finding), Fault> {
    let (entry, matches) = chosen(&args.0)?;
    let args = &Search::from_arg_matches(matches).map_err(|error| Fault::bad_arguments(error.to_string()))?;
    if args.cabinet {
        return cabinet::answer(entry, matches, args);
    }
    let experiment = entry.experiment(Verb::Explore, matches).map_err(fault)?;
    if let Some(why) = experiment.no_kills().filter(|_| args.kills > 0) {
        return Err(usage(why, "leave out --kills"));
    }
    if args.strategy != StrategyArg::Dfs && (args.reduce || args.resume.is_some()) {
        return Err(usage(
            "--reduce and --resume need an exhaustive search, and this strategy is random",
            "use --strategy dfs",
        ));
    }
    // Before any file is opened: opening a pipe waits for a reader, and Ctrl-C must be able to end that wait.
    Interrupt::install().map_err(|error| Fault::could_not_run(&error))?;
    let saved = args.resume.as_deref().map(load).transpose()?.flatten();
    let save = args.save.as_deref().map(Output::create).transpose()?;
    let mut progress = Progress::new();
    let reach = Reach { kills: usize::from(args.kills), reduce: args.reduce };
    let (exploration, interrupted) = with_lab(&*experiment, |bench| {
        Ok((explore(bench, args, reach, saved, &mut progress)?, bench.interrupt.received()))
    })?;
    progress.finish();
    let text = match args.format {
        Format::Text => exploration.text(width()) + &advice(&exploration, args),
        Format::Json => json(&exploration),
    };
    if let Some((file, worst)) = save.zip(exploration.outcomes.first()) {
        file.publish(json(&worst.witness).as_bytes())?;
    }
    Ok((text, interrupted.map_or(Finding::of(exploration.is_right()), Finding::Unknown)))
}

pub(super) fn explore(
    bench: &mut Gated<'_>,
    args: &Search,
    reach: Reach,
    saved: Option<Saved>,
    progress: &mut Progress,
) -> Result<Exploration, Fault> {
    let Reach { kills, reduce } = reach;
    let begin = Instant::now();
    let (mut exhaustive, mut tally, before) = match saved {
        None => (Exhaustive::new(reduce, kills), Tally::default(), 0.0),
        Some(saved) => {
            let same =
                saved.experiment == bench.experiment.code() && saved.kills == kills && saved.reduce == reduce;
            if !same {
                return Err(usage(
                    "the file given to --resume belongs to another exploration",
                    "give the options that it was started with, or another file",
                ));
            }
            (saved.search, saved.tally, saved.seconds)
        }
    };
    let executed = tally.schedules;
    let mut chance: Option<Box<dyn Strategy>> = match args.strategy {
        StrategyArg::Dfs => None,
        StrategyArg::Random => Some(Box::new(Random::new(args.seed))),
        StrategyArg::Uniform => Some(Box::new(Uniform::new(args.seed))),
        StrategyArg::Pct => Some(Box::new(Pct::new(args.seed, DEPTH))),
    };
    let budget = args.budget.or_else(|| chance.is_some().then_some(Budget::Executions(SAMPLES)));
    // Ctrl-C ends the search like a budget: the results so far are reported. The file for --resume is created
    // first, so that an unwritable path does not cost a search.
    let place = args.resume.as_deref().map(Output::create).transpose()?;
    let interrupt = bench.interrupt;
    let within = |tally: &Tally<Verdict>| {
        interrupt.received().is_none()
            && match budget {
                None => true,
                Some(Budget::Executions(most)) => tally.schedules - executed < most,
                Some(Budget::Time(time)) => begin.elapsed() < time,
            }
    };
    let by_chance = chance.is_some();
    let strategy = chance.as_deref_mut().unwrap_or_else(|| exhaustive.strategy());
    let complete = search(&mut *bench.lab, strategy, kills, &mut tally, |tally, strategy| {
        progress.show(tally.schedules, strategy.explored(), begin);
        within(tally)
    });
    let complete = match complete {
        // A wait that Ctrl-C interrupted ends the search, too. From here on only another Ctrl-C interrupts waits.
        _ if interrupt.received().is_some() => {
            interrupt.rearm();
            if let Some(signal) = interrupt.received().filter(|_| tally.schedules == 0) {
                return Err(Fault::interrupted(signal));
            }
            false
        }
        complete => complete.map_err(|error| failed(&error))? && !by_chance,
    };
    let seconds = before + begin.elapsed().as_secs_f64();
    let mut outcomes = Vec::new();
    for (verdict, found) in tally.outcomes.iter().rev() {
        // A token is offered only if its replay has just succeeded.
        let witness = bench.replay(Replay::of(found.witness.events.clone()), kills)?;
        if witness.verdict != *verdict {
            let text = format!("the schedule that led to {verdict} led to {} when replayed", witness.verdict);
            return Err(diverged(&text));
        }
        outcomes.push(OutcomeView {
            verdict: *verdict,
            count: found.count,
            unharmed: found.unharmed,
            classes: found.classes,
            represented: found.represents,
            token: witness.token.clone(),
            witness,
        });
    }
    let exploration = Exploration {
        subject: bench.experiment.subject(),
        strategy: args.strategy.to_possible_value().map_or(String::new(), |name| name.get_name().to_owned()),
        seed: by_chance.then_some(args.seed),
        kills,
        reduced: reduce,
        schedules: tally.schedules,
        complete,
        classes: tally.classes(),
        represented: tally.represents,
        unharmed: tally.unharmed,
        given_up: tally.given_up,
        seconds,
        outcomes,
    };
    if let Some(place) = place {
        let experiment = bench.experiment.code();
        let saved = Saved { experiment, kills, reduce, search: exhaustive, tally, seconds };
        place.publish(json(&saved).as_bytes())?;
    }
    Ok(exploration)
}

fn advice(exploration: &Exploration, args: &Search) -> String {
    match (&args.resume, exploration.complete, args.strategy) {
        (_, true, _) | (None, _, StrategyArg::Random | StrategyArg::Uniform | StrategyArg::Pct) => {
            String::new()
        }
        (Some(file), ..) => {
            format!("\nto continue: run the same command again; its progress is in {}\n", file.display())
        }
        (None, ..) => "\nto be able to continue later: --resume FILE\n".to_owned(),
    }
}

fn load(file: &Path) -> Result<Option<Saved>, Fault> {
    let content = match files::read(file, MAX_SAVED) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(could_not(&format!("{} cannot be read", file.display()), &error)),
        Ok(content) => content,
    };
    let saved = serde_json::from_slice(&content).map_err(|error| {
        let what = format!("{} is not a saved exploration: {error}", file.display());
        usage(what, "give a file that --resume wrote, or a new name")
    })?;
    Ok(Some(saved))
}
