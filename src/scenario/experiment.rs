//! A scenario together with its parameters, behind one interface for all scenarios.

use crate::explore::step::Event;
use crate::sys::pid::Pid;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run::verdict::Verdict;
use crate::explore::engine::{System, Trace};
use crate::explore::gate::GateError;
use crate::said::Said;
use crate::supervisor::Supervisor;

/// A scenario together with its parameters. Equal values have the same schedules.
pub trait Experiment: Debug + Send + Sync {
    /// The scenario's name.
    fn scenario(&self) -> &'static str;

    /// The parameters as a short string, for a token.
    fn code(&self) -> String;

    /// The parameters as command-line options.
    fn options(&self) -> String;

    /// The role of each process, in the order of the processes' letters.
    fn roles(&self) -> Vec<&'static str>;

    /// The names of the steps that can occur.
    fn steps(&self) -> &'static [&'static str];

    /// What a step saw, as a sentence; `None` where that is a name or a value.
    fn said(&self, event: &Event) -> Option<Said>;

    /// Why its processes must not be killed; `None` if they may be.
    fn no_kills(&self) -> Option<&'static str>;

    /// How much time a trial may take in addition to its work.
    fn slack(&self) -> Duration;

    /// The scenario and its parameters as plain data.
    fn subject(&self) -> Subject;

    /// Starts its processes at the gate, in the directory `dir`, which nothing else uses.
    ///
    /// # Errors
    /// If files or memory cannot be created.
    fn gated<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn Lab + 's>, GateError>;

    /// Starts its processes for trials.
    ///
    /// # Errors
    /// If files or memory cannot be created.
    fn free<'s>(&self, supervisor: &'s Supervisor, dir: &Path) -> Result<Box<dyn TrialRun + 's>, GateError>;
}

/// A scenario and its parameters, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The scenario's name.
    pub scenario: String,
    /// Its parameters.
    #[serde(flatten)]
    pub parameters: Map<String, Value>,
    /// The parameters as command-line options.
    #[serde(skip)]
    pub options: String,
}

/// An experiment whose processes wait at the gate.
pub trait Lab: System<Error = GateError, Outcome = Verdict> {
    /// The PID of each process.
    fn pids(&self) -> Vec<Pid>;

    /// The index of the step that broke the invariant, and how.
    fn broken_at(&self, trace: &Trace) -> Option<(usize, Said)>;

    /// A view of the shared state that can be used while the processes are being controlled.
    fn viewer(&self) -> State;
}

/// Returns the current shared state, as names and values.
pub type State = Box<dyn Fn() -> Vec<(&'static str, String)>>;

/// An experiment whose processes are ready for trials.
pub trait TrialRun {
    /// Runs all processes freely, at once. A process that has not ended within `timeout` counts as never ending.
    ///
    /// # Errors
    /// If the run could not be carried out.
    fn trial(&mut self, timeout: Duration) -> Result<Trial, GateError>;
}

/// The result of one free run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its verdict.
    pub verdict: Verdict,
    /// From the release of the processes to the end of the last one.
    pub duration: Duration,
    /// How long each process waited for others; `None` if it did not end.
    pub waited: Vec<Option<Duration>>,
}
