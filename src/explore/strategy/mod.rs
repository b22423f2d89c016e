//! Who goes next: the rule by which an execution's decisions are made.

pub mod dfs;
pub mod dpor;
pub mod pct;
pub mod random;
pub mod replay;
pub mod uniform;

use super::engine::{Completed, Divergence, Point};
use super::step::{Choice, Event};

/// What a strategy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This one goes on, or dies.
    Take(Choice),
    /// Nothing new can come of this execution.
    GiveUp,
}

/// Makes the decisions of one execution after another.
pub trait Strategy {
    /// Before each execution: whether there is anything left to execute.
    fn begin(&mut self) -> bool;

    /// Chooses one of `point.choices`.
    ///
    /// # Errors
    /// When the processes are not where they were the last time after the same decisions.
    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence>;

    /// The lock that was granted last is held; the process is disabled, and the engine asks again.
    ///
    /// # Errors
    /// When the lock was free the last time after the same decisions.
    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        let _ = (point, process);
        Ok(())
    }

    /// The last decision was carried out.
    ///
    /// # Errors
    /// When something else happened the last time after the same decisions.
    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        let _ = event;
        Ok(())
    }

    /// An execution has come to its end.
    fn complete(&mut self, execution: &Completed<'_>) {
        let _ = execution;
    }

    /// After each execution, complete or given up.
    fn end(&mut self) {}
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
}
