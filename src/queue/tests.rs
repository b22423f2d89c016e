//! What one process can see of a queue. What a kill does is tested with real processes in `tests/it`.

use super::error::*;
use super::*;
use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

#[test]
fn what_goes_in_comes_out_in_order() {
    let (sender, receiver) = bounded(5).unwrap();
    for i in 0..5_u64 {
        sender.send(i).unwrap();
    }
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_full_queue_gives_the_value_back() {
    let (sender, receiver) = bounded(1).unwrap();
    sender.send("first".to_owned()).unwrap();
    assert!(sender.is_full());
    assert!(
        matches!(sender.try_send("second".to_owned()), Err(TrySendError::Full(value)) if value == "second")
    );
    let begin = Instant::now();
    assert!(matches!(
        sender.send_timeout("second".to_owned(), SHORT),
        Err(SendTimeoutError::Timeout(value)) if value == "second"
    ));
    assert!(begin.elapsed() >= SHORT);
    assert_eq!(receiver.recv().unwrap(), "first");
    sender.try_send("second".to_owned()).unwrap();
}

#[test]
fn an_empty_queue_has_nothing_until_the_timeout() {
    let (_sender, receiver) = bounded::<u8>(1).unwrap();
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    let begin = Instant::now();
    assert!(matches!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout)));
    assert!(begin.elapsed() >= SHORT);
}

#[test]
fn receivers_drain_what_is_left_and_then_see_the_end() {
    let (sender, receiver) = bounded(5).unwrap();
    sender.send(1).unwrap();
    drop(sender.clone());
    assert!(!sender.is_disconnected());
    drop(sender);
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Disconnected)));
    assert!(matches!(receiver.lease_timeout(LONG), Err(RecvTimeoutError::Disconnected)));
}

#[test]
fn senders_see_the_end_at_once() {
    let (sender, receiver) = bounded(5).unwrap();
    sender.send(1).unwrap();
    drop(receiver);
    assert!(matches!(sender.send(2), Err(SendError::Disconnected(2))));
    assert!(matches!(sender.try_send(2), Err(TrySendError::Disconnected(2))));
}

#[test]
fn a_blocked_sender_wakes_when_there_is_room() {
    let (sender, receiver) = bounded(1).unwrap();
    sender.send(0).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(1));
        wait_until(|| sender.side.channel.load(layout::SENDERS_ASLEEP) != 0);
        assert_eq!(receiver.recv().unwrap(), 0);
        blocked.join().unwrap().unwrap();
    });
    assert_eq!(receiver.recv().unwrap(), 1);
}

#[test]
fn a_blocked_receiver_wakes_when_something_comes() {
    let (sender, receiver) = bounded(1).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| receiver.recv());
        wait_until(|| sender.side.channel.load(layout::RECEIVERS_ASLEEP) != 0);
        sender.send(7).unwrap();
        assert_eq!(blocked.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn closing_wakes_everybody() {
    let (sender, receiver) = bounded(1).unwrap();
    sender.send(1).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(2));
        wait_until(|| sender.side.channel.load(layout::SENDERS_ASLEEP) != 0);
        receiver.close().unwrap();
        assert!(matches!(blocked.join().unwrap(), Err(SendError::Disconnected(2))));
    });
    assert!(matches!(sender.send(3), Err(SendError::Disconnected(3))));
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));

    let (sender, receiver) = bounded::<u8>(1).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| receiver.recv());
        wait_until(|| sender.side.channel.load(layout::RECEIVERS_ASLEEP) != 0);
        sender.close().unwrap();
        assert!(matches!(blocked.join().unwrap(), Err(RecvError::Disconnected)));
    });
}

#[test]
fn messages_of_every_size_up_to_the_limit_and_none_above() {
    let limit = 200_000;
    let (sender, receiver) = bounded_with_limit::<Vec<u8>>(3, limit).unwrap();
    let sizes = [0, 1, 22, 23, 24, 25, 63, 64, 65, 1000, 4096, 16_384, 16_385, 65_536, 100_000];
    for size in sizes.into_iter().chain([199_992, 0, 199_992]) {
        let value: Vec<u8> = (0..size).map(|i| i as u8).collect();
        sender.send(value.clone()).unwrap();
        sender.send(value.clone()).unwrap();
        assert_eq!(receiver.recv().unwrap(), value);
        assert_eq!(*receiver.lease().unwrap(), value);
        assert_eq!(receiver.lease().unwrap().done().unwrap(), value);
    }
    let too_large = sender.send(vec![0; 200_000]).unwrap_err();
    assert!(
        matches!(too_large, SendError::Rejected(ref value, Rejection::TooLarge { size: 200_008, limit: 200_000 }) if value.len() == 200_000),
        "{too_large:?}"
    );
    assert!(sender.is_empty());
}

#[test]
fn the_unit_value_takes_no_bytes() {
    let (sender, receiver) = bounded(2).unwrap();
    sender.send(()).unwrap();
    receiver.recv().unwrap();
}

#[test]
fn memory_is_used_only_for_what_is_there() {
    let (sender, receiver) = bounded::<Vec<u8>>(1024).unwrap();
    let used = || nix::sys::stat::fstat(sender.side.channel.region.file()).unwrap().st_blocks as u64 * 512;
    let empty = used();
    assert!(empty < 1 << 20, "{empty} bytes for an empty queue");
    for _ in 0..8 {
        sender.send(vec![1; 4 << 20]).unwrap();
    }
    assert!(used() >= 32 << 20);
    assert_eq!(receiver.try_iter().count(), 8);
    assert!(used() < 1 << 20, "{} bytes are left", used());
}

#[test]
fn a_value_that_cannot_be_encoded_leaves_the_queue_as_it_was() {
    #[derive(Debug)]
    struct Bad(bool);
    impl serde::Serialize for Bad {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                true => Err(serde::ser::Error::custom("bad")),
                false => serializer.serialize_u8(1),
            }
        }
    }
    let (sender, _receiver) = bounded::<Bad>(1).unwrap();
    assert!(matches!(sender.send(Bad(true)), Err(SendError::Rejected(Bad(true), Rejection::Encode(_)))));
    assert!(sender.is_empty());
    sender.try_send(Bad(false)).unwrap();
}

#[test]
fn bytes_that_are_no_such_value_leave_the_queue() {
    let (sender, receiver) = bounded::<u64>(5).unwrap();
    let other = Sender::<String>::new(std::sync::Arc::clone(&sender.side));
    other.send("not a number".to_owned()).unwrap();
    sender.send(2).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Unreadable(Unreadable::Decode { number: 0, .. }))));
    assert_eq!(receiver.recv().unwrap(), 2);
}

#[test]
fn batches_keep_the_order_and_fill_the_room() {
    let (sender, receiver) = bounded(5).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| sender.send_many(0..1000_u64).unwrap());
        let mut got = Vec::new();
        while got.len() < 1000 {
            let batch = receiver.recv_many(3).unwrap();
            assert!((1..=3).contains(&batch.len()));
            got.extend(batch);
        }
        assert_eq!(got, (0..1000).collect::<Vec<_>>());
    });
    drop(receiver);
    let error = sender.send_many([1, 2, 3]).unwrap_err();
    assert_eq!((error.sent, error.rest), (0, vec![1, 2, 3]));
}

#[test]
fn a_lease_that_is_dropped_comes_back_first() {
    let (sender, receiver) = bounded(5).unwrap();
    sender.send_many(["a".to_owned(), "b".to_owned(), "c".to_owned()]).unwrap();
    let first = receiver.lease().unwrap();
    let second = receiver.lease().unwrap();
    assert_eq!((first.number(), first.deliveries(), receiver.len()), (0, 1, 1));
    drop(second);
    drop(first);
    assert_eq!(receiver.len(), 3);
    let again = receiver.lease().unwrap();
    assert_eq!((again.as_str(), again.deliveries()), ("a", 2));
    assert_eq!(again.done().unwrap(), "a");
    assert_eq!(receiver.recv().unwrap(), "b");
    assert_eq!(receiver.recv().unwrap(), "c");
}

#[test]
fn joining_waits_until_everything_is_done() {
    let (sender, receiver) = bounded(5).unwrap();
    sender.join().unwrap();
    sender.send_many([1, 2]).unwrap();
    assert!(matches!(sender.join_timeout(SHORT), Err(JoinError::Timeout)));
    assert_eq!(receiver.recv().unwrap(), 1);
    let lease = receiver.lease().unwrap();
    assert!(matches!(sender.join_timeout(SHORT), Err(JoinError::Timeout)));
    thread::scope(|scope| {
        let joined = scope.spawn(|| sender.join());
        wait_until(|| sender.side.channel.load(layout::JOINERS_ASLEEP) != 0);
        lease.done().unwrap();
        joined.join().unwrap().unwrap();
    });
    sender.send(3).unwrap();
    drop(receiver);
    assert!(matches!(sender.join(), Err(JoinError::Disconnected)));
}

#[test]
fn many_threads_share_one_queue() {
    for capacity in [1, 5, 1024] {
        let (sender, receiver) = bounded::<(u8, u32)>(capacity).unwrap();
        let received = thread::scope(|scope| {
            for who in 0..3 {
                let sender = sender.clone();
                scope.spawn(move || (0..2000).for_each(|i| sender.send((who, i)).unwrap()));
            }
            drop(sender);
            let takers: Vec<_> = (0..2)
                .map(|_| receiver.clone())
                .map(|r| scope.spawn(move || r.iter().collect::<Vec<_>>()))
                .collect();
            takers.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
        });
        for one in &received {
            for who in 0..3 {
                let in_order: Vec<_> = one.iter().filter(|(w, _)| *w == who).map(|(_, i)| i).collect();
                assert!(in_order.is_sorted());
            }
        }
        let mut all: Vec<_> = received.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..3).flat_map(|w| (0..2000).map(move |i| (w, i))).collect::<Vec<_>>());
    }
}

/// One step of the model test.
#[derive(Debug, Clone)]
enum Step {
    Send(Vec<u8>),
    SendMany(Vec<Vec<u8>>),
    Recv,
    RecvMany(usize),
    Lease,
    Done(usize),
    Return(usize),
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn it_behaves_as_a_vec_deque(capacity in 1_usize..9, steps in proptest::collection::vec(step(), 0..80)) {
        let (sender, receiver) = bounded_with_limit::<Vec<u8>>(capacity, 70_000).unwrap();
        let mut queued: VecDeque<Vec<u8>> = VecDeque::new();
        // What came back goes first, in the order of sending.
        let mut returned: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut leased: Vec<(Lease<Vec<u8>>, Vec<u8>)> = Vec::new();
        let pop = |queued: &mut VecDeque<Vec<u8>>, returned: &mut Vec<(u64, Vec<u8>)>| {
            returned.sort();
            if returned.is_empty() { queued.pop_front() } else { Some(returned.remove(0).1) }
        };
        for step in steps {
            match step {
                Step::Send(value) => match sender.try_send(value.clone()) {
                    Ok(()) => {
                        assert!(queued.len() < capacity);
                        queued.push_back(value);
                    }
                    Err(TrySendError::Full(back)) => assert!(queued.len() == capacity && back == value),
                    Err(error) => panic!("{error}"),
                },
                Step::SendMany(values) => {
                    let fit = capacity - queued.len();
                    let values: Vec<_> = values.into_iter().take(fit).collect();
                    sender.send_many(values.clone()).unwrap();
                    queued.extend(values);
                }
                Step::Recv => assert_eq!(receiver.try_recv().ok(), pop(&mut queued, &mut returned)),
                Step::RecvMany(max) => if !receiver.is_empty() {
                    let n = if returned.is_empty() { max.min(queued.len()) } else { 1 };
                    let expected: Vec<_> = (0..n).filter_map(|_| pop(&mut queued, &mut returned)).collect();
                    assert_eq!(receiver.recv_many(max).unwrap(), expected);
                },
                Step::Lease => match (receiver.try_lease(), pop(&mut queued, &mut returned)) {
                    (Ok(lease), Some(value)) => {
                        assert_eq!(*lease, value);
                        leased.push((lease, value));
                    }
                    (Err(TryRecvError::Empty), None) => {}
                    (got, expected) => panic!("{got:?} instead of {expected:?}"),
                },
                Step::Done(which) => if !leased.is_empty() {
                    let (lease, value) = leased.remove(which % leased.len());
                    assert_eq!(lease.done().unwrap(), value);
                },
                Step::Return(which) => if !leased.is_empty() {
                    let (lease, value) = leased.remove(which % leased.len());
                    returned.push((lease.number(), value));
                },
            }
            assert_eq!(receiver.len(), queued.len() + returned.len());
            assert_eq!(sender.is_full(), queued.len() == capacity);
        }
    }
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::prelude::*;
    let size = prop_oneof![4 => 0..40_usize, 2 => 0..3000_usize, 1 => 60_000..65_000_usize];
    let value = (size, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]).boxed();
    prop_oneof![
        4 => value.clone().prop_map(Step::Send),
        1 => proptest::collection::vec(value, 0..5).prop_map(Step::SendMany),
        3 => Just(Step::Recv),
        1 => (1..4_usize).prop_map(Step::RecvMany),
        2 => Just(Step::Lease),
        1 => any::<usize>().prop_map(Step::Done),
        1 => any::<usize>().prop_map(Step::Return),
    ]
}

fn wait_until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "it did not come true");
        thread::yield_now();
    }
}
