//! Free runs of a command, without any control: trials, and the check of an outcome.
//!
//! The engine adopts orphans, so that no process of a run outlives it. Each is given some time to end by itself, and is
//! then killed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::limits::Command;
use super::outcome::{End, Left, Outcome, Output};
use super::progress::{Progress, Watcher};
use super::scratch::{self, ScratchError, Tree};
use crate::process::{CommandError, Exit, HeldCommand, RunningCommand};
use crate::sys::descriptor::{drain, pipe_to_poll};
use crate::sys::exec::Streams;
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::procfs::stat::of_process;
use crate::sys::procfs::tree::children_by_parent;
use crate::sys::wait::kill_and_reap;

/// How long processes that outlive the command may take to end.
const GRACE: Duration = Duration::from_secs(1);
/// How often a silent run is inspected.
const PERIOD: Duration = Duration::from_millis(20);
/// How long a killed process may take to end.
const LAST: Duration = Duration::from_secs(5);

/// The parameters of free runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trials {
    /// The number of runs.
    pub runs: u64,
    /// The maximum duration of a run. One that takes longer is ended, which is an outcome of its own.
    pub patience: Duration,
}

/// The results of free runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rates {
    /// The number of runs.
    pub runs: u64,
    /// Their total duration, in seconds.
    pub seconds: f64,
    /// The outcomes, and how often each occurred.
    pub outcomes: Vec<(Outcome, u64)>,
}

/// A free run failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FreeError {
    /// The command could not be started.
    #[error(transparent)]
    Start(#[from] CommandError),
    /// The folder could not be prepared.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A system call failed.
    #[error("a free run could not be carried out")]
    Os(#[from] io::Error),
}

/// The parameters of one run.
pub(super) struct Run<'a> {
    pub(super) argv: &'a [OsString],
    /// The folder in which it runs.
    pub(super) root: &'a Path,
    /// Additional environment variables.
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) patience: Duration,
    /// The maximum output per stream, in bytes.
    pub(super) output: usize,
}

/// The result of a run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) end: End,
    /// Standard output and error.
    pub(super) output: Output,
    /// The number of processes that outlived it and were killed.
    pub(super) outlived: usize,
    /// Why it was ended early.
    pub(super) cut: Option<String>,
}

/// Runs the command repeatedly, each time in a folder that contains `template`.
///
/// # Errors
/// [`FreeError`], also if only a later run failed.
pub(super) fn trials(
    command: &Command,
    trials: &Trials,
    root: &Path,
    template: &Tree,
    watcher: &mut Watcher,
) -> Result<Rates, FreeError> {
    let begin = Instant::now();
    let argv: Vec<OsString> = command.argv.iter().map(OsString::from).collect();
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut runs = 0;
    while runs < trials.runs {
        scratch::write_tree(root, template, None)?;
        let ran = Run {
            argv: &argv,
            root,
            variables: folders(root),
            patience: trials.patience,
            output: command.limits.output,
        }
        .run()?;
        *outcomes.entry(observed(ran, command, root)).or_insert(0) += 1;
        runs += 1;
        let progress = Progress {
            executions: runs,
            outcomes: outcomes.len() as u64,
            explored: Some(runs as f64 / trials.runs as f64),
            ..Progress::default()
        };
        if !watcher.goes_on(&progress) {
            break;
        }
    }
    let mut outcomes: Vec<_> = outcomes.into_iter().collect();
    outcomes.sort_by_key(|(_, count)| *count);
    Ok(Rates { runs, seconds: begin.elapsed().as_secs_f64(), outcomes })
}

/// The environment variables that point to the folder.
pub(super) fn folders(root: &Path) -> Vec<(OsString, OsString)> {
    ["HOME", "TMPDIR", "PWD"].into_iter().map(|name| (name.into(), root.into())).collect()
}

fn observed(ran: Ran, command: &Command, root: &Path) -> Outcome {
    let mut outcome = Outcome { cut: ran.cut, ..Outcome::default() };
    outcome.ends.insert("root".to_owned(), ran.end);
    if ran.outlived > 0 {
        let what = format!("{} of its processes", ran.outlived);
        outcome.outlived.insert(what);
    }
    outcome.leave(
        Left { output: BTreeMap::from([("root".to_owned(), ran.output)]), root },
        command.limits.folder,
        &command.noise,
    );
    outcome
}

impl Run<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// [`FreeError`].
    pub(super) fn run(&self) -> Result<Ran, FreeError> {
        let null: OwnedFd = std::fs::File::open("/dev/null")?.into();
        let (out, out_end) = pipe_to_poll()?;
        let (err, err_end) = pipe_to_poll()?;
        let directory = CString::new(self.root.as_os_str().as_bytes()).map_err(io::Error::from)?;
        let streams = Streams {
            stdio: [Some(null.as_fd()), Some(out_end.as_fd()), Some(err_end.as_fd())],
            directory: Some(&directory),
            variables: &self.variables,
            own_session: true,
            ..Streams::default()
        };
        // Such as the template of a checkpoint, which is traced and stays.
        let others = children_by_parent(Pid::this())?.into_iter().collect();
        let held = HeldCommand::new(self.argv, &streams)?;
        drop((out_end, err_end));
        let running = held.release()?;
        let pipes = [Some(out), Some(err)];
        let mut sink = Sink { pipes, kept: Output::default(), most: self.output, others };
        let deadline = Deadline::after(self.patience);
        let mut cut = None;
        let end = loop {
            if let Some(exit) = running.reap()? {
                break end_of(exit);
            }
            if deadline.is_over() {
                cut = Some(format!("it had not ended after {:?}", self.patience));
            } else if sink.is_over() {
                cut = Some(format!("more than {} KiB of output", self.output >> 10));
            }
            if cut.is_some() {
                kill_and_reap(running.pid(), LAST);
                break End::Left;
            }
            sink.wait(&running, deadline)?;
        };
        sink.drain()?;
        let outlived = sink.end_the_rest(if cut.is_some() { Duration::ZERO } else { GRACE })?;
        Ok(Ran { end, output: sink.kept, outlived, cut })
    }
}

fn end_of(exit: Exit) -> End {
    match exit {
        Exit::Code(code) => End::Exited(code),
        Exit::Signal { signal, .. } => End::Signal(signal.0),
        _ => End::Left,
    }
}

/// The output of a run, and its processes.
struct Sink {
    pipes: [Option<std::fs::File>; 2],
    kept: Output,
    most: usize,
    /// The children of this process from before the run.
    others: BTreeSet<Pid>,
}

impl Sink {
    fn is_over(&self) -> bool {
        self.kept.iter().any(|bytes| bytes.len() > self.most)
    }

    /// Waits until there is output or the command ends, at most until the next inspection.
    fn wait(&mut self, running: &RunningCommand, deadline: Deadline) -> io::Result<()> {
        let mut fds = vec![running.as_fd()];
        fds.extend(self.pipes.iter().flatten().map(AsFd::as_fd));
        let period = deadline.left().map_or(PERIOD, |left| left.min(PERIOD));
        readable(&fds, Deadline::after(period))?;
        self.drain()
    }

    /// Reads the available output.
    fn drain(&mut self) -> io::Result<()> {
        let mut both = self.pipes.iter_mut().zip(&mut self.kept);
        both.try_for_each(|(pipe, kept)| drain(pipe, kept, self.most))
    }

    /// Waits for processes that outlived the command, then kills the rest; returns how many were killed.
    fn end_the_rest(&mut self, grace: Duration) -> io::Result<usize> {
        let deadline = Deadline::after(grace);
        let mut pause = Duration::from_micros(200);
        while self.has_living_children()? && !deadline.is_over() && !self.is_over() {
            readable(&[], Deadline::after(pause))?;
            pause = (pause * 2).min(PERIOD);
            self.drain()?;
        }
        let mut killed = 0;
        // The children of killed processes become children of this process.
        loop {
            let children = self.children()?;
            if children.is_empty() {
                break;
            }
            for child in children {
                killed += usize::from(of_process(child).is_some_and(|stat| stat.lives()));
                kill_and_reap(child, LAST);
            }
        }
        self.drain()?;
        Ok(killed)
    }

    /// The children that the run has left to this process.
    fn children(&self) -> io::Result<Vec<Pid>> {
        let mut children = children_by_parent(Pid::this())?;
        children.retain(|child| !self.others.contains(child));
        Ok(children)
    }

    /// Whether one of them is alive. Reaps those that have ended.
    fn has_living_children(&self) -> io::Result<bool> {
        let mut lives = false;
        for child in self.children()? {
            if of_process(child).is_some_and(|stat| stat.lives()) {
                lives = true;
            } else {
                kill_and_reap(child, LAST);
            }
        }
        Ok(lives)
    }
}
