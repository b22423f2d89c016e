//! A decision of an exhaustive search, which is repeated in each execution with the same prefix.

use serde::{Deserialize, Serialize};

use crate::explore::point::{Divergence, Point};
use crate::explore::step::{Choice, Event, Step, task_name, waiting};

/// The choice at a point and, once it has been carried out, its event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) choice: Choice,
    step: Step,
    pub(super) event: Option<Event>,
}

impl Taken {
    /// Records `choice`, made at `point` for the first time; `None` if its task does not wait at a step there.
    pub(super) fn at(point: &Point<'_>, choice: Choice) -> Option<Self> {
        Some(Self { choice, step: point.step(choice)?.clone(), event: None })
    }

    /// Repeats the choice, if its task waits at the same step as the first time.
    pub(super) fn again(&self, point: &Point<'_>) -> Result<Choice, Divergence> {
        let found = point.step(self.choice);
        if found == Some(&self.step) {
            return Ok(self.choice);
        }
        Err(Divergence {
            position: point.depth,
            expected: waiting(self.choice, Some(&self.step)),
            found: waiting(self.choice, found),
        })
    }

    /// Checks that the choice, decision number `position`, had the same event as the first time, if there was one.
    pub(super) fn done(&mut self, position: usize, event: &Event) -> Result<(), Divergence> {
        let before = self.event.get_or_insert_with(|| event.clone());
        if before == event {
            return Ok(());
        }
        Err(Divergence { position, expected: before.to_string(), found: event.to_string() })
    }

    /// Handles a refusal of the step, which is an error only if the step was executed before.
    pub(super) fn refused(&self, point: &Point<'_>) -> Result<(), Divergence> {
        if self.event.is_none() {
            return Ok(());
        }
        Err(Divergence {
            position: point.depth,
            expected: format!("{} goes on", task_name(self.choice.index())),
            found: "its step is disabled".into(),
        })
    }
}
