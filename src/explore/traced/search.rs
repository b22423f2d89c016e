//! A search through the executions of a command: every class of schedules once, and early on some by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::follow::Follow;
use super::machine::{Machine, TracedError};
use super::outcome::Outcome;
use super::progress::{Progress, Watcher};
use super::signals::DECIDED;
use super::verdict::Checked;
use crate::explore::engine::{Divergence, ExecuteError, System, Trace, execute};
use crate::explore::search::Tally;
use crate::explore::step::{Choice, Event};
use crate::explore::strategy::{Strategy, dfs::Dfs, dpor::Dpor, pct::Pct, random::Random, uniform::Uniform};

/// How far to search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Search {
    /// Executions by chance before the search.
    pub random: u64,
    /// From what the decisions of chance follow.
    pub seed: u64,
    /// By which chance.
    pub sampler: Sampler,
    /// Whether to go on until every class was executed.
    pub exhaustive: bool,
    /// Whether to execute every schedule instead of one of each class.
    pub naive: bool,
    /// The most executions.
    pub executions: Option<u64>,
    /// The most time.
    pub time: Option<Duration>,
}

/// How schedules are drawn by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sampler {
    /// Any task that can go on, with equal chances.
    #[default]
    Random,
    /// Every interleaving with nearly equal chances.
    Uniform,
    /// Random priorities, changed at a few points.
    Pct,
}

/// How many ordering constraints `pct` looks for.
const DEPTH: usize = 3;

/// A step of a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStep {
    /// The task's place in the tree.
    pub task: String,
    /// The call in words.
    pub words: String,
    /// What it is about.
    pub object: String,
}

/// One outcome, and how it came about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// What was left behind.
    pub outcome: Outcome,
    /// How many executions ended so.
    pub executions: u64,
    /// How many classes end so.
    pub classes: u64,
    /// How many schedules these hold; `None` if there are too many to count.
    pub schedules: Option<u64>,
    /// The steps that lead to it, with as few switches between tasks as any that were seen.
    pub witness: Vec<WitnessStep>,
    /// How often the witness changes from one task to another.
    pub switches: usize,
    /// What the check said of it, if one was run.
    pub checked: Option<Checked>,
    /// What the search had learned, on which the steps depend.
    #[serde(default)]
    pub facts: BTreeSet<String>,
}

/// Where a schedule could not be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The number of the step, counted from 0.
    pub step: usize,
    /// Whose step it was to be.
    pub task: String,
    /// The call that was expected, as far as that is known.
    pub expected: String,
    /// What came instead.
    pub found: String,
    /// What was not under control in this execution.
    pub uncontrolled: Vec<String>,
}

/// What a search found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Whether every class was executed and everything was under control.
    pub complete: bool,
    /// Whether the search came to its end, whatever was not under control.
    pub ended: bool,
    /// Executions by chance, before the search.
    #[serde(default)]
    pub sampled: u64,
    /// Executions of the search, carried out to their end.
    pub executions: u64,
    /// Executions given up because all that was left had been executed elsewhere.
    pub given_up: u64,
    /// Classes of equivalent schedules.
    pub classes: u64,
    /// What was not under control, and how often.
    pub uncontrolled: BTreeMap<String, u64>,
    /// The outcomes.
    pub outcomes: Vec<Found>,
}

/// A search of so many executions, or that takes so long, is no short one: chance is asked as well.
const SHORT: u64 = 200;
const SOON: Duration = Duration::from_secs(1);
/// How often an execution that diverges is tried again before it is dropped.
const TRIES: u32 = 3;
/// After so many divergences the program is not repeatable, and only chance goes on.
const MOST_DIVERGENCES: u64 = 100;

/// A second search, in which signals are decisions, may take as many executions as the first, and these.
const SECOND: u64 = 800;

/// How long witnesses are verified once the search was told to stop.
const LAST: Duration = Duration::from_secs(3);

/// A search under way.
pub(super) struct Searcher<'a> {
    machine: &'a mut Machine,
    how: Search,
    tally: Tally<Arc<Outcome>>,
    sampled: u64,
    /// Executions of a search before this one.
    before: u64,
    divergences: u64,
    begin: Instant,
    watcher: &'a mut Watcher,
    /// The outcome of the last execution, and of how many was told.
    last: Option<Arc<Outcome>>,
    first: Option<Arc<Outcome>>,
    told: u64,
    /// When verification began after the word to stop.
    stopped: Option<Instant>,
}

impl<'a> Searcher<'a> {
    pub(super) fn new(machine: &'a mut Machine, how: Search, watcher: &'a mut Watcher) -> Self {
        Self {
            machine,
            how,
            tally: Tally::default(),
            sampled: 0,
            before: 0,
            divergences: 0,
            begin: Instant::now(),
            watcher,
            last: None,
            first: None,
            told: 0,
            stopped: None,
        }
    }

    /// Carries out the search.
    pub(super) fn run(mut self) -> Result<Findings, TracedError> {
        if !self.how.exhaustive {
            self.machine.world.learned.insert(DECIDED.to_owned());
            self.sample()?;
            let outcomes = self.outcomes()?;
            return Ok(self.findings(outcomes, false));
        }
        let ended = self.exhaust(None)?;
        let outcomes = self.outcomes()?;
        let candidates = std::mem::take(&mut self.machine.world.candidates);
        if !ended || candidates.is_empty() {
            return Ok(self.findings(outcomes, ended));
        }
        // Once more, with signals as decisions.
        self.machine.world.learned.extend(candidates);
        self.machine.world.learned.insert(DECIDED.to_owned());
        let first = std::mem::take(&mut self.tally);
        let sampled = std::mem::take(&mut self.sampled);
        self.before = first.schedules + first.given_up;
        let most = first.schedules.saturating_add(SECOND);
        let decided = self.exhaust(Some(most))?;
        let decisive = self.outcomes()?;
        // The counts of one search, with what only the other has found.
        let (mut all, others) = if decided { (decisive, outcomes) } else { (outcomes, decisive) };
        for other in others {
            if !all.iter().any(|found| found.outcome == other.outcome) {
                all.push(other);
            }
        }
        if decided {
            return Ok(self.findings(all, true));
        }
        let second = std::mem::replace(&mut self.tally, first);
        self.sampled += sampled;
        self.tally.schedules += second.schedules;
        self.tally.given_up += second.given_up;
        self.tally.uncontrolled.extend(second.uncontrolled);
        Ok(self.findings(all, true))
    }

    /// Executes every class, within the bounds, and `most` executions; whether that is all.
    fn exhaust(&mut self, most: Option<u64>) -> Result<bool, TracedError> {
        let naive = self.how.naive;
        let new =
            || -> Box<dyn Strategy> { if naive { Box::new(Dfs::new(false)) } else { Box::new(Dpor::new()) } };
        // A search that is soon at its end needs no chance.
        let mut has_sampled = false;
        let mut strategy = new();
        while self.is_within() && self.divergences < MOST_DIVERGENCES {
            if most.is_some_and(|most| self.tally.schedules >= most) {
                break;
            }
            let is_long = self.tally.schedules >= SHORT || self.begin.elapsed() > SOON;
            if is_long && !std::mem::replace(&mut has_sampled, true) {
                if self.sample()? {
                    strategy = new();
                }
                continue;
            }
            if !strategy.begin() {
                return Ok(true);
            }
            self.execute(&mut strategy)?;
            if std::mem::take(&mut self.machine.world.has_learned) {
                // Calls that were invisible are steps from now on.
                (strategy, self.tally, self.sampled) = (new(), Tally::default(), 0);
            }
        }
        Ok(false)
    }

    /// Executions by chance: different outcomes are seen early. Whether there are further steps than were
    /// known, so that a search has to begin anew.
    fn sample(&mut self) -> Result<bool, TracedError> {
        let mut has_learned = false;
        let seed = self.how.seed;
        let mut random: Box<dyn Strategy> = match self.how.sampler {
            Sampler::Random => Box::new(Random::new(seed)),
            Sampler::Uniform => Box::new(Uniform::new(seed)),
            Sampler::Pct => Box::new(Pct::new(seed, DEPTH)),
        };
        while self.sampled < self.how.random && self.is_within() {
            random.begin();
            self.execute(&mut random)?;
            self.sampled += 1;
            if std::mem::take(&mut self.machine.world.has_learned) {
                (self.tally, self.sampled) = (Tally::default(), 0);
                has_learned = true;
            }
        }
        Ok(has_learned)
    }

    fn is_within(&mut self) -> bool {
        let carried_out = self.before + self.tally.schedules + self.tally.given_up;
        self.how.executions.is_none_or(|most| carried_out < most)
            && self.how.time.is_none_or(|time| self.begin.elapsed() < time)
            && !self.watcher.is_stopped()
    }

    fn note(&mut self, what: impl Into<String>) {
        *self.tally.uncontrolled.entry(what.into()).or_insert(0) += 1;
    }

    /// One execution, recorded; one that goes another way than before is tried again.
    fn execute(&mut self, strategy: &mut dyn Strategy) -> Result<(), TracedError> {
        for left in (0..TRIES).rev() {
            match execute(self.machine, strategy, 0) {
                Ok(Some(trace)) => {
                    self.record(&trace)?;
                    strategy.end();
                    self.tell(strategy.explored());
                    return Ok(());
                }
                Ok(None) => {
                    self.tally.given_up += 1;
                    strategy.end();
                    return Ok(());
                }
                Err(ExecuteError::System(error)) => return Err(error),
                Err(ExecuteError::Ambiguous(_)) => return Ok(()),
                Err(ExecuteError::Diverged(Divergence { position, .. })) => {
                    self.divergences += 1;
                    self.note("an execution that went another way than before after the same decisions");
                    if left == 0 {
                        strategy.diverged(position);
                    } else {
                        strategy.begin();
                    }
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, trace: &Trace) -> Result<(), TracedError> {
        let outcome = self.machine.judge(trace)?;
        for (what, count) in self.machine.uncontrolled() {
            *self.tally.uncontrolled.entry(what).or_insert(0) += count;
        }
        if let Some(cut) = &outcome.cut {
            self.note(format!("cut short: {cut}"));
        }
        if self.tally.record(&outcome, trace).is_err() {
            self.note("two equivalent schedules that ended differently");
        }
        self.last = Some(outcome);
        Ok(())
    }

    fn tell(&mut self, explored: Option<f64>) {
        let outcomes = self.tally.outcomes.len() as u64;
        let is_new = outcomes > self.told;
        self.told = outcomes;
        let progress = Progress {
            executions: self.tally.schedules,
            classes: self.tally.classes(),
            outcomes,
            explored,
            new: self.last.clone().filter(|_| is_new).map(|last| {
                let first = self.first.get_or_insert_with(|| last.clone());
                last.headline(first)
            }),
        };
        self.watcher.goes_on(&progress);
    }

    /// What was found, with a witness of each.
    fn outcomes(&mut self) -> Result<Vec<Found>, TracedError> {
        let mut outcomes = Vec::new();
        for (outcome, found) in std::mem::take(&mut self.tally.outcomes) {
            outcomes.push(Found {
                executions: found.count,
                classes: found.classes,
                schedules: (!found.estimated).then_some(found.represents),
                switches: found.cost.switches,
                witness: self.verified(&outcome, &found.witness)?,
                outcome: (*outcome).clone(),
                checked: None,
                facts: self.machine.world.learned.clone(),
            });
        }
        Ok(outcomes)
    }

    fn findings(self, mut outcomes: Vec<Found>, ended: bool) -> Findings {
        // The most surprising first: findings by themselves, then the rarest.
        outcomes.sort_by_key(|found| (!found.outcome.is_suspicious(), found.classes));
        Findings {
            complete: ended && self.tally.uncontrolled.is_empty(),
            ended,
            sampled: self.sampled,
            executions: self.tally.schedules.saturating_sub(self.sampled),
            given_up: self.tally.given_up,
            classes: self.tally.classes(),
            uncontrolled: self.tally.uncontrolled,
            outcomes,
        }
    }

    /// A witness follows from an execution, but may not have been one: only what another execution confirms
    /// is offered without a word.
    fn verified(&mut self, outcome: &Arc<Outcome>, witness: &Trace) -> Result<Vec<WitnessStep>, TracedError> {
        if self.watcher.is_stopped() && self.stopped.get_or_insert_with(Instant::now).elapsed() > LAST {
            self.note("a schedule that there was no time to replay");
            return Ok(self.in_words(&witness.events));
        }
        let followed = self.follow(witness.choices(), &[])?;
        let is_confirmed = match &followed {
            Ok(_) => self.machine.judge(witness)? == *outcome,
            Err(_) => false,
        };
        if !is_confirmed {
            self.note("a schedule that did not end alike when it was replayed");
        }
        let events = followed.unwrap_or_default();
        let events = if is_confirmed { &events } else { &witness.events };
        Ok(self.in_words(events))
    }

    fn in_words(&self, events: &[Event]) -> Vec<WitnessStep> {
        let step = |event: &Event| WitnessStep {
            task: self.machine.name(event.choice.index()),
            words: event.seen.clone(),
            object: event.step.resource.to_string(),
        };
        events.iter().map(step).collect()
    }

    /// Follows a schedule to its end, whose steps were `expected` in words as far as they are known.
    fn follow(
        &mut self,
        choices: Vec<Choice>,
        expected: &[String],
    ) -> Result<Result<Vec<Event>, Departure>, TracedError> {
        let departure = |searcher: &mut Self, divergence: Divergence| {
            let Divergence { position, expected: wanted, found } = divergence;
            let task = choices.get(position).map(|choice| choice.index());
            let waits = task
                .and_then(|task| searcher.machine.pending(task))
                .map(|step| format!("{} on {}", step.name, step.resource));
            let known = expected.get(position).cloned();
            let is_seen = known.as_deref() == Some(wanted.as_str());
            let found = match waits {
                _ if is_seen => found,
                Some(step) => format!("it at {step}, and it cannot go on there"),
                None => found,
            };
            Departure {
                step: position,
                task: task.map_or_else(|| "the end".to_owned(), |task| searcher.machine.name(task)),
                expected: known.unwrap_or_else(|| "a step".to_owned()),
                found,
                uncontrolled: searcher.machine.uncontrolled().into_iter().map(|(what, _)| what).collect(),
            }
        };
        let length = choices.len();
        let early = |position| Divergence {
            position,
            expected: "a step".to_owned(),
            found: "the end of the program".to_owned(),
        };
        match execute(self.machine, &mut Follow::new(choices.clone(), expected), 0) {
            Ok(Some(trace)) if trace.events.len() == length => Ok(Ok(trace.events)),
            Ok(Some(trace)) => Ok(Err(departure(self, early(trace.events.len())))),
            Ok(None) => Ok(Err(departure(self, early(length)))),
            Err(ExecuteError::System(error)) => Err(error),
            Err(ExecuteError::Diverged(divergence)) => Ok(Err(departure(self, divergence))),
            Err(ExecuteError::Ambiguous(_)) => Ok(Err(departure(self, early(0)))),
        }
    }

    /// Follows a schedule once: the steps as they happened and the outcome, or where it could not be followed.
    pub(super) fn replay(
        mut self,
        schedule: &[String],
        expected: &[String],
    ) -> Result<Result<Found, Departure>, TracedError> {
        let mut names = schedule.to_vec();
        names.sort_unstable();
        names.dedup();
        self.machine.restore(&names);
        let number = |name: &String| names.binary_search(name).unwrap_or_default();
        let choices: Vec<Choice> = schedule.iter().map(|name| Choice::step(number(name))).collect();
        let switches = choices.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let events = match self.follow(choices, expected)? {
            Ok(events) => events,
            Err(departure) => return Ok(Err(departure)),
        };
        let outcome = self.machine.judge(&Trace::default())?;
        let witness = self.in_words(&events);
        let outcome = (*outcome).clone();
        Ok(Ok(Found {
            outcome,
            executions: 1,
            classes: 1,
            schedules: None,
            witness,
            switches,
            checked: None,
            facts: self.machine.world.learned.clone(),
        }))
    }
}
