//! What `explore` and `replay` share: processes at the gate, and a witness that was verified.

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

/// Runs `work` on the processes of `experiment`, with a supervisor and a directory that are gone afterwards.
pub(crate) fn with_lab<R>(
    experiment: &dyn Experiment,
    work: impl FnOnce(&mut Gated<'_>) -> Result<R, Fault>,
) -> Result<R, Fault> {
    let failed = |error: &Cause| could_not("the processes cannot be set up", error);
    let interrupt = Interrupt::install().map_err(|error| failed(&error))?;
    let _ = raise_open_file_limit();
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(|error| failed(&error))?;
    let scratch = Scratch::new().map_err(|error| failed(&error))?;
    let lab = experiment.gated(&supervisor, scratch.path()).map_err(|error| failed(&error))?;
    work(&mut Gated { experiment, lab, interrupt })
}

/// Processes at the gate, and what they are for.
pub(crate) struct Gated<'s> {
    pub(crate) experiment: &'s dyn Experiment,
    /// Whether the user has had enough.
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
            Ok(None) => Err(diverged(&"the schedule ends where a process could go on")),
            Err(ExecuteError::Diverged(divergence)) => Err(diverged(&divergence)),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Describes the execution that has just ended.
    pub(crate) fn describe(&mut self, trace: &Trace) -> Result<Witness, Fault> {
        let verdict = self.lab.judge(trace);
        let verdict = verdict.map_err(|error| could_not("the result cannot be read", &error))?;
        let broken = (verdict != Verdict::Ok).then(|| self.lab.broken_at(trace)).flatten();
        Ok(Witness::new(self.experiment, trace, verdict, &self.lab.pids(), broken))
    }
}

/// The arguments make no sense, and what would.
pub(crate) fn usage(what: impl Display, hint: impl Into<String>) -> Fault {
    Fault::bad_arguments(what).hint(hint)
}

/// Something stood in the way of what is named. After a Ctrl-C whatever goes wrong comes of it.
pub(crate) fn could_not(doing: &str, error: &Cause) -> Fault {
    let signal = Interrupt::installed().and_then(Interrupt::received);
    signal.map_or_else(|| Fault::could_not_run(error).context(doing), Fault::interrupted)
}

/// The processes failed under control.
pub(crate) fn failed(error: &ExecuteError<GateError>) -> Fault {
    could_not("the schedule could not be carried out", error)
}

#[derive(Debug, thiserror::Error)]
#[error("the replay went another way: {0}")]
struct Diverged(String);

/// The processes did other things than the schedule says.
pub(crate) fn diverged(difference: &dyn Display) -> Fault {
    Fault::could_not_run(&Diverged(difference.to_string()))
        .hint("explore again: the program or the kernel has changed since the token was made")
}
