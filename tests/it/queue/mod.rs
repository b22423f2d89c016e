//! The queue between real processes, under kills, stops and memory corruption.

mod deaths;
pub(crate) mod forked;
mod handles;
pub(crate) mod kill_points;
mod scribbler;
mod start_methods;
pub(crate) mod storm;
pub(crate) mod victim;

use kill_points::{Case, FILLINGS, Filling, OPERATIONS, SIZES};
use libtest_mimic::{Failed, Trial};
use std::time::Duration;

/// Only some instructions: `examples/kill_every_instruction.rs` tries all of them.
const STRIDE: usize = if cfg!(debug_assertions) { 10_000 } else { 150 };

pub(crate) fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    crate::common::bounded(format!("queue::{name}"), move || {
        test();
        Ok(())
    })
}

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = vec![
        crate::common::bounded("queue::the_promise_holds_at_every_kill_point", the_promise_holds),
        trial("every_message_is_accounted_for_after_a_storm_of_kills", || {
            for leases in [false, true] {
                let storm = storm::run(Duration::from_secs(2), Duration::from_millis(10), 5, leases);
                assert!(storm.kills > 10 && storm.received > 100, "{storm:?}");
            }
        }),
    ];
    all.extend(deaths::tests());
    all.extend(handles::tests());
    all.extend(scribbler::tests());
    all.extend(start_methods::tests());
    all
}

/// Only messages of the size that is kept in the stream, and some with handles, because all sizes would take too long.
fn the_promise_holds() -> Result<(), Failed> {
    let [_, medium, _, handles] = SIZES;
    for operation in OPERATIONS {
        for filling in FILLINGS {
            let size = if filling == Filling::Partly { handles } else { medium };
            let tally = kill_points::run(Case { operation, filling, size }, STRIDE)?;
            assert!(tally.points > 0 && tally.instructions > 100, "{tally:?}");
        }
    }
    Ok(())
}
