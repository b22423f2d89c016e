//! A scenario's processes at the gate: one granted step at a time, or all released at once for a trial.

use crate::sys::pid::Pid;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::verdict::Verdict;
use crate::explore::engine::{Granted, System, Trace};
use crate::explore::gate::{Gate, GateError, WorkerSlot};
use crate::explore::step::{Effect, Seen, Step, letter};
use crate::process::{Process, StartError};
use crate::said::Said;
use crate::scenario::contract::{History, Scenario};
use crate::scenario::experiment::{Lab, State, Trial, TrialRun};
use crate::scenario::world::free::Free;
use crate::scenario::world::gated::Gated;
use crate::scenario::world::{decode, encode};
use crate::supervisor::Supervisor;

/// A process's report at the end of a trial.
#[derive(Debug, Serialize, Deserialize)]
struct Ended<End> {
    end: End,
    waited_ns: u64,
}

/// The arguments of a process.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Setup<S: Scenario> {
    params: S::Params,
    share: S::Share,
    process: usize,
    free: bool,
}

/// The body of a process. A failure becomes a panic that prints nothing; the scheduler learns of it, and the
/// verdict is `crashed`.
fn work<S: Scenario>(slot: WorkerSlot, setup: Setup<S>) {
    let Setup { params, share, process, free } = setup;
    let tools = S::unpack(&params, share, process).unwrap_or_else(|error| panic!("{error}"));
    let served = slot.serve(|context| {
        let done = if free {
            let mut world = Free::default();
            S::body(&mut world, &params, &tools, process).map(|end| {
                let waited_ns = u64::try_from(world.waited.as_nanos()).unwrap_or(u64::MAX);
                context.report(encode(&Ended { end, waited_ns }));
            })
        } else {
            S::body(&mut Gated(context), &params, &tools, process).map(drop)
        };
        if let Err(error) = done {
            std::panic::resume_unwind(Box::new(error.to_string()));
        }
    });
    served.unwrap_or_else(|error| panic!("{error}"));
}

/// The processes of a scenario, at the gate or free, and their shared resources.
pub struct GatedRun<'s, S: Scenario> {
    gate: Gate<'s>,
    params: S::Params,
    resources: Rc<S::Resources>,
}

impl<'s, S: Scenario> GatedRun<'s, S> {
    /// Starts processes at the gate, owned by `supervisor`, in the directory `dir`, which nothing else uses.
    ///
    /// # Errors
    /// If files or memory cannot be created.
    pub fn new(supervisor: &'s Supervisor, params: &S::Params, dir: &Path) -> Result<Self, GateError> {
        Self::open(supervisor, params, dir, false)
    }

    /// The same for trials.
    ///
    /// # Errors
    /// If files or memory cannot be created.
    pub fn free(supervisor: &'s Supervisor, params: &S::Params, dir: &Path) -> Result<Self, GateError> {
        Self::open(supervisor, params, dir, true)
    }

    fn open(
        supervisor: &'s Supervisor,
        params: &S::Params,
        dir: &Path,
        free: bool,
    ) -> Result<Self, GateError> {
        let resources = Rc::new(S::open(params, dir)?);
        let roles = S::roles(params);
        let (given, shared) = (params.clone(), Rc::clone(&resources));
        let gate = Gate::new(roles.len(), move |process, slot| {
            let name = format!("{}-{}", roles[process], letter(process));
            let share = S::share(&given, &shared, process).map_err(|source| StartError::Os {
                name: name.clone(),
                operation: "dup",
                source,
            })?;
            let setup = Setup::<S> { params: given.clone(), share, process, free };
            supervisor.start(Process::new(work::<S>).args((slot, setup)).name(name).daemon(true))
        })?;
        Ok(Self { gate, params: params.clone(), resources })
    }

    /// Whether a body has failed.
    fn crashed(&self) -> bool {
        (0..self.gate.len()).any(|worker| self.gate.panicked(worker))
    }
}

impl<S: Scenario> System for GatedRun<'_, S> {
    type Error = GateError;
    type Outcome = Verdict;

    fn tasks(&self) -> usize {
        self.gate.len()
    }

    fn reset(&mut self) -> Result<(), GateError> {
        self.gate.abandon()?;
        S::reset(&self.params, &self.resources)?;
        self.gate.begin()
    }

    fn pending(&self, process: usize) -> Option<&Step> {
        self.gate.pending(process)
    }

    fn grant(&mut self, process: usize) -> Result<Granted, GateError> {
        self.gate.grant(process)
    }

    fn kill(&mut self, process: usize) -> Result<Effect, GateError> {
        self.gate.kill(process)?;
        Ok(Seen::from("killed".to_owned()).into())
    }

    fn judge(&mut self, trace: &Trace) -> Result<Verdict, GateError> {
        if self.crashed() {
            return Ok(Verdict::Crashed);
        }
        Ok(S::judge(&self.params, &self.resources, History::Steps(trace))?)
    }
}

impl<S: Scenario> Lab for GatedRun<'_, S> {
    fn pids(&self) -> Vec<Pid> {
        (0..self.gate.len()).map(|worker| self.gate.pid(worker)).collect()
    }

    fn broken_at(&self, trace: &Trace) -> Option<(usize, Said)> {
        S::broken_at(&self.params, trace)
    }

    fn viewer(&self) -> State {
        let (params, resources) = (self.params.clone(), Rc::clone(&self.resources));
        Box::new(move || S::state(&params, &resources))
    }
}

impl<S: Scenario> TrialRun for GatedRun<'_, S> {
    fn trial(&mut self, timeout: Duration) -> Result<Trial, GateError> {
        S::reset(&self.params, &self.resources)?;
        let begin = Instant::now();
        let ends = self.gate.run_freely(timeout)?;
        let duration = begin.elapsed();
        let ends: Vec<Option<Ended<S::End>>> = ends.iter().map(|end| end.as_ref().and_then(decode)).collect();
        let waited = ends.iter().map(|end| end.as_ref().map(|end| Duration::from_nanos(end.waited_ns)));
        let waited = waited.collect();
        let verdict = if self.crashed() {
            Verdict::Crashed
        } else {
            let ends: Vec<_> = ends.into_iter().map(|end| end.map(|end| end.end)).collect();
            S::judge(&self.params, &self.resources, History::Ends(&ends))?
        };
        Ok(Trial { verdict, duration, waited })
    }
}

impl<S: Scenario> std::fmt::Debug for GatedRun<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatedRun")
            .field("gate", &self.gate)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
