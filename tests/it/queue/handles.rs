//! Handles inside of messages: they outlive their sender, and are closed with the last process that needs them.

use super::trial;
use crate::common::{PATIENCE, end_of, result_of, supervisor};
use libtest_mimic::Trial;
use proclab::pipe::{Pipe, duplex};
use proclab::queue::error::RecvTimeoutError;
use proclab::queue::{Receiver, Sender, bounded};
use proclab::sync::{Event, Mutex};
use proclab::{Fd, Process, StartMethod, Waitable, wait_any};
use serde::{Deserialize, Serialize};

const METHODS: [StartMethod; 3] = [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer];

pub(super) fn tests() -> Vec<Trial> {
    vec![
        trial("a_request_brings_the_queue_for_its_answer", requests),
        trial("handles_outlive_a_sender_that_is_killed", killed_sender),
        trial("children_queues_and_pipes_are_waited_for_together", one_wait),
        trial("a_pipe_ends_with_the_process_on_its_other_end", pipes),
        trial("a_pipe_in_a_sibling_does_not_keep_it_open", siblings),
    ]
}

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    number: u64,
    answers: Sender<u64>,
    total: Mutex<u64>,
    done: Event,
}

fn serves(requests: Receiver<Request>) -> u64 {
    let mut count = 0;
    for request in requests {
        let Request { number, answers, total, done } = request.expect("a request");
        *total.lock().expect("clean") += number;
        answers.send(2 * number).expect("the client waits");
        done.set();
        count += 1;
    }
    count
}

fn requests() {
    for method in METHODS {
        let supervisor = supervisor();
        let (sender, receiver) = bounded(2).unwrap();
        let server = supervisor.start(Process::new(serves).args(receiver).start_method(method)).unwrap();
        let total = Mutex::new(0).unwrap();
        for number in 1..=20 {
            let (answers, receiver) = bounded(1).unwrap();
            let done = Event::new().unwrap();
            let total = total.try_clone().unwrap();
            sender.send(Request { number, answers, total, done: done.try_clone().unwrap() }).unwrap();
            assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), 2 * number, "{method:?}");
            done.wait_timeout(PATIENCE).unwrap();
            assert!(matches!(receiver.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected)));
        }
        drop(sender);
        assert_eq!(result_of(&server), 20);
        assert_eq!(*total.lock().unwrap(), 20 * 21 / 2);
    }
}

fn sends_and_sleeps(requests: Sender<(Event, Pipe<u8, u8>)>, sent: Event) {
    let (here, there) = duplex().expect("a pipe");
    here.send(7).expect("there is room");
    let event = Event::new().expect("an event");
    event.set();
    requests.send((event, there)).expect("there is room");
    sent.set();
    crate::common::sleep();
}

fn killed_sender() {
    for method in METHODS {
        let supervisor = supervisor();
        let (sender, receiver) = bounded(2).unwrap();
        let sent = Event::new().unwrap();
        let args = (sender, sent.try_clone().unwrap());
        let child = supervisor.start(Process::new(sends_and_sleeps).args(args).start_method(method)).unwrap();
        sent.wait_timeout(PATIENCE).unwrap();
        child.kill().unwrap();
        end_of(&child);
        let (event, pipe) = receiver.recv_timeout(PATIENCE).unwrap();
        assert!(event.is_set(), "{method:?}");
        assert_eq!(pipe.recv_timeout(PATIENCE).unwrap(), 7, "what its dead sender sent is there");
        assert!(pipe.recv_timeout(PATIENCE).is_err());
        assert!(matches!(receiver.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected)));
    }
}

fn echoes_once(jobs: Receiver<u64>, pipe: Pipe<u64, u64>, results: Sender<u64>) {
    results.send(jobs.recv().expect("a job") + 1).expect("a process receives");
    let number = pipe.recv().expect("a number");
    pipe.send(number + 2).expect("the other end is there");
}

fn one_wait() {
    for method in METHODS {
        let supervisor = supervisor();
        let (jobs, receiver) = bounded(1).unwrap();
        let (sender, results) = bounded(1).unwrap();
        let (here, there) = duplex().unwrap();
        let args = (receiver, there, sender);
        let child = supervisor.start(Process::new(echoes_once).args(args).start_method(method)).unwrap();
        let idle = supervisor.start(crate::common::sleeper(method)).unwrap();
        let sources: [&dyn Waitable; 4] = [&child, &results, &here, &idle];
        assert!(wait_any(&sources, Some(std::time::Duration::from_millis(5))).unwrap().is_empty());
        jobs.send(10).unwrap();
        assert_eq!(wait_any(&sources, Some(PATIENCE)).unwrap(), [1], "{method:?}");
        assert_eq!(results.try_recv().unwrap(), 11);
        here.send(20).unwrap();
        assert_eq!(wait_any(&sources[..3], Some(PATIENCE)).unwrap()[..1].len(), 1);
        assert_eq!(here.recv_timeout(PATIENCE).unwrap(), 22);
        end_of(&child);
        // Its ends are gone with it.
        assert_eq!(wait_any(&sources, Some(PATIENCE)).unwrap(), [0, 1, 2], "{method:?}");
        idle.kill().unwrap();
        assert_eq!(wait_any(&[&idle], Some(PATIENCE)).unwrap(), [0]);
    }
}

fn doubles(pipe: Pipe<u64, u64>) {
    for number in pipe.iter() {
        pipe.send(2 * number.expect("a number")).expect("the other end is there");
    }
}

fn pipes() {
    for method in METHODS {
        let supervisor = supervisor();
        let (here, there) = duplex().unwrap();
        let child = supervisor.start(Process::new(doubles).args(there).start_method(method)).unwrap();
        for number in 0..50 {
            here.send(number).unwrap();
            assert_eq!(here.recv_timeout(PATIENCE).unwrap(), 2 * number, "{method:?}");
        }
        child.kill().unwrap();
        assert!(here.recv_timeout(PATIENCE).is_err());
        assert!(here.send(1).is_err());
    }
}

fn siblings() {
    for method in METHODS {
        let supervisor = supervisor();
        let (here, there) = duplex::<u64, u64>().unwrap();
        let reader = supervisor.start(Process::new(doubles).args(there).start_method(method)).unwrap();
        let (door, entrance) = std::io::pipe().unwrap();
        let other = supervisor.start(crate::common::sleeper(method)).unwrap();
        drop(here);
        end_of(&reader);
        other.kill().unwrap();
        drop((door, Fd::from(std::os::fd::OwnedFd::from(entrance))));
    }
}
