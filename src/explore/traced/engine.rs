//! The process that traces: a fresh copy of this program with one thread, on one processor.
//!
//! The kernel binds tracing to a thread, so a search happens where there is one only. When its parent dies,
//! however that dies, the engine is killed, and with it every traced process.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::free::{self, FreeError, Rates, Trials};
use super::limits::Command;
use super::machine::{Machine, TracedError};
use super::peek::Peeked;
use super::progress::{Progress, Watcher};
use super::scratch::{ScratchError, Tree, read_tree};
use super::search::{Departure, Findings, Found, Search, Searcher};
use super::verdict::{Checked, Criteria};
use crate::process::{Child, Process, ResultError, Scratch, StartError};
use crate::sys::poll::{Deadline, readable};
use crate::sys::ptrace::namespace::Numbers;
use crate::sys::ptrace::start::StartTracedError;
use crate::sys::task;
use crate::wire::codec;
use crate::wire::control::{self, Receiver, Sender, TryRecvError};
use crate::wire::handle::Fd;

/// How long an engine that was told to stop may take to tell what it knows.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the engine is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// To search, and to check what each outcome left.
    Search(Search, Criteria),
    /// To follow a schedule, and to check what it left.
    Replay {
        /// The tasks that go, by place in the tree.
        schedule: Vec<String>,
        /// What each step was in words, as far as that is known.
        expected: Vec<String>,
        /// What is asked of the outcome.
        criteria: Criteria,
    },
    /// To execute this schedule, and to look at what can come next.
    Peek(Vec<String>),
    /// To run the command freely.
    Trials(Trials, Criteria),
}

/// What it did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// What the search found.
    Findings(Findings),
    /// What the schedule led to.
    Replayed(Box<Found>),
    /// What can come next.
    Peeked(Box<Peeked>),
    /// Where the schedule could not be followed.
    Departed(Departure),
    /// What free runs showed, and what the check said of each outcome.
    Rates(Rates, Vec<Option<Checked>>),
}

/// The engine could not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no engine.
    #[error("the engine could not be started")]
    Start(#[from] StartError),
    /// There is no folder for the executions.
    #[error("there is no folder for the executions")]
    Folder(#[from] crate::process::ScratchError),
    /// No channel to the engine can be made.
    #[error("no channel to the engine can be made")]
    Channel(#[from] std::io::Error),
    /// The engine has told why it failed.
    #[error("{text}")]
    Failed {
        /// What stood in the way.
        why: Failure,
        /// It in words.
        text: String,
    },
    /// The engine ended before it answered.
    #[error("the engine ended early")]
    Ended(#[from] ResultError),
}

/// What stood in the engine's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// Processes may not be traced here.
    NotAllowed,
    /// The folder is too large to be copied for every execution.
    TooLarge,
    /// There is no such program, or it may not be executed.
    NoProgram,
    /// Something else.
    Other,
}

/// What the engine works on.
pub type Order = (Command, Task, PathBuf, Sender<Progress>, Fd);
/// What comes back.
pub type Reply = Result<Answer, (Failure, String)>;

/// Carries out `task` on `command` in a process of its own, which `start` starts, and returns its answer.
///
/// `watch` is told of progress. Once `interrupt` is readable the engine ends its search, and answers with what
/// it knows by then.
///
/// # Errors
/// [`EngineError`].
pub fn carry_out(
    start: impl FnOnce(Process<Order, Reply>) -> Result<Child<Reply>, StartError>,
    command: Command,
    task: Task,
    interrupt: Option<BorrowedFd<'_>>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Answer, EngineError> {
    let folder = Scratch::new()?;
    let (news, heard) = control::channel()?;
    let (hears, stop) = std::io::pipe()?;
    let order = (command, task, folder.path().to_owned(), news, Fd::from(OwnedFd::from(hears)));
    let process = Process::new(engine).args(order).name("traced").daemon(false).die_with_parent(true);
    let child = start(process)?;
    listen(&child, &heard, stop, interrupt, watch)?;
    child.result()?.map_err(|(why, text)| EngineError::Failed { why, text })
}

/// Hears of progress until the engine has nothing more to tell.
fn listen(
    child: &Child<Reply>,
    heard: &Receiver<Progress>,
    mut stop: std::io::PipeWriter,
    interrupt: Option<BorrowedFd<'_>>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<(), EngineError> {
    let mut asks = interrupt;
    let mut deadline = Deadline::NEVER;
    loop {
        let mut fds = vec![heard.as_fd()];
        fds.extend(asks);
        let ready = readable(&fds, deadline)?;
        if ready.get(1) == Some(&true) {
            // What it knows is wanted; how it is stopped if it does not tell is the kernel's business.
            asks = None;
            let _ = stop.write_all(&[1]);
            deadline = Deadline::after(PATIENCE);
        }
        if deadline.is_over() {
            child.kill()?;
            return Ok(());
        }
        loop {
            match heard.try_recv() {
                Ok(progress) => watch(&progress),
                Err(TryRecvError::Empty) => break,
                Err(_) => return Ok(()),
            }
        }
    }
}

fn engine(command: Command, what: Task, root: PathBuf, news: Sender<Progress>, stop: Fd) -> Reply {
    let mut watcher = Watcher::new(Some(news), Some(stop));
    let root = root.canonicalize().map_err(|error| (Failure::Other, error.to_string()))?;
    let told = |error: WorkError| (error.kind(), chain(&error));
    // Before the namespace, whose own shared memory hides a folder that lies there.
    let template = match &command.directory {
        Some(directory) => {
            read_tree(directory, command.limits.folder).map_err(|error| told(WorkError::from(error)))?
        }
        None => Tree::new(),
    };
    if !matches!(what, Task::Trials(..)) {
        let isolated = crate::process::in_namespace(&root, |numbers| {
            let reply = work(&command, what.clone(), &root, template.clone(), Some(numbers), &mut watcher)
                .map_err(told);
            codec::encode(&reply).unwrap_or_default()
        });
        match isolated.map(|bytes| bytes.map(|bytes| codec::decode::<Reply>(&bytes))) {
            Ok(None) => {}
            Ok(Some(Ok(reply))) => return reply,
            Ok(Some(Err(error))) => return Err((Failure::Other, chain(&error))),
            Err(error) => return Err((Failure::Other, chain(&error))),
        }
    }
    let _ = task::set_subreaper(true);
    work(&command, what, &root, template, None, &mut watcher).map_err(told)
}

#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error(transparent)]
    Traced(#[from] TracedError),
    #[error(transparent)]
    Free(#[from] FreeError),
    #[error(transparent)]
    Scratch(#[from] ScratchError),
}

impl WorkError {
    fn kind(&self) -> Failure {
        use std::io::ErrorKind::{NotFound, PermissionDenied};
        match self {
            Self::Traced(TracedError::Start(StartTracedError::Trace(_))) => Failure::NotAllowed,
            Self::Traced(TracedError::Start(StartTracedError::Prepare("execve", error)))
                if matches!(error.kind(), NotFound | PermissionDenied) =>
            {
                Failure::NoProgram
            }
            Self::Traced(TracedError::Scratch(error)) | Self::Scratch(error) => match error {
                ScratchError::TooLarge { .. } => Failure::TooLarge,
                _ => Failure::Other,
            },
            Self::Free(FreeError::Start(_)) => Failure::NoProgram,
            _ => Failure::Other,
        }
    }
}

/// `numbers`: those of the namespace, if there is one.
fn work(
    command: &Command,
    what: Task,
    root: &Path,
    template: Tree,
    numbers: Option<Numbers>,
    watcher: &mut Watcher,
) -> Result<Answer, WorkError> {
    match what {
        Task::Trials(trials, criteria) => {
            let rates = free::trials(command, &trials, root, &template, watcher)?;
            let checked = rates.outcomes.iter().map(|(outcome, _)| criteria.check(outcome, root));
            let checked = checked.collect::<Result<_, _>>()?;
            Ok(Answer::Rates(rates, checked))
        }
        Task::Peek(schedule) => {
            let mut machine = tracer(command, root, template, numbers)?;
            let peeked = super::peek::peek(&mut machine, &schedule)?;
            Ok(match peeked {
                Ok(peeked) => Answer::Peeked(Box::new(peeked)),
                Err(departure) => Answer::Departed(departure),
            })
        }
        Task::Search(search, criteria) => {
            let mut machine = tracer(command, root, template, numbers)?;
            let mut findings = Searcher::new(&mut machine, search, watcher).run()?;
            machine.end_all()?;
            drop(machine);
            for found in &mut findings.outcomes {
                found.checked = criteria.check(&found.outcome, root)?;
            }
            Ok(Answer::Findings(findings))
        }
        Task::Replay { schedule, expected, criteria } => {
            let mut machine = tracer(command, root, template, numbers)?;
            let replayed =
                Searcher::new(&mut machine, Search::default(), watcher).replay(&schedule, &expected)?;
            machine.end_all()?;
            drop(machine);
            Ok(match replayed {
                Ok(mut found) => {
                    found.checked = criteria.check(&found.outcome, root)?;
                    Answer::Replayed(Box::new(found))
                }
                Err(departure) => Answer::Departed(departure),
            })
        }
    }
}

fn tracer(
    command: &Command,
    root: &Path,
    template: Tree,
    numbers: Option<Numbers>,
) -> Result<Machine, TracedError> {
    // A stop costs a tenth of what it costs across processors.
    if let Some(cpu) = task::allowed_cpus().ok().and_then(|cpus| {
        let own = task::processor();
        own.filter(|own| cpus.contains(own)).or_else(|| cpus.first().copied())
    }) {
        let _ = task::pin_to_cpu(cpu);
    }
    Machine::new(command, root.to_owned(), template, numbers)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
