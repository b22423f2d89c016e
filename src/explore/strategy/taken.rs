//! A decision of an exhaustive search, which is made again in each execution that begins alike.

use serde::{Deserialize, Serialize};

use crate::explore::point::{Divergence, Point};
use crate::explore::step::{Choice, Event, Step, task_name, waiting};

/// What was chosen at a point and, once it has happened, what it did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) choice: Choice,
    step: Step,
    pub(super) event: Option<Event>,
}

impl Taken {
    /// `choice`, made at `point` for the first time; `None` if its task waits at no step there.
    pub(super) fn at(point: &Point<'_>, choice: Choice) -> Option<Self> {
        Some(Self { choice, step: point.step(choice)?.clone(), event: None })
    }

    /// The choice again, if its task waits at the same step as the first time.
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

    /// The choice, made as decision number `position`, did `event`: the same as the first time, if there
    /// was one.
    pub(super) fn done(&mut self, position: usize, event: &Event) -> Result<(), Divergence> {
        let before = self.event.get_or_insert_with(|| event.clone());
        if before == event {
            return Ok(());
        }
        Err(Divergence { position, expected: before.to_string(), found: event.to_string() })
    }

    /// The step turned out to be disabled, which is an error only if it was done before.
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
