//! What the engine process does: sets up its namespace, carries out its task, and answers.

use std::path::{Path, PathBuf};

use super::engine::{Answer, Ends, Failure, Reply, Task};
use super::findings::Search;
use super::free::{self, FreeError};
use super::jobs::{Further, Hired};
use super::limits::Command;
use super::machine::{Machine, TracedError};
use super::progress::Watcher;
use super::scratch::{ScratchError, Tree, read_tree};
use super::search::{Position, Searcher};
use super::verdict::Criteria;
use crate::process::chain;
use crate::sys::enclosure;
use crate::sys::ptrace::namespace::{self, Numbers};
use crate::sys::ptrace::start::StartTracedError;
use crate::sys::task;
use crate::wire::codec;
use crate::wire::control::Receiver;

/// The body of the engine process.
pub(super) fn engine(command: Command, what: Task, root: PathBuf, ends: Ends) -> Reply {
    let Ends { news, stop, gate, further, hired } = ends;
    let mut watcher = Watcher::new(news, stop, gate);
    let jobs = (further.as_ref(), hired.as_ref());
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
            // What an execution shares is known only once the first has shared it: what that leaves ends with this
            // namespace. A program that must not write elsewhere has no business with other machines either.
            let _ = namespace::renew(false, true);
            if command.strict {
                let _ = namespace::renew(true, false);
                enclosure::forgo_capabilities();
            }
            let reply =
                work(&command, what.clone(), &root, template.clone(), Some(numbers), jobs, &mut watcher)
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
    work(&command, what, &root, template, None, jobs, &mut watcher).map_err(told)
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
        match self {
            Self::Traced(TracedError::Start(StartTracedError::Trace(_))) => Failure::NotAllowed,
            Self::Traced(TracedError::Command(_)) => Failure::NoProgram,
            Self::Traced(TracedError::Scratch(error)) | Self::Scratch(error) => match error {
                ScratchError::TooLarge { .. } | ScratchError::TooDeep { .. } => Failure::TooLarge,
                _ => Failure::Other,
            },
            Self::Free(FreeError::Start(_)) => Failure::NoProgram,
            _ => Failure::Other,
        }
    }
}

/// Carries out a task in this process. `numbers` chooses PIDs in the namespace, if there is one.
fn work(
    command: &Command,
    what: Task,
    root: &Path,
    template: Tree,
    numbers: Option<Numbers>,
    (further, hired): (Option<&Receiver<Further>>, Option<&Hired>),
    watcher: &mut Watcher,
) -> Result<Answer, WorkError> {
    match what {
        Task::Trials(trials, criteria) => {
            let rates = free::trials(command, &trials, root, &template, watcher)?;
            let checked = rates.outcomes.iter().map(|(outcome, _)| criteria.check(outcome, root));
            let checked = checked.collect::<Result<_, _>>()?;
            Ok(Answer::Rates(rates, checked))
        }
        Task::Peek(ref schedule) | Task::GoOn(ref schedule) => {
            let mut machine = tracer(command, root, template, numbers, None)?;
            let goes_on = matches!(what, Task::GoOn(_));
            let peeked = super::peek::peek(&mut machine, schedule, goes_on)?;
            Ok(match peeked {
                Ok(peeked) => Answer::Peeked(Box::new(peeked)),
                Err(departure) => Answer::Departed(departure),
            })
        }
        Task::Search(search, criteria) => {
            let machine = tracer(command, root, template, numbers, None)?;
            search_with(machine, search, &criteria, None, further, watcher)
        }
        Task::Continue(search, criteria, position) => {
            let machine = tracer(command, root, template, numbers, None)?;
            search_with(machine, search, &criteria, Some(*position), further, watcher)
        }
        Task::Jobs => {
            if let Some(hired) = hired {
                let mut machine = tracer(command, root, template, numbers, Some(hired.processor))?;
                super::jobs::serve(&mut machine, hired);
            }
            Ok(Answer::Ended)
        }
        Task::Replay { schedule, expected, criteria } => {
            let mut machine = tracer(command, root, template, numbers, None)?;
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

/// Searches, and checks what the outcomes left once no process of the search is left.
fn search_with(
    mut machine: Machine,
    search: Search,
    criteria: &Criteria,
    position: Option<Position>,
    further: Option<&Receiver<Further>>,
    watcher: &mut Watcher,
) -> Result<Answer, WorkError> {
    let root = machine.root().to_owned();
    let searcher = Searcher::new(&mut machine, search, watcher).judged_by(criteria);
    let mut findings = searcher.with_jobs(further).continuing(position).run()?;
    machine.end_all()?;
    drop(machine);
    for found in findings.outcomes.iter_mut().filter(|found| found.checked.is_none()) {
        found.checked = criteria.check(&found.outcome, &root)?;
    }
    Ok(Answer::Findings(findings))
}

/// A tracer, pinned to a processor: to this one of those that it may use, or where it is.
fn tracer(
    command: &Command,
    root: &Path,
    template: Tree,
    numbers: Option<Numbers>,
    which: Option<usize>,
) -> Result<Machine, TracedError> {
    let machine = Machine::new(command, root.to_owned(), template, numbers)?;
    // A stop costs a tenth of what it costs across processors.
    if let Ok(cpus) = task::allowed_cpus() {
        let here = task::processor().filter(|here| cpus.contains(here));
        let cpu = match which {
            Some(which) => cpus.get(which % cpus.len().max(1)).copied(),
            None => here.or_else(|| cpus.first().copied()),
        };
        let _ = cpu.map(task::pin_to_cpu);
    }
    Ok(machine)
}
