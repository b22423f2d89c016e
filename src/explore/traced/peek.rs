//! The tasks that can continue after the steps of a schedule, and their next calls.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::findings::{Departure, Found, WitnessStep, choices};
use super::machine::{Done, Machine};
use super::words;
use super::world::Task;
use crate::explore::engine::{Divergence, ExecuteError, Point, System, Trace, execute};
use crate::explore::step::{Choice, Event};
use crate::explore::strategy::random::Random;
use crate::explore::strategy::{Decision, Strategy};
use crate::sys::signal::signal_name;

/// The state after the steps of a schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Peeked {
    /// The steps so far.
    pub steps: Vec<WitnessStep>,
    /// The tasks that have not ended, each at its next call.
    pub next: Vec<Next>,
    /// The short text files of the folder as they are now, by path.
    pub files: BTreeMap<String, String>,
    /// The outcome, if no task can continue.
    pub over: Option<Found>,
}

/// A task at its next call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Next {
    /// The task's place in the tree.
    pub task: String,
    /// The call, without its result.
    pub call: String,
    /// The object of the call.
    pub object: String,
    /// The tasks that hold it, if it is a lock.
    pub held_by: Vec<String>,
    /// Whether it can continue now.
    pub enabled: bool,
    /// Whether the schedule may kill it here: it is a process that can continue.
    pub killable: bool,
}

/// Follows a schedule, and stops at its end or goes on at random.
struct Peek {
    schedule: Vec<Choice>,
    further: Option<Random>,
    enabled: Vec<usize>,
    events: Vec<Event>,
}

impl Strategy for Peek {
    fn begin(&mut self) -> bool {
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        let Some(choice) = self.schedule.get(point.depth).copied() else {
            if let Some(random) = &mut self.further {
                return random.decide(point);
            }
            self.enabled =
                point.choices.iter().filter(|choice| !choice.kill).map(|choice| choice.index()).collect();
            return Ok(Decision::GiveUp);
        };
        if point.choices.contains(&choice) {
            return Ok(Decision::Take(choice));
        }
        let found = point.step(choice).map_or_else(|| "its end".to_owned(), ToString::to_string);
        Err(Divergence { position: point.depth, expected: "a step".to_owned(), found })
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.events.push(event.clone());
        self.further.as_mut().map_or(Ok(()), |random| random.done(event))
    }
}

/// Executes the steps of `schedule`, and returns which steps can come next; if it `goes_on`, to the end of the execution.
///
/// # Errors
/// When the program cannot be traced.
pub(super) fn peek(
    machine: &mut Machine,
    schedule: &[String],
    goes_on: bool,
) -> Done<Result<Peeked, Departure>> {
    let choices = choices(machine, schedule);
    let kills = choices.iter().filter(|choice| choice.kill).count();
    let further = goes_on.then(|| Random::new(1));
    let mut strategy = Peek { schedule: choices.clone(), further, enabled: Vec::new(), events: Vec::new() };
    let is_over = match execute(machine, &mut strategy, kills) {
        Ok(trace) => trace.is_some(),
        Err(ExecuteError::System(error)) => return Err(error),
        Err(ExecuteError::Diverged(Divergence { position, expected, found })) => {
            let task = schedule.get(position).cloned().unwrap_or_default();
            let uncontrolled = machine.uncontrolled().into_iter().map(|(what, _)| what).collect();
            return Ok(Err(Departure { step: position, task, expected, found, uncontrolled }));
        }
        Err(ExecuteError::Ambiguous(_)) => true,
    };
    let step = |event: &Event| WitnessStep {
        task: machine.name(event.choice.index()),
        words: event.seen.clone(),
        object: event.step.resource.to_string(),
        kill: event.choice.kill,
        line: None,
        between_calls: event.between_calls,
    };
    let steps: Vec<WitnessStep> = strategy.events.iter().map(step).collect();
    let mut next = Vec::new();
    for task in 0..machine.tasks() {
        let step = machine.pending(task).cloned();
        if let Some((_, signal, _)) = machine.arrivals.get(&task) {
            let call = format!("{} arrives", signal_name(*signal));
            let enabled = strategy.enabled.contains(&task);
            let (object, held_by) = (String::new(), Vec::new());
            next.push(Next { task: machine.name(task), call, object, held_by, enabled, killable: false });
            continue;
        }
        if let (Some(step), Some(index)) = (step, machine.by_number(task)) {
            let words = words::before(&mut machine.world, index);
            let call = if words.is_empty() { step.name.to_string() } else { words };
            let object = step.resource.to_string();
            let holds = |other: &&Task| other.is_alive() && other.holds(&object);
            let held_by = machine.world.tasks.iter().filter(holds).map(|other| other.name.clone()).collect();
            let enabled = strategy.enabled.contains(&task);
            let killable = enabled && machine.killable(task);
            next.push(Next { task: machine.name(task), call, object, held_by, enabled, killable });
        }
    }
    let over = match is_over {
        false => None,
        true => {
            let outcome = (*machine.judge(&Trace::default())?).clone();
            Some(Found::once(outcome, steps.clone(), &choices, machine.world.learned.clone()))
        }
    };
    let files = short_files(&machine.world.root);
    Ok(Ok(Peeked { steps, next, files, over }))
}

/// Files of at most so many bytes are told, and so many of them.
const SHORT: u64 = 80;
const MOST_FILES: usize = 200;

/// The short text files below `root`. One that a program is just changing is told as it is.
pub(super) fn short_files(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() && folders.len() < MOST_FILES {
                folders.push(entry.path());
            } else if about.is_file() && about.len() <= SHORT && files.len() < MOST_FILES {
                let path = entry.path();
                let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                files.extend(std::fs::read_to_string(&path).ok().map(|text| (name, text)));
            }
        }
    }
    files
}
