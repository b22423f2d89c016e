//! A search through the executions of a command: each class of schedules once, after a few random schedules.

mod method;
mod position;
mod record;
mod results;
mod share;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use position::Position;

use method::Method;
use position::Earlier;

use super::findings::{Findings, Sampler, Search};
use super::graph::Graph;
use super::jobs::{Engines, Further};
use super::machine::{Machine, TracedError};
use super::outcome::Outcome;
use super::progress::Watcher;
use super::signals::DECIDED;
use super::verdict::{Checked, Criteria};
use crate::explore::engine::{Divergence, ExecuteError, execute};
use crate::explore::search::Tally;
use crate::explore::strategy::{Strategy, in_turn::InTurn, pct::Pct, random::Random, uniform::Uniform};
use crate::wire::control::Receiver;

/// The number of ordering constraints that `pct` looks for.
const DEPTH: usize = 3;

/// A search that exceeds either is long, and also draws random schedules.
const SHORT: u64 = 200;
const SOON: Duration = Duration::from_secs(1);
/// How often a diverging execution is tried before it is dropped.
pub(super) const TRIES: u32 = 3;
/// After this many divergences the program is not repeatable, and the search ends.
const MOST_DIVERGENCES: u64 = 100;

/// A second search, in which signals are decisions, may take as many executions as the first and this many more.
const SECOND: u64 = 3_000;
/// The same if handlers share so much that the search cannot be complete.
const SECOND_IN_VAIN: u64 = 100;

/// How long the first execution may take after the search was asked to stop.
const FIRST: Duration = Duration::from_secs(3);
/// How long witnesses are verified after the search was asked to stop.
pub(super) const LAST: Duration = Duration::from_secs(3);

/// What is noted of an execution that cannot be repeated.
const DIVERGED: &str = "an execution that went another way than before after the same decisions";

/// A search in progress.
pub(super) struct Searcher<'a> {
    pub(super) machine: &'a mut Machine,
    how: Search,
    /// How an exhaustive search decides, and how far it has come, once it has begun.
    method: Option<Method>,
    /// The first search, while the second is in progress, in which signals are decisions.
    earlier: Option<Earlier<Arc<Outcome>>>,
    tally: Tally<Arc<Outcome>>,
    sampled: u64,
    /// The number of executions of an earlier search.
    before: u64,
    divergences: u64,
    /// Whether an execution has begun: there is always one, so that something is known.
    has_begun: bool,
    begin: Instant,
    pub(super) watcher: &'a mut Watcher,
    /// The graph of the executions, if it was asked for.
    graph: Option<Graph>,
    /// Other engines, and the channel over which more arrive once the search is long.
    engines: Engines,
    hired: Option<&'a Receiver<Further>>,
    /// Whether other engines would help.
    wants_jobs: bool,
    /// The outcome of the last execution, the first outcome, and how many have been reported.
    last: Option<Arc<Outcome>>,
    first: Option<Arc<Outcome>>,
    told: u64,
    /// The share of the search that is done, as it was estimated last.
    explored: Option<f64>,
    /// When verification ends after the request to stop.
    pub(super) stopped: Option<Instant>,
    /// The criteria for new outcomes, the results of their check, and how many executions preceded the first wrong one.
    criteria: Option<&'a Criteria>,
    checked: BTreeMap<Arc<Outcome>, Option<Checked>>,
    wrong: Option<u64>,
}

impl<'a> Searcher<'a> {
    pub(super) fn new(machine: &'a mut Machine, how: Search, watcher: &'a mut Watcher) -> Self {
        machine.checkpoints.replay_steps(how.kills);
        Self {
            machine,
            method: None,
            earlier: None,
            graph: how.graph.then(Graph::default),
            how,
            tally: Tally::default(),
            sampled: 0,
            before: 0,
            divergences: 0,
            has_begun: false,
            begin: Instant::now(),
            watcher,
            engines: Engines::default(),
            hired: None,
            wants_jobs: false,
            last: None,
            first: None,
            told: 0,
            explored: None,
            stopped: None,
            criteria: None,
            checked: BTreeMap::new(),
            wrong: None,
        }
    }

    /// Judges outcomes by `criteria` during the search, if it is to end soon after a wrong one.
    pub(super) fn judged_by(mut self, criteria: &'a Criteria) -> Self {
        self.criteria = self.how.after_wrong.is_some().then_some(criteria);
        self
    }

    /// Hands out executions to the engines that arrive over `hired`.
    pub(super) fn with_jobs(mut self, hired: Option<&'a Receiver<Further>>) -> Self {
        // A graph is drawn of what this engine executes.
        self.hired = hired.filter(|_| self.graph.is_none());
        self
    }

    /// Continues from a position.
    pub(super) fn continuing(mut self, position: Option<Position>) -> Self {
        if let Some(position) = position {
            self.restore(position);
        }
        self
    }

    /// Runs the search.
    pub(super) fn run(mut self) -> Result<Findings, TracedError> {
        if !self.how.exhaustive {
            self.machine.world.learned.insert(DECIDED.to_owned());
            self.sample()?;
            let outcomes = self.outcomes()?;
            return Ok(self.findings(outcomes, false));
        }
        let decided = self.exhaust()?;
        let is_first = self.earlier.is_none();
        if !is_first || !decided || self.machine.world.candidates.is_empty() {
            return if is_first { self.finish(decided) } else { self.finish_second(decided) };
        }
        // Search again, with signals as decisions.
        let outcomes = self.outcomes()?;
        let candidates = std::mem::take(&mut self.machine.world.candidates);
        self.machine.world.learned.extend(candidates);
        self.machine.world.learned.insert(DECIDED.to_owned());
        let tally = std::mem::take(&mut self.tally);
        let sampled = std::mem::take(&mut self.sampled);
        self.before = tally.schedules + tally.given_up;
        self.earlier = Some(Earlier { tally, sampled, outcomes });
        self.method = None;
        let decided = self.exhaust()?;
        self.finish_second(decided)
    }

    fn finish(mut self, ended: bool) -> Result<Findings, TracedError> {
        let position = self.position();
        let outcomes = self.outcomes()?;
        Ok(Findings { position, ..self.findings(outcomes, ended) })
    }

    /// The counts of one search, with the outcomes that only the other has found.
    fn finish_second(mut self, decided: bool) -> Result<Findings, TracedError> {
        let position = self.position();
        let decisive = self.outcomes()?;
        let Some(Earlier { tally, sampled, outcomes }) = self.earlier.take() else {
            return Ok(self.findings(decisive, decided));
        };
        let (mut all, others) = if decided { (decisive, outcomes) } else { (outcomes, decisive) };
        for other in others {
            if !all.iter().any(|found| found.outcome == other.outcome) {
                all.push(other);
            }
        }
        if !decided {
            let second = std::mem::replace(&mut self.tally, tally);
            self.sampled += sampled;
            self.tally.schedules += second.schedules;
            self.tally.given_up += second.given_up;
            self.tally.uncontrolled.extend(second.uncontrolled);
        }
        Ok(Findings { position, ..self.findings(all, true) })
    }

    /// Bounds executions by the time that is left for the search.
    fn be_patient(&mut self) {
        let deadline = self.how.time.and_then(|time| self.begin.checked_add(time));
        self.machine.patience.begin(deadline, self.watcher.stop());
        self.machine.lines = None;
        if self.tally.schedules == 0 {
            // So that something is known when the search is interrupted.
            self.machine.patience.with_grace(FIRST);
        }
    }

    /// Executes each class, within the bounds; returns whether all were executed. A second search, in which signals are
    /// decisions, is also bounded by the executions of the first.
    fn exhaust(&mut self) -> Result<bool, TracedError> {
        let mut method = self.method.take().unwrap_or_else(|| Method::new(&self.how));
        let ended = self.exhaust_by(&mut method);
        self.method = Some(method);
        ended
    }

    fn exhaust_by(&mut self, method: &mut Method) -> Result<bool, TracedError> {
        self.be_patient();
        let first = self.earlier.as_ref().map(|earlier| earlier.tally.schedules.max(self.tally.schedules));
        // A short search needs no random schedules.
        let mut has_sampled = self.sampled > 0;
        self.engines.begin();
        while self.is_within() && self.divergences < MOST_DIVERGENCES {
            let more = if self.machine.world.shares_much() { SECOND_IN_VAIN } else { SECOND };
            if first.is_some_and(|first| self.tally.schedules >= first.saturating_add(more)) {
                break;
            }
            let is_long = self.tally.schedules >= SHORT || self.begin.elapsed() > SOON;
            if self.samples_now(is_long) && !std::mem::replace(&mut has_sampled, true) {
                if self.sample()? {
                    *method = Method::new(&self.how);
                    self.engines.begin();
                }
                continue;
            }
            let is_shared = matches!(method, Method::Classes(_));
            self.wants_jobs = is_long && is_shared && self.hired.is_some();
            self.admit();
            let is_left = match method {
                Method::Classes(dpor) if !self.engines.is_empty() => self.share(dpor)?,
                _ => self.execute_next(method.strategy())?,
            };
            if !is_left {
                return Ok(true);
            }
            if std::mem::take(&mut self.machine.world.has_learned) {
                // Calls that were invisible have become steps.
                *method = Method::new(&self.how);
                (self.tally, self.sampled) = (Tally::default(), 0);
                has_sampled = false;
                self.engines.begin();
            }
        }
        Ok(false)
    }

    /// Whether the search has gone on for long enough that random schedules are worth their time. One that is bounded by its
    /// executions ends with some at the latest.
    fn samples_now(&self, is_long: bool) -> bool {
        let most = self.how.executions;
        is_long
            || most.is_some_and(|most| {
                self.carried_out() >= most - self.how.random.min(most / self.how.sampler.share())
            })
    }

    /// Executes random schedules, which show different outcomes early. Returns whether there are new facts, so that a search
    /// must start again.
    fn sample(&mut self) -> Result<bool, TracedError> {
        self.be_patient();
        let mut has_learned = false;
        let seed = self.how.seed;
        let mut random: Box<dyn Strategy> = match self.how.sampler {
            Sampler::Random => Box::new(Random::new(seed)),
            Sampler::Uniform => Box::new(Uniform::new(seed)),
            Sampler::Pct => Box::new(Pct::new(seed, DEPTH)),
            Sampler::InTurn => Box::new(InTurn::new(seed, DEPTH)),
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
        if self.watcher.must_rest() {
            self.tell_at_once(true);
            self.watcher.rest();
            self.tell_at_once(false);
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            return true;
        }
        let carried_out = self.carried_out();
        let further = self.wrong.zip(self.how.after_wrong);
        self.how.executions.is_none_or(|most| carried_out < most)
            && further.is_none_or(|(wrong, further)| carried_out < wrong + further)
            && self.how.time.is_none_or(|time| self.begin.elapsed() < time)
            && !self.watcher.is_stopped()
    }

    fn carried_out(&self) -> u64 {
        self.before + self.tally.schedules + self.tally.given_up
    }

    /// Executes once; returns whether anything was left.
    fn execute_next(&mut self, strategy: &mut dyn Strategy) -> Result<bool, TracedError> {
        let is_left = strategy.begin();
        if is_left {
            self.execute(strategy)?;
        }
        Ok(is_left)
    }

    /// Executes once and records the result; an execution that diverges is tried again.
    fn execute(&mut self, strategy: &mut dyn Strategy) -> Result<(), TracedError> {
        for left in (0..TRIES).rev() {
            let executed = match &mut self.graph {
                None => execute(self.machine, strategy, self.how.kills),
                Some(graph) => {
                    if self.tally.schedules == 0 {
                        graph.clear();
                    }
                    let root = self.machine.world.root.clone();
                    execute(self.machine, &mut graph.record(strategy, root), self.how.kills)
                }
            };
            match executed {
                Ok(Some(_)) if self.machine.patience.is_over() => return Ok(()),
                Ok(Some(trace)) => {
                    self.record(&trace)?;
                    if self.tally.schedules == 1 {
                        self.be_patient();
                    }
                    strategy.end();
                    self.tell(strategy.explored());
                    return self.judge_last();
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
                    self.note(DIVERGED);
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
}
