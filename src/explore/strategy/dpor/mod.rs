//! One execution of each class: dynamic partial-order reduction with source sets and wakeup trees.
//!
//! After each execution, every *race* in it is found: two dependent steps of different tasks of which the later one
//! could have come first. At the point where the earlier step was chosen, a *wakeup sequence* is planned that leads to
//! the later step instead, unless an explored or planned sequence there covers it (P. Abdulla, S. Aronis, B. Jonsson,
//! K. Sagonas, "Source Sets: A Foundation for Optimal Dynamic Partial Order Reduction", JACM 64(4), 2017). No two
//! executions are equivalent. An execution is given up only if a planned step turns out to be disabled, which
//! [`System::would_run`](crate::explore::engine::System::would_run) could not predict.
//!
//! Steps may disable each other, so a step may race with *each* dependent step that is not ordered before the previous
//! step of the same task, not only with the last one: a lock is released before the next task acquires it, but the race
//! is with the earlier acquisition. Steps that were announced but never executed also take part in races, and so does
//! the kill of each task at each of its steps.
//!
//! With kills, the system must know which steps are enabled
//! ([`System::enabled`](crate::explore::engine::System::enabled)), because only a task that could continue is killed,
//! and a planned kill cannot try the step. If only an attempt shows it, [`Dfs`](super::dfs::Dfs) searches with kills.
//!
//! Executions of one search can be carried out at the same time: the [`Tree`] hands out assignments, each of which an
//! [`Assigned`] execution carries out, in any process.

mod assigned;
mod moves;
mod races;
mod tree;

use serde::{Deserialize, Serialize};

pub use assigned::{Assigned, Assignment, Report};
pub use tree::{Ticket, Tree};

use super::{Decision, Strategy};
use crate::explore::point::{Completed, Divergence, Point};
use crate::explore::step::Event;

/// The search, one execution after another; serialize it to continue later.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Dpor {
    tree: Box<Tree>,
    /// The execution in progress.
    #[serde(skip)]
    current: Option<Box<(Ticket, Assigned)>>,
}

impl Dpor {
    /// Creates a search.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether everything has been explored.
    pub fn is_exhausted(&self) -> bool {
        self.tree.is_exhausted()
    }

    /// The tree of the search, from which assignments can be taken between two executions.
    pub fn tree(&mut self) -> &mut Tree {
        if let Some(current) = self.current.take() {
            self.tree.take_back(current.0);
        }
        &mut self.tree
    }

    fn running(&mut self) -> &mut Assigned {
        &mut self.current.as_mut().expect("an execution has begun").1
    }
}

impl Strategy for Dpor {
    fn begin(&mut self) -> bool {
        match &mut self.current {
            Some(current) => current.1.begin(),
            None => {
                // Executions that were in progress when the search was saved.
                self.tree.take_back_all();
                let next = self.tree.hand_out();
                self.current = next.map(|(ticket, assignment)| Box::new((ticket, Assigned::new(assignment))));
                self.current.is_some()
            }
        }
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        self.running().decide(point)
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        self.running().refused(point, process)
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.running().done(event)
    }

    fn complete(&mut self, execution: &Completed<'_>) {
        self.running().complete(execution);
    }

    fn given_up(&mut self, execution: &Completed<'_>) {
        self.running().given_up(execution);
    }

    fn end(&mut self) {
        if let Some((ticket, assigned)) = self.current.take().map(|current| *current) {
            self.tree.record(ticket, assigned.report());
        }
    }

    fn diverged(&mut self, position: usize) {
        if let Some((ticket, assigned)) = self.current.take().map(|current| *current) {
            self.tree.record_divergence(ticket, position, assigned.report());
        }
    }

    fn explored(&self) -> Option<f64> {
        Some(self.tree.explored())
    }
}
