//! One execution under a controlled scheduler: exactly one process goes on at a time.
//!
//! Does no I/O and reads no clock of its own: the [`System`](crate::explore::engine::System) is the world, the
//! [`Strategy`](crate::explore::strategy::Strategy) decides, and the engine knows the rules. A process that
//! has arrived at a step waits. Granting a lock step means trying the lock: if it is refused the
//! process is *disabled* until somebody releases the lock, which is no step of the schedule.

use serde::{Deserialize, Serialize};

use super::step::{Access, Choice, Event, Label, Seen, Step, letter};
use super::strategy::{Decision, Strategy};

/// Processes that wait at their next step, and can be granted it.
pub trait System {
    /// Why the system could not do what it was told.
    type Error;
    /// How an execution ended.
    type Outcome: Ord + Clone;

    /// How many processes there are.
    fn processes(&self) -> usize;

    /// Starts all over: the resources as at first, every process at its first step.
    ///
    /// # Errors
    /// When the system cannot be brought back to its first state.
    fn reset(&mut self) -> Result<(), Self::Error>;

    /// The step at which `process` waits; `None` if it has ended.
    fn pending(&self, process: usize) -> Option<Step>;

    /// Lets `process` do the step at which it waits, and waits until it has arrived at the next.
    ///
    /// # Errors
    /// When the process neither arrives nor ends.
    fn grant(&mut self, process: usize) -> Result<Granted, Self::Error>;

    /// Kills `process` where it waits.
    ///
    /// # Errors
    /// When the process cannot be killed.
    fn kill(&mut self, process: usize) -> Result<(), Self::Error>;

    /// What came of a complete execution.
    ///
    /// # Errors
    /// When the resources cannot be looked at.
    fn judge(&mut self, trace: &Trace) -> Result<Self::Outcome, Self::Error>;
}

/// The answer to a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// The operation happened; what it read or wrote.
    Done(Seen),
    /// The lock is held: nothing happened.
    Refused,
}

/// A complete execution, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// What happened.
    pub events: Vec<Event>,
    /// For each process the step at which it was left waiting for ever; `None` if it ended.
    pub stuck: Vec<Option<Step>>,
}

impl Trace {
    /// The decisions alone.
    pub fn choices(&self) -> Vec<Choice> {
        self.events.iter().map(|event| event.choice).collect()
    }

    /// Whether somebody is left waiting for ever.
    pub fn deadlocked(&self) -> bool {
        self.stuck.iter().any(Option::is_some)
    }

    /// Who waits for whom at the end: for each process left waiting, the lock and its holders.
    pub fn waits(&self) -> Vec<Wait> {
        let held = Held::after(self.stuck.len(), &self.events);
        self.stuck
            .iter()
            .enumerate()
            .filter_map(|(process, step)| {
                let step = (*step)?;
                let holders = (0..self.stuck.len())
                    .filter(|holder| held.holds(*holder, step.resource))
                    .map(|holder| (holder, held.dead[holder]))
                    .collect();
                Some(Wait { process, step, holders })
            })
            .collect()
    }
}

/// One edge of the wait-for graph at the end of a deadlocked execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who waits.
    pub process: usize,
    /// At which step, so for which lock.
    pub step: Step,
    /// Who took the lock and never gave it back, and whether it was killed.
    pub holders: Vec<(usize, bool)>,
}

/// Which process took which lock and has not given it back.
///
/// Known from the steps alone, so for a broken lock it is what the process believes.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    holders: Vec<Vec<Label>>,
    dead: Vec<bool>,
}

impl Held {
    pub(crate) fn new(processes: usize) -> Self {
        Self { holders: vec![Vec::new(); processes], dead: vec![false; processes] }
    }

    pub(crate) fn after(processes: usize, events: &[Event]) -> Self {
        let mut held = Self::new(processes);
        for event in events {
            held.note(event);
        }
        held
    }

    pub(crate) fn of(&self, process: usize) -> Vec<Label> {
        self.holders[process].clone()
    }

    pub(crate) fn holds(&self, process: usize, lock: Label) -> bool {
        self.holders[process].contains(&lock)
    }

    pub(crate) fn by_anybody(&self, lock: Label) -> bool {
        (0..self.holders.len()).any(|process| self.holds(process, lock))
    }

    pub(crate) fn note(&mut self, event: &Event) {
        let process = event.choice.index();
        if event.choice.kill {
            // It keeps its locks until somebody else gets them: not every lock notices a death.
            self.dead[process] = true;
            return;
        }
        let lock = event.step.resource;
        match event.step.access {
            Access::Acquire => {
                for other in (0..self.dead.len()).filter(|other| self.dead[*other]) {
                    self.holders[other].retain(|held| *held != lock);
                }
                self.holders[process].push(lock);
            }
            Access::Release => self.holders[process].retain(|held| *held != lock),
            Access::Read | Access::Write | Access::Await => {}
        }
        if event.ended {
            self.holders[process].clear();
        }
    }
}

/// What a strategy sees where it has to decide.
#[derive(Debug)]
pub struct Point<'a> {
    /// How many decisions were made before.
    pub depth: usize,
    /// What can be chosen, in order. A lock that nobody has tried since it was last released is
    /// among them, and may still be refused.
    pub choices: &'a [Choice],
    /// The step at which each process waits.
    pub pending: &'a [Option<Step>],
}

impl Point<'_> {
    /// The step that `choice` grants, or at which it kills.
    pub fn step(&self, choice: Choice) -> Option<Step> {
        self.pending.get(choice.index()).copied().flatten()
    }
}

/// An execution could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E> {
    /// The system failed.
    #[error("the processes could not be controlled")]
    System(#[source] E),
    /// The processes did not do what they did before.
    #[error(transparent)]
    Diverged(#[from] Divergence),
}

/// The same decisions led elsewhere: something that matters is not under control.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {} differs: expected {expected}, found {found}", position + 1)]
pub struct Divergence {
    /// Which decision, counted from 0.
    pub position: usize,
    /// What the schedule says.
    pub expected: String,
    /// What the processes did.
    pub found: String,
}

/// Carries out one execution; `None` if the strategy gave it up half-way.
///
/// # Errors
/// When the system fails, or does other things than the strategy knows it to have done before.
pub fn execute<S: System + ?Sized, T: Strategy + ?Sized>(
    system: &mut S,
    strategy: &mut T,
    kills: usize,
) -> Result<Option<Trace>, ExecuteError<S::Error>> {
    system.reset().map_err(ExecuteError::System)?;
    let count = system.processes();
    let mut pending: Vec<_> = (0..count).map(|process| system.pending(process)).collect();
    let mut refused = vec![false; count];
    let mut held = Held::new(count);
    let mut events: Vec<Event> = Vec::new();
    let mut kills_left = kills;
    let mut choices = Vec::new();
    loop {
        choices.clear();
        for process in 0..count {
            if pending[process].is_some() && !refused[process] {
                choices.push(Choice::step(process));
                if kills_left > 0 {
                    choices.push(Choice::kill(process));
                }
            }
        }
        if choices.is_empty() {
            return Ok(Some(Trace { events, stuck: pending }));
        }
        let point = Point { depth: events.len(), choices: &choices, pending: &pending };
        let choice = match strategy.decide(&point)? {
            Decision::Take(choice) => choice,
            Decision::GiveUp => return Ok(None),
        };
        let process = choice.index();
        let Some(step) = pending.get(process).copied().flatten() else {
            return Err(Divergence {
                position: events.len(),
                expected: format!("a step of {}", letter(process)),
                found: "it has ended".into(),
            }
            .into());
        };
        let seen = if choice.kill {
            system.kill(process).map_err(ExecuteError::System)?;
            kills_left = kills_left.saturating_sub(1);
            Seen::from("killed".to_owned())
        } else {
            match system.grant(process).map_err(ExecuteError::System)? {
                Granted::Done(seen) => seen,
                Granted::Refused => {
                    refused[process] = true;
                    strategy.refused(&point, process)?;
                    continue;
                }
            }
        };
        pending[process] = system.pending(process);
        let ended = pending[process].is_none();
        let Seen { text: seen, observation } = seen;
        let mut event = Event { choice, step, seen, observation, released: Vec::new(), ended };
        if ended {
            // What it took before and does not give back by this step.
            event.released = held.of(process);
            if event.step.access == Access::Release && !choice.kill {
                event.released.retain(|lock| *lock != step.resource);
            }
        }
        held.note(&event);
        // A lock is free again after a release or a death; a record lock on the data file itself
        // after any use of that file. So whatever touches the lock lets it be tried again.
        for (other, refused) in refused.iter_mut().enumerate() {
            let touched = pending[other].is_some_and(|step| step.resource == event.step.resource);
            *refused &= !(touched || ended);
        }
        strategy.done(&event)?;
        events.push(event);
    }
}
