//! The inputs of a strategy: the point at which it decides, and a completed execution.

use std::fmt;

use super::step::{Choice, Event, Step, Touch};
use super::trace::Trace;

/// A point at which a strategy decides.
#[derive(Debug)]
pub struct Point<'a> {
    /// The number of decisions made before.
    pub depth: usize,
    /// The possible choices, in order. If only an attempt shows whether a step is enabled, they include steps that
    /// have not been tried since their objects were last touched, and that may still be refused.
    pub choices: &'a [Choice],
    /// The step at which each task waits.
    pub pending: &'a [Option<Step>],
}

impl Point<'_> {
    /// The step that `choice` grants, or at which it kills.
    pub fn step(&self, choice: Choice) -> Option<&Step> {
        self.pending.get(choice.index())?.as_ref()
    }
}

/// A step that was announced but never executed, because its task was killed there or could no longer act.
#[derive(Clone, Debug)]
pub struct Withdrawn {
    /// The number of events before it was withdrawn.
    pub position: usize,
    /// The task.
    pub task: usize,
    /// The step.
    pub step: Step,
}

/// A complete execution, as it is passed to a strategy.
pub struct Completed<'a> {
    /// What happened.
    pub trace: &'a Trace,
    /// The steps that were announced but never executed, in order.
    pub withdrawn: &'a [Withdrawn],
    /// The maximum number of kills in an execution.
    pub kills: usize,
    /// For each task that waits for ever: what its kill would have accessed.
    pub endings: &'a [Vec<Touch>],
    /// Whether the task can be killed.
    pub killable: &'a dyn Fn(usize) -> bool,
    /// [`System::would_run`](super::engine::System::would_run).
    pub would_run: &'a WouldRun<'a>,
}

/// [`System::would_run`](super::engine::System::would_run), as a strategy can call it.
pub type WouldRun<'a> = dyn Fn(usize, &Step, &[&Event]) -> Option<bool> + 'a;

impl fmt::Debug for Completed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completed").field("trace", self.trace).finish_non_exhaustive()
    }
}

/// The same decisions had a different effect, so something that affects the execution is uncontrolled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {} differs: expected {expected}, found {found}", position + 1)]
pub struct Divergence {
    /// The index of the decision, from 0.
    pub position: usize,
    /// What the schedule requires.
    pub expected: String,
    /// What the processes did.
    pub found: String,
}
