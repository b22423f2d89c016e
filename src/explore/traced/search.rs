//! Execution after execution: by chance first, then every class of schedules once.
//!
//! The search is source-DPOR with sleep sets (P. Abdulla, S. Aronis, B. Jonsson, K. Sagonas, "Source Sets",
//! JACM 64(4), 2017): after each execution, for every race (two steps of which either could come first, and
//! whose order matters) the other order is made sure to be tried. The naive search tries everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use serde::{Deserialize, Serialize};

use super::machine::{Machine, TracedError};
use super::order::{self, Event};
use super::outcome::Outcome;
use super::touch::{Access, Touch};

/// How far to search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Search {
    /// Executions by chance before the search, and from which seed.
    pub random: u64,
    /// From what the decisions of chance follow.
    pub seed: u64,
    /// Whether to go on until every class was executed.
    pub exhaustive: bool,
    /// Whether to execute every schedule instead of one of each class.
    pub naive: bool,
    /// The most executions.
    pub executions: Option<u64>,
    /// The most time.
    pub time: Option<Duration>,
}

/// A step of a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStep {
    /// The task's place in the tree.
    pub task: String,
    /// The call in words.
    pub words: String,
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
    /// The decisions that lead to it: the tasks by place in the tree.
    pub witness: Vec<WitnessStep>,
    /// How often the witness changes from one task to another.
    pub switches: usize,
}

/// What a search found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Whether every class was executed and everything was under control.
    pub complete: bool,
    /// Whether the search came to its end, whatever was not under control.
    pub ended: bool,
    /// Executions carried out to their end.
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

/// A point on the path of the current execution.
struct Node {
    enabled: Vec<usize>,
    taken: usize,
    todo: BTreeSet<usize>,
    /// Tasks whose step here was explored, with the step.
    done: Vec<Event>,
    /// Steps that need not be taken from here.
    sleep: Vec<Event>,
}

/// A search under way.
pub(super) struct Searcher<'a> {
    machine: &'a mut Machine,
    how: Search,
    path: Vec<Node>,
    classes: HashMap<u64, Outcome>,
    found: BTreeMap<Outcome, Found>,
    findings: Findings,
    begin: Instant,
}

/// What decides at a point.
enum Mode<'m> {
    Chance(&'m mut Xoshiro256PlusPlus),
    Path,
    Fixed(&'m [String]),
}

impl<'a> Searcher<'a> {
    pub(super) fn new(machine: &'a mut Machine, how: Search) -> Self {
        Self {
            machine,
            how,
            path: Vec::new(),
            classes: HashMap::new(),
            found: BTreeMap::new(),
            findings: Findings::default(),
            begin: Instant::now(),
        }
    }

    /// Carries out the search.
    pub(super) fn run(mut self) -> Result<Findings, TracedError> {
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(self.how.seed);
        for _ in 0..self.how.random {
            if !self.is_within() {
                break;
            }
            let events = self.execute(&mut Mode::Chance(&mut chance))?;
            self.record(events.unwrap_or_default());
        }
        let mut ended = false;
        while self.how.exhaustive && self.is_within() {
            match self.execute(&mut Mode::Path)? {
                Some(events) => {
                    self.reverse_races(&events);
                    self.record(events);
                }
                None => self.findings.given_up += 1,
            }
            if !self.backtrack() {
                ended = true;
                break;
            }
        }
        self.verify_witnesses()?;
        let mut findings = self.findings;
        findings.ended = ended;
        findings.complete = ended && findings.uncontrolled.is_empty();
        findings.classes = self.classes.len() as u64;
        findings.outcomes = self.found.into_values().collect();
        // The most surprising first: findings by themselves, then the rarest.
        findings.outcomes.sort_by_key(|found| (!found.outcome.is_suspicious(), found.classes));
        Ok(findings)
    }

    fn is_within(&self) -> bool {
        let carried_out = self.findings.executions + self.findings.given_up;
        self.how.executions.is_none_or(|most| carried_out < most)
            && self.how.time.is_none_or(|time| self.begin.elapsed() < time)
    }

    fn note(&mut self, what: impl Into<String>) {
        *self.findings.uncontrolled.entry(what.into()).or_insert(0) += 1;
    }

    /// One execution; `None` if it was given up.
    fn execute(&mut self, mode: &mut Mode<'_>) -> Result<Option<Vec<Event>>, TracedError> {
        self.machine.begin()?;
        let mut events: Vec<Event> = Vec::new();
        loop {
            let (enabled, barrier) = self.machine.enabled();
            if enabled.is_empty() {
                return Ok(Some(events));
            }
            let depth = events.len();
            let task = match mode {
                Mode::Chance(dice) => enabled[dice.random_range(0..enabled.len())],
                Mode::Fixed(schedule) => {
                    let wanted = schedule.get(depth).and_then(|name| {
                        enabled.iter().copied().find(|task| self.machine.names[*task] == *name)
                    });
                    match wanted {
                        Some(task) => task,
                        None => return Ok(None),
                    }
                }
                Mode::Path => match self.decide(depth, &enabled, &events) {
                    Some(task) => task,
                    None => return Ok(None),
                },
            };
            let mut event = self.machine.announce(task);
            event.barrier = barrier;
            self.machine.grant(task, &mut event)?;
            events.push(event);
        }
    }

    fn decide(&mut self, depth: usize, enabled: &[usize], events: &[Event]) -> Option<usize> {
        if let Some(node) = self.path.get(depth) {
            let taken = node.taken;
            if node.enabled == enabled {
                return Some(taken);
            }
            self.note("an execution that went another way than before after the same decisions");
            self.path.truncate(depth);
            return enabled.contains(&taken).then_some(taken);
        }
        let sleep: Vec<Event> = match (self.path.last(), events.last()) {
            (Some(parent), Some(last)) if !self.how.naive => {
                let asleep = parent.sleep.iter().chain(&parent.done);
                asleep.filter(|event| event.task != last.task && !event.races(last)).cloned().collect()
            }
            _ => Vec::new(),
        };
        let first = enabled.iter().copied().find(|task| sleep.iter().all(|event| event.task != *task))?;
        let todo = if self.how.naive { enabled.iter().copied().collect() } else { BTreeSet::from([first]) };
        self.path.push(Node { enabled: enabled.to_vec(), taken: first, todo, done: Vec::new(), sleep });
        Some(first)
    }

    /// Makes sure that for every race the other order is tried.
    fn reverse_races(&mut self, events: &[Event]) {
        if self.how.naive {
            return;
        }
        // Steps that could never go on take part: in another order they might have.
        let mut all = events.to_vec();
        all.extend(self.machine.stuck());
        let before = order::race_order(&all);
        let whole = order::full_order(&all);
        for second in 0..all.len() {
            let own = (0..second).rev().find(|earlier| {
                all[*earlier].task == all[second].task || all[*earlier].created.contains(&all[second].task)
            });
            for first in (0..second.min(events.len())).rev() {
                let is_ordered = own.is_some_and(|own| own == first || before[own][first]);
                if is_ordered || all[first].task == all[second].task || !all[first].races(&all[second]) {
                    continue;
                }
                let rest: Vec<usize> =
                    (first + 1..second).filter(|between| !whole[*between][first]).chain([second]).collect();
                let initials: BTreeSet<usize> = rest
                    .iter()
                    .enumerate()
                    .filter(|(at, event)| rest[..*at].iter().all(|earlier| !whole[**event][*earlier]))
                    .map(|(_, event)| all[*event].task)
                    .collect();
                let Some(node) = self.path.get_mut(first) else { continue };
                if initials.iter().any(|task| node.todo.contains(task)) {
                    continue;
                }
                let possible = initials.iter().copied().find(|task| node.enabled.contains(task));
                match possible {
                    Some(task) => drop(node.todo.insert(task)),
                    // Whoever could make room for it has to go first, and that may be anyone.
                    None => node.todo.extend(node.enabled.iter().copied()),
                }
            }
        }
    }

    /// Goes back to the last point with something left to try; whether there is one.
    fn backtrack(&mut self) -> bool {
        while let Some(depth) = self.path.len().checked_sub(1) {
            let taken = self.machine.taken_at(depth);
            let node = &mut self.path[depth];
            node.done.extend(taken);
            let explored =
                |task: &usize| node.done.iter().chain(&node.sleep).any(|event| event.task == *task);
            if let Some(next) = node.todo.iter().copied().find(|task| !explored(task)) {
                node.taken = next;
                return true;
            }
            self.path.pop();
        }
        false
    }

    fn record(&mut self, events: Vec<Event>) {
        let outcome = self.machine.observe();
        self.findings.executions += 1;
        for (what, count) in &self.machine.world.uncontrolled {
            *self.findings.uncontrolled.entry(what.clone()).or_insert(0) += count;
        }
        if let Some(cut) = &outcome.cut {
            self.note(format!("cut short: {cut}"));
        }
        let waits = |touch: &Touch| {
            let text = touch.object.to_string();
            matches!(touch.access, Access::Acquire | Access::Await)
                && !text.starts_with("exit ")
                && !text.starts_with("children of ")
        };
        if !self.how.naive && events.iter().any(|event| event.touches.iter().any(waits)) {
            self.note("the order of waits for locks and pipes, of which the reduced search may leave out a class (--naive)");
        }
        let class = order::class(&events, &self.machine.names);
        let is_new = match self.classes.get(&class) {
            None => true,
            Some(known) => {
                if *known != outcome {
                    self.note("two equivalent schedules that ended differently");
                }
                false
            }
        };
        let switches = events.windows(2).filter(|pair| pair[0].task != pair[1].task).count();
        let names = &self.machine.names;
        let found = self.found.entry(outcome.clone()).or_insert_with(|| Found {
            outcome: outcome.clone(),
            executions: 0,
            classes: 0,
            schedules: Some(0),
            witness: Vec::new(),
            switches: usize::MAX,
        });
        found.executions += 1;
        if is_new {
            found.classes += 1;
            let size = order::schedules(&events);
            found.schedules = found.schedules.zip(size).map(|(all, size)| all.saturating_add(size));
            self.classes.insert(class, outcome);
        }
        if switches < found.switches {
            found.switches = switches;
            let step = |event: Event| WitnessStep { task: names[event.task].clone(), words: event.words };
            found.witness = events.into_iter().map(step).collect();
        }
    }

    /// Only what a second execution confirms is offered for replay.
    fn verify_witnesses(&mut self) -> Result<(), TracedError> {
        let witnesses: Vec<(Outcome, Vec<String>)> = self
            .found
            .iter()
            .map(|(outcome, found)| {
                (outcome.clone(), found.witness.iter().map(|step| step.task.clone()).collect())
            })
            .collect();
        for (outcome, schedule) in witnesses {
            let again = self.execute(&mut Mode::Fixed(&schedule))?;
            if again.is_none() || self.machine.observe() != outcome {
                self.note("a schedule that did not end alike when it was replayed");
            }
        }
        Ok(())
    }

    /// Follows a schedule once: the steps as they happened and the outcome; `Err` with the number of the
    /// step that was not possible.
    pub(super) fn replay(mut self, schedule: &[String]) -> Result<Result<Found, usize>, TracedError> {
        let Some(events) = self.execute(&mut Mode::Fixed(schedule))? else {
            return Ok(Err(self.machine.world.steps));
        };
        if events.len() < schedule.len() {
            return Ok(Err(events.len()));
        }
        self.record(events);
        Ok(self.found.into_values().next().ok_or(0))
    }
}
