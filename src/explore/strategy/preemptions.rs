//! A bound on preemptions: how often a schedule leaves a task that could continue.
//!
//! Most known bugs need two preemptions at most, and there are only polynomially many such schedules (M. Musuvathi,
//! S. Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded Programs", PLDI 2007).

use serde::{Deserialize, Serialize};

use super::{Decision, Strategy};
use crate::explore::point::{Completed, Divergence, Point};
use crate::explore::step::{Choice, Event};

/// Makes the decisions of another strategy, which must not assume that it is offered every choice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Preemptions<S> {
    inner: S,
    most: usize,
    used: usize,
    last: Option<usize>,
}

impl<S: Strategy> Preemptions<S> {
    /// Offers `inner` only choices that lead to at most `most` preemptions.
    pub fn new(inner: S, most: usize) -> Self {
        Self { inner, most, used: 0, last: None }
    }

    /// The choice of continuing with the task that was granted last, if that is possible.
    fn continuing(&self, point: &Point<'_>) -> Option<Choice> {
        let last = Choice::step(self.last?);
        point.choices.contains(&last).then_some(last)
    }
}

impl<S: Strategy> Strategy for Preemptions<S> {
    fn begin(&mut self) -> bool {
        (self.used, self.last) = (0, None);
        self.inner.begin()
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        let continuing = self.continuing(point);
        let stays = |choice: &&Choice| Some(choice.index()) == self.last;
        let choices: Vec<Choice> = match continuing {
            Some(_) if self.used >= self.most => point.choices.iter().filter(stays).copied().collect(),
            _ => point.choices.to_vec(),
        };
        let decision = self.inner.decide(&Point { choices: &choices, ..*point })?;
        if let Decision::Take(choice) = decision {
            self.used += usize::from(continuing.is_some() && Some(choice.index()) != self.last);
            self.last = Some(choice.index());
        }
        Ok(decision)
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        self.inner.refused(point, process)
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.inner.done(event)
    }

    fn complete(&mut self, execution: &Completed<'_>) {
        self.inner.complete(execution);
    }

    fn given_up(&mut self, execution: &Completed<'_>) {
        self.inner.given_up(execution);
    }

    fn end(&mut self) {
        self.inner.end();
    }

    fn diverged(&mut self, position: usize) {
        self.inner.diverged(position);
    }

    fn explored(&self) -> Option<f64> {
        self.inner.explored()
    }
}
