//! Executes every interleaving of a program, within the limits of a part.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::card::Limits;
use super::files::Files;
use crate::explore::traced::{
    Answer, Command, Criteria, EngineError, Findings, FolderLimits, Found, Limits as Bounds, Peeked, Sampler,
    Search, Task, Verdict, WitnessStep, carry_out,
};
use crate::process::{Scratch, ScratchError};
use crate::supervisor::Supervisor;
use crate::sys::clock::alarm;
use crate::sys::epoll::ReadySet;
use crate::sys::signal::Interrupt;

/// Random executions in a search for mistakes, beside its other executions, or half as many as these if that is more. They
/// find most mistakes quickly.
const RANDOM: u64 = 30;
/// Executions after the first mistake, among which there may be a shorter schedule to show.
const SHORTER: u64 = 20;
/// The most steps of an execution in which a mistake is looked for. One that takes more goes round in most cases, and if it
/// does not, it is given [`Bounds::steps`].
const STEPS: usize = 1000;
/// Executions in which time limits expire at any moment, for a program that has some.
const EXPIRING: u64 = 60;
/// The most preemptions in these: such a mistake needs one process that stands still while another loses its patience.
const PREEMPTIONS: usize = 1;
/// What the share of the time for these is.
const SHARE: u32 = 4;
/// How long after its time limit a search is interrupted: it may be in the middle of an execution.
const MARGIN: Duration = Duration::from_secs(3);

/// The last steps of an execution that exceeded its steps, in which each process that can continue has its turn.
const TURNS: usize = 200;
/// What the executions in which one had not are called.
const UNFAIR: &str = "executions that went on and on, and come to an end if each process has its turn";

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
                let sampler = Sampler::InTurn;
                let random = RANDOM.max(executions.unwrap_or(0) / 2);
                let executions = executions.map(|most| most + random);
                Search { random, sampler, executions, kills, after_wrong: Some(SHORTER), ..all }
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
    let (stop, late) = (ReadySet::new()?, alarm(time + MARGIN)?);
    stop.add(late.as_fd(), 0)?;
    if let Some(interrupt) = Interrupt::installed() {
        stop.add(interrupt.as_fd(), 1)?;
    }
    let explorer = Explorer { supervisor, criteria, stop: &stop };
    let begin = Instant::now();
    let Aim::Mistakes { .. } = aim else {
        let findings = explorer.search(&command, aim.search(time))?;
        return Ok((command, findings));
    };
    let mut short = command.clone();
    short.limits.steps = STEPS;
    let findings = explorer.search(&short, aim.search(time))?;
    let left = time.saturating_sub(begin.elapsed());
    if findings.outcomes.is_empty() && findings.uncontrolled.contains_key(UNFAIR) && !left.is_zero() {
        let findings = explorer.search(&command, aim.search(left))?;
        return Ok((command, findings));
    }
    if !findings.uncontrolled.keys().any(|what| has_limit(what)) || explorer.is_wrong(&findings) {
        return Ok((short, findings));
    }
    let mut expiring = short.clone();
    expiring.timeouts = true;
    let search = Search {
        seed: 1,
        exhaustive: true,
        executions: Some(EXPIRING),
        preemptions: Some(PREEMPTIONS),
        after_wrong: Some(0),
        time: Some(left.min(time / SHARE)),
        ..Search::default()
    };
    let further = explorer.search(&expiring, search)?;
    Ok(if explorer.is_wrong(&further) { (expiring, further) } else { (short, findings) })
}

/// Whether this says that time limits, or sleeps as long as others, were not tried at every moment.
fn has_limit(uncontrolled: &str) -> bool {
    uncontrolled.contains("time limit")
}

/// What every search of a program needs.
struct Explorer<'a> {
    supervisor: &'a Supervisor,
    criteria: &'a Criteria,
    stop: &'a ReadySet,
}

impl Explorer<'_> {
    fn carry_out(&self, command: Command, task: Task) -> Result<Answer, ExploreError> {
        let start = |process| self.supervisor.start(process);
        Ok(carry_out(start, command, task, Some(self.stop.as_fd()), None, &mut |_| {})?)
    }

    /// Searches, and leaves out executions that no fair scheduler would continue for ever.
    fn search(&self, command: &Command, search: Search) -> Result<Findings, ExploreError> {
        let task = Task::Search(search, self.criteria.clone());
        let Answer::Findings(mut findings) = self.carry_out(command.clone(), task)? else {
            return Err(std::io::Error::other("the engine answered something else than it was asked").into());
        };
        let mut unfair = 0;
        let mut fair = Vec::new();
        for found in std::mem::take(&mut findings.outcomes) {
            if self.is_unfair(command, &found)? {
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
        Ok(findings)
    }

    fn is_wrong(&self, findings: &Findings) -> bool {
        let judge = |found: &Found| self.criteria.judge(&found.outcome, found.checked.as_ref()).0;
        findings.outcomes.iter().any(|found| judge(found) != Verdict::Ok)
    }

    /// Whether an execution exceeded its steps only because of how it was scheduled, so that the program is not wrong: another
    /// process that could continue never had its turn, or it comes to its end if it is scheduled at random from there on,
    /// as two that make way for each other do.
    fn is_unfair(&self, command: &Command, found: &Found) -> Result<bool, ExploreError> {
        let steps = &found.witness;
        if found.outcome.cut.is_none() || steps.len() < command.limits.steps {
            return Ok(false);
        }
        let (before, last) = steps.split_at(steps.len().saturating_sub(TURNS));
        let mut command = Command { facts: found.facts.clone(), ..command.clone() };
        command.limits.steps = command.limits.steps.max(Bounds::default().steps);
        let before: Vec<String> = before.iter().map(WitnessStep::choice).collect();
        let Some(peeked) = self.peek(command.clone(), Task::Peek(before.clone()))? else { return Ok(false) };
        let went = |task: &str| last.iter().any(|step| step.task == task);
        if peeked.next.iter().any(|next| next.enabled && !went(&next.task)) {
            return Ok(true);
        }
        let ends = |found: Found| found.outcome.cut.is_none() && found.outcome.deadlock.is_empty();
        Ok(self.peek(command, Task::GoOn(before))?.and_then(|peeked| peeked.over).is_some_and(ends))
    }

    fn peek(&self, command: Command, task: Task) -> Result<Option<Peeked>, ExploreError> {
        Ok(match self.carry_out(command, task)? {
            Answer::Peeked(peeked) => Some(*peeked),
            _ => None,
        })
    }
}
