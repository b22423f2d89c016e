//! A scenario with its parameters, as the verbs see it: one interface for all scenarios.

use crate::sys::pid::Pid;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run::verdict::Verdict;
use crate::explore::engine::{System, Trace};
use crate::explore::gate::GateError;
use crate::supervisor::Supervisor;

/// A scenario with its parameters. The same value gives the same schedules.
pub trait Experiment: Debug + Send + Sync {
    /// The scenario's name.
    fn scenario(&self) -> &'static str;

    /// The parameters in a few characters, for a token.
    fn code(&self) -> String;

    /// The parameters as one types them.
    fn options(&self) -> String;

    /// What each process is, in the order of their letters.
    fn roles(&self) -> Vec<&'static str>;

    /// The names of the steps that can occur.
    fn steps(&self) -> &'static [&'static str];

    /// Why no process may be killed; `None` if they may.
    fn no_kills(&self) -> Option<&'static str>;

    /// How much longer a trial may take than its processes work.
    fn slack(&self) -> Duration;

    /// As plain data.
    fn subject(&self) -> Subject;

    /// Its processes at the gate, in the directory `dir`, which nothing else uses.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    fn gated<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn Lab + 's>, GateError>;

    /// Its processes for trials.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    fn free<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn TrialRun + 's>, GateError>;
}

/// What was run, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The scenario's name.
    pub scenario: String,
    /// Its parameters.
    #[serde(flatten)]
    pub parameters: Map<String, Value>,
    /// The parameters as one types them.
    #[serde(skip)]
    pub options: String,
}

/// An experiment that is set up: processes at the gate.
pub trait Lab: System<Error = GateError, Outcome = Verdict> {
    /// The PID of each process.
    fn pids(&self) -> Vec<Pid>;

    /// The step at which the promise was broken, counted from 0, and how, in one sentence.
    fn broken_at(&self, trace: &Trace) -> Option<(usize, String)>;

    /// Shows what the processes share, also while they are being controlled.
    fn viewer(&self) -> State;
}

/// What the processes share at the moment of the call, as names and values.
pub type State = Box<dyn Fn() -> Vec<(&'static str, String)>>;

/// An experiment that is set up for trials.
pub trait TrialRun {
    /// One free run: all processes are let go at once, and one that has not ended within `patience` never will.
    ///
    /// # Errors
    /// When the run could not be carried out.
    fn trial(&mut self, patience: Duration) -> Result<Trial, GateError>;
}

/// What came of one free run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its verdict.
    pub verdict: Verdict,
    /// From letting the processes go to the end of the last.
    pub duration: Duration,
    /// How long each process waited for others; `None` for one that did not end.
    pub waited: Vec<Option<Duration>>,
}
