//! The worker's side: announces a step, waits until it is granted, and executes it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::slot::{Command, Report, SIZE, Side, Slot};
use crate::explore::step::{Observation, Seen, Step};
use crate::shm::region::{Region, RegionError};
use crate::wire::handle::Fd;

/// The interval at which a waiting worker checks its slot even if it is not woken.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A worker's slot at the gate, passed to the process as an argument.
#[derive(Debug, Serialize, Deserialize)]
pub struct WorkerSlot {
    pub(super) file: Fd,
    pub(super) slot: u32,
}

impl WorkerSlot {
    /// Runs `body` once for each execution, until the process is killed.
    ///
    /// Outside its steps, the body must do nothing that other processes can observe. A panic of the body is reported to
    /// the scheduler.
    ///
    /// # Errors
    /// When the shared memory cannot be mapped.
    pub fn serve(self, mut body: impl FnMut(&mut StepContext<'_>)) -> Result<(), RegionError> {
        let base = self.slot as usize * SIZE;
        let region =
            Region::open(self.file.into_owned(), |_: &[u8; 1], _| Ok::<_, RegionError>(base + SIZE))?;
        let slot = Slot::new(&region, self.slot as usize);
        loop {
            let mut context = StepContext { slot, seen: Seen::default() };
            match context.wait() {
                Command::Begin => {}
                Command::Leave => return Ok(()),
                Command::Grant | Command::Abandon => {
                    // This process has not started the execution that is to be stopped.
                    context.send_report(&Report::Ended);
                    continue;
                }
            }
            let end = catch_unwind(AssertUnwindSafe(|| body(&mut context)));
            let report = match end {
                Ok(()) => Report::Ended,
                Err(reason) if reason.is::<Abandoned>() => Report::Ended,
                Err(reason) => {
                    let text = reason.downcast_ref::<&str>().map(|text| (*text).to_owned());
                    let text = text.or_else(|| reason.downcast_ref::<String>().cloned());
                    context.seen = format!("panicked: {}", text.unwrap_or_default()).into();
                    Report::Panicked
                }
            };
            if slot.read_command() == Command::Leave {
                return Ok(());
            }
            context.send_report(&report);
        }
    }
}

/// The payload with which the body of an abandoned execution unwinds. No message is printed, unlike for a panic.
struct Abandoned;

/// Executes the steps of a body.
#[derive(Debug)]
pub struct StepContext<'a> {
    slot: Slot<'a>,
    /// The observation of the last step, which is reported with the next arrival or at the end.
    seen: Seen,
}

impl StepContext<'_> {
    /// Arrives at `step`, waits until it is granted, and executes `operation`; `seen` describes the result.
    pub fn step<R>(&mut self, step: Step, operation: impl FnOnce() -> R, seen: impl FnOnce(&R) -> Seen) -> R {
        self.send_report(&Report::Arrived(step));
        self.wait_for_grant();
        let result = operation();
        self.seen = seen(&result);
        result
    }

    /// Arrives at the lock step `step`, and calls `try_acquire` each time it is granted, until it returns true.
    ///
    /// # Errors
    /// The error of `try_acquire`; the step is then done.
    pub fn acquire(
        &mut self,
        step: Step,
        mut try_acquire: impl FnMut() -> io::Result<bool>,
    ) -> io::Result<()> {
        self.wait_for(step, || try_acquire().map(|taken| taken.then(|| ((), Seen::from("taken".to_owned())))))
    }

    /// Arrives at `step`, and calls `attempt` each time it is granted, until it returns a value and an observation. An
    /// attempt that returns `None` must not have changed anything.
    ///
    /// # Errors
    /// The error of `attempt`; the step is then done.
    pub fn wait_for<R>(
        &mut self,
        step: Step,
        mut attempt: impl FnMut() -> io::Result<Option<(R, Seen)>>,
    ) -> io::Result<R> {
        self.send_report(&Report::Arrived(step));
        loop {
            self.wait_for_grant();
            match attempt() {
                Ok(Some((result, seen))) => {
                    self.seen = seen;
                    return Ok(result);
                }
                Ok(None) => self.send_report(&Report::Refused),
                Err(error) => {
                    self.seen = error.to_string().into();
                    return Err(error);
                }
            }
        }
    }

    /// Sets the result, which is reported to the scheduler at the end of the body.
    pub fn report(&mut self, result: Observation) {
        self.seen = Seen { text: String::new(), observation: result };
    }

    fn wait_for_grant(&mut self) {
        if self.wait() != Command::Grant {
            resume_unwind(Box::new(Abandoned));
        }
    }

    fn send_report(&mut self, report: &Report) {
        self.slot.report(report, &self.seen);
        self.seen = Seen::default();
        self.slot.pass(Side::Worker);
    }

    fn wait(&self) -> Command {
        while !self.slot.wait(Side::Worker, POLL_INTERVAL) {}
        self.slot.read_command()
    }
}
