//! Both ends can be arguments of a process, with every start method.

use super::trial;
use libtest_mimic::Trial;
use proclab::queue::error::{RecvError, RecvTimeoutError};
use proclab::queue::{Receiver, Sender, bounded};
use proclab::{Exit, Process, StartMethod, Supervisor};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);
const METHODS: [StartMethod; 3] = [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer];

pub(super) fn tests() -> Vec<Trial> {
    vec![
        trial("ends_travel_under_every_start_method", ends_travel),
        trial("an_unused_end_in_a_child_does_not_keep_the_queue_open", unused_ends),
        trial("a_killed_child_counts_as_gone_under_every_start_method", killed_child),
    ]
}

fn doubles(numbers: Receiver<u64>, doubled: Sender<u64>) -> u64 {
    let mut count = 0;
    for number in numbers {
        doubled.send(2 * number.expect("a number")).expect("a process receives");
        count += 1;
    }
    count
}

fn ends_travel() {
    for method in METHODS {
        let supervisor = Supervisor::new().expect("a supervisor");
        let (numbers, receiver) = bounded(2).expect("a queue can be made");
        let (sender, doubled) = bounded(2).expect("a queue can be made");
        let child = supervisor
            .start(Process::new(doubles).args((receiver, sender)).start_method(method))
            .unwrap_or_else(|error| panic!("{method:?}: {error}"));
        for number in 0..100 {
            numbers.send(number).unwrap_or_else(|error| panic!("{method:?}: {error}"));
            assert_eq!(
                doubled.recv_timeout(LONG).unwrap_or_else(|error| panic!("{method:?}: {error}")),
                2 * number
            );
        }
        drop(numbers);
        assert!(matches!(doubled.recv(), Err(RecvError::Disconnected)));
        assert_eq!(child.result().expect("a result"), 100);
    }
}

fn drains(receiver: Receiver<u64>) -> u64 {
    receiver.iter().map(|number| number.expect("a number")).sum()
}

/// A copy of the parent's memory also contains its other end. No process uses that, so it must not count.
fn unused_ends() {
    for method in METHODS {
        let supervisor = Supervisor::new().expect("a supervisor");
        let (sender, receiver) = bounded(2).expect("a queue can be made");
        let children: Vec<_> = (0..2)
            .map(|_| supervisor.start(Process::new(drains).args(receiver.clone()).start_method(method)))
            .map(|child| child.unwrap_or_else(|error| panic!("{method:?}: {error}")))
            .collect();
        drop(receiver);
        (1..=10).for_each(|number| sender.send(number).expect("they receive"));
        drop(sender);
        for child in &children {
            assert!(
                child.join_timeout(LONG).expect("joined").is_some(),
                "{method:?}: it waits for an end it has itself"
            );
        }
        let sum: u64 = children.into_iter().map(|child| child.result().expect("a sum")).sum();
        assert_eq!(sum, 55, "{method:?}");
    }
}

fn holds(sender: Sender<u64>) {
    sender.send(1).expect("the parent receives");
    loop {
        std::thread::park();
    }
}

fn killed_child() {
    for method in METHODS {
        let supervisor = Supervisor::new().expect("a supervisor");
        let (sender, receiver) = bounded(2).expect("a queue can be made");
        let child =
            supervisor.start(Process::new(holds).args(sender).start_method(method)).expect("it starts");
        assert_eq!(receiver.recv_timeout(LONG).expect("the child lives"), 1, "{method:?}");
        child.kill().expect("it is our child");
        assert!(matches!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected)), "{method:?}");
        assert!(matches!(child.join().expect("joined"), Exit::Signal { .. }));
    }
}
