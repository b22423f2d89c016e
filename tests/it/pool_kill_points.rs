//! Kills a pool's worker at every instruction between two jobs, one worker after the other, and checks the books: a job
//! has a result or its worker's death, never both, and none is run twice.
//!
//! The worker is a real one, attached to while it waits (`ptrace(2)`), so what it executes is what every worker does: it
//! wakes, reads a job, claims it, runs it, publishes the result, and goes on to the next.

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use proclab::pool::{JobError, JobHandle, Pool};
use proclab::sync::Value;
use std::time::Duration;

/// The limit for everything that must happen.
const LONG: Duration = Duration::from_secs(60);
/// Jobs that a worker is given while it stands still.
const JOBS: u64 = 3;

/// What a run has found.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// The instructions from waking up to the last result.
    pub(crate) instructions: usize,
    /// Workers that were killed.
    pub(crate) kills: usize,
    /// Jobs that have a result.
    pub(crate) returned: u64,
    /// Jobs that their worker's death has cost.
    pub(crate) lost: u64,
}

fn count(number: u64) -> u64 {
    RUNS.with(|runs| runs.get().expect("the initializer came first").update(|runs| runs + 1));
    number
}

std::thread_local! {
    static RUNS: std::cell::OnceCell<Value<u64>> = const { std::cell::OnceCell::new() };
}

fn initialize(runs: Value<u64>) {
    RUNS.with(|own| drop(own.set(runs)));
}

fn process_id() -> i32 {
    std::process::id().cast_signed()
}

/// The worker, attached to, while it waits for a job; and the jobs that it has been given since.
fn attach(pool: &Pool) -> Result<(nix::unistd::Pid, Vec<JobHandle<u64>>), String> {
    let pid = pool.submit(process_id, ()).map_err(|error| error.to_string())?;
    let pid = pid.result_timeout(LONG).map_err(|error| format!("no worker answers: {error}"))?;
    let worker = nix::unistd::Pid::from_raw(pid);
    ptrace::attach(worker).map_err(|error| format!("the worker cannot be attached to: {error}"))?;
    stopped(worker)?;
    let jobs = (0..JOBS).map(|number| pool.submit(count, number).map_err(|error| error.to_string()));
    Ok((worker, jobs.collect::<Result<_, _>>()?))
}

/// Waits until the worker stands still; false if it has ended.
fn stopped(worker: nix::unistd::Pid) -> Result<bool, String> {
    match waitpid(worker, Some(WaitPidFlag::__WALL)) {
        Ok(WaitStatus::Stopped(..)) => Ok(true),
        other => Err(format!("the worker came to {other:?}")),
    }
}

fn step(worker: nix::unistd::Pid) -> Result<(), String> {
    ptrace::step(worker, None).map_err(|error| format!("the worker cannot be driven: {error}"))?;
    stopped(worker).map(drop)
}

/// The instructions of a worker until it has done its jobs.
fn measure(pool: &Pool) -> Result<usize, String> {
    let (worker, jobs) = attach(pool)?;
    let mut instructions = 0;
    while !jobs.iter().all(JobHandle::is_done) {
        // The pool's own thread takes in what was published: not after each instruction, for that would take it hours.
        for _ in 0..200 {
            step(worker)?;
        }
        instructions += 200;
    }
    ptrace::detach(worker, None).map_err(|error| error.to_string())?;
    Ok(instructions)
}

/// Kills a worker at every `stride`-th instruction.
///
/// # Errors
/// The first way in which the books do not balance.
pub(crate) fn run(stride: Option<usize>) -> Result<Books, String> {
    let runs = Value::new(0_u64).map_err(|error| error.to_string())?;
    let shared = runs.try_clone().map_err(|error| error.to_string())?;
    let pool = Pool::builder().workers(1).initializer(initialize, shared).build();
    let pool = pool.map_err(|error| error.to_string())?;
    let mut books = Books { instructions: measure(&pool)?, ..Books::default() };
    let mut expected = runs.get();
    let stride = stride.unwrap_or(books.instructions / 12).max(1);
    for k in (0..books.instructions).step_by(stride) {
        let (worker, jobs) = attach(&pool)?;
        for _ in 0..k {
            step(worker)?;
        }
        // Not by `PTRACE_KILL`: as any process may be killed.
        nix::sys::signal::kill(worker, Signal::SIGKILL).map_err(|error| error.to_string())?;
        let (mut returned, mut lost) = (0, 0);
        for (job, number) in jobs.iter().zip(0..) {
            match job.result_timeout(LONG) {
                Ok(value) if value == number => returned += 1,
                Err(proclab::pool::ResultTimeoutError::Job(JobError::Died { pid, .. }))
                    if pid.as_raw() == worker.as_raw() =>
                {
                    lost += 1;
                }
                other => return Err(format!("killed before instruction {k}: job {number} has {other:?}")),
            }
        }
        // What was lost has run or has not; what was returned has run once.
        let ran = runs.get() - expected;
        if lost > 1 || !(returned..=returned + lost).contains(&ran) {
            return Err(format!(
                "killed before instruction {k}: {returned} returned, {lost} lost, {ran} run"
            ));
        }
        expected = runs.get();
        books.kills += 1;
        books.returned += returned;
        books.lost += lost;
    }
    pool.shutdown().map_err(|error| error.to_string())?;
    Ok(books)
}
