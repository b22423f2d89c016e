//! Repeats recorded decisions and compares what happens with the record.

use super::{Decision, Strategy};
use crate::explore::point::{Divergence, Point};
use crate::explore::step::{Choice, Event, Step, task_name, waiting};

/// Follows a schedule once; any difference is a [`Divergence`].
#[derive(Clone, Debug)]
pub struct Replay {
    choices: Vec<Choice>,
    expected: Vec<Event>,
    begun: bool,
    done: usize,
}

impl Replay {
    /// Follows `choices`.
    pub fn new(choices: Vec<Choice>) -> Self {
        Self { choices, expected: Vec::new(), begun: false, done: 0 }
    }

    /// Follows the decisions of `events`, and expects the same arrivals.
    pub fn of(events: Vec<Event>) -> Self {
        let choices = events.iter().map(|event| event.choice).collect();
        Self { choices, expected: events, begun: false, done: 0 }
    }
}

impl Strategy for Replay {
    fn begin(&mut self) -> bool {
        self.done = 0;
        !std::mem::replace(&mut self.begun, true)
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        let diverged =
            |expected: String, found: String| Err(Divergence { position: point.depth, expected, found });
        let Some(choice) = self.choices.get(point.depth).copied() else {
            // A remaining task must be waiting forever, which only an attempt at its lock can show.
            let left = point.choices.iter().find(|choice| !choice.kill).copied();
            let step = left.and_then(|choice| Some((choice, point.step(choice)?)));
            return match step {
                Some((choice, step)) if step.may_wait() => Ok(Decision::Take(choice)),
                Some((choice, step)) => {
                    diverged("the end of the schedule".into(), waiting(choice, Some(step)))
                }
                None => Ok(Decision::GiveUp),
            };
        };
        let found = point.step(choice);
        let Some(step) = found else {
            let what = if choice.index() < point.pending.len() { "it has ended" } else { "there is none" };
            return diverged(format!("a step of {}", task_name(choice.index())), what.into());
        };
        match self.expected.get(point.depth) {
            Some(event) if event.step != *step => {
                diverged(waiting(choice, Some(&event.step)), waiting(choice, found))
            }
            _ => Ok(Decision::Take(choice)),
        }
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        if point.depth >= self.choices.len() {
            return Ok(());
        }
        Err(Divergence {
            position: point.depth,
            expected: format!("{} goes on", task_name(process)),
            found: format!(
                "it is refused at `{}`",
                point.pending[process].as_ref().map_or("?".into(), Step::to_string)
            ),
        })
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.done += 1;
        if self.done > self.choices.len() {
            let (expected, found) = ("the end of the schedule".into(), event.to_string());
            return Err(Divergence { position: self.done - 1, expected, found });
        }
        Ok(())
    }
}

impl Replay {
    /// Compares a finished execution with the complete schedule and its record.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, events: &[Event]) -> Result<(), Divergence> {
        if let Some(choice) = self.choices.get(events.len()) {
            return Err(Divergence {
                position: events.len(),
                expected: format!("a step of {}", task_name(choice.index())),
                found: "no task can go on".into(),
            });
        }
        let differs = self.expected.iter().zip(events).position(|(expected, found)| expected != found);
        match differs {
            None => Ok(()),
            Some(position) => {
                let (expected, found) = (&self.expected[position], &events[position]);
                Err(Divergence { position, expected: expected.to_string(), found: found.to_string() })
            }
        }
    }
}
