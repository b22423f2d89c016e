//! `proclab explore tickets --cabinet`: explores all locks and compares them.

use clap::ArgMatches;

use super::explore::{Reach, Search, explore};
use super::fault::{Cause, Fault};
use super::gate::{could_not, usage, with_lab};
use super::output::{Finding, Format, json, width};
use super::progress::Progress;
use super::scenario::fault;
use crate::explore::statistics::quantile;
use crate::report::cabinet::{Cabinet, LockView};
use crate::report::exploration::Exploration;
use crate::scenario::contract::LockCase;
use crate::scenario::entry::Entry;
use crate::scenario::experiment::Experiment;

/// Explores every lock of a scenario, without and with a kill.
pub(super) fn answer(
    entry: &dyn Entry,
    matches: &ArgMatches,
    args: &Search,
) -> Result<(String, Finding), Fault> {
    let mut cases = entry.locks(matches).map_err(fault)?;
    let Some(exercise) = cases.pop() else {
        let what = format!("--cabinet compares locks, and {} has none", entry.name());
        return Err(usage(what, "proclab explore tickets --cabinet"));
    };
    let mut progress = Progress::new();
    let mut locks = Vec::new();
    for case in &cases {
        let plain = one(args, case, &*case.plain, 0, &mut progress)?;
        let killed = one(args, case, &*case.killed, 1, &mut progress)?;
        let right = plain.is_right() && killed.is_right();
        let lock = case.name.unwrap_or_default().to_owned();
        locks.push(LockView {
            lock,
            right,
            why: case.why.to_owned(),
            plain,
            killed,
            median_us: median(case)?,
        });
    }
    let notes = one(args, &exercise, &*exercise.plain, 0, &mut progress)?;
    progress.finish();
    let right = locks.iter().all(|view| view.right);
    let cabinet = Cabinet { buyers: exercise.buyers, stock: exercise.stock, locks, notes };
    let text = match args.format {
        Format::Text => cabinet.text(width()),
        Format::Json => json(&cabinet),
    };
    Ok((text, Finding::of(right)))
}

fn one(
    args: &Search,
    case: &LockCase,
    experiment: &dyn Experiment,
    kills: usize,
    progress: &mut Progress,
) -> Result<Exploration, Fault> {
    // Three processes have too many schedules to execute all of them for every lock.
    let reach = Reach { kills, reduce: args.reduce || case.buyers > 2 };
    with_lab(experiment, |bench| {
        let exploration = explore(bench, args, reach, None, progress)?;
        // A comparison is useless if locks are missing.
        bench.interrupt.received().map_or(Ok(exploration), |signal| Err(Fault::interrupted(signal)))
    })
}

/// The median duration of an uncontended purchase by this process, in microseconds.
fn median(case: &LockCase) -> Result<Option<f64>, Fault> {
    let failed = |error: &Cause| could_not("a purchase could not be measured", error);
    let purchase_times = (case.purchase_times)().map_err(|error| failed(&error))?;
    let mut purchase_times: Vec<f64> =
        purchase_times.into_iter().map(|purchase_time| purchase_time.as_secs_f64() * 1e6).collect();
    purchase_times.sort_by(f64::total_cmp);
    Ok(quantile(&purchase_times, 0.5))
}
