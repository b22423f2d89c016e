//! The engine: a fresh copy of this program, with one thread on one processor, that traces the command.
//!
//! The kernel binds tracing to a thread, so a search runs in a process that has only one. When its parent dies, in
//! whatever way, the kernel kills the engine and every traced process.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::findings::{Departure, Findings, Found, Search};
use super::free::{Rates, Trials};
use super::jobs::{Further, Hired};
use super::limits::Command;
use super::peek::Peeked;
use super::progress::Progress;
use super::search::Position;
use super::verdict::{Checked, Criteria};
use super::work::engine;
use crate::process::{Child, Process, ResultError, Scratch, StartError};
use crate::sys::poll::{Deadline, readable};
use crate::wire::control::{self, Receiver, Sender, TryRecvError};
use crate::wire::handle::Fd;

/// How long an engine that was asked to stop may take to report what it knows.
const PATIENCE: Duration = Duration::from_secs(10);

/// A task for the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Search, and check what each outcome left.
    Search(Search, Criteria),
    /// Continue a search from this position.
    Continue(Search, Criteria, Box<Position>),
    /// Follow a schedule, and check what it left.
    Replay {
        /// The task that takes each step, by its place in the tree.
        schedule: Vec<String>,
        /// The words of each step, as far as they are known.
        expected: Vec<String>,
        /// The criteria for the outcome.
        criteria: Criteria,
    },
    /// Execute this schedule, and report which steps can come next.
    Peek(Vec<String>),
    /// Execute this schedule, go on at random to the end, and report that as [`Peek`](Self::Peek) would.
    GoOn(Vec<String>),
    /// Run the command freely.
    Trials(Trials, Criteria),
    /// Carry out executions of a search of another engine.
    Jobs,
}

/// The result of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The findings of a search.
    Findings(Findings),
    /// The outcome of a schedule.
    Replayed(Box<Found>),
    /// The steps that can come next.
    Peeked(Box<Peeked>),
    /// The step at which the schedule could not be followed.
    Departed(Departure),
    /// The rates of free runs, and the result of the check for each outcome.
    Rates(Rates, Vec<Option<Checked>>),
    /// The search has ended for which executions were carried out.
    Ended,
}

/// A task could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine could not be started.
    #[error("the engine could not be started")]
    Start(#[from] StartError),
    /// The folder for the executions could not be created.
    #[error("the folder for the executions could not be created")]
    Folder(#[from] crate::process::ScratchError),
    /// The channel to the engine could not be created.
    #[error("the channel to the engine could not be created")]
    Channel(#[from] std::io::Error),
    /// The engine reported a failure.
    #[error("{text}")]
    Failed {
        /// The kind of failure.
        why: Failure,
        /// The failure in words.
        text: String,
    },
    /// The engine ended without an answer.
    #[error("the engine ended without an answer")]
    Ended(#[from] ResultError),
}

/// Why the engine failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// Tracing is not allowed.
    NotAllowed,
    /// The folder is too large or too deep to be copied for every execution.
    TooLarge,
    /// The program does not exist or cannot be executed.
    NoProgram,
    /// Any other reason.
    Other,
}

/// The input of the engine process.
pub type Order = (Command, Task, PathBuf, Ends);

/// The ends of the channels of an engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ends {
    /// Where it reports progress.
    pub(super) news: Option<Sender<Progress>>,
    /// Readable once it must end.
    pub(super) stop: Option<Fd>,
    /// Not readable while it must rest.
    pub(super) gate: Option<Fd>,
    /// Where engines arrive that carry out executions for it.
    pub(super) further: Option<Receiver<Further>>,
    /// The jobs that it carries out for another engine.
    pub(super) hired: Option<Hired>,
}
/// The output of the engine process.
pub type Reply = Result<Answer, (Failure, String)>;

/// Carries out `task` on `command` in a new process, which `start` starts, and returns the answer. For a long search with
/// [`jobs`](Search::jobs), `start` starts more.
///
/// Calls `watch` with the progress. When `interrupt` becomes readable, the engine ends its search and answers with what
/// it has found so far. A search rests between two executions while `gate` is not readable.
///
/// # Errors
/// [`EngineError`].
pub fn carry_out(
    start: impl Fn(Process<Order, Reply>) -> Result<Child<Reply>, StartError>,
    command: Command,
    task: Task,
    interrupt: Option<BorrowedFd<'_>>,
    gate: Option<BorrowedFd<'_>>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Answer, EngineError> {
    let folder = Scratch::new()?;
    let (news, heard) = control::channel()?;
    let (hears, stop) = std::io::pipe()?;
    let gate = gate.map(|gate| gate.try_clone_to_owned()).transpose()?.map(Fd::from);
    let jobs = match &task {
        Task::Search(search, _) | Task::Continue(search, ..) => search.jobs,
        _ => 0,
    };
    let (hires, further) = if jobs > 1 { Some(control::channel()?).unzip() } else { (None, None) };
    let ends = Ends { news: Some(news), stop: Some(OwnedFd::from(hears).into()), gate, further, hired: None };
    let process = |order| Process::new(engine).args(order).name("traced").daemon(false).die_with_parent(true);
    let child = start(process((command.clone(), task, folder.path().to_owned(), ends)))?;
    let mut others = Vec::new();
    let listened = listen(&child, &heard, stop, interrupt, &mut |progress| {
        if let Some(hires) = hires.as_ref().filter(|_| progress.wants_jobs && others.is_empty()) {
            // A search can do without them.
            let hire = |which| hire(&|order| start(process(order)), &command, hires, which).ok();
            others = (0..jobs).map_while(hire).collect();
        }
        watch(progress);
    });
    for (other, _) in &others {
        let _ = other.kill();
    }
    for (other, _) in &others {
        let _ = other.join();
    }
    listened?;
    child.result()?.map_err(|(why, text)| EngineError::Failed { why, text })
}

/// Starts an engine that carries out executions for another, which receives its ends over `hires`.
fn hire(
    start: &dyn Fn(Order) -> Result<Child<Reply>, StartError>,
    command: &Command,
    hires: &Sender<Further>,
    processor: usize,
) -> Result<(Child<Reply>, Scratch), EngineError> {
    let folder = Scratch::new()?;
    let (jobs, to_do) = control::channel()?;
    let (done, reports) = control::channel()?;
    let hired = Some(Hired { jobs: to_do, done, processor });
    let ends = Ends { news: None, stop: None, gate: None, further: None, hired };
    let child = start((command.clone(), Task::Jobs, folder.path().to_owned(), ends))?;
    hires.send(Further { jobs, done: reports }).map_err(std::io::Error::other)?;
    Ok((child, folder))
}

/// Receives progress until the engine closes its end.
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
            // It is asked to answer with what it knows; if it does not, it is killed.
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
