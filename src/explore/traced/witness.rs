//! Witnesses: schedules that lead to an outcome, verified by a replay and told in words.

use std::sync::Arc;
use std::time::Instant;

use super::findings::{Departure, Found, WitnessStep, choices};
use super::follow::Follow;
use super::machine::TracedError;
use super::outcome::Outcome;
use super::search::{LAST, Searcher};
use crate::explore::engine::{Divergence, ExecuteError, System, Trace, execute};
use crate::explore::step::{Choice, Event};

impl Searcher<'_> {
    /// Replays a witness, which is equivalent to an execution but may not have been executed itself. One that does not lead to
    /// its outcome is reported.
    pub(super) fn verified(
        &mut self,
        outcome: &Arc<Outcome>,
        witness: &Trace,
    ) -> Result<Vec<WitnessStep>, TracedError> {
        if self.watcher.is_stopped() {
            let deadline = *self.stopped.get_or_insert_with(|| Instant::now() + LAST);
            self.machine.patience.begin(Some(deadline), None);
        } else {
            self.machine.patience.begin(None, self.watcher.stop());
        }
        let followed = if self.machine.patience.is_over() {
            Ok(Vec::new())
        } else {
            self.follow(witness.choices(), &[])?
        };
        if self.machine.patience.is_over() {
            self.note("a schedule that there was no time to replay");
            self.machine.lines = None;
            return Ok(self.in_words(&witness.events));
        }
        let is_confirmed = match &followed {
            Ok(_) => self.machine.judge(witness)? == *outcome,
            Err(_) => false,
        };
        if !is_confirmed {
            self.note("a schedule that did not end alike when it was replayed");
            self.machine.lines = None;
        }
        let events = followed.unwrap_or_default();
        let events = if is_confirmed { &events } else { &witness.events };
        Ok(self.in_words(events))
    }

    fn in_words(&self, events: &[Event]) -> Vec<WitnessStep> {
        let lines = self.machine.lines.as_deref().unwrap_or_default();
        let step = |(at, event): (usize, &Event)| WitnessStep {
            task: self.machine.name(event.choice.index()),
            words: event.seen.clone(),
            object: event.step.resource.to_string(),
            kill: event.choice.kill,
            line: lines.get(at).cloned().flatten(),
            between_calls: event.between_calls,
        };
        events.iter().enumerate().map(step).collect()
    }

    /// Follows a schedule to its end; `expected` holds the words of its steps, as far as they are known.
    fn follow(
        &mut self,
        choices: Vec<Choice>,
        expected: &[String],
    ) -> Result<Result<Vec<Event>, Departure>, TracedError> {
        let departure = |searcher: &mut Self, divergence: Divergence| {
            let Divergence { position, expected: wanted, found } = divergence;
            let task = choices.get(position).map(|choice| choice.index());
            let waits = task
                .and_then(|task| searcher.machine.pending(task))
                .map(|step| format!("{} on {}", step.name, step.resource));
            let known = expected.get(position).cloned();
            let is_seen = known.as_deref() == Some(wanted.as_str());
            let found = match waits {
                _ if is_seen => found,
                Some(step) => format!("it at {step}, and it cannot go on there"),
                None => found,
            };
            Departure {
                step: position,
                task: task.map_or_else(|| "the end".to_owned(), |task| searcher.machine.name(task)),
                expected: known.unwrap_or_else(|| "a step".to_owned()),
                found,
                uncontrolled: searcher.machine.uncontrolled().into_iter().map(|(what, _)| what).collect(),
            }
        };
        let length = choices.len();
        let early = |position| Divergence {
            position,
            expected: "a step".to_owned(),
            found: "the end of the program".to_owned(),
        };
        self.machine.lines = Some(Vec::new());
        let kills = choices.iter().filter(|choice| choice.kill).count();
        match execute(self.machine, &mut Follow::new(choices.clone(), expected), kills) {
            Ok(Some(trace)) if trace.events.len() == length => Ok(Ok(trace.events)),
            Ok(Some(trace)) => Ok(Err(departure(self, early(trace.events.len())))),
            Ok(None) => Ok(Err(departure(self, early(length)))),
            Err(ExecuteError::System(error)) => Err(error),
            Err(ExecuteError::Diverged(divergence)) => Ok(Err(departure(self, divergence))),
            Err(ExecuteError::Ambiguous(_)) => Ok(Err(departure(self, early(0)))),
        }
    }

    /// Follows a schedule once. Returns the steps as they happened and the outcome, or the step that could not be followed.
    pub(super) fn replay(
        mut self,
        schedule: &[String],
        expected: &[String],
    ) -> Result<Result<Found, Departure>, TracedError> {
        let choices = choices(self.machine, schedule);
        let events = match self.follow(choices.clone(), expected)? {
            Ok(events) => events,
            Err(departure) => return Ok(Err(departure)),
        };
        let outcome = self.machine.judge(&Trace::default())?;
        let witness = self.in_words(&events);
        let facts = self.machine.world.learned.clone();
        Ok(Ok(Found::once((*outcome).clone(), witness, &choices, facts)))
    }
}
