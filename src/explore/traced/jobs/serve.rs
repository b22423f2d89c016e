//! An engine that carries out assignments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Complete, Done, End, Hired, Job};
use crate::explore::engine::{Divergence, ExecuteError, System, Trace, execute};
use crate::explore::reduce::Order;
use crate::explore::search::{Class, Measure};
use crate::explore::shrink::Cost;
use crate::explore::strategy::Strategy;
use crate::explore::strategy::dpor::Assigned;
use crate::explore::traced::machine::{Machine, TracedError};
use crate::explore::traced::outcome::Outcome;
use crate::explore::traced::search::TRIES;
use crate::process::chain;

/// What an engine has reported.
#[derive(Default)]
struct Reported {
    outcomes: BTreeMap<Arc<Outcome>, (usize, Option<Cost>)>,
}

/// Carries out jobs until the first engine ends.
pub(in crate::explore::traced) fn serve(machine: &mut Machine, ends: &Hired) {
    let mut reported = Reported::default();
    while let Ok(job) = ends.jobs.recv() {
        if job.anew {
            reported = Reported::default();
        }
        if ends.done.send(carry_out(machine, job, &mut reported)).is_err() {
            return;
        }
    }
}

fn carry_out(machine: &mut Machine, job: Job, reported: &mut Reported) -> Done {
    machine.rename(job.names);
    machine.checkpoints.replay_steps(job.kills);
    machine.world.learned = job.facts;
    machine.world.candidates.clear();
    machine.world.has_learned = false;
    let mut assigned = Assigned::new(job.assignment);
    let mut divergences = 0;
    let end = loop {
        assigned.begin();
        match execute(machine, &mut assigned, job.kills) {
            Ok(Some(trace)) => break complete(machine, &trace, reported).map_or_else(failed, End::Complete),
            Ok(None) => break End::GivenUp,
            Err(ExecuteError::System(error)) => break failed(error),
            Err(ExecuteError::Ambiguous(error)) => break End::Failed(error.to_string()),
            Err(ExecuteError::Diverged(Divergence { position, .. })) => {
                divergences += 1;
                if divergences == u64::from(TRIES) {
                    break End::Diverged(position);
                }
            }
        }
    };
    Done {
        end,
        report: assigned.report(),
        names: machine.names.clone(),
        facts: machine.world.learned.clone(),
        candidates: std::mem::take(&mut machine.world.candidates),
        divergences,
    }
}

fn failed(error: TracedError) -> End {
    End::Failed(chain(&error))
}

fn complete(
    machine: &mut Machine,
    trace: &Trace,
    reported: &mut Reported,
) -> Result<Box<Complete>, TracedError> {
    let outcome = machine.judge(trace)?;
    let uncontrolled = machine.uncontrolled();
    let order = Order::new(&trace.events);
    let mut measure = Measure::of(trace, &order);
    let next = reported.outcomes.len();
    let is_new = !reported.outcomes.contains_key(&outcome);
    let (number, best) = reported.outcomes.entry(outcome.clone()).or_insert((next, None));
    measure.keep_shorter(best);
    let outcome = (*number, is_new.then(|| (*outcome).clone()));
    Ok(Box::new(Complete {
        outcome,
        class: Class::of(trace, &order),
        measure: Box::new(measure),
        uncontrolled,
    }))
}
