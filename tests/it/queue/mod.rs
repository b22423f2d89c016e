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
use nix::sys::resource::{Resource as Limit, getrlimit, setrlimit};
use proclab::queue::bounded;
use proclab::{Process, Resource, StartMethod, Supervisor};
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
    all.push(trial("a_queue_opens_within_a_gibibyte_of_files_and_of_address_space", opens_within_limits));
    all.push(trial("ten_thousand_queues_open_within_the_hard_limit_of_descriptors", many_queues_open));
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

const GIB: u64 = 1 << 30;

/// Opens a queue with the default limits, and sends a message of each size through it.
fn use_a_queue() -> usize {
    let (sender, receiver) = bounded::<Vec<u8>>(1024).unwrap();
    let lengths = [1, 1000, 100_000];
    lengths.iter().for_each(|len| sender.send(vec![7; *len]).unwrap());
    let received = lengths.map(|len| usize::from(receiver.recv().unwrap().len() == len));
    received.into_iter().sum()
}

/// In a process of its own, because a forked child has the address space of its parent.
fn opens_within_limits() {
    let supervisor = Supervisor::new().unwrap();
    supervisor.start(Process::new(open_under_each_method)).unwrap().result().unwrap();
}

fn open_under_each_method() {
    for method in StartMethod::ALL {
        let supervisor = Supervisor::new().unwrap();
        let process = Process::new(use_a_queue).rlimit(Resource::Fsize, GIB, GIB).start_method(method);
        let child = supervisor.start(process.rlimit(Resource::As, GIB, GIB)).unwrap();
        assert_eq!(child.result().unwrap(), 3, "{method}");
    }
}

/// Opens as many queues as asked for, and sends a message through each.
fn open_many(count: usize) -> usize {
    let (_, hard) = getrlimit(Limit::RLIMIT_NOFILE).unwrap();
    setrlimit(Limit::RLIMIT_NOFILE, hard, hard).unwrap();
    let queues: Vec<_> = (0..count).map(|_| bounded::<usize>(4).unwrap()).collect();
    queues.iter().zip(0..).for_each(|((sender, _), number)| sender.send(number).unwrap());
    queues.iter().zip(0..).filter(|((_, receiver), number)| receiver.recv().unwrap() == *number).count()
}

fn many_queues_open() {
    let (_, hard) = getrlimit(Limit::RLIMIT_NOFILE).unwrap();
    // Seven descriptors for both ends, and some for the process.
    let count = usize::try_from(hard.saturating_sub(100) / 7).unwrap_or(usize::MAX).min(10_000);
    if count < 10_000 {
        println!("the hard limit of {hard} descriptors allows {count} queues with both ends in one process");
    }
    let child = Process::new(open_many).args(count);
    let supervisor = Supervisor::new().unwrap();
    assert_eq!(supervisor.start(child).unwrap().result().unwrap(), count);
}
