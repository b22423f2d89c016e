//! The scheduler's side: starts the workers and lets one of them run at a time.

use crate::sys::pid::Pid;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::slot::{Command, Report, SIZE, Side, Slot};
use super::worker::WorkerSlot;
use crate::explore::engine::Granted;
use crate::explore::step::{Observation, Seen, Step, letter};
use crate::process::{Child, Exit, JoinError, StartError};
use crate::shm::region::{Region, RegionError};
use crate::sys::poll::{Deadline, readable};
use crate::wire::handle::Fd;

/// How long a granted worker may take to arrive at its next step.
///
/// Steps take microseconds, and no other process of the run is running, so a timeout means that the body blocks outside
/// a step or that the process is stopped.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// The same after Ctrl-C.
const INTERRUPTED_STEP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long all workers together may take to end when the gate is dropped.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);
/// The interval at which the scheduler checks whether a silent worker is alive.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Real processes could not be controlled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The shared memory of the gate is unavailable.
    #[error("shared memory for the gate is unavailable")]
    Memory(#[from] RegionError),
    /// A worker could not be started.
    #[error("worker {who} could not be started")]
    Start {
        /// Its letter.
        who: char,
        /// Why not.
        source: Box<StartError>,
    },
    /// A worker died that the gate did not kill.
    #[error("worker {who} (PID {pid}) died unexpectedly: {exit}")]
    Died {
        /// Its letter.
        who: char,
        /// Its PID.
        pid: Pid,
        /// How it died.
        exit: Exit,
    },
    /// A worker neither arrived at a step nor ended.
    #[error(
        "worker {who} (PID {pid}) did not arrive at its next step in {} s: it is stopped, or blocks outside a step",
        STEP_TIMEOUT.as_secs()
    )]
    Silent {
        /// Its letter.
        who: char,
        /// Its PID.
        pid: Pid,
    },
    /// Waiting for a worker failed.
    #[error("waiting for worker {who} failed")]
    Join {
        /// Its letter.
        who: char,
        /// Why not.
        source: JoinError,
    },
    /// A worker could not be killed; a sandbox may refuse the signal.
    #[error("worker {who} (PID {pid}) could not be killed")]
    Kill {
        /// Its letter.
        who: char,
        /// Its PID.
        pid: Pid,
        /// Why not.
        source: io::Error,
    },
    /// A worker was killed but has not ended, because it is in an uninterruptible system call.
    #[error("worker {who} (PID {pid}) has not ended {} s after SIGKILL", STEP_TIMEOUT.as_secs())]
    Undead {
        /// Its letter.
        who: char,
        /// Its PID.
        pid: Pid,
    },
    /// The kernel refused a resource that the workers share.
    #[error("the resources that the workers share could not be set up")]
    Os(#[from] io::Error),
}

type Starter<'s> = Box<dyn FnMut(usize, WorkerSlot) -> Result<Child<()>, StartError> + 's>;

/// Workers that run the same body in each execution, one step at a time.
pub struct Gate<'s> {
    region: Region,
    start: Starter<'s>,
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    child: Option<Child<()>>,
    pid: Pid,
    at: At,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Idle,
    Step(Step),
    Panicked,
    Killed,
}

impl<'s> Gate<'s> {
    /// Creates a gate for `count` workers. `start` starts each when it is first needed, and again after it was killed.
    /// The started process must call [`WorkerSlot::serve`].
    ///
    /// # Errors
    /// [`GateError::Memory`].
    pub fn new(
        count: usize,
        start: impl FnMut(usize, WorkerSlot) -> Result<Child<()>, StartError> + 's,
    ) -> Result<Self, GateError> {
        let len = count.max(1) * SIZE;
        let region = Region::create(len as u64, len)?;
        let workers = (0..count)
            .map(|_| Worker { child: None, pid: Pid::UNKNOWN, at: At::Idle, seen: Seen::default() })
            .collect();
        Ok(Self { region, start: Box::new(start), workers })
    }

    /// The number of workers.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// The PID of a worker; 0 before it is first started.
    pub fn pid(&self, worker: usize) -> Pid {
        self.workers[worker].pid
    }

    /// The step at which `worker` waits; `None` if its body has ended.
    pub fn pending(&self, worker: usize) -> Option<&Step> {
        match &self.workers[worker].at {
            At::Step(step) => Some(step),
            At::Idle | At::Panicked | At::Killed => None,
        }
    }

    /// Whether the body of `worker` panicked in this execution.
    pub fn panicked(&self, worker: usize) -> bool {
        self.workers[worker].at == At::Panicked
    }

    /// Abandons the current execution: each worker that waits at a step unwinds, and waits for
    /// [`begin`](Self::begin).
    ///
    /// # Errors
    /// [`GateError`].
    pub fn abandon(&mut self) -> Result<(), GateError> {
        for worker in 0..self.workers.len() {
            if self.pending(worker).is_some() {
                self.command(worker, Command::Abandon)?;
            }
        }
        Ok(())
    }

    /// Starts the workers that do not exist, and lets each run to its first step.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn begin(&mut self) -> Result<(), GateError> {
        for worker in 0..self.workers.len() {
            if self.workers[worker].child.is_none() {
                self.start_worker(worker)?;
            }
            self.command(worker, Command::Begin)?;
        }
        Ok(())
    }

    /// Starts the workers that do not exist, lets all of them run freely at the same time, and waits until each body
    /// has ended. Returns what each passed to [`StepContext::report`](super::StepContext::report), or `None` for a
    /// worker that had not ended within `timeout`.
    ///
    /// This is for bodies without steps. A worker that has not ended is killed, and started again when it is needed.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn run_freely(&mut self, timeout: Duration) -> Result<Vec<Option<Observation>>, GateError> {
        for worker in 0..self.workers.len() {
            if self.workers[worker].child.is_none() {
                self.start_worker(worker)?;
            }
            Slot::new(&self.region, worker).command(Command::Begin);
        }
        for worker in 0..self.workers.len() {
            Slot::new(&self.region, worker).pass(Side::Scheduler);
        }
        let begin = Instant::now();
        let mut ended = vec![false; self.workers.len()];
        while ended.contains(&false) && begin.elapsed() < timeout {
            for (worker, ended) in ended.iter_mut().enumerate().filter(|(_, ended)| !**ended) {
                *ended = Slot::new(&self.region, worker).wait(Side::Scheduler, POLL_INTERVAL);
                if !*ended {
                    self.check(worker)?;
                }
            }
        }
        let mut results = Vec::with_capacity(ended.len());
        for (worker, ended) in ended.into_iter().enumerate() {
            if ended {
                let (report, seen) = Slot::new(&self.region, worker).read_report();
                self.workers[worker].at = if report == Report::Panicked { At::Panicked } else { At::Idle };
                results.push(Some(seen.observation));
            } else {
                self.kill(worker)?;
                results.push(None);
            }
        }
        Ok(results)
    }

    /// Lets `worker` execute the step at which it waits.
    ///
    /// # Errors
    /// [`GateError`].
    pub fn grant(&mut self, worker: usize) -> Result<Granted, GateError> {
        Ok(match self.command(worker, Command::Grant)? {
            true => Granted::Done(std::mem::take(&mut self.workers[worker].seen).into()),
            false => Granted::Refused,
        })
    }

    /// Kills `worker` where it waits, and waits until the kernel has released everything it held.
    ///
    /// # Errors
    /// [`GateError::Kill`], [`GateError::Undead`] or [`GateError::Join`].
    pub fn kill(&mut self, worker: usize) -> Result<(), GateError> {
        if let Some(child) = &self.workers[worker].child {
            let (who, pid) = (letter(worker), child.pid());
            child.kill().map_err(|source| GateError::Kill { who, pid, source })?;
            // It ends immediately, so Ctrl-C need not interrupt the wait.
            let ended =
                reaped_within(child, STEP_TIMEOUT).map_err(|source| GateError::Join { who, source })?;
            if !ended {
                return Err(GateError::Undead { who, pid });
            }
        }
        self.workers[worker].child = None;
        self.workers[worker].at = At::Killed;
        Ok(())
    }

    fn start_worker(&mut self, worker: usize) -> Result<(), GateError> {
        Slot::new(&self.region, worker).clear();
        let file = Fd::from(self.region.file().as_fd().try_clone_to_owned()?);
        let slot = WorkerSlot { file, slot: worker as u32 };
        let child = (self.start)(worker, slot)
            .map_err(|source| GateError::Start { who: letter(worker), source: Box::new(source) })?;
        self.workers[worker].pid = child.pid();
        self.workers[worker].child = Some(child);
        Ok(())
    }

    /// Passes the turn with a command and reads the report; returns `false` if the step was refused.
    fn command(&mut self, worker: usize, command: Command) -> Result<bool, GateError> {
        let slot = Slot::new(&self.region, worker);
        slot.command(command);
        slot.pass(Side::Scheduler);
        if !slot.wait(Side::Scheduler, POLL_INTERVAL)
            && let Err(error) = self.wait_long(worker)
        {
            // The worker has the turn and may never return it, and whatever stopped it may have stopped others. So the
            // next execution gets new workers, instead of waiting as long for each of these. If one cannot be killed,
            // the current error is more informative.
            for worker in 0..self.workers.len() {
                let _ = self.kill(worker);
            }
            return Err(error);
        }
        let (report, seen) = slot.read_report();
        let state = &mut self.workers[worker];
        state.seen = seen;
        state.at = match report {
            Report::Arrived(step) => At::Step(step),
            Report::Refused => return Ok(false),
            Report::Fresh | Report::Ended => At::Idle,
            Report::Panicked => At::Panicked,
        };
        Ok(true)
    }

    /// Fails if `worker` has died.
    fn check(&self, worker: usize) -> Result<(), GateError> {
        let Worker { child: Some(child), pid, .. } = &self.workers[worker] else { return Ok(()) };
        let exit = child.join_timeout(Duration::ZERO);
        match exit.map_err(|source| GateError::Join { who: letter(worker), source })? {
            Some(exit) => Err(GateError::Died { who: letter(worker), pid: *pid, exit }),
            None => Ok(()),
        }
    }

    /// Waits until the worker returns the turn, dies, or takes too long.
    fn wait_long(&self, worker: usize) -> Result<(), GateError> {
        let slot = Slot::new(&self.region, worker);
        let begin = Instant::now();
        loop {
            let checked = self.check(worker);
            // A report made just before the death counts.
            if slot.wait(Side::Scheduler, POLL_INTERVAL) {
                return Ok(());
            }
            match checked {
                // Wait for a step in progress, because the turn would otherwise be lost; but not for long.
                Err(GateError::Join { source: JoinError::Interrupted, .. })
                    if begin.elapsed() < INTERRUPTED_STEP_TIMEOUT => {}
                checked => checked?,
            }
            if begin.elapsed() > STEP_TIMEOUT {
                return Err(GateError::Silent { who: letter(worker), pid: self.workers[worker].pid });
            }
        }
    }
}

impl std::fmt::Debug for Gate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// Workers end with their gate. They hold nothing that needs to be cleaned up.
impl Drop for Gate<'_> {
    fn drop(&mut self) {
        for worker in 0..self.workers.len() {
            let Some(child) = &self.workers[worker].child else { continue };
            if child.kill().is_err() {
                // If no signal can be sent, a worker that waits at its slot still reads a command.
                let slot = Slot::new(&self.region, worker);
                slot.command(Command::Leave);
                slot.pass(Side::Scheduler);
            }
        }
        let begin = Instant::now();
        for worker in 0..self.workers.len() {
            if let Some(child) = self.workers[worker].child.take() {
                // A worker that neither dies nor reads its slot ends with its parent.
                let _ = reaped_within(&child, DROP_TIMEOUT.saturating_sub(begin.elapsed()));
            }
        }
    }
}

/// Waits for a killed child regardless of Ctrl-C, and returns whether it ended in time.
fn reaped_within(child: &Child<()>, timeout: Duration) -> Result<bool, JoinError> {
    let deadline = Deadline::after(timeout);
    loop {
        if child.reap()?.is_some() {
            return Ok(true);
        }
        if !readable(&[child.as_fd()], deadline)?[0] {
            return Ok(child.reap()?.is_some());
        }
    }
}
