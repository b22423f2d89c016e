//! One execution under a controlled scheduler: exactly one task runs at a time.
//!
//! The engine does no I/O and reads no clock: the `System` executes, the
//! [`Strategy`](crate::explore::strategy::Strategy) decides, and the engine enforces the rules. A task that has
//! arrived at a step waits. If only an attempt shows whether a step is enabled, granting it is that attempt. If the
//! attempt is refused, the task is *disabled* until a step touches an object that it waits for. A refused attempt is
//! not a step of the schedule.

use std::fmt;

use super::holders::Holders;
use super::step::{Access, Choice, Effect, Event, Step, Touch, task_name};
use super::strategy::{Decision, Strategy};

pub use super::point::{Completed, Divergence, Point, Withdrawn, WouldRun};
pub use super::trace::{Trace, Wait};

/// A set of tasks, each of which waits at its next step until the step is granted.
///
/// A task is a process, a thread, or anything else that can act by itself, such as a timeout that may expire or a
/// signal that may be delivered. Its number refers to the same task in every execution.
pub trait System {
    /// The error of an operation of the system.
    type Error;
    /// How an execution ended.
    type Outcome: Ord + Clone + fmt::Debug;

    /// The number of task numbers in use. It grows when a new task appears.
    fn tasks(&self) -> usize;

    /// Resets the objects to their initial state, and each initial task to its first step.
    ///
    /// # Errors
    /// When the initial state cannot be restored.
    fn reset(&mut self) -> Result<(), Self::Error>;

    /// The step at which `task` waits; `None` if it has not been created, has ended, or can no longer act.
    fn pending(&self, task: usize) -> Option<&Step>;

    /// Whether the step of `task` is enabled now; `None` if only an attempt shows it.
    fn enabled(&self, task: usize) -> Option<bool> {
        let _ = task;
        None
    }

    /// Lets `task` execute the step at which it waits, and waits until it has arrived at its next step.
    ///
    /// # Errors
    /// When the task neither arrives nor ends.
    fn grant(&mut self, task: usize) -> Result<Granted, Self::Error>;

    /// Kills `task` where it waits.
    ///
    /// # Errors
    /// When the task cannot be killed.
    fn kill(&mut self, task: usize) -> Result<Effect, Self::Error>;

    /// Whether a schedule may kill `task`.
    fn killable(&self, task: usize) -> bool {
        let _ = task;
        true
    }

    /// What the death of `task` would access if it were killed where it waits, apart from the locks that it has acquired.
    fn ending(&mut self, task: usize) -> Vec<Touch> {
        let _ = task;
        Vec::new()
    }

    /// The outcome of a complete execution.
    ///
    /// # Errors
    /// When the objects cannot be read.
    fn judge(&mut self, trace: &Trace) -> Result<Self::Outcome, Self::Error>;

    /// The name of `task`.
    fn name(&self, task: usize) -> String {
        task_name(task)
    }

    /// Assigns the numbers 0, 1, 2, … to the tasks with these names, so that a search that another process began can
    /// continue. If it is called, then before the first reset.
    fn restore(&mut self, names: &[String]) {
        let _ = names;
    }

    /// Whether `step` of `task` would be enabled after `history`: all events so far that touched one of its objects, in
    /// order. `None` if that is unknown.
    ///
    /// An answer saves executions that would be given up; a wrong answer loses classes.
    fn would_run(&self, task: usize, step: &Step, history: &[&Event]) -> Option<bool> {
        let _ = (task, step, history);
        None
    }

    /// The tasks of which one must act before the disabled `task` can continue; `None` to derive them from which tasks
    /// have acquired its objects and not released them.
    fn holders(&self, task: usize) -> Option<Vec<usize>> {
        let _ = task;
        None
    }

    /// The uncontrolled actions in the last execution, and how often each occurred. A search with uncontrolled actions
    /// is not complete.
    fn uncontrolled(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// The result of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// The operation was executed.
    Done(Effect),
    /// The step is not enabled: nothing happened.
    Refused,
}

/// An execution failed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E> {
    /// The system failed.
    #[error("the processes could not be controlled")]
    System(#[source] E),
    /// The processes behaved differently than before.
    #[error(transparent)]
    Diverged(#[from] Divergence),
    /// Two schedules that should be equivalent are not.
    #[error(transparent)]
    Ambiguous(#[from] Ambiguity),
}

/// Two schedules of one class had different outcomes: steps that were assumed to be independent are not, or something
/// that affects the outcome is uncontrolled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "two equivalent schedules had different outcomes: {first} had {first_outcome}, {second} had \
     {second_outcome}; something that the steps do not name affects the outcome"
)]
pub struct Ambiguity {
    /// The schedule that was executed first.
    pub first: String,
    /// Its outcome.
    pub first_outcome: String,
    /// The other schedule.
    pub second: String,
    /// Its outcome.
    pub second_outcome: String,
}

/// Runs one execution; `None` if the strategy gave it up.
///
/// # Errors
/// When the system fails, or behaves differently than after the same decisions before.
pub fn execute<S: System + ?Sized, T: Strategy + ?Sized>(
    system: &mut S,
    strategy: &mut T,
    kills: usize,
) -> Result<Option<Trace>, ExecuteError<S::Error>> {
    system.reset().map_err(ExecuteError::System)?;
    let mut pending: Vec<Option<Step>> = Vec::new();
    let mut refused: Vec<bool> = Vec::new();
    let mut withdrawn: Vec<Withdrawn> = Vec::new();
    let mut held = Holders::default();
    let mut events: Vec<Event> = Vec::new();
    let mut kills_left = kills;
    let mut choices = Vec::new();
    observe(system, &mut pending, &mut refused, None, |_, _| {});
    loop {
        choices.clear();
        for task in 0..pending.len() {
            if pending[task].is_some() && !refused[task] && system.enabled(task) != Some(false) {
                choices.push(Choice::step(task));
                if kills_left > 0 && system.killable(task) {
                    choices.push(Choice::kill(task));
                }
            }
        }
        let point = Point { depth: events.len(), choices: &choices, pending: &pending };
        let decision = if choices.is_empty() { None } else { Some(strategy.decide(&point)?) };
        let choice = match decision {
            Some(Decision::Take(choice)) => choice,
            None | Some(Decision::GiveUp) => {
                let is_complete = decision.is_none();
                let blocked = (0..pending.len()).filter(|task| is_complete && pending[*task].is_some());
                let blockers = blocked.filter_map(|task| Some((task, system.holders(task)?))).collect();
                let ends = |task: usize| if kills > 0 { system.ending(task) } else { Vec::new() };
                let endings: Vec<Vec<Touch>> = (0..pending.len()).map(ends).collect();
                let trace = Trace { events, stuck: pending, blockers };
                let execution = Completed {
                    trace: &trace,
                    withdrawn: &withdrawn,
                    kills,
                    endings: &endings,
                    killable: &|task| system.killable(task),
                    would_run: &|task, step, history| system.would_run(task, step, history),
                };
                if is_complete {
                    strategy.complete(&execution);
                    return Ok(Some(trace));
                }
                strategy.given_up(&execution);
                return Ok(None);
            }
        };
        let task = choice.index();
        let Some(step) = point.step(choice).cloned() else {
            return Err(Divergence {
                position: events.len(),
                expected: format!("a step of {}", system.name(task)),
                found: "it has ended".into(),
            }
            .into());
        };
        let if_killed = if kills > 0 && !choice.kill { system.ending(task) } else { Vec::new() };
        let effect = if choice.kill {
            kills_left = kills_left.saturating_sub(1);
            system.kill(task).map_err(ExecuteError::System)?
        } else {
            match system.grant(task).map_err(ExecuteError::System)? {
                Granted::Done(effect) => effect,
                Granted::Refused => {
                    refused[task] = true;
                    strategy.refused(&point, task)?;
                    continue;
                }
            }
        };
        let mut event = Event { if_killed, ..Event::new(choice, step, effect) };
        let position = events.len() + 1;
        let granted = (!choice.kill).then_some(task);
        observe(system, &mut pending, &mut refused, granted, |task, step| {
            withdrawn.push(Withdrawn { position, task, step });
        });
        event.ended = pending[task].is_none();
        if event.ended {
            // The locks that it acquired before and does not release by this step.
            event.released = held.of(task).to_vec();
            if !choice.kill {
                let releases =
                    |lock| event.step.touches().any(|t| t.object == lock && t.access == Access::Release);
                event.released.retain(|lock| !releases(*lock));
            }
        }
        held.record(&event);
        // A lock is free again after a release or a death, and a record lock on the data file after any use of that
        // file. So each access to the object allows another attempt.
        for (other, refused) in refused.iter_mut().enumerate().filter(|(_, refused)| **refused) {
            let waits_for =
                |step: &Step| step.touches().any(|its| event.touches().any(|t| t.object == its.object));
            *refused = !(event.ended || pending[other].as_ref().is_some_and(waits_for));
        }
        strategy.done(&event)?;
        events.push(event);
    }
}

/// Reads at which step each task waits now, and calls `withdraw` for each step that is gone, except that of the task
/// that was `granted`.
fn observe<S: System + ?Sized>(
    system: &S,
    pending: &mut Vec<Option<Step>>,
    refused: &mut Vec<bool>,
    granted: Option<usize>,
    mut withdraw: impl FnMut(usize, Step),
) {
    pending.resize(system.tasks().max(pending.len()), None);
    refused.resize(pending.len(), false);
    for (task, known) in pending.iter_mut().enumerate() {
        let now = system.pending(task);
        if Some(task) == granted {
            *known = now.cloned();
            refused[task] = false;
        } else if known.as_ref() != now {
            if let Some(step) = std::mem::replace(known, now.cloned()) {
                withdraw(task, step);
            }
            refused[task] = false;
        }
    }
}
