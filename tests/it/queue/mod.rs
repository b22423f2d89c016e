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
use proclab::queue::{Receiver, Sender, bounded};
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
    all.push(trial(
        "a_queue_of_one_process_has_one_descriptor_and_a_shared_one_leaves_none",
        few_descriptors_are_open,
    ));
    all.push(trial(
        "a_sender_has_two_descriptors_of_a_shared_queue_and_a_receiver_four",
        few_descriptors_are_open_in_each_process,
    ));
    all.push(trial("one_of_ten_thousand_queues_can_be_shared", one_of_many_queues_is_shared));
    all.push(trial("a_sleeper_notices_that_its_queue_is_shared", sleepers_see_that_the_queue_is_shared));
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
    // One descriptor each, and some for the process.
    let count = usize::try_from(hard.saturating_sub(100)).unwrap_or(usize::MAX).min(10_000);
    if count < 10_000 {
        println!("the hard limit of {hard} descriptors allows {count} queues");
    }
    let child = Process::new(open_many).args(count);
    let supervisor = Supervisor::new().unwrap();
    assert_eq!(supervisor.start(child).unwrap().result().unwrap(), count);
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A queue that threads have used, one that a child has used under each start method, and one whose ends are gone.
/// In a process of its own, because descriptors are counted.
fn count_descriptors() -> Vec<usize> {
    let supervisor = Supervisor::new().unwrap();
    // What the first child of each method costs the process.
    for method in StartMethod::ALL {
        supervisor.start(Process::new(|| ()).start_method(method)).unwrap().join().unwrap();
    }
    let begin = open_descriptors();
    let (sender, receiver) = bounded::<u32>(1).unwrap();
    let mut counts = vec![open_descriptors() - begin];
    std::thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|number| sender.send(number).unwrap()));
        (0..100).for_each(|number| {
            std::thread::sleep(Duration::from_micros(if number % 10 == 0 { 1000 } else { 0 }));
            assert_eq!(receiver.recv().unwrap(), number);
        });
        scope.spawn(|| assert_eq!(receiver.recv().unwrap(), 7));
        std::thread::sleep(Duration::from_millis(5));
        sender.send(7).unwrap();
    });
    counts.push(open_descriptors() - begin);
    drop((sender, receiver));
    counts.push(open_descriptors() - begin);
    for method in StartMethod::ALL {
        let (sender, receiver) = bounded::<usize>(1).unwrap();
        let child =
            Process::new(|sender: Sender<usize>| sender.send(1).unwrap()).args(sender).start_method(method);
        let child = supervisor.start(child).unwrap();
        assert_eq!(receiver.recv().unwrap(), 1);
        assert!(receiver.recv().is_err(), "the child was the only sender");
        child.join().unwrap();
        drop((child, receiver));
        counts.push(open_descriptors() - begin);
    }
    counts
}

fn few_descriptors_are_open() {
    let supervisor = Supervisor::new().unwrap();
    let counts = supervisor.start(Process::new(count_descriptors)).unwrap().result().unwrap();
    assert_eq!(counts, [1, 1, 0, 0, 0, 0]);
}

/// How many descriptors a queue costs a process that is given these ends: a sender, a receiver, or both.
fn count_of_ends(ends: (Option<Sender<u8>>, Option<Receiver<u8>>)) -> usize {
    let before = open_descriptors();
    let used = ends.0.as_ref().is_none_or(|sender| !sender.is_disconnected())
        && ends.1.as_ref().is_none_or(Receiver::is_empty);
    assert!(used);
    // Further handles cost nothing.
    let (sender, receiver) = bounded(1).unwrap();
    let with_queue = open_descriptors() - before;
    sender.send(ends.clone()).unwrap();
    drop((receiver.recv().unwrap(), sender, receiver));
    assert!(with_queue == 1 && open_descriptors() == before);
    drop(ends);
    before - open_descriptors()
}

fn few_descriptors_are_open_in_each_process() {
    let supervisor = Supervisor::new().unwrap();
    // A child by `Fork` has the handles of its parent, too, which it never drops.
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        let (sender, receiver) = bounded::<u8>(1).unwrap();
        let count = |has_sender, has_receiver| {
            let ends = (
                if has_sender { Some(sender.clone()) } else { None },
                if has_receiver { Some(receiver.clone()) } else { None },
            );
            let child = Process::new(count_of_ends).args(ends).start_method(method);
            supervisor.start(child).unwrap().result().unwrap()
        };
        assert_eq!([count(true, false), count(false, true), count(true, true)], [2, 4, 5], "{method:?}");
    }
}

/// Ten thousand queues are open, and a child is given the ends of one of them.
fn share_one_of_many(method: StartMethod) -> u32 {
    let (_, hard) = getrlimit(Limit::RLIMIT_NOFILE).unwrap();
    setrlimit(Limit::RLIMIT_NOFILE, hard, hard).unwrap();
    let count = usize::try_from(hard.saturating_sub(100)).unwrap_or(usize::MAX).min(10_000);
    let queues: Vec<_> = (0..count).map(|_| bounded::<u32>(4).unwrap()).collect();
    let (sender, receiver) = &queues[count / 2];
    let supervisor = Supervisor::new().unwrap();
    let double =
        |receiver: Receiver<u32>, sender: Sender<u32>| sender.send(receiver.recv().unwrap() * 2).unwrap();
    let child = Process::new(double).args((receiver.clone(), sender.clone())).start_method(method);
    let child = supervisor.start(child).unwrap();
    sender.send(21).unwrap();
    child.join().unwrap();
    receiver.recv().unwrap()
}

fn one_of_many_queues_is_shared() {
    let supervisor = Supervisor::new().unwrap();
    for method in StartMethod::ALL {
        let child = supervisor.start(Process::new(share_one_of_many).args(method)).unwrap();
        assert_eq!(child.result().unwrap(), 42, "{method}");
    }
}

/// A thread that sleeps in a queue which only its process has, when the queue is shared: by a handle that is sent, or by
/// a fork of other code.
fn sleepers_see_that_the_queue_is_shared() {
    let supervisor = Supervisor::new().unwrap();
    supervisor.start(Process::new(share_under_sleepers)).unwrap().result().unwrap();
}

fn share_under_sleepers() {
    for by_fork in [false, true] {
        let (sender, receiver) = bounded::<u32>(1).unwrap();
        let (full, drain) = bounded::<u32>(1).unwrap();
        full.send(1).unwrap();
        std::thread::scope(|scope| {
            let received = scope.spawn(|| receiver.recv().unwrap());
            let sent = scope.spawn(|| full.send(2).unwrap());
            // Asleep, or about to sleep: both must be woken.
            std::thread::sleep(Duration::from_millis(2));
            let body = |sender: Sender<u32>, drain: Receiver<u32>| {
                sender.send(9).unwrap();
                assert_eq!(drain.recv().unwrap(), 1);
            };
            if by_fork {
                let child = forked::child(|| body(sender.clone(), drain.clone()));
                assert_eq!((received.join().unwrap(), sent.join().unwrap()), (9, ()));
                nix::sys::wait::waitpid(child, None).unwrap();
            } else {
                let supervisor = Supervisor::new().unwrap();
                let child = Process::new(body).args((sender.clone(), drain.clone()));
                let child = supervisor.start(child).unwrap();
                assert_eq!((received.join().unwrap(), sent.join().unwrap()), (9, ()));
                child.join().unwrap();
            }
        });
        assert_eq!(drain.recv().unwrap(), 2);
    }
}
