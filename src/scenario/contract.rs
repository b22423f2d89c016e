//! The contract of a scenario: parameters as a value, processes with roles and steps, one body for every
//! world, and a judge.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::experiment::Experiment;
use super::run::record::Record;
use super::run::stage::{RunError, Stage};
use super::run::verdict::Verdict;
use super::world::World;
use crate::explore::engine::Trace;
use crate::explore::step::Event;
use crate::process::StartMethod;
use crate::said::Said;
use crate::wire::control::Message;

/// A set of processes that share a resource, and an invariant that a race between them may break.
pub trait Scenario: Debug + Sized + 'static {
    /// The name on the command line.
    const NAME: &'static str;
    /// A one-line description.
    const ABOUT: &'static str;
    /// The names of the steps that can occur.
    const STEPS: &'static [&'static str];
    /// Why its processes must not be killed at the gate; `None` if they may be.
    const NO_KILLS: Option<&'static str> = None;

    /// What else `explore` can show, for `proclab list`.
    const EXPLORED: &'static str = "";

    /// The parameters that a user can choose.
    type Params: Params;
    /// The parent's side of the shared resources.
    type Resources: Debug;
    /// The part of the resources that is sent to a process.
    type Share: Message;
    /// What a process builds from its share.
    type Tools;
    /// The result of a body.
    type End: Debug + Serialize + DeserializeOwned;
    /// The fields of this scenario in the record of a free run.
    type Detail: JsonSchema;

    /// The role of each process, in the order of the processes' letters.
    fn roles(params: &Self::Params) -> Vec<&'static str>;

    /// Creates the shared resources in the directory `dir`, which nothing else uses.
    ///
    /// # Errors
    /// If files or memory cannot be created.
    fn open(params: &Self::Params, dir: &Path) -> io::Result<Self::Resources>;

    /// The share that is sent to `process`.
    ///
    /// # Errors
    /// If a descriptor cannot be duplicated.
    fn share(params: &Self::Params, resources: &Self::Resources, process: usize) -> io::Result<Self::Share>;

    /// Turns the share that `process` received into its tools.
    ///
    /// # Errors
    /// If memory cannot be mapped.
    fn unpack(params: &Self::Params, share: Self::Share, process: usize) -> io::Result<Self::Tools>;

    /// Restores the initial state. No process is active during the call.
    ///
    /// # Errors
    /// The system's error.
    fn reset(params: &Self::Params, resources: &Self::Resources) -> io::Result<()>;

    /// The code that `process` runs, in any world.
    ///
    /// # Errors
    /// If a file, a lock or a queue fails.
    fn body<W: World>(
        world: &mut W,
        params: &Self::Params,
        tools: &Self::Tools,
        process: usize,
    ) -> io::Result<Self::End>;

    /// The verdict on an execution in which no body failed.
    ///
    /// # Errors
    /// If what the execution left behind cannot be read.
    fn judge(
        params: &Self::Params,
        resources: &Self::Resources,
        history: History<'_, Self::End>,
    ) -> io::Result<Verdict>;

    /// The index of the step that broke the invariant, and how.
    fn broken_at(params: &Self::Params, trace: &Trace) -> Option<(usize, Said)>;

    /// What a step saw, as a sentence; `None` where that is a name or a value.
    fn said(_: &Event) -> Option<Said> {
        None
    }

    /// The current state of the shared resources, as names and values, for a person who acts as the scheduler.
    fn state(params: &Self::Params, resources: &Self::Resources) -> Vec<(&'static str, String)>;

    /// How much time a trial may take in addition to its work: the time that its processes spend thinking.
    fn slack(params: &Self::Params) -> Duration {
        let _ = params;
        Duration::ZERO
    }

    /// The locks to compare, followed by the whole exercise; empty if the scenario has no locks.
    ///
    /// # Errors
    /// [`ParamsError`] if the options are inconsistent.
    fn locks(matches: &clap::ArgMatches) -> Result<Vec<LockCase>, ParamsError> {
        let _ = matches;
        Ok(Vec::new())
    }

    /// The options of `verb`.
    ///
    /// # Errors
    /// The reason why `verb` does not apply to this scenario.
    fn arguments(verb: Verb) -> Result<clap::Command, &'static str>;

    /// The parameters that the options of `verb` give.
    ///
    /// # Errors
    /// [`ParamsError`] if the options are inconsistent.
    fn params(verb: Verb, matches: &clap::ArgMatches) -> Result<Self::Params, ParamsError>;

    /// The free run that the options of `run` describe.
    ///
    /// # Errors
    /// [`ParamsError`] if the options are inconsistent.
    fn act(matches: &clap::ArgMatches) -> Result<Act, ParamsError>;
}

/// The parameters of a scenario, as a value: the same value gives the same schedules.
pub trait Params:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The parameters as a short string of lower-case letters, digits and dots, for a token. No two values share
    /// a code, and no code begins like one of another scenario.
    fn code(&self) -> String;

    /// The parameters with this code, if they are within bounds.
    fn from_code(code: &str) -> Option<Self>;

    /// The parameters as command-line options.
    fn options(&self) -> String;
}

/// What a judge knows about an execution.
#[derive(Clone, Copy, Debug)]
pub enum History<'a, End> {
    /// At the gate: every step, in order.
    Steps(&'a Trace),
    /// In a trial: the result of each body; `None` for one that never ended.
    Ends(&'a [Option<End>]),
}

/// What to do with a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One free run, reported line by line.
    Run,
    /// Many free runs.
    Trials,
    /// Every interleaving.
    Explore,
}

/// The options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// They contradict each other, or a value is out of range.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// How to correct it.
        hint: String,
    },
    /// A file that they name has invalid content.
    #[error(transparent)]
    File(Box<dyn std::error::Error + Send + Sync>),
}

impl ParamsError {
    /// A usage error: what is wrong, and how to correct it.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }
}

impl From<clap::Error> for ParamsError {
    fn from(error: clap::Error) -> Self {
        Self::usage(error.to_string(), "see --help")
    }
}

/// Carries out a run on a stage.
pub type Play = Box<dyn FnOnce(Stage<'_>) -> Result<Record, RunError>>;

/// A free run that is ready to be carried out.
pub struct Act {
    /// The heading, if the run is one of several.
    pub title: Option<String>,
    /// Carries it out.
    pub play: Play,
}

impl Act {
    /// A run without a heading.
    pub fn new(play: impl FnOnce(Stage<'_>) -> Result<Record, RunError> + 'static) -> Act {
        Act { title: None, play: Box::new(play) }
    }
}

impl Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Act").field("title", &self.title).finish_non_exhaustive()
    }
}

/// One lock of a scenario, for a comparison.
pub struct LockCase {
    /// Its name; `None` for the whole exercise.
    pub name: Option<&'static str>,
    /// Why it works or fails, in two sentences.
    pub why: &'static str,
    /// The number of competing buyers.
    pub buyers: usize,
    /// The number of tickets.
    pub stock: i64,
    /// The experiment without a kill.
    pub plain: Arc<dyn Experiment>,
    /// The same with one kill.
    pub killed: Arc<dyn Experiment>,
    /// Measures uncontended purchases, one duration each; empty if they never finish.
    pub purchase_times: Box<dyn Fn() -> Result<Vec<Duration>, RunError>>,
}

impl Debug for LockCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockCase")
            .field("name", &self.name)
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}

/// The start method, as a command-line option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// A fresh copy of the executable
    Spawn,
    /// A copy of the parent's memory
    Fork,
    /// Forked from a small server
    Forkserver,
}

impl From<Method> for StartMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Spawn => StartMethod::Spawn,
            Method::Fork => StartMethod::Fork,
            Method::Forkserver => StartMethod::ForkServer,
        }
    }
}
