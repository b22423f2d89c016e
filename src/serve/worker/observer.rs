//! The processes of a scenario at the gate, and an observer that is called at every moment between two steps.

use crate::explore::engine::{Granted, System, Trace};
use crate::explore::gate::GateError;
use crate::explore::step::{Effect, Step};
use crate::process::Scratch;
use crate::scenario::experiment::{Experiment, Lab};
use crate::scenario::registry::from_code;
use crate::scenario::run::verdict::Verdict;
use crate::supervisor::Supervisor;
use crate::sys::signal::Interrupt;

use super::update::WorkerError;

/// Starts the processes of the experiment of this code, which wait at the gate, and ends them after `act`.
pub(super) fn at_the_gate(
    code: &str,
    act: impl for<'s> FnOnce(&'s dyn Experiment, Box<dyn Lab + 's>, Interrupt) -> Result<(), WorkerError>,
) -> Result<(), WorkerError> {
    let experiment = from_code(code).ok_or("the scenario is unknown")?;
    let interrupt = Interrupt::install()?;
    let supervisor = Supervisor::with_interrupt(interrupt)?;
    let scratch = Scratch::new()?;
    let lab = experiment.gated(&supervisor, scratch.path())?;
    act(&*experiment, lab, interrupt)
}

/// What has just happened.
pub(super) enum Moment<'t> {
    /// An execution begins.
    Begin,
    /// A step was done, or a process killed.
    Step,
    /// An execution was judged.
    Judged(&'t Trace, Verdict),
}

/// A system that calls an observer after each step.
pub(super) struct WithObserver<'s, F> {
    pub(super) lab: Box<dyn Lab + 's>,
    notice: F,
}

impl<'s, F: FnMut(&dyn Lab, Moment<'_>)> WithObserver<'s, F> {
    pub(super) fn new(lab: Box<dyn Lab + 's>, notice: F) -> Self {
        Self { lab, notice }
    }
}

impl<F: FnMut(&dyn Lab, Moment<'_>)> System for WithObserver<'_, F> {
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
