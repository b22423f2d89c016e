//! The process that traces: a fresh copy of this program with one thread, on one processor.
//!
//! The kernel binds tracing to a thread, so a search happens where there is one only. When its parent dies,
//! however that dies, the engine is killed, and with it every traced process.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::limits::Command;
use super::machine::Machine;
use super::scratch::{self, Tree, read_tree};
use super::search::{Findings, Found, Search, Searcher};
use crate::process::{Process, Scratch};
use crate::sys::task;

/// What the engine is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// To search.
    Search(Search),
    /// To follow this schedule: tasks by place in the tree.
    Replay(Vec<String>),
}

/// What it did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// What the search found.
    Findings(Findings),
    /// What the schedule led to.
    Replayed(Found),
    /// The step of the schedule that was not possible.
    Diverged(usize),
}

/// The engine could not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no engine.
    #[error("the engine could not be started")]
    Start(#[from] crate::process::StartError),
    /// There is no folder for the executions.
    #[error("there is no folder for the executions")]
    Folder(#[from] crate::process::ScratchError),
    /// The engine has told why it failed.
    #[error("{0}")]
    Failed(String),
    /// The engine ended before it answered.
    #[error("the engine ended early")]
    Ended(#[from] crate::process::ResultError),
}

/// Carries out `task` on `command` in a process of its own, started by `supervisor`, and returns its answer.
///
/// # Errors
/// [`EngineError`].
pub fn carry_out(
    start: impl FnOnce(
        Process<(Command, Task, PathBuf), Result<Answer, String>>,
    ) -> Result<crate::process::Child<Result<Answer, String>>, crate::process::StartError>,
    command: Command,
    task: Task,
) -> Result<Answer, EngineError> {
    let folder = Scratch::new()?;
    let process = Process::new(engine)
        .args((command, task, folder.path().to_owned()))
        .name("traced")
        .daemon(false)
        .die_with_parent(true);
    let child = start(process)?;
    child.result()?.map_err(EngineError::Failed)
}

fn engine(command: Command, what: Task, root: PathBuf) -> Result<Answer, String> {
    // A stop costs a tenth of what it costs across processors.
    if let Some(cpu) = task::allowed_cpus().ok().and_then(|cpus| {
        let own = task::processor();
        own.filter(|own| cpus.contains(own)).or_else(|| cpus.first().copied())
    }) {
        let _ = task::pin_to_cpu(cpu);
    }
    let _ = task::set_subreaper(true);
    work(&command, what, &root).map_err(|error| chain(&error))
}

fn work(command: &Command, what: Task, root: &Path) -> Result<Answer, super::TracedError> {
    let template = match &command.directory {
        Some(directory) => read_tree(directory, command.limits.folder)?,
        None => Tree::new(),
    };
    let root = root
        .canonicalize()
        .map_err(|source| scratch::ScratchError::Write { path: root.to_owned(), source })?;
    let mut machine = Machine::new(command, root, template)?;
    match what {
        Task::Search(search) => Ok(Answer::Findings(Searcher::new(&mut machine, search).run()?)),
        Task::Replay(schedule) => {
            let searcher = Searcher::new(&mut machine, Search::default());
            Ok(match searcher.replay(&schedule)? {
                Ok(found) => Answer::Replayed(found),
                Err(step) => Answer::Diverged(step),
            })
        }
    }
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
