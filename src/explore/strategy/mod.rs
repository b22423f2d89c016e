//! Strategies, which make the decisions of an execution.

pub mod dfs;
pub mod dpor;
pub mod exhaustive;
pub mod in_turn;
pub mod pct;
pub mod preemptions;
pub mod random;
pub mod replay;
pub mod set_aside;
mod taken;
pub mod uniform;

use super::point::{Completed, Divergence, Point};
use super::step::{Choice, Event};

/// The decision of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Grant this step, or kill its task.
    Take(Choice),
    /// Give up this execution, because it cannot find anything new.
    GiveUp,
}

/// Makes the decisions of successive executions.
pub trait Strategy {
    /// Begins an execution; returns whether anything is left to execute.
    fn begin(&mut self) -> bool;

    /// Chooses one of `point.choices`.
    ///
    /// # Errors
    /// When the processes are at other steps than after the same decisions before.
    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence>;

    /// Called when the step that was granted last is disabled, for instance because its lock is held. The engine then
    /// calls [`decide`](Self::decide) again.
    ///
    /// # Errors
    /// When the step was enabled after the same decisions before.
    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        let _ = (point, process);
        Ok(())
    }

    /// Called when the last decision was carried out.
    ///
    /// # Errors
    /// When the same decisions had a different effect before.
    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let _ = event;
        Ok(())
    }

    /// Called when an execution is complete.
    fn complete(&mut self, execution: &Completed<'_>) {
        let _ = execution;
    }

    /// Called when [`decide`](Self::decide) has given an execution up, with what has happened in it.
    fn given_up(&mut self, execution: &Completed<'_>) {
        let _ = execution;
    }

    /// Called after each execution, complete or given up.
    fn end(&mut self) {}

    /// Called instead of [`Strategy::end`] if the processes behaved differently than before at this decision. Drops the
    /// plans after it.
    fn diverged(&mut self, position: usize) {
        let _ = position;
        self.end();
    }

    /// The estimated share of the search that is done, from 0 to 1; `None` for a strategy without an end.
    fn explored(&self) -> Option<f64> {
        None
    }
}

/// The explored share of a tree, assuming that sibling subtrees are equally large. `path` has the number of explored
/// branches and the number of all branches at each point of the current path (D. Knuth, "Estimating the Efficiency of
/// Backtrack Programs", Mathematics of Computation 29, 1975).
fn explored_share(path: impl Iterator<Item = (usize, usize)>) -> f64 {
    let (mut explored, mut share) = (0.0, 1.0);
    for (done, width) in path {
        share /= width.max(1) as f64;
        explored += share * done as f64;
    }
    explored
}

impl<T: Strategy + ?Sized> Strategy for Box<T> {
    fn begin(&mut self) -> bool {
        (**self).begin()
    }
    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        (**self).decide(point)
    }
    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        (**self).refused(point, process)
    }
    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        (**self).done(event)
    }
    fn complete(&mut self, execution: &Completed<'_>) {
        (**self).complete(execution);
    }
    fn given_up(&mut self, execution: &Completed<'_>) {
        (**self).given_up(execution);
    }
    fn end(&mut self) {
        (**self).end();
    }
    fn diverged(&mut self, position: usize) {
        (**self).diverged(position);
    }
    fn explored(&self) -> Option<f64> {
        (**self).explored()
    }
}
