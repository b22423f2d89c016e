//! One execution under a controlled scheduler: exactly one task goes on at a time.
//!
//! Does no I/O and reads no clock of its own: the `System` executes, the
//! [`Strategy`](crate::explore::strategy::Strategy) decides, and the engine keeps the rules. A task that
//! has arrived at a step waits. Where only an attempt shows whether a step is enabled, granting it is that
//! attempt: if it is refused, the task is *disabled* until a step touches what it waits for. A refused
//! attempt is not a step of the schedule.

use std::fmt;

use super::holders::Holders;
use super::step::{Access, Choice, Effect, Event, Step, task_name};
use super::strategy::{Decision, Strategy};

pub use super::point::{Completed, Divergence, Point, Withdrawn, WouldRun};
pub use super::trace::{Trace, Wait};

/// Tasks that wait at their next step, and can be granted it.
///
/// A task is a process, a thread, or anything else that can act on its own: a timeout that may fire, a
/// signal that may be delivered. It has a number, which means the same task in every execution.
pub trait System {
    /// Why the system could not do what was asked.
    type Error;
    /// How an execution ended.
    type Outcome: Ord + Clone + fmt::Debug;

    /// How many task numbers are in use. Grows when a task appears that has never been seen before.
    fn tasks(&self) -> usize;

    /// Starts over: the objects in their initial state, each initial task at its first step.
    ///
    /// # Errors
    /// When the system cannot be brought back to its initial state.
    fn reset(&mut self) -> Result<(), Self::Error>;

    /// The step at which `task` waits; `None` if it has not been created, has ended, or can no longer act.
    fn pending(&self, task: usize) -> Option<&Step>;

    /// Whether the step of `task` is enabled now; `None` if only an attempt shows it.
    fn enabled(&self, task: usize) -> Option<bool> {
        let _ = task;
        None
    }

    /// Lets `task` do the step at which it waits, and waits until it has arrived at the next.
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

    /// The outcome of a complete execution.
    ///
    /// # Errors
    /// When the objects cannot be read.
    fn judge(&mut self, trace: &Trace) -> Result<Self::Outcome, Self::Error>;

    /// The name of `task`.
    fn name(&self, task: usize) -> String {
        task_name(task)
    }

    /// Gives the tasks with these names the numbers 0, 1, 2, …, so that a search that another process
    /// began can go on. Called before the first reset, if at all.
    fn restore(&mut self, names: &[String]) {
        let _ = names;
    }

    /// Whether `step` of `task` would be enabled in a state that `history` led to: all events so far that
    /// touched one of its objects, in order. `None` if that cannot be told.
    ///
    /// An answer saves executions that would be given up; a wrong one loses classes.
    fn would_run(&self, task: usize, step: &Step, history: &[&Event]) -> Option<bool> {
        let _ = (task, step, history);
        None
    }

    /// The tasks of which one has to act before the disabled `task` can go on; `None` to have them derived
    /// from which tasks acquired its objects and did not release them.
    fn holders(&self, task: usize) -> Option<Vec<usize>> {
        let _ = task;
        None
    }

    /// What was uncontrolled in the execution that has just ended, and how often it occurred. A search in
    /// which anything was uncontrolled is not complete.
    fn uncontrolled(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// The answer to a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// The operation happened.
    Done(Effect),
    /// The step is not enabled: nothing happened.
    Refused,
}

/// An execution could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E> {
    /// The system failed.
    #[error("the processes cannot be controlled")]
    System(#[source] E),
    /// The processes did not do what they did before.
    #[error(transparent)]
    Diverged(#[from] Divergence),
    /// Two schedules that should be equivalent are not.
    #[error(transparent)]
    Ambiguous(#[from] Ambiguity),
}

/// Two schedules of one class had different outcomes: steps that were assumed to be independent are not, or
/// something that matters is uncontrolled.
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

/// Carries out one execution; `None` if the strategy gave it up.
///
/// # Errors
/// When the system fails, or does something other than after the same decisions before.
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
        if choices.is_empty() {
            let blocked = (0..pending.len()).filter(|task| pending[*task].is_some());
            let blockers = blocked.filter_map(|task| Some((task, system.holders(task)?))).collect();
            let trace = Trace { events, stuck: pending, blockers };
            strategy.complete(&Completed {
                trace: &trace,
                withdrawn: &withdrawn,
                kills,
                killable: &|task| system.killable(task),
                would_run: &|task, step, history| system.would_run(task, step, history),
            });
            return Ok(Some(trace));
        }
        let point = Point { depth: events.len(), choices: &choices, pending: &pending };
        let choice = match strategy.decide(&point)? {
            Decision::Take(choice) => choice,
            Decision::GiveUp => return Ok(None),
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
        let mut event = Event::new(choice, step, effect);
        let position = events.len() + 1;
        let granted = (!choice.kill).then_some(task);
        observe(system, &mut pending, &mut refused, granted, |task, step| {
            withdrawn.push(Withdrawn { position, task, step });
        });
        event.ended = pending[task].is_none();
        if event.ended {
            // What it acquired before and does not release by this step.
            event.released = held.of(task).to_vec();
            if !choice.kill {
                let releases =
                    |lock| event.step.touches().any(|t| t.object == lock && t.access == Access::Release);
                event.released.retain(|lock| !releases(*lock));
            }
        }
        held.record(&event);
        // A lock is free again after a release or a death, and a record lock on the data file after any
        // use of that file. So each access to the object lets it be tried again.
        for (other, refused) in refused.iter_mut().enumerate().filter(|(_, refused)| **refused) {
            let waits_for =
                |step: &Step| step.touches().any(|its| event.touches().any(|t| t.object == its.object));
            *refused = !(event.ended || pending[other].as_ref().is_some_and(waits_for));
        }
        strategy.done(&event)?;
        events.push(event);
    }
}

/// Reads where each task waits now, and calls `withdraw` for each step that is gone, except that of the
/// task that was `granted`.
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
