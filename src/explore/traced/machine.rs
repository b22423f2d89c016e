//! The tracer: executes a command again and again, one task at a time and one granted call at a time.
//!
//! All tasks but one are stopped: at the entry of a call that others could observe or influence, at the return of a call
//! in which they slept, or asleep in the kernel. What a granted task does until its next visible call concerns no other
//! task, so it runs up to there without a decision. Tasks that the granted call has created or woken then run to their
//! own next visible call, one after another, in the order of their creation.

mod advance;
mod begin;
mod death;
mod grant;
mod tasks;

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::{Checkpoints, Prelude};
use super::limits::Command;
use super::loader::Loaders;
use super::objects::Objects;
use super::outcome::Outcome;
use super::program::Image;
use super::progress::Patience;
use super::scratch::{ScratchError, Tree};
use super::stamps::Ranks;
use super::world::World;
use crate::explore::step::Step;
use crate::process::CommandError;
use crate::sys::ptrace::namespace::Numbers;
use crate::sys::ptrace::start::StartTracedError;
use crate::sys::ptrace::stops::{Stop, Watchdog};

/// An execution failed.
#[derive(Debug, thiserror::Error)]
pub enum TracedError {
    /// The program could not be executed.
    #[error("cannot run the command")]
    Command(#[source] CommandError),
    /// The program could not be started.
    #[error(transparent)]
    Start(StartTracedError),
    /// The folder could not be prepared.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A request to the kernel failed: which one, and why.
    #[error("the program could not be traced: {0}")]
    Trace(&'static str, #[source] io::Error),
}

/// How often a task that neither stops nor ends is inspected.
const PERIOD: Duration = Duration::from_millis(5);

/// The tracer of one command.
#[derive(Debug)]
pub struct Machine {
    command: Command,
    pub(super) template: Tree,
    /// The modification times of its files.
    ranks: Ranks,
    image: Image,
    null: OwnedFd,
    streams: [OwnedFd; 2],
    pub(super) world: World,
    /// The names of tasks by number, for all executions.
    pub(super) names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// Stops of tasks that have not been adopted yet.
    pub(super) strangers: VecDeque<(Pid, Stop)>,
    /// The tasks that the current grant has created.
    pub(super) created: Vec<usize>,
    /// The step at which each task waits, by task number.
    pub(super) announced: Vec<Option<Step>>,
    /// The signals that have been sent and not arrived, by the number of the task that represents the arrival.
    pub(super) arrivals: BTreeMap<usize, (usize, i32, Step)>,
    /// How long the current execution may take.
    pub(super) patience: Patience,
    /// The source line of each step, while they are wanted.
    pub(super) lines: Option<Vec<Option<String>>>,
    #[cfg(feature = "cli")]
    information: super::lines::Lines,
    pub(super) loaders: Loaders,
    /// Where executions begin.
    pub(super) checkpoints: Checkpoints,
    /// The template that is on its way to a checkpoint.
    pub(super) prelude: Option<Prelude>,
    /// The distinct outcomes so far.
    pub(super) outcomes: BTreeSet<Arc<Outcome>>,
    _watchdog: Watchdog,
}

impl TracedError {
    /// The error of starting `program` in `folder`.
    pub(super) fn of(folder: &Path, program: &str, error: StartTracedError) -> Self {
        match error {
            StartTracedError::Prepare("execve", source) => {
                TracedError::Command(CommandError::in_folder(folder, program.to_owned(), source))
            }
            error => TracedError::Start(error),
        }
    }
}

pub(super) type Done<T = ()> = Result<T, TracedError>;

pub(super) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> TracedError {
    move |error| TracedError::Trace(what, error)
}

impl Machine {
    /// Creates a tracer that executes the command in the folder `root`, which it owns.
    ///
    /// # Errors
    /// When the program does not exist or the kernel refuses a resource.
    pub fn new(command: &Command, root: PathBuf, template: Tree, numbers: Option<Numbers>) -> Done<Self> {
        let image = Image::new(command, &root)?;
        let ranks = Ranks::of(command.directory.as_deref(), &template);
        let (null, streams) = super::program::streams().map_err(failed("pipe"))?;
        let inodes = super::program::inodes(&streams).map_err(failed("fstat"))?;
        let world = World {
            root,
            tasks: Vec::new(),
            by_tid: HashMap::new(),
            objects: Objects::default(),
            streams: inodes,
            output: BTreeMap::new(),
            uncontrolled: BTreeMap::new(),
            limits: command.limits,
            timeouts: command.timeouts,
            strict: command.strict,
            noise: command.noise.clone(),
            steps: 0,
            written: 0,
            cut: None,
            learned: Checkpoints::facts(command),
            has_learned: false,
            candidates: BTreeSet::new(),
            killed: BTreeSet::new(),
            told: Vec::new(),
            open: None,
            times: HashMap::new(),
            made: BTreeSet::new(),
            mapped_files: BTreeSet::new(),
            written_maps: Vec::new(),
            given_times: HashMap::new(),
            numbers,
            kept: None,
            forbids_copies: false,
            cpus: crate::sys::task::allowed_cpus().map_err(failed("sched_getaffinity"))?,
        };
        Ok(Self {
            command: command.clone(),
            template,
            ranks,
            image,
            null,
            streams,
            world,
            names: Vec::new(),
            numbers: HashMap::new(),
            strangers: VecDeque::new(),
            created: Vec::new(),
            announced: Vec::new(),
            arrivals: BTreeMap::new(),
            patience: Patience::default(),
            lines: None,
            #[cfg(feature = "cli")]
            information: super::lines::Lines::default(),
            loaders: Loaders::default(),
            checkpoints: Checkpoints::new(command),
            prelude: None,
            outcomes: BTreeSet::new(),
            _watchdog: Watchdog::start(PERIOD).map_err(failed("setitimer"))?,
        })
    }

    /// Gives the numbers from 0 on to the tasks with these names, and no others.
    pub(super) fn rename(&mut self, names: Vec<String>) {
        self.numbers = names.iter().cloned().zip(0..).collect();
        self.names = names;
    }

    /// The command.
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The folder of the executions.
    pub fn root(&self) -> &std::path::Path {
        &self.world.root
    }

    /// Records the source line at which a task waits, if lines are wanted.
    fn record_line(&mut self, index: usize) {
        let Some(lines) = &mut self.lines else { return };
        #[cfg(feature = "cli")]
        lines.push(self.information.of(self.world.tid(index)));
        #[cfg(not(feature = "cli"))]
        {
            let _ = index;
            lines.push(None);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.checkpoints.discard();
        let _ = self.end_all();
    }
}
