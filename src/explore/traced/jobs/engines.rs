//! The further engines of a search, as the first one sees them.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::{Complete, Done, End, Further, Job};
use crate::explore::search::{Class, Measure};
use crate::explore::strategy::dpor::{Ticket, Tree};
use crate::explore::traced::machine::Machine;
use crate::explore::traced::outcome::Outcome;
use crate::wire::control::TryRecvError;

/// One of them.
struct Engine {
    ends: Further,
    /// The job that it carries out: the number of the search to which it belongs, and its ticket there.
    job: Option<(u64, Ticket)>,
    /// The outcomes that it has reported.
    outcomes: Vec<Arc<Outcome>>,
    /// The search to which its reports belong.
    search: Option<u64>,
}

/// All of them.
#[derive(Default)]
pub(in crate::explore::traced) struct Engines {
    engines: Vec<Engine>,
    /// The number of the present search. What belongs to an earlier one is dropped.
    search: u64,
}

/// What an execution by another engine found.
pub(in crate::explore::traced) enum News {
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

impl Engines {
    /// Whether there are other engines.
    pub(in crate::explore::traced) fn is_empty(&self) -> bool {
        self.engines.is_empty()
    }

    /// Adds an engine.
    pub(in crate::explore::traced) fn add(&mut self, ends: Further) {
        self.engines.push(Engine { ends, job: None, outcomes: Vec::new(), search: None });
    }

    /// Begins another search.
    pub(in crate::explore::traced) fn begin(&mut self) {
        self.search += 1;
    }

    /// The ends at which reports arrive.
    pub(in crate::explore::traced) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.engines.iter().map(|engine| engine.ends.done.as_fd()).collect()
    }

    /// Hands out up to `most` assignments of `tree` to engines that have none.
    pub(in crate::explore::traced) fn hand_out(
        &mut self,
        tree: &mut Tree,
        machine: &Machine,
        kills: usize,
        most: u64,
    ) {
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
    pub(in crate::explore::traced) fn in_progress(&self) -> u64 {
        let own = |engine: &&Engine| engine.job.is_some_and(|(search, _)| search == self.search);
        self.engines.iter().filter(own).count() as u64
    }

    /// Receives one report, if there is one, and records it in `tree`. Returns how often the processes diverged, and what it
    /// found.
    pub(in crate::explore::traced) fn receive(
        &mut self,
        tree: &mut Tree,
        machine: &mut Machine,
    ) -> Option<(u64, News)> {
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
