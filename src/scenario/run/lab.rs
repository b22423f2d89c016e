//! Processes at the gate, and what only their scenario knows of them: how it begins anew, and what came of
//! it.

use std::fmt;
use std::io;

use crate::explore::engine::{Granted, System, Trace};
use crate::explore::gate::{Gate, GateError};
use crate::explore::step::Step;
use crate::scenario::run::verdict::Verdict;

/// An experiment that is set up: processes at the gate.
pub trait Lab: System<Error = GateError, Outcome = Verdict> {
    /// The PID of each process.
    fn pids(&self) -> Vec<i32>;

    /// The step at which the promise was broken, counted from 0, and how, in one sentence.
    fn broken_at(&self, trace: &Trace) -> Option<(usize, String)>;
}

/// What only the scenario knows.
pub trait Rules: fmt::Debug {
    /// Puts everything back that the processes share, while nobody is on the way.
    ///
    /// # Errors
    /// What the system says.
    fn begin_anew(&mut self) -> io::Result<()>;

    /// What came of an execution in which nobody crashed.
    ///
    /// # Errors
    /// What the system says.
    fn judge(&self, trace: &Trace) -> io::Result<Verdict>;

    /// As [`Lab::broken_at`].
    fn broken_at(&self, trace: &Trace) -> Option<(usize, String)>;
}

/// Processes at the gate, under the rules of their scenario.
#[derive(Debug)]
pub struct GatedLab<'s, R> {
    pub(in crate::scenario) gate: Gate<'s>,
    pub(in crate::scenario) rules: R,
}

impl<R> GatedLab<'_, R> {
    /// Whether a body has failed.
    pub(in crate::scenario) fn crashed(&self) -> bool {
        (0..self.gate.len()).any(|worker| self.gate.panicked(worker))
    }
}

impl<R: Rules> System for GatedLab<'_, R> {
    type Error = GateError;
    type Outcome = Verdict;

    fn processes(&self) -> usize {
        self.gate.len()
    }

    fn reset(&mut self) -> Result<(), GateError> {
        self.gate.abandon()?;
        self.rules.begin_anew()?;
        self.gate.begin()
    }

    fn pending(&self, process: usize) -> Option<Step> {
        self.gate.pending(process)
    }

    fn grant(&mut self, process: usize) -> Result<Granted, GateError> {
        self.gate.grant(process)
    }

    fn kill(&mut self, process: usize) -> Result<(), GateError> {
        self.gate.kill(process)
    }

    fn judge(&mut self, trace: &Trace) -> Result<Verdict, GateError> {
        Ok(if self.crashed() { Verdict::Crashed } else { self.rules.judge(trace)? })
    }
}

impl<R: Rules> Lab for GatedLab<'_, R> {
    fn pids(&self) -> Vec<i32> {
        (0..self.gate.len()).map(|worker| self.gate.pid(worker)).collect()
    }

    fn broken_at(&self, trace: &Trace) -> Option<(usize, String)> {
        self.rules.broken_at(trace)
    }
}
