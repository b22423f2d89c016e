//! What is run: bodies that are written once, and run free or at the gate.
//!
//! A scenario lies in a folder of its own, and is known to all verbs by one line of [`SCENARIOS`].

/// A child evaluates, and the answer comes out of a queue.
pub mod eval;
/// A scenario with its parameters, as the verbs see it.
pub mod experiment;
/// Putting into a full queue blocks.
pub mod full;
/// Lessons about the life of processes.
pub mod life;
/// Producers and consumers around one queue.
pub mod pipeline;
/// How a scenario is offered on the command line.
pub mod registry;
/// What every run needs.
pub mod run;
/// The ticket sale.
pub mod tickets;
/// The world in which a body acts.
pub mod world;

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::explore::engine::Trace;
use crate::wire::endpoint::Message;
use registry::{Act, Entry, LockCase, ParamsError, Raced, Verb};
use run::verdict::Verdict;
use world::World;

/// Every scenario, in the order of `proclab list`.
pub static SCENARIOS: &[&dyn Entry] = &[
    &Raced::<tickets::Tickets>::NEW,
    &Raced::<pipeline::Pipeline>::NEW,
    &eval::Eval,
    &full::Full,
    &life::Life,
    #[cfg(test)]
    &Raced::<registry::tests::Counter>::NEW,
];

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

    /// What can be chosen. The same value gives the same schedules.
    type Params: Clone + Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync;
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

    /// The parameters in a few small letters, digits and dots, for a token: no two parameters share a code, and
    /// none begins as another scenario's does.
    fn code(params: &Self::Params) -> String;

    /// The parameters that have this code, if they are within bounds.
    fn from_code(code: &str) -> Option<Self::Params>;

    /// The parameters as one types them.
    fn options(params: &Self::Params) -> String;

    /// What each process is, in the order of their letters.
    fn roles(params: &Self::Params) -> Vec<&'static str>;

    /// Makes what the processes share, in the directory `dir`, which nobody else uses.
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

/// What a judge knows of an execution.
#[derive(Clone, Copy, Debug)]
pub enum History<'a, End> {
    /// At the gate: every step, in order.
    Steps(&'a Trace),
    /// In a trial: how each body ended; `None` for one that waits for ever.
    Ends(&'a [Option<End>]),
}
