//! Executes every interleaving of a program, within the limits of a part.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use super::card::Limits;
use super::files::Files;
use crate::explore::traced::{
    Answer, Command, Criteria, EngineError, Findings, FolderLimits, Found, Limits as Bounds, Search, Task,
    WitnessStep, carry_out,
};
use crate::process::{Scratch, ScratchError};
use crate::supervisor::Supervisor;
use crate::sys::clock::alarm;
use crate::sys::epoll::ReadySet;
use crate::sys::signal::Interrupt;

/// Random executions before a search for mistakes. They find most mistakes quickly.
const RANDOM: u64 = 20;
/// Executions after the first mistake, among which there may be a shorter schedule to show.
const SHORTER: u64 = 20;
/// How long after its time limit a search is interrupted: it may be in the middle of an execution.
const MARGIN: Duration = Duration::from_secs(3);

/// The last steps of an execution that exceeded its steps, in which each process that can continue has its turn.
const TURNS: usize = 200;
/// What the executions in which one had not are called.
const UNFAIR: &str = "executions in which a process that could continue never had its turn";

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// Every outcome: the truth of a prediction. The search has to end, so random executions would only add to it.
    Outcomes {
        /// The most executions.
        executions: Option<u64>,
    },
    /// A schedule that goes wrong.
    Mistakes {
        /// The most executions.
        executions: Option<u64>,
        /// The most kills in a schedule.
        kills: usize,
    },
}

impl Aim {
    fn search(self, time: Duration) -> Search {
        let all = Search { seed: 1, exhaustive: true, time: Some(time), ..Search::default() };
        match self {
            Self::Outcomes { executions } => Search { executions, ..all },
            Self::Mistakes { executions, kills } => {
                Search { random: RANDOM, executions, kills, after_wrong: Some(SHORTER), ..all }
            }
        }
    }
}

/// A program could not be explored.
#[derive(Debug, thiserror::Error)]
pub enum ExploreError {
    /// The folder could not be created.
    #[error("cannot create a folder for the program")]
    Folder(#[from] ScratchError),
    /// A system call failed.
    #[error("cannot prepare the program")]
    Os(#[from] std::io::Error),
    /// The explorer failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The command that runs `argv` in `folder`.
pub fn command(argv: &[String], folder: Option<&Path>, limits: &Limits) -> Command {
    let bounds = Bounds {
        tasks: limits.processes,
        output: (limits.output << 10) as usize,
        file: limits.disk << 20,
        folder: FolderLimits { entries: 1000, bytes: limits.disk << 20 },
        ..Bounds::default()
    };
    let mut command = Command::new(argv.iter().cloned());
    command.directory = folder.map(Path::to_owned);
    command.limits = bounds;
    command.strict = true;
    command
}

/// Executes every interleaving of `argv`, as far as the limits allow.
///
/// # Errors
/// [`ExploreError`].
pub fn explore(
    supervisor: &Supervisor,
    files: &Files,
    argv: &[String],
    criteria: &Criteria,
    limits: &Limits,
    aim: Aim,
) -> Result<(Command, Findings), ExploreError> {
    let folder = Scratch::new()?;
    let place = folder.path().join("program");
    std::fs::create_dir(&place)?;
    files.write(&place)?;
    let command = command(argv, Some(&place), limits);
    let time = Duration::from_secs_f64(limits.seconds);
    let search = aim.search(time);
    let (stop, late) = (ReadySet::new()?, alarm(time + MARGIN)?);
    stop.add(late.as_fd(), 0)?;
    if let Some(interrupt) = Interrupt::installed() {
        stop.add(interrupt.as_fd(), 1)?;
    }
    let start = |process| supervisor.start(process);
    let task = Task::Search(search, criteria.clone());
    match carry_out(start, command.clone(), task, Some(stop.as_fd()), None, &mut |_| {})? {
        Answer::Findings(mut findings) => {
            let mut unfair = 0;
            let mut fair = Vec::new();
            for found in std::mem::take(&mut findings.outcomes) {
                if is_unfair(supervisor, &command, &found, &stop)? {
                    unfair += found.executions;
                } else {
                    fair.push(found);
                }
            }
            findings.outcomes = fair;
            if unfair > 0 {
                findings.complete = false;
                findings.uncontrolled.insert(UNFAIR.to_owned(), unfair);
            }
            Ok((command, findings))
        }
        _ => Err(std::io::Error::other("the engine answered something else than it was asked").into()),
    }
}

/// Whether an execution exceeded its steps only because some processes went on and on, while another that could
/// continue never had its turn. No scheduler does that, so the program is not wrong: it may wait by looking again.
fn is_unfair(
    supervisor: &Supervisor,
    command: &Command,
    found: &Found,
    stop: &ReadySet,
) -> Result<bool, ExploreError> {
    let steps = &found.witness;
    if found.outcome.cut.is_none() || steps.len() < command.limits.steps {
        return Ok(false);
    }
    let (before, last) = steps.split_at(steps.len().saturating_sub(TURNS));
    let command = Command { facts: found.facts.clone(), ..command.clone() };
    let task = Task::Peek(before.iter().map(WitnessStep::choice).collect());
    let start = |process| supervisor.start(process);
    let answer = carry_out(start, command, task, Some(stop.as_fd()), None, &mut |_| {})?;
    let Answer::Peeked(peeked) = answer else { return Ok(false) };
    let went = |task: &str| last.iter().any(|step| step.task == task);
    Ok(peeked.next.iter().any(|next| next.enabled && !went(&next.task)))
}
