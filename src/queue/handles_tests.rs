use super::{Options, Receiver, Sender, bounded};
use crate::pipe::{Pipe, duplex};
use crate::sync::{Event, Mutex};
use crate::sys::fd_store::Front;
use crate::wire::handle::Fd;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

#[derive(Debug, Serialize, Deserialize)]
enum Job {
    Plain(u64),
    Ask { number: u64, answer: Sender<u64>, done: Event },
    Talk(Pipe<u8, u8>),
    Many(Vec<Event>, Vec<u8>),
}

/// The number of parcels that the kernel keeps, of queued and of leased messages.
fn kept(receiver: &Receiver<Job>) -> usize {
    let store = receiver.side.end.inbox().unwrap().kept.as_ref().unwrap().groups();
    let (mut seen, mut count) = (Vec::new(), 0);
    while let Front::Group(tag) = store.front().unwrap() {
        if seen.contains(&tag) {
            break;
        }
        seen.push(tag);
        store.rotate(&tag).unwrap();
        count += 1;
    }
    let line = receiver.side.end.line().unwrap().groups();
    count + usize::from(matches!(line.front().unwrap(), Front::Group(_)))
}

#[test]
fn messages_can_carry_handles_of_every_kind() {
    let (sender, receiver) = bounded::<Job>(4).unwrap();
    let (answer, answers) = bounded::<u64>(1).unwrap();
    let done = Event::new().unwrap();
    let (here, there) = duplex::<u8, u8>().unwrap();
    sender.send(Job::Plain(1)).unwrap();
    sender.send(Job::Ask { number: 20, answer, done: done.try_clone().unwrap() }).unwrap();
    sender.send(Job::Talk(there)).unwrap();
    sender.send(Job::Plain(2)).unwrap();
    assert!(matches!(answers.try_recv(), Err(super::error::TryRecvError::Empty)), "its sender is in transit");
    assert!(matches!(receiver.recv().unwrap(), Job::Plain(1)));
    let Job::Ask { number, answer, done: same } = receiver.recv().unwrap() else { panic!("another job") };
    answer.send(number + 1).unwrap();
    same.set();
    drop(answer);
    assert_eq!(answers.recv().unwrap(), 21);
    assert!(answers.recv().is_err(), "no copy of its sender is left");
    assert!(done.is_set());
    let Job::Talk(there) = receiver.recv().unwrap() else { panic!("another job") };
    there.send(3).unwrap();
    assert_eq!(here.recv().unwrap(), 3);
    assert!(matches!(receiver.recv().unwrap(), Job::Plain(2)));
    assert_eq!(kept(&receiver), 0);
}

#[test]
fn a_message_can_carry_any_number_of_handles() {
    let (sender, receiver) = bounded::<Job>(2).unwrap();
    for (count, len) in [(1, 0), (253, 100), (254, 100_000), (600, 1 << 20)] {
        let events: Vec<Event> = (0..count).map(|_| Event::new().unwrap()).collect();
        let clones = events.iter().map(|event| event.try_clone().unwrap()).collect();
        sender.send(Job::Many(clones, vec![7; len])).unwrap();
        let Job::Many(there, bytes) = receiver.recv().unwrap() else { panic!("another job") };
        there.iter().for_each(Event::set);
        assert!(events.iter().all(Event::is_set) && bytes == vec![7; len]);
    }
    assert_eq!(kept(&receiver), 0);
}

#[test]
fn a_lease_keeps_its_handles_until_it_is_done() {
    let (sender, receiver) = Options::new(8).max_deliveries(3).create::<Job>().unwrap();
    let ask = |number| {
        let (answer, answers) = bounded::<u64>(4).unwrap();
        let done = Event::new().unwrap();
        sender.send(Job::Ask { number, answer, done }).unwrap();
        answers
    };
    let answers = [ask(0), ask(1), ask(2)];
    let reply = |job: &Job| match job {
        Job::Ask { number, answer, .. } => answer.send(*number).unwrap(),
        _ => panic!("another job"),
    };
    let first = receiver.lease().unwrap();
    reply(&first);
    drop(first);
    for expected in [1, 2] {
        let job = receiver.recv().unwrap();
        reply(&job);
        assert_eq!(answers[expected].recv().unwrap(), expected as u64);
    }
    let again = receiver.lease().unwrap();
    assert_eq!(again.deliveries(), 2);
    reply(&again);
    again.done().unwrap();
    assert_eq!([answers[0].recv().unwrap(), answers[0].recv().unwrap()], [0, 0]);
    assert!(answers.iter().all(|answers| answers.recv().is_err()), "every copy is closed");
    assert_eq!(kept(&receiver), 0);
    // A dead letter keeps them too.
    let answers = ask(5);
    receiver.lease().unwrap().reject().unwrap();
    reply(&receiver.take_dead_letter().unwrap().unwrap().value.unwrap());
    assert_eq!(answers.recv().unwrap(), 5);
    assert!(answers.recv().is_err());
    assert_eq!(kept(&receiver), 0);
}

#[test]
fn values_with_and_without_handles_can_be_sent_together() {
    let (sender, receiver) = bounded::<Job>(8).unwrap();
    let event = Event::new().unwrap();
    let many = |_| Job::Many(vec![event.try_clone().unwrap()], vec![1]);
    let jobs = vec![Job::Plain(0), many(1), many(2), Job::Plain(3), many(4)];
    sender.send_many(jobs).unwrap();
    // A batch ends before the second message with handles.
    let mut received = receiver.recv_many(3).unwrap();
    assert_eq!(received.len(), 2);
    while received.len() < 5 {
        received.extend(receiver.recv_many(8).unwrap());
    }
    let kinds: Vec<bool> = received.iter().map(|job| matches!(job, Ok(Job::Many(..)))).collect();
    assert_eq!(kinds, [false, true, true, false, true]);
    assert_eq!(kept(&receiver), 0);
}

#[test]
fn a_queue_is_full_when_the_kernel_stores_no_more_handles() {
    let (sender, receiver) = bounded::<Fd>(1 << 14).unwrap();
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let mut sent = 0;
    let last = loop {
        match sender.try_send(Fd::from(null.try_clone().unwrap())) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1 << 14, "the store is unbounded");
    };
    assert!(matches!(last, super::error::TrySendError::Full(_)), "{last:?} after {sent}");
    for _ in 0..sent {
        drop(receiver.recv().unwrap());
    }
    sender.try_send(Fd::from(null)).unwrap();
}

#[test]
fn stray_parcels_are_closed() {
    let (sender, receiver) = bounded::<Job>(8).unwrap();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"x").unwrap();
    let writer: OwnedFd = writer.into();
    // The state that a sender leaves if it is killed before it publishes its message.
    receiver.side.share().unwrap();
    let line = sender.side.end.line().unwrap().groups();
    super::parcels::leave(line, 0, &[9; 8], &[writer]).unwrap();
    let event = Event::new().unwrap();
    sender.send(Job::Many(vec![event.try_clone().unwrap()], Vec::new())).unwrap();
    let Job::Many(events, _) = receiver.recv().unwrap() else { panic!("another job") };
    events[0].set();
    assert!(event.is_set());
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), kept(&receiver)), ("x", 0));
}

#[test]
fn a_mutex_in_a_mutex_is_refused_with_an_explanation() {
    let inner = Mutex::new(0).unwrap();
    let error = Mutex::new(vec![inner]).unwrap_err().to_string();
    assert!(error.contains("not in bytes alone"), "{error}");
}

#[test]
fn a_handle_that_comes_back_costs_no_descriptors() {
    let (sender, receiver) = bounded::<Job>(4).unwrap();
    let (answer, answers) = bounded::<u64>(4).unwrap();
    let ask = |answer| Job::Ask { number: 7, answer, done: Event::new().unwrap() };
    let back = || match receiver.recv().unwrap() {
        Job::Ask { answer, .. } => answer,
        _ => panic!("another job"),
    };
    sender.send(ask(answer.clone())).unwrap();
    let first = back();
    sender.send(ask(answer.clone())).unwrap();
    let second = back();
    assert!([&first, &second].iter().all(|back| std::sync::Arc::ptr_eq(&back.side, &answer.side)));
    drop((answer, first));
    second.send(7).unwrap();
    drop(second);
    assert_eq!(answers.recv().unwrap(), 7);
    assert!(answers.recv().is_err(), "every handle is dropped");
}
