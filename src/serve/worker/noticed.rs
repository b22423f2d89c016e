//! Processes at the gate, with someone who is told of every moment between two steps.

use crate::explore::engine::{Granted, System, Trace};
use crate::explore::gate::GateError;
use crate::explore::step::{Effect, Step};
use crate::scenario::experiment::Lab;
use crate::scenario::run::verdict::Verdict;

/// What has just happened.
pub(super) enum Moment<'t> {
    /// An execution begins.
    Begin,
    /// A step was done, or a process killed.
    Step,
    /// An execution was judged.
    Judged(&'t Trace, Verdict),
}

/// A system that does what its processes do, and tells of it.
pub(super) struct Noticed<'s, F> {
    pub(super) lab: Box<dyn Lab + 's>,
    notice: F,
}

impl<'s, F: FnMut(&dyn Lab, Moment<'_>)> Noticed<'s, F> {
    pub(super) fn new(lab: Box<dyn Lab + 's>, notice: F) -> Self {
        Self { lab, notice }
    }
}

impl<F: FnMut(&dyn Lab, Moment<'_>)> System for Noticed<'_, F> {
    type Error = GateError;
    type Outcome = Verdict;

    fn tasks(&self) -> usize {
        self.lab.tasks()
    }

    fn reset(&mut self) -> Result<(), GateError> {
        self.lab.reset()?;
        (self.notice)(&*self.lab, Moment::Begin);
        Ok(())
    }

    fn pending(&self, task: usize) -> Option<&Step> {
        self.lab.pending(task)
    }

    fn enabled(&self, task: usize) -> Option<bool> {
        self.lab.enabled(task)
    }

    fn grant(&mut self, task: usize) -> Result<Granted, GateError> {
        let granted = self.lab.grant(task)?;
        if granted != Granted::Refused {
            (self.notice)(&*self.lab, Moment::Step);
        }
        Ok(granted)
    }

    fn kill(&mut self, task: usize) -> Result<Effect, GateError> {
        let effect = self.lab.kill(task)?;
        (self.notice)(&*self.lab, Moment::Step);
        Ok(effect)
    }

    fn killable(&self, task: usize) -> bool {
        self.lab.killable(task)
    }

    fn judge(&mut self, trace: &Trace) -> Result<Verdict, GateError> {
        let verdict = self.lab.judge(trace)?;
        (self.notice)(&*self.lab, Moment::Judged(trace, verdict));
        Ok(verdict)
    }
}
