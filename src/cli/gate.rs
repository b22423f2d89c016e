//! What `explore` and `replay` share: processes at the gate, and verified witnesses.

use std::fmt::Display;

use super::fault::{Cause, Fault};
use crate::explore::engine::{ExecuteError, Trace, execute};
use crate::explore::gate::GateError;
use crate::explore::strategy::replay::Replay;
use crate::process::Scratch;
use crate::report::witness::Witness;
use crate::scenario::experiment::Experiment;
use crate::scenario::experiment::Lab;
use crate::scenario::run::verdict::Verdict;
use crate::supervisor::Supervisor;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::Interrupt;

/// Runs `work` on the processes of `experiment`, with a supervisor and a directory that are removed afterwards.
pub(crate) fn with_lab<R>(
    experiment: &dyn Experiment,
    work: impl FnOnce(&mut Gated<'_>) -> Result<R, Fault>,
) -> Result<R, Fault> {
    let failed = |error: &Cause| could_not("the processes could not be set up", error);
    let interrupt = Interrupt::install().map_err(|error| failed(&error))?;
    let _ = raise_open_file_limit();
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(|error| failed(&error))?;
    let scratch = Scratch::new().map_err(|error| failed(&error))?;
    let lab = experiment.gated(&supervisor, scratch.path()).map_err(|error| failed(&error))?;
    work(&mut Gated { experiment, lab, interrupt })
}

/// An experiment whose processes wait at the gate.
pub(crate) struct Gated<'s> {
    pub(crate) experiment: &'s dyn Experiment,
    /// Whether the user asked for an end.
    pub(crate) interrupt: Interrupt,
    pub(crate) lab: Box<dyn Lab + 's>,
}

impl Gated<'_> {
    /// Executes the schedule of `replay` on real processes.
    pub(crate) fn replay(&mut self, mut replay: Replay, kills: usize) -> Result<Witness, Fault> {
        match execute(&mut *self.lab, &mut replay, kills) {
            Ok(Some(trace)) => {
                replay.check(&trace.events).map_err(|divergence| diverged(&divergence))?;
                self.describe(&trace)
            }
            Ok(None) => Err(diverged(&"the schedule ends although a process could continue")),
            Err(ExecuteError::Diverged(divergence)) => Err(diverged(&divergence)),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Describes the execution that has just ended.
    pub(crate) fn describe(&mut self, trace: &Trace) -> Result<Witness, Fault> {
        let verdict = self.lab.judge(trace);
        let verdict = verdict.map_err(|error| could_not("the result could not be read", &error))?;
        let broken = (verdict != Verdict::Ok).then(|| self.lab.broken_at(trace)).flatten();
        Ok(Witness::new(self.experiment, trace, verdict, &self.lab.pids(), broken))
    }
}

/// A usage error: what is wrong, and how to correct it.
pub(crate) fn usage(what: impl Display, hint: impl Into<String>) -> Fault {
    Fault::bad_arguments(what).hint(hint)
}

/// `doing` failed. After Ctrl-C, the interrupt is taken as the cause of any failure.
pub(crate) fn could_not(doing: &str, error: &Cause) -> Fault {
    let signal = Interrupt::installed().and_then(Interrupt::received);
    signal.map_or_else(|| Fault::could_not_run(error).context(doing), Fault::interrupted)
}

/// An execution at the gate failed.
pub(crate) fn failed(error: &ExecuteError<GateError>) -> Fault {
    could_not("the schedule could not be carried out", error)
}

#[derive(Debug, thiserror::Error)]
#[error("the replay diverged from the schedule: {0}")]
struct Diverged(String);

/// The processes did not follow the schedule.
pub(crate) fn diverged(difference: &dyn Display) -> Fault {
    Fault::could_not_run(&Diverged(difference.to_string()))
        .hint("explore again: the program or the kernel has changed since the token was printed")
}
