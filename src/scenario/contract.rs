//! What a scenario is: parameters as a value, processes with roles and steps, one body for every world, a judge.

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
use crate::process::StartMethod;
use crate::wire::control::Message;

/// Processes that share something, and a promise that their race may break.
pub trait Scenario: Debug + Sized + 'static {
    /// Its name on the command line.
    const NAME: &'static str;
    /// What it is, in one line.
    const ABOUT: &'static str;
    /// The names of the steps that can occur.
    const STEPS: &'static [&'static str];
    /// Why none of its processes may be killed at the gate; `None` if they may.
    const NO_KILLS: Option<&'static str> = None;

    /// What else `explore` shows of it, for the list.
    const EXPLORED: &'static str = "";

    /// What can be chosen.
    type Params: Params;
    /// What the processes share, as their parent holds it.
    type Resources: Debug;
    /// What a process is sent of that.
    type Share: Message;
    /// What a process makes of its share.
    type Tools;
    /// How a body has ended.
    type End: Debug + Serialize + DeserializeOwned;
    /// What a record of a free run holds beside what all records hold.
    type Detail: JsonSchema;

    /// What each process is, in the order of their letters.
    fn roles(params: &Self::Params) -> Vec<&'static str>;

    /// Makes what the processes share, in the directory `dir`, which nothing else uses.
    ///
    /// # Errors
    /// When files or memory cannot be made.
    fn open(params: &Self::Params, dir: &Path) -> io::Result<Self::Resources>;

    /// What is sent to `process`.
    ///
    /// # Errors
    /// When a descriptor cannot be duplicated.
    fn share(params: &Self::Params, resources: &Self::Resources, process: usize) -> io::Result<Self::Share>;

    /// What `process` makes of what it was sent.
    ///
    /// # Errors
    /// When memory cannot be mapped.
    fn unpack(params: &Self::Params, share: Self::Share, process: usize) -> io::Result<Self::Tools>;

    /// Puts everything back as it was at first, while no process does anything.
    ///
    /// # Errors
    /// What the system says.
    fn reset(params: &Self::Params, resources: &Self::Resources) -> io::Result<()>;

    /// What `process` does, in whichever world.
    ///
    /// # Errors
    /// When a file, a lock or a queue fails.
    fn body<W: World>(
        world: &mut W,
        params: &Self::Params,
        tools: &Self::Tools,
        process: usize,
    ) -> io::Result<Self::End>;

    /// What came of an execution in which no body failed.
    ///
    /// # Errors
    /// When what it left behind cannot be read.
    fn judge(
        params: &Self::Params,
        resources: &Self::Resources,
        history: History<'_, Self::End>,
    ) -> io::Result<Verdict>;

    /// The step at which the promise was broken, counted from 0, and how, in one sentence.
    fn broken_at(params: &Self::Params, trace: &Trace) -> Option<(usize, String)>;

    /// What the processes share at this moment, as names and values, for a person who schedules.
    fn state(params: &Self::Params, resources: &Self::Resources) -> Vec<(&'static str, String)>;

    /// How much longer a trial may take than its processes work: the time that they spend thinking.
    fn slack(params: &Self::Params) -> Duration {
        let _ = params;
        Duration::ZERO
    }

    /// Its locks, to be compared, and last the whole exercise; empty if it has none.
    ///
    /// # Errors
    /// [`ParamsError`] if the options make no sense.
    fn locks(matches: &clap::ArgMatches) -> Result<Vec<LockCase>, ParamsError> {
        let _ = matches;
        Ok(Vec::new())
    }

    /// The options that `verb` takes; the reason if it has no meaning here.
    ///
    /// # Errors
    /// The reason.
    fn arguments(verb: Verb) -> Result<clap::Command, &'static str>;

    /// The parameters that the options of `verb` say.
    ///
    /// # Errors
    /// [`ParamsError`] if they make no sense together.
    fn params(verb: Verb, matches: &clap::ArgMatches) -> Result<Self::Params, ParamsError>;

    /// The free run that the options of `run` say.
    ///
    /// # Errors
    /// [`ParamsError`] if they make no sense together.
    fn act(matches: &clap::ArgMatches) -> Result<Act, ParamsError>;
}

/// The parameters of a scenario, as a value: the same value gives the same schedules.
pub trait Params:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The parameters in a few small letters, digits and dots, for a token: no two parameters share a code,
    /// and none begins as another scenario's does.
    fn code(&self) -> String;

    /// The parameters that have this code, if they are within bounds.
    fn from_code(code: &str) -> Option<Self>;

    /// The parameters as one types them.
    fn options(&self) -> String;
}

/// What a judge knows of an execution.
#[derive(Clone, Copy, Debug)]
pub enum History<'a, End> {
    /// At the gate: every step, in order.
    Steps(&'a Trace),
    /// In a trial: how each body ended; `None` for one that waits for ever.
    Ends(&'a [Option<End>]),
}

/// What can be done with a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// One free run, told line by line.
    Run,
    /// Many free runs.
    Trials,
    /// Every interleaving.
    Explore,
}

/// The options make no sense together.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// They contradict each other or a bound.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What would be right.
        hint: String,
    },
    /// A file that they name does not hold what it should.
    #[error(transparent)]
    File(Box<dyn std::error::Error + Send + Sync>),
}

impl ParamsError {
    /// The options make no sense, and what would.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }
}

impl From<clap::Error> for ParamsError {
    fn from(error: clap::Error) -> Self {
        Self::usage(error.to_string(), "see --help")
    }
}

/// How a run is carried out on a stage.
pub type Play = Box<dyn FnOnce(Stage<'_>) -> Result<Record, RunError>>;

/// A free run that is ready to be carried out.
pub struct Act {
    /// What is said before it, if it is one of several.
    pub title: Option<String>,
    /// Carries it out.
    pub play: Play,
}

impl Act {
    /// The only one of a run.
    pub fn new(play: impl FnOnce(Stage<'_>) -> Result<Record, RunError> + 'static) -> Act {
        Act { title: None, play: Box::new(play) }
    }
}

impl Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Act").field("title", &self.title).finish_non_exhaustive()
    }
}

/// One lock of a scenario, to be compared with others.
pub struct LockCase {
    /// Its name; `None` for the whole exercise.
    pub name: Option<&'static str>,
    /// Why it works or not, in two sentences.
    pub why: &'static str,
    /// How many processes compete.
    pub buyers: usize,
    /// For how many tickets.
    pub stock: i64,
    /// Without a kill.
    pub plain: Arc<dyn Experiment>,
    /// With one.
    pub killed: Arc<dyn Experiment>,
    /// What uses of it without contention cost; none if they do not come to an end.
    pub prices: Box<dyn Fn() -> Result<Vec<Duration>, RunError>>,
}

impl Debug for LockCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockCase")
            .field("name", &self.name)
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}

/// How processes are started, as an option.
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
