use crate::queue::bounded;
use crate::sync::{Event, Mutex, Semaphore};
use crate::sys::poll::Deadline;
use crate::wait::{Readable, Waitable, Watch, Writable, wait_any, watch};
use std::io::Write;
use std::time::{Duration, Instant};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

#[test]
fn the_first_that_is_ready_ends_the_wait() {
    let (sender, receiver) = bounded::<u8>(1).unwrap();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (event, mutex, semaphore) =
        (Event::new().unwrap(), Mutex::new(0).unwrap(), Semaphore::new(0).unwrap());
    let (here, there) = crate::pipe::duplex::<u8, u8>().unwrap();
    let guard = mutex.lock().unwrap();
    let sources: [&dyn Waitable; 6] = [&receiver, &reader, &event, &mutex, &semaphore, &here];
    let begin = Instant::now();
    assert!(wait_any(&sources, Some(Duration::from_millis(20))).unwrap().is_empty());
    assert!(begin.elapsed() >= Duration::from_millis(20));
    let ready = |place| assert_eq!(wait_any(&sources, PATIENCE).unwrap(), [place]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            sender.send(1).unwrap();
        });
        ready(0);
    });
    receiver.recv().unwrap();
    writer.write_all(b"x").unwrap();
    ready(1);
    std::io::Read::read(&mut { &reader }, &mut [0]).unwrap();
    event.set();
    ready(2);
    event.clear();
    drop(guard);
    ready(3);
    let guard = mutex.lock().unwrap();
    semaphore.release().unwrap();
    ready(4);
    drop(semaphore.acquire().unwrap().forget());
    there.send(1).unwrap();
    ready(5);
    event.set();
    assert_eq!(wait_any(&sources, PATIENCE).unwrap(), [2, 5], "all that are ready are told");
    drop(guard);
}

#[test]
fn both_ends_of_a_queue_are_waited_for() {
    let (sender, receiver) = bounded::<u8>(1).unwrap();
    assert_eq!(wait_any(&[&sender], PATIENCE).unwrap(), [0]);
    sender.send(1).unwrap();
    assert!(wait_any(&[&sender], Some(Duration::ZERO)).unwrap().is_empty());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            receiver.recv().unwrap();
        });
        assert_eq!(wait_any(&[&sender], PATIENCE).unwrap(), [0]);
    });
    let (_other, empty) = bounded::<u8>(1).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            drop(sender);
        });
        assert_eq!(wait_any(&[&empty, &receiver], PATIENCE).unwrap(), [1], "no process can send");
    });
    assert!(receiver.try_recv().is_err());
}

#[test]
fn a_message_that_comes_back_ends_the_wait() {
    let (sender, receiver) = bounded::<u8>(1).unwrap();
    sender.send(1).unwrap();
    let other = receiver.clone();
    let lease = other.lease().unwrap();
    assert!(wait_any(&[&receiver], Some(Duration::ZERO)).unwrap().is_empty());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            drop(lease);
        });
        assert_eq!(wait_any(&[&receiver], PATIENCE).unwrap(), [0]);
    });
    receiver.try_lease().unwrap().done().unwrap();
}

#[test]
fn any_descriptor_can_be_written_to_or_read() {
    let (reader, writer) = std::io::pipe().unwrap();
    assert_eq!(wait_any(&[Writable(&writer)], PATIENCE).unwrap(), [0]);
    assert!(wait_any(&[Readable(&reader)], Some(Duration::ZERO)).unwrap().is_empty());
    drop(writer);
    assert_eq!(wait_any(&[Readable(&reader)], PATIENCE).unwrap(), [0]);
}

#[test]
fn a_watch_is_readable_once_something_may_be_ready() {
    let (sender, receiver) = bounded::<u8>(1).unwrap();
    let (here, there) = crate::pipe::duplex::<u8, u8>().unwrap();
    let sources: [&dyn Waitable; 2] = [&receiver, &here];
    let is_readable = |watch: &Watch| {
        crate::sys::poll::readable(&[std::os::fd::AsFd::as_fd(watch)], Deadline::now()).unwrap()[0]
    };
    let idle = watch(&sources).unwrap().unwrap();
    assert!(!is_readable(&idle) && idle.look_again_after().is_none());
    sender.send(1).unwrap();
    assert!(is_readable(&idle));
    assert!(watch(&sources).unwrap().is_none(), "a message is there");
    receiver.try_recv().unwrap();
    let idle = watch(&sources).unwrap().unwrap();
    assert!(!is_readable(&idle));
    there.send(1).unwrap();
    assert!(is_readable(&idle));
    here.recv().unwrap();
    let idle = watch(&sources).unwrap().unwrap();
    drop(sender);
    assert!(is_readable(&idle), "no process can send any more");
    assert!(receiver.try_recv().is_err());
    let event = Event::new().unwrap();
    assert!(watch(&[&event]).unwrap().unwrap().look_again_after().is_some());
}
