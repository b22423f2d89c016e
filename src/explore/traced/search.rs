//! A search through the executions of a command: each class of schedules once, after a few random schedules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::findings::{Findings, Found, Sampler, Search};
use super::graph::Graph;
use super::jobs::{Further, Jobs, News};
use super::machine::{Machine, TracedError};
use super::outcome::Outcome;
use super::progress::{Progress, Watcher};
use super::signals::DECIDED;
use super::verdict::{Checked, Criteria, Verdict};
use crate::explore::engine::{Divergence, ExecuteError, System, Trace, execute};
use crate::explore::search::{Class, Measure, Tally};
use crate::wire::control::Receiver;
use crate::explore::strategy::{
    Strategy, dfs::Dfs, dpor::Dpor, pct::Pct, preemptions::Preemptions, random::Random, uniform::Uniform,
};

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
/// What is noted of two executions that were assumed to be equivalent.
const AMBIGUOUS: &str = "two equivalent schedules that ended differently";

/// How a search decides.
enum Method {
    /// Any engine can carry out its executions.
    Shared(Dpor),
    /// One execution after another.
    Alone(Box<dyn Strategy>),
}

impl Method {
    fn strategy(&mut self) -> &mut dyn Strategy {
        match self {
            Self::Shared(dpor) => dpor,
            Self::Alone(strategy) => &mut **strategy,
        }
    }
}

/// A search in progress.
pub(super) struct Searcher<'a> {
    pub(super) machine: &'a mut Machine,
    how: Search,
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
    jobs: Jobs,
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
        Self {
            machine,
            graph: how.graph.then(Graph::default),
            how,
            tally: Tally::default(),
            sampled: 0,
            before: 0,
            divergences: 0,
            has_begun: false,
            begin: Instant::now(),
            watcher,
            jobs: Jobs::default(),
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

    /// Runs the search.
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
        // Search again, with signals as decisions.
        self.machine.world.learned.extend(candidates);
        self.machine.world.learned.insert(DECIDED.to_owned());
        let first = std::mem::take(&mut self.tally);
        let sampled = std::mem::take(&mut self.sampled);
        self.before = first.schedules + first.given_up;
        let decided = self.exhaust(Some(first.schedules))?;
        let decisive = self.outcomes()?;
        // The counts of one search, with the outcomes that only the other has found.
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
    /// decisions, is also bounded by the executions of the `first`.
    fn exhaust(&mut self, first: Option<u64>) -> Result<bool, TracedError> {
        self.be_patient();
        let (naive, preemptions) = (self.how.naive, self.how.preemptions);
        let new = || match preemptions {
            Some(most) => Method::Alone(Box::new(Preemptions::new(Dfs::new(false), most))),
            None if naive => Method::Alone(Box::new(Dfs::new(false))),
            None => Method::Shared(Dpor::new()),
        };
        // A short search needs no random schedules.
        let mut has_sampled = false;
        let mut method = new();
        self.jobs.begin();
        while self.is_within() && self.divergences < MOST_DIVERGENCES {
            let more = if self.machine.world.shares_much() { SECOND_IN_VAIN } else { SECOND };
            if first.is_some_and(|first| self.tally.schedules >= first.saturating_add(more)) {
                break;
            }
            let is_long = self.tally.schedules >= SHORT || self.begin.elapsed() > SOON;
            if is_long && !std::mem::replace(&mut has_sampled, true) {
                if self.sample()? {
                    method = new();
                    self.jobs.begin();
                }
                continue;
            }
            self.wants_jobs = is_long && self.hired.is_some() && matches!(method, Method::Shared(_));
            self.admit();
            let has_learned = match &mut method {
                Method::Shared(dpor) if !self.jobs.is_empty() => {
                    if dpor.is_exhausted() {
                        return Ok(true);
                    }
                    self.share(dpor)?
                }
                method => {
                    let strategy = method.strategy();
                    if !strategy.begin() {
                        return Ok(true);
                    }
                    self.execute(strategy)?;
                    std::mem::take(&mut self.machine.world.has_learned)
                }
            };
            if has_learned {
                // Calls that were invisible have become steps.
                (method, self.tally, self.sampled) = (new(), Tally::default(), 0);
                self.jobs.begin();
            }
        }
        Ok(false)
    }

    /// Receives the ends of engines that have been started.
    fn admit(&mut self) {
        while let Some(Ok(further)) = self.hired.map(Receiver::try_recv) {
            self.jobs.add(further);
        }
    }

    /// Lets other engines execute, and records what they report within a moment. Returns whether there are new facts, so
    /// that the search must start again.
    fn share(&mut self, dpor: &mut Dpor) -> Result<bool, TracedError> {
        let under_way = self.carried_out() + self.jobs.in_progress();
        let most = self.how.executions.map_or(u64::MAX, |most| most.saturating_sub(under_way));
        self.jobs.hand_out(dpor.tree(), self.machine, self.how.kills, most);
        self.watcher.await_any(&self.jobs.fds());
        while let Some((divergences, news)) = self.jobs.receive(dpor.tree(), self.machine) {
            self.divergences += divergences;
            for _ in 0..divergences {
                self.note(DIVERGED);
            }
            match news {
                News::Learned => return Ok(true),
                News::Complete { outcome, class, measure, uncontrolled } => {
                    self.add(outcome, uncontrolled, (class, measure));
                    self.tell(dpor.explored());
                    self.judge_last()?;
                }
                News::GivenUp => self.tally.given_up += 1,
                News::Nothing => {}
            }
        }
        if self.watcher.is_due() {
            self.tell_at_once(false);
        }
        Ok(false)
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

    /// Judges the outcome of the last execution if it is new, once nothing of that execution is left.
    fn judge_last(&mut self) -> Result<(), TracedError> {
        let Some((criteria, outcome)) = self.criteria.zip(self.last.clone()) else { return Ok(()) };
        if self.checked.contains_key(&outcome) {
            return Ok(());
        }
        self.machine.end_all()?;
        // A check that cannot be run is run once more after the search, and reported then.
        let Ok(checked) = criteria.check(&outcome, self.machine.root()) else { return Ok(()) };
        if criteria.judge(&outcome, checked.as_ref()).0 != Verdict::Ok {
            let carried_out = self.carried_out();
            self.wrong.get_or_insert(carried_out);
        }
        self.checked.insert(outcome, checked);
        Ok(())
    }

    /// Whether the witness of an outcome is left out, because only wrong outcomes are looked for.
    fn is_incidental(&self, outcome: &Arc<Outcome>) -> bool {
        let checked = self.checked.get(outcome).map(Option::as_ref);
        self.criteria
            .zip(checked)
            .is_some_and(|(criteria, checked)| criteria.judge(outcome, checked).0 == Verdict::Ok)
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        *self.tally.uncontrolled.entry(what.into()).or_insert(0) += 1;
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

    fn record(&mut self, trace: &Trace) -> Result<(), TracedError> {
        let outcome = self.machine.judge(trace)?;
        self.note_all(&outcome, self.machine.uncontrolled());
        if self.tally.record(&outcome, trace).is_err() {
            self.note(AMBIGUOUS);
        }
        if let Some(graph) = &mut self.graph {
            graph.end(&outcome);
        }
        self.last = Some(outcome);
        Ok(())
    }

    /// Records an execution of another engine.
    fn add(&mut self, outcome: Arc<Outcome>, uncontrolled: Vec<(String, u64)>, (class, measure): (Class, Measure)) {
        self.note_all(&outcome, uncontrolled);
        if self.tally.add(&outcome, class, Some(measure)).is_err() {
            self.note(AMBIGUOUS);
        }
        self.last = Some(outcome);
    }

    fn note_all(&mut self, outcome: &Outcome, uncontrolled: Vec<(String, u64)>) {
        for (what, count) in uncontrolled {
            *self.tally.uncontrolled.entry(what).or_insert(0) += count;
        }
        if let Some(cut) = &outcome.cut {
            self.note(format!("cut short: {cut}"));
        }
    }

    fn tell(&mut self, explored: Option<f64>) {
        let outcomes = self.tally.outcomes.len() as u64;
        let is_new = outcomes > self.told;
        (self.told, self.explored) = (outcomes, explored);
        let new = self.last.clone().filter(|_| is_new).map(|last| {
            let first = self.first.get_or_insert_with(|| last.clone());
            last.headline(first)
        });
        // What is new in the graph is taken only if it is reported.
        if is_new || self.watcher.is_due() {
            let progress = Progress { new, ..self.progress() };
            self.watcher.goes_on(&progress);
        }
    }

    /// Reports everything that was not reported yet.
    fn tell_at_once(&mut self, rests: bool) {
        let progress = Progress { rests, ..self.progress() };
        self.watcher.hurry();
        self.watcher.goes_on(&progress);
    }

    fn progress(&mut self) -> Progress {
        let (names, facts) = (&self.machine.names, &self.machine.world.learned);
        Progress {
            executions: self.tally.schedules,
            classes: self.tally.classes(),
            outcomes: self.tally.outcomes.len() as u64,
            explored: self.explored,
            new: None,
            rests: false,
            wants_jobs: self.wants_jobs,
            graph: self.graph.as_mut().map(|graph| Box::new(graph.take(&self.tally, names, facts))),
        }
    }

    /// The outcomes, with a verified witness of each.
    fn outcomes(&mut self) -> Result<Vec<Found>, TracedError> {
        if self.graph.is_some() {
            self.tell_at_once(false);
        }
        let mut outcomes = Vec::new();
        for (outcome, found) in std::mem::take(&mut self.tally.outcomes) {
            outcomes.push(Found {
                executions: found.count,
                classes: found.classes,
                schedules: (!found.estimated).then_some(found.represents),
                switches: found.cost.switches,
                witness: match self.is_incidental(&outcome) {
                    true => Vec::new(),
                    false => self.verified(&outcome, &found.witness)?,
                },
                checked: self.checked.get(&outcome).cloned().flatten(),
                outcome: (*outcome).clone(),
                facts: self.machine.world.learned.clone(),
            });
        }
        Ok(outcomes)
    }

    fn findings(mut self, mut outcomes: Vec<Found>, ended: bool) -> Findings {
        if !self.how.naive {
            let reason = match self.how.kills {
                0 => None,
                1 => self
                    .machine
                    .world
                    .decides_signals()
                    .then_some("a kill beside signals whose moment matters"),
                _ => Some("more than one kill"),
            };
            if let Some(reason) = reason {
                self.note(format!(
                    "{reason}: the reduced search may leave out a class, which --naive does not"
                ));
            }
        }
        if let Some(most) = self.how.preemptions {
            self.note(format!("schedules with more than {most} preemptions were not executed"));
        }
        // Suspicious outcomes first, then the rarest.
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
}
