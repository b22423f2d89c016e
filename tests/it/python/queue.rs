//! `_TestQueue`, `TestSimpleQueue`.

use super::{SHORT, SOON, cases};
use libtest_mimic::Trial;
use proclab::queue::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use proclab::queue::{Receiver, Sender, bounded};
use proclab::sync::Event;
use proclab::{Process, StartMethod, Supervisor};
use serde::{Deserialize, Serialize, Serializer};
use std::time::{Duration, Instant};

pub(super) fn tests() -> Vec<Trial> {
    let classes = [
        cases!["Queue": put, get, fork, qsize, task_done, timeout, queue_feeder_donot_stop_onexc,
            queue_feeder_on_queue_feeder_error, closed_queue_put_get_exceptions],
        cases!["SimpleQueue": empty, close, closed],
    ];
    classes.into_iter().flatten().collect()
}

fn drain(receiver: Receiver<u32>, go: Event, done: Event) {
    go.wait().unwrap();
    for _ in 0..6 {
        receiver.recv().unwrap();
    }
    done.set();
}

fn put(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let (sender, receiver) = bounded(6).unwrap();
    let (go, done) = (Event::new().unwrap(), Event::new().unwrap());
    let args = (receiver.clone(), go.try_clone().unwrap(), done.try_clone().unwrap());
    let child = supervisor.start(Process::new(drain).args(args).start_method(method)).unwrap();
    assert!(sender.is_empty() && !sender.is_full());
    sender.send(1).unwrap();
    sender.try_send(2).unwrap();
    sender.send_timeout(3, SHORT).unwrap();
    sender.send_many([4, 5, 6]).unwrap();
    assert!(!sender.is_empty() && sender.is_full());
    let begin = Instant::now();
    assert!(matches!(sender.try_send(7), Err(TrySendError::Full(7))));
    assert!(matches!(sender.send_timeout(7, Duration::ZERO), Err(SendTimeoutError::Timeout(7))));
    assert!(begin.elapsed() < SOON);
    let begin = Instant::now();
    assert!(matches!(sender.send_timeout(7, SHORT), Err(SendTimeoutError::Timeout(7))));
    assert!(begin.elapsed() >= SHORT);
    go.set();
    done.wait_timeout(SOON).unwrap();
    assert!(sender.is_empty() && !sender.is_full());
    child.join().unwrap();
}

fn get(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let (sender, receiver) = bounded(8).unwrap();
    let child = Process::new(|sender: Sender<u32>| sender.send_many(1..5).unwrap()).args(sender.clone());
    supervisor.start(child.start_method(method)).unwrap().join().unwrap();
    assert_eq!(receiver.recv().unwrap(), 1);
    assert_eq!(receiver.recv_timeout(SOON).unwrap(), 2);
    assert_eq!(receiver.try_recv().unwrap(), 3);
    assert_eq!(receiver.recv().unwrap(), 4);
    assert!(receiver.is_empty());
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout)));
    let begin = Instant::now();
    assert!(matches!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout)));
    assert!(begin.elapsed() >= SHORT);
}

fn fork(method: StartMethod) {
    let (sender, receiver) = bounded(32).unwrap();
    sender.send_many(0..10).unwrap();
    let child = Process::new(|sender: Sender<u32>| sender.send_many(10..20).unwrap()).args(sender);
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.start_method(method)).unwrap();
    let all: Vec<u32> = receiver.iter().map(Result::unwrap).collect();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    child.join().unwrap();
}

fn qsize(_: StartMethod) {
    let (sender, receiver) = bounded(2).unwrap();
    for len in 0..2 {
        assert_eq!((sender.len(), receiver.len()), (len, len));
        sender.send(len).unwrap();
    }
    receiver.recv().unwrap();
    assert_eq!(receiver.len(), 1);
}

fn work(jobs: Receiver<u32>) {
    while let Ok(job) = jobs.lease() {
        job.done().unwrap();
    }
}

fn task_done(method: StartMethod) {
    let supervisor = Supervisor::new().unwrap();
    let (sender, receiver) = bounded(16).unwrap();
    let workers: Vec<_> = (0..3)
        .map(|_| supervisor.start(Process::new(work).args(receiver.clone()).start_method(method)).unwrap())
        .collect();
    sender.send_many(0..10).unwrap();
    sender.join().unwrap();
    assert!(sender.is_empty());
    drop(sender);
    workers.iter().for_each(|worker| _ = worker.join().unwrap());
}

fn timeout(_: StartMethod) {
    let (_sender, receiver) = bounded::<u8>(1).unwrap();
    let begin = Instant::now();
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err());
    assert!(begin.elapsed() >= Duration::from_millis(50));
}

/// A value that cannot be sent, and tells so.
#[derive(Debug, Deserialize)]
struct NotSerializable(bool);

impl Serialize for NotSerializable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { self.0.serialize(serializer) } else { Err(serde::ser::Error::custom("not this one")) }
    }
}

/// The error is the sender's, at once; the queue goes on.
fn queue_feeder_donot_stop_onexc(method: StartMethod) {
    let (sender, receiver) = bounded(1).unwrap();
    let Err(SendError::Rejected(value, why)) = sender.send(NotSerializable(false)) else {
        panic!("it was sent")
    };
    assert!(why.to_string().contains("not this one") && !value.0);
    assert_eq!(sender.len(), 0);
    let child = Process::new(|sender: Sender<NotSerializable>| sender.send(NotSerializable(true)).unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.args(sender).start_method(method)).unwrap();
    assert!(receiver.recv_timeout(SOON).unwrap().0);
    child.join().unwrap();
}

fn queue_feeder_on_queue_feeder_error(_: StartMethod) {
    let (sender, receiver) = bounded(2).unwrap();
    let error = sender.send_many([NotSerializable(true), NotSerializable(false)]).unwrap_err();
    assert_eq!((error.sent, error.rest.len()), (1, 1));
    assert!(receiver.recv().unwrap().0 && receiver.is_empty());
}

fn closed_queue_put_get_exceptions(_: StartMethod) {
    let (sender, receiver) = bounded(1).unwrap();
    sender.close().unwrap();
    assert_eq!(sender.send(1).unwrap_err().into_inner(), 1);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

fn empty(method: StartMethod) {
    let (sender, receiver) = bounded(2).unwrap();
    assert!(receiver.is_empty());
    let child = Process::new(|sender: Sender<bool>| sender.send_many([true, false]).unwrap()).args(sender);
    Supervisor::new().unwrap().start(child.start_method(method)).unwrap().join().unwrap();
    assert!(!receiver.is_empty());
    assert!(receiver.recv().unwrap() && !receiver.recv().unwrap());
    assert!(receiver.is_empty());
}

fn close(_: StartMethod) {
    let (sender, receiver) = bounded(1).unwrap();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

fn closed(_: StartMethod) {
    let (sender, receiver) = bounded(1).unwrap();
    assert!(!sender.is_disconnected());
    receiver.close().unwrap();
    assert!(sender.is_disconnected());
    assert!(matches!(sender.try_send(1), Err(TrySendError::Disconnected(1))));
}
