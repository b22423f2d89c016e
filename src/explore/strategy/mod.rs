//! Strategies: how the decisions of an execution are made.

pub mod dfs;
pub mod dpor;
pub mod exhaustive;
pub mod pct;
pub mod random;
pub mod replay;
mod taken;
pub mod uniform;

use super::point::{Completed, Divergence, Point};
use super::step::{Choice, Event};

/// What a strategy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Grant this step, or kill its task.
    Take(Choice),
    /// Give this execution up: it can find nothing new.
    GiveUp,
}

/// Makes the decisions of one execution after another.
pub trait Strategy {
    /// Begins an execution; returns whether anything is left to execute.
    fn begin(&mut self) -> bool;

    /// Chooses one of `point.choices`.
    ///
    /// # Errors
    /// When the processes are not where the same decisions led before.
    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence>;

    /// The step that was granted last is disabled, for instance because its lock is held; the engine asks again.
    ///
    /// # Errors
    /// When the step was enabled after the same decisions before.
    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        let _ = (point, process);
        Ok(())
    }

    /// The last decision was carried out.
    ///
    /// # Errors
    /// When the same decisions had another effect before.
    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let _ = event;
        Ok(())
    }

    /// An execution is complete.
    fn complete(&mut self, execution: &Completed<'_>) {
        let _ = execution;
    }

    /// After each execution, complete or given up.
    fn end(&mut self) {}

    /// Instead of [`Strategy::end`], where the processes went another way than before at this decision:
    /// what was planned behind it is dropped.
    fn diverged(&mut self, position: usize) {
        let _ = position;
        self.end();
    }

    /// The share of the search that is done, from 0 to 1, as far as it can be estimated; `None` for a
    /// strategy that has no end.
    fn explored(&self) -> Option<f64> {
        None
    }
}

/// The share of a tree that is explored, as if every subtree beside the current path were as large as its
/// siblings: for each point on the path how many of its branches are explored, and how many there are
/// (D. Knuth, "Estimating the Efficiency of Backtrack Programs", Mathematics of Computation 29, 1975).
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
