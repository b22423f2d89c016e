//! `proclab explore`: every interleaving, counted.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::files::{self, Output};
use super::lab::{
    Bench, Explorable, Finding, Format, PipelineArgs, SaleArgs, could_not, diverged, experiment, failed,
    print, usage, width, with_lab,
};
use crate::explore::search::{Tally, search};
use crate::explore::strategy::replay::Replay;
use crate::explore::strategy::{Strategy, dfs::Dfs, pct::Pct, random::Random, uniform::Uniform};
use crate::report::exploration::{Exploration, OutcomeView};
use crate::scenario::experiment::Experiment;
use crate::scenario::run::verdict::Verdict;

/// How many schedules chance is given if nothing else is said.
const SAMPLES: u64 = 1000;
/// How many ordering constraints `pct` looks for.
const DEPTH: usize = 3;

/// The largest search that is taken up again.
const MAX_SAVED: u64 = 1 << 30;

/// Run a scenario on real processes in every order of its steps
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  proclab explore tickets --lock none --no-search --store rename\n  proclab explore tickets --cabinet            every lock, in one table\n  proclab explore pipeline --sentinels 1       one None too few"
)]
pub(crate) struct ExploreArgs {
    /// What is explored
    #[arg(value_enum)]
    scenario: Explorable,
    #[command(flatten)]
    pub(super) sale: SaleArgs,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Also kill up to this many processes, at each step, in every schedule
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    kills: u8,
    /// Execute one schedule of each class of equivalent ones
    #[arg(long)]
    pub(super) reduce: bool,
    /// Stop after so many schedules (`1000`) or so much time (`10s`); the answer is then bounded
    #[arg(long, value_name = "SCHEDULES|SECONDS", value_parser = budget)]
    budget: Option<Budget>,
    /// Begin where FILE says, if it exists, and write there where the budget ended
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Who goes next
    #[arg(long, value_enum, default_value_t)]
    strategy: StrategyArg,
    /// From what the decisions of chance follow
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write the shortest schedule of the worst outcome to FILE, for `proclab replay FILE`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Run all the locks, and compare them in one table
    #[arg(long, conflicts_with_all = ["resume", "save", "strategy", "kills", "lock"])]
    cabinet: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum StrategyArg {
    /// Depth first, to the end
    #[default]
    Dfs,
    /// Anybody, with equal chances
    Random,
    /// Every interleaving with nearly equal chances
    Uniform,
    /// Random priorities, changed at a few points
    Pct,
}

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Budget {
    Schedules(u64),
    Time(Duration),
}

fn budget(text: &str) -> Result<Budget, String> {
    let budget = match text.strip_suffix('s') {
        Some(seconds) => {
            let seconds = seconds.parse().ok().filter(|seconds: &f64| *seconds > 0.0);
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(Budget::Time)
        }
        None => text.parse().ok().filter(|schedules| *schedules > 0).map(Budget::Schedules),
    };
    budget.ok_or_else(|| "a number of schedules (1000) or of seconds (10s), above zero".to_owned())
}

/// What is to be explored of an experiment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// How many processes may be killed.
    pub(super) kills: usize,
    /// Whether one schedule of each class is enough.
    pub(super) reduce: bool,
}

/// A search that was cut short, as it lies in a file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    experiment: Experiment,
    kills: usize,
    reduce: bool,
    dfs: Dfs,
    tally: Tally<Verdict>,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(args: &ExploreArgs) -> ExitCode {
    print(answer(args))
}

fn answer(args: &ExploreArgs) -> Result<(String, Finding), Fault> {
    let experiment = experiment(args.scenario, &args.sale, &args.pipeline)?;
    if args.kills > 0 && args.scenario == Explorable::Pipeline {
        return Err(usage(
            "a killed producer is never joined, so every schedule would deadlock",
            "leave --kills away",
        ));
    }
    if args.cabinet && args.scenario != Explorable::Tickets {
        return Err(usage("the cabinet holds locks, and pipeline has none", "explore tickets --cabinet"));
    }
    if args.cabinet {
        return super::cabinet::answer(args);
    }
    if args.strategy != StrategyArg::Dfs && (args.reduce || args.resume.is_some()) {
        return Err(usage(
            "--reduce and --resume belong to a search to the end, and chance has none",
            "use --strategy dfs",
        ));
    }
    let saved = args.resume.as_deref().map(load).transpose()?.flatten();
    let save = args.save.as_deref().map(Output::create).transpose()?;
    let mut progress = Progress::new();
    let reach = Reach { kills: usize::from(args.kills), reduce: args.reduce };
    let (exploration, interrupted) = with_lab(&experiment, |bench| {
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
    bench: &mut Bench<'_>,
    args: &ExploreArgs,
    reach: Reach,
    saved: Option<Saved>,
    progress: &mut Progress,
) -> Result<Exploration, Fault> {
    let Reach { kills, reduce } = reach;
    let begin = Instant::now();
    let (mut dfs, mut tally, before) = match saved {
        None => (Dfs::new(reduce), Tally::default(), 0.0),
        Some(saved) => {
            let same =
                saved.experiment == *bench.experiment && saved.kills == kills && saved.reduce == reduce;
            if !same {
                return Err(usage(
                    "the file of --resume belongs to another exploration",
                    "give the options that it was begun with, or another file",
                ));
            }
            (saved.dfs, saved.tally, saved.seconds)
        }
    };
    let executed = tally.schedules;
    let chance: Option<Box<dyn Strategy>> = match args.strategy {
        StrategyArg::Dfs => None,
        StrategyArg::Random => Some(Box::new(Random::new(args.seed))),
        StrategyArg::Uniform => Some(Box::new(Uniform::new(args.seed))),
        StrategyArg::Pct => Some(Box::new(Pct::new(args.seed, DEPTH))),
    };
    let budget = args.budget.or_else(|| chance.is_some().then_some(Budget::Schedules(SAMPLES)));
    // Ctrl-C ends the search as a budget does: what was found is told. The file of where to go on is made
    // beforehand, so that one that cannot be written costs nobody a search.
    let place = args.resume.as_deref().map(Output::create).transpose()?;
    let interrupt = bench.interrupt;
    let within = |tally: &Tally<Verdict>| {
        interrupt.received().is_none()
            && match budget {
                None => true,
                Some(Budget::Schedules(schedules)) => tally.schedules - executed < schedules,
                Some(Budget::Time(time)) => begin.elapsed() < time,
            }
    };
    let by_chance = chance.is_some();
    let complete = match chance {
        None => search(&mut *bench.lab, &mut dfs, kills, &mut tally, |tally, dfs: &Dfs| {
            progress.show(tally.schedules, Some(dfs.explored()), begin);
            within(tally)
        }),
        Some(mut chance) => search(&mut *bench.lab, &mut chance, kills, &mut tally, |tally, _| {
            progress.show(tally.schedules, None, begin);
            within(tally)
        }),
    };
    let complete = match complete {
        // A wait that Ctrl-C broke off ends the search, too. From here on only another one breaks waits off.
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
        // Only what has been replayed is offered for replay.
        let witness = bench.replay(Replay::of(found.witness.events.clone()), kills)?;
        if witness.verdict != *verdict {
            let text = format!("the witness of {verdict} ended {} when it was replayed", witness.verdict);
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
        experiment: bench.experiment.clone(),
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
        let experiment = bench.experiment.clone();
        let saved = Saved { experiment, kills, reduce, dfs, tally, seconds };
        place.publish(json(&saved).as_bytes())?;
    }
    Ok(exploration)
}

fn advice(exploration: &Exploration, args: &ExploreArgs) -> String {
    match (&args.resume, exploration.complete, args.strategy) {
        (_, true, _) | (None, _, StrategyArg::Random | StrategyArg::Uniform | StrategyArg::Pct) => {
            String::new()
        }
        (Some(file), ..) => format!("\nto go on: the same command again; {} says where\n", file.display()),
        (None, ..) => "\nto be able to go on: --resume FILE\n".to_owned(),
    }
}

fn load(file: &Path) -> Result<Option<Saved>, Fault> {
    let content = match files::read(file, MAX_SAVED) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(could_not(&format!("{} cannot be read", file.display()), &error)),
        Ok(content) => content,
    };
    let saved = serde_json::from_slice(&content).map_err(|error| {
        let what = format!("{} holds no exploration: {error}", file.display());
        usage(what, "give a file that --resume has written, or a new name")
    })?;
    Ok(Some(saved))
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// A line on the terminal that tells how far the search is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    shown: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1000);
            let style = ProgressStyle::with_template("{bar:30} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, shown: None }
    }

    fn show(&mut self, schedules: u64, explored: Option<f64>, begin: Instant) {
        let Some(bar) = &self.bar else { return };
        if self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_millis(100)) {
            return;
        }
        self.shown = Some(Instant::now());
        let seconds = begin.elapsed().as_secs_f64();
        let message = match explored {
            Some(explored) => {
                let left = seconds * (1.0 - explored) / explored.max(1e-9);
                bar.set_position((explored * 1000.0) as u64);
                format!(
                    "{schedules} schedules, about {:.1} % of all, about {left:.0} s left",
                    explored * 100.0
                )
            }
            None => format!("{schedules} schedules"),
        };
        bar.set_message(message);
    }

    /// Shows that `done` of `all` are done.
    pub(super) fn count(&mut self, done: u64, all: u64, what: &str) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(done * 1000 / all.max(1));
        bar.set_message(format!("{done} of {all} {what}"));
    }

    pub(super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
