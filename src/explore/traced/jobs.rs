//! Further engines that carry out executions of the same search at the same time, each on a processor of its own.
//!
//! The first engine keeps the tree of the search and hands out assignments; it starts to do so when the search turns out to
//! be long. What is carried out does not depend on which engine does it: a task has the same number everywhere, and every
//! engine knows the same facts. A report that contradicts this is dropped, and its assignment is handed out again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::machine::{Machine, TracedError};
use super::outcome::Outcome;
use super::search::TRIES;
use crate::explore::engine::{Divergence, ExecuteError, System, execute};
use crate::explore::reduce::Order;
use crate::explore::search::{Class, Measure};
use crate::explore::shrink::Cost;
use crate::explore::strategy::Strategy;
use crate::explore::strategy::dpor::{Assigned, Assignment, Report, Ticket, Tree};
use crate::process::chain;
use crate::wire::control::{Receiver, Sender, TryRecvError};

/// The ends that an engine has which carries out assignments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hired {
    pub(super) jobs: Receiver<Job>,
    pub(super) done: Sender<Done>,
    /// Which of the processors that it may use is its own.
    pub(super) processor: usize,
}

/// The ends that the first engine has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Further {
    pub(super) jobs: Sender<Job>,
    pub(super) done: Receiver<Done>,
}

/// An assignment, with what the engines have in common.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    assignment: Assignment,
    kills: usize,
    /// The names of the tasks by number.
    names: Vec<String>,
    facts: BTreeSet<String>,
    /// Whether earlier reports do not count, so that outcomes and witnesses are reported again.
    anew: bool,
}

/// What became of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    end: End,
    report: Report,
    /// The names of all tasks now.
    names: Vec<String>,
    facts: BTreeSet<String>,
    candidates: BTreeSet<String>,
    divergences: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum End {
    Complete(Box<Complete>),
    GivenUp,
    /// At this decision, in each attempt.
    Diverged(usize),
    Failed(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Complete {
    /// The number of the outcome, and the outcome if it is new.
    outcome: (usize, Option<Outcome>),
    class: Class,
    measure: Box<Measure>,
    uncontrolled: Vec<(String, u64)>,
}

/// What an engine has reported.
#[derive(Default)]
struct Reported {
    outcomes: BTreeMap<Arc<Outcome>, (usize, Option<Cost>)>,
}

/// Carries out jobs until the first engine ends.
pub(super) fn serve(machine: &mut Machine, ends: &Hired) {
    let mut reported = Reported::default();
    while let Ok(job) = ends.jobs.recv() {
        if job.anew {
            reported = Reported::default();
        }
        if ends.done.send(carry_out(machine, job, &mut reported)).is_err() {
            return;
        }
    }
}

fn carry_out(machine: &mut Machine, job: Job, reported: &mut Reported) -> Done {
    machine.rename(job.names);
    machine.world.learned = job.facts;
    machine.world.candidates.clear();
    machine.world.has_learned = false;
    let mut assigned = Assigned::new(job.assignment);
    let mut divergences = 0;
    let end = loop {
        assigned.begin();
        match execute(machine, &mut assigned, job.kills) {
            Ok(Some(trace)) => break complete(machine, &trace, reported).map_or_else(failed, End::Complete),
            Ok(None) => break End::GivenUp,
            Err(ExecuteError::System(error)) => break failed(error),
            Err(ExecuteError::Ambiguous(error)) => break End::Failed(error.to_string()),
            Err(ExecuteError::Diverged(Divergence { position, .. })) => {
                divergences += 1;
                if divergences == u64::from(TRIES) {
                    break End::Diverged(position);
                }
            }
        }
    };
    Done {
        end,
        report: assigned.report(),
        names: machine.names.clone(),
        facts: machine.world.learned.clone(),
        candidates: std::mem::take(&mut machine.world.candidates),
        divergences,
    }
}

fn failed(error: TracedError) -> End {
    End::Failed(chain(&error))
}

fn complete(
    machine: &mut Machine,
    trace: &crate::explore::engine::Trace,
    reported: &mut Reported,
) -> Result<Box<Complete>, TracedError> {
    let outcome = machine.judge(trace)?;
    let uncontrolled = machine.uncontrolled();
    let order = Order::new(&trace.events);
    let mut measure = Measure::of(trace, &order);
    let next = reported.outcomes.len();
    let is_new = !reported.outcomes.contains_key(&outcome);
    let (number, best) = reported.outcomes.entry(outcome.clone()).or_insert((next, None));
    measure.keep_shorter(best);
    let outcome = (*number, is_new.then(|| (*outcome).clone()));
    Ok(Box::new(Complete {
        outcome,
        class: Class::of(trace, &order),
        measure: Box::new(measure),
        uncontrolled,
    }))
}

/// A further engine, as the first sees it.
struct Engine {
    ends: Further,
    /// The job that it carries out: the number of the search to which it belongs, and its ticket there.
    job: Option<(u64, Ticket)>,
    /// The outcomes that it has reported.
    outcomes: Vec<Arc<Outcome>>,
    /// The search to which its reports belong.
    search: Option<u64>,
}

/// All further engines.
#[derive(Default)]
pub(super) struct Jobs {
    engines: Vec<Engine>,
    /// The number of the present search. What belongs to an earlier one is dropped.
    search: u64,
}

/// What an execution by another engine found.
pub(super) enum News {
    /// It added facts, so that the search must begin again.
    Learned,
    /// A complete execution.
    Complete {
        /// The outcome.
        outcome: Arc<Outcome>,
        /// The class.
        class: Class,
        /// Its size and witness.
        measure: Box<Measure>,
        /// The uncontrolled actions.
        uncontrolled: Vec<(String, u64)>,
    },
    /// It was given up.
    GivenUp,
    /// Nothing that counts.
    Nothing,
}

impl Jobs {
    /// Whether there are other engines.
    pub(super) fn is_empty(&self) -> bool {
        self.engines.is_empty()
    }

    /// Adds an engine.
    pub(super) fn add(&mut self, ends: Further) {
        self.engines.push(Engine { ends, job: None, outcomes: Vec::new(), search: None });
    }

    /// Begins another search.
    pub(super) fn begin(&mut self) {
        self.search += 1;
    }

    /// The ends at which reports arrive.
    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.engines.iter().map(|engine| engine.ends.done.as_fd()).collect()
    }

    /// Hands out up to `most` assignments of `tree` to engines that have none.
    pub(super) fn hand_out(&mut self, tree: &mut Tree, machine: &Machine, kills: usize, most: u64) {
        let mut left = most;
        self.engines.retain_mut(|engine| {
            if left == 0 || engine.job.is_some() {
                return true;
            }
            let Some((ticket, assignment)) = tree.hand_out() else { return true };
            left -= 1;
            let anew = engine.search != Some(self.search);
            if anew {
                engine.outcomes.clear();
            }
            (engine.job, engine.search) = (Some((self.search, ticket)), Some(self.search));
            let (names, facts) = (machine.names.clone(), machine.world.learned.clone());
            let is_sent = engine.ends.jobs.send(Job { assignment, kills, names, facts, anew }).is_ok();
            if !is_sent {
                tree.take_back(ticket);
            }
            is_sent
        });
    }

    /// The number of assignments of the present search that are being carried out.
    pub(super) fn in_progress(&self) -> u64 {
        let own = |engine: &&Engine| engine.job.is_some_and(|(search, _)| search == self.search);
        self.engines.iter().filter(own).count() as u64
    }

    /// Receives one report, if there is one, and records it in `tree`. Returns how often the processes diverged, and what it
    /// found.
    pub(super) fn receive(&mut self, tree: &mut Tree, machine: &mut Machine) -> Option<(u64, News)> {
        for at in 0..self.engines.len() {
            match self.engines[at].ends.done.try_recv() {
                Err(TryRecvError::Empty) => {}
                Err(_) => {
                    // It was killed, for instance because memory was short. The others go on.
                    let job = self.engines.remove(at).job;
                    if let Some((_, ticket)) = job.filter(|(search, _)| *search == self.search) {
                        tree.take_back(ticket);
                    }
                    return Some((0, News::Nothing));
                }
                Ok(done) => return Some((done.divergences, self.record(at, done, tree, machine))),
            }
        }
        None
    }

    fn record(&mut self, at: usize, done: Done, tree: &mut Tree, machine: &mut Machine) -> News {
        let engine = &mut self.engines[at];
        let Some((_, ticket)) = engine.job.take().filter(|(search, _)| *search == self.search) else {
            return News::Nothing;
        };
        // Two engines may have met different new tasks, or the same in another order.
        let known = machine.names.len().min(done.names.len());
        if machine.names[..known] != done.names[..known] {
            engine.search = None;
            tree.take_back(ticket);
            return News::Nothing;
        }
        if done.names.len() > known {
            machine.rename(done.names);
        }
        machine.world.candidates.extend(done.candidates);
        if !done.facts.is_subset(&machine.world.learned) {
            machine.world.learned.extend(done.facts);
            return News::Learned;
        }
        match done.end {
            End::Complete(complete) => {
                let Complete { outcome: (number, new), class, measure, uncontrolled } = *complete;
                engine.outcomes.extend(new.map(|new| {
                    let new = Arc::new(new);
                    machine.outcomes.get(&new).cloned().unwrap_or_else(|| {
                        machine.outcomes.insert(new.clone());
                        new
                    })
                }));
                let Some(outcome) = engine.outcomes.get(number).cloned() else {
                    engine.search = None;
                    tree.take_back(ticket);
                    return News::Nothing;
                };
                tree.record(ticket, done.report);
                News::Complete { outcome, class, measure, uncontrolled }
            }
            End::GivenUp => {
                tree.record(ticket, done.report);
                News::GivenUp
            }
            End::Diverged(position) => {
                tree.record_divergence(ticket, position, done.report);
                News::Nothing
            }
            End::Failed(_) => {
                // If it was not the fault of that engine, the first one will fail, too, and report it.
                tree.take_back(ticket);
                self.engines.remove(at);
                News::Nothing
            }
        }
    }
}
