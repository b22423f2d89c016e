use super::*;
use crate::sync::{Event, Mutex};
use std::time::Instant;

#[test]
fn values_and_bytes_keep_their_borders_in_both_directions() {
    let (one, other) = duplex::<Vec<u8>, String>().unwrap();
    for len in [0, 1, 16 << 10, (16 << 10) + 1, 16 << 20] {
        one.send(vec![7; len]).unwrap();
        one.send_bytes(&vec![8; len]).unwrap();
        assert_eq!(other.recv().unwrap(), vec![7; len]);
        assert_eq!(other.recv_bytes().unwrap(), vec![8; len]);
    }
    other.send("火锅".to_owned()).unwrap();
    assert_eq!(one.recv().unwrap(), "火锅");
}

#[test]
fn the_end_of_the_other_end_is_told_after_what_it_sent() {
    let (one, other) = duplex::<u32, u32>().unwrap();
    other.send(1).unwrap();
    one.send(2).unwrap();
    drop(other);
    assert_eq!(one.recv().unwrap(), 1);
    assert!(matches!(one.recv(), Err(PipeRecvError::Disconnected)));
    assert!(one.poll(Duration::ZERO).unwrap());
    let error = one.send(3).unwrap_err();
    assert!(matches!(error, PipeSendError { value: 3, why: PipeSendFault::Disconnected }), "{error}");
}

#[test]
fn waits_end_at_their_deadline_and_not_before() {
    let (sender, receiver) = simplex::<Vec<u8>>().unwrap();
    let timeout = Duration::from_millis(20);
    let begin = Instant::now();
    assert!(matches!(receiver.recv_timeout(timeout), Err(PipeRecvError::TimedOut)));
    assert!(begin.elapsed() >= timeout && !receiver.poll(Duration::ZERO).unwrap());
    assert!(matches!(receiver.try_recv(), Err(PipeRecvError::TimedOut)));
    let mut sent = 0;
    while sender.try_send(vec![0; 10_000]).is_ok() {
        sent += 1;
    }
    let begin = Instant::now();
    let error = sender.send_timeout(vec![0; 10_000], timeout).unwrap_err();
    assert!(matches!(error.why, PipeSendFault::TimedOut) && begin.elapsed() >= timeout);
    assert!(sent > 3 && (0..sent).all(|_| receiver.try_recv().is_ok()));
}

#[test]
fn handles_travel_through_a_pipe_however_many() {
    type Both = (Vec<Event>, Mutex<u32>, Vec<u8>);
    let (sender, receiver) = simplex::<Both>().unwrap();
    for (count, len) in [(1, 10), (300, 10), (300, 100_000)] {
        let events: Vec<Event> = (0..count).map(|_| Event::new().unwrap()).collect();
        let mutex = Mutex::new(1).unwrap();
        let clones = events.iter().map(|event| event.try_clone().unwrap()).collect();
        sender.send((clones, mutex.try_clone().unwrap(), vec![3; len])).unwrap();
        let (there, same, bytes) = receiver.recv().unwrap();
        there.iter().for_each(Event::set);
        *same.lock().unwrap() += 1;
        assert!(events.iter().all(Event::is_set) && *mutex.lock().unwrap() == 2 && bytes.len() == len);
    }
}

#[test]
fn a_pipe_travels_through_a_pipe() {
    let (sender, receiver) = simplex::<Pipe<u8, u16>>().unwrap();
    let (here, there) = duplex::<u16, u8>().unwrap();
    sender.send(there).unwrap();
    let there = receiver.recv().unwrap();
    there.send(9).unwrap();
    assert_eq!(here.recv().unwrap(), 9);
}

#[test]
fn what_is_no_value_of_the_type_comes_back_as_bytes() {
    let (sender, receiver) = simplex::<u8>().unwrap();
    sender.send_bytes(&[1, 2, 3]).unwrap();
    let Err(PipeRecvError::Undecodable(error)) = receiver.recv() else { panic!("it was decoded") };
    assert_eq!(error.bytes(), [1, 2, 3]);
}
