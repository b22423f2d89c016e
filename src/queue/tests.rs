//! Tests of a queue within one process. The effects of kills are tested with real processes in `tests/it`.

use super::error::*;
use super::*;
use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

#[test]
fn messages_are_received_in_the_order_of_sending() {
    let (sender, receiver) = bounded(5).unwrap();
    for i in 0..5_u64 {
        sender.send(i).unwrap();
    }
    assert_eq!(receiver.try_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_full_queue_returns_the_value() {
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
fn receiving_from_an_empty_queue_times_out() {
    let (_sender, receiver) = bounded::<u8>(1).unwrap();
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    let begin = Instant::now();
    assert!(matches!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout)));
    assert!(begin.elapsed() >= SHORT);
}

#[test]
fn receivers_drain_the_queue_and_then_are_disconnected() {
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
fn senders_are_disconnected_as_soon_as_the_receiver_is_dropped() {
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
        wait_until(|| sender.side.end.channel.memory.load(layout::SENDERS_ASLEEP) != 0);
        assert_eq!(receiver.recv().unwrap(), 0);
        blocked.join().unwrap().unwrap();
    });
    assert_eq!(receiver.recv().unwrap(), 1);
}

#[test]
fn a_blocked_receiver_wakes_when_a_message_arrives() {
    let (sender, receiver) = bounded(1).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| receiver.recv());
        wait_until(|| sender.side.end.channel.memory.load(layout::RECEIVERS_ASLEEP) != 0);
        sender.send(7).unwrap();
        assert_eq!(blocked.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn closing_wakes_every_sleeper() {
    let (sender, receiver) = bounded(1).unwrap();
    sender.send(1).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(2));
        wait_until(|| sender.side.end.channel.memory.load(layout::SENDERS_ASLEEP) != 0);
        receiver.close().unwrap();
        assert!(matches!(blocked.join().unwrap(), Err(SendError::Disconnected(2))));
    });
    assert!(matches!(sender.send(3), Err(SendError::Disconnected(3))));
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));

    let (sender, receiver) = bounded::<u8>(1).unwrap();
    thread::scope(|scope| {
        let blocked = scope.spawn(|| receiver.recv());
        wait_until(|| sender.side.end.channel.memory.load(layout::RECEIVERS_ASLEEP) != 0);
        sender.close().unwrap();
        assert!(matches!(blocked.join().unwrap(), Err(RecvError::Disconnected)));
    });
}

#[test]
fn messages_of_every_size_up_to_the_limit_are_accepted() {
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
fn memory_is_used_only_for_queued_messages() {
    let (sender, receiver) = bounded::<Vec<u8>>(1024).unwrap();
    let used = || {
        nix::sys::stat::fstat(sender.side.end.channel.memory.region.file()).unwrap().st_blocks as u64 * 512
    };
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
fn a_value_that_cannot_be_encoded_leaves_the_queue_unchanged() {
    #[derive(Debug, serde::Deserialize)]
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

/// A queue of `count` numbers in which the messages at the positions `strings` are strings.
fn with_strings(count: u64, strings: &[u64], options: &Options) -> (Sender<u64>, Receiver<u64>) {
    let (sender, receiver) = options.create::<u64>().unwrap();
    let other = Sender::<String>::new(std::sync::Arc::clone(&sender.side));
    for number in 0..count {
        match strings.contains(&number) {
            true => other.send(format!("string {number}")).unwrap(),
            false => sender.send(number).unwrap(),
        }
    }
    (sender, receiver)
}

fn string(bytes: &[u8]) -> String {
    crate::wire::codec::decode(bytes).unwrap()
}

#[test]
fn an_undecodable_message_leaves_the_queue_and_its_bytes_are_in_the_error() {
    let (_sender, receiver) = with_strings(2, &[0], &Options::new(5));
    match receiver.recv() {
        Err(RecvError::Unreadable(Unreadable::Undecodable(Undecodable { number: 0, bytes, .. }))) => {
            assert_eq!(string(&bytes), "string 0");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(receiver.recv().unwrap(), 1);
}

#[test]
fn a_batch_contains_every_message_that_was_taken() {
    let (_sender, receiver) = with_strings(6, &[0, 3, 4], &Options::new(10));
    let batch = receiver.recv_many(10).unwrap();
    let seen: Vec<_> = batch.into_iter().map(|m| m.map_err(|bad| (bad.number, string(&bad.bytes)))).collect();
    let bad = |number| Err((number, format!("string {number}")));
    assert_eq!(seen, [bad(0), Ok(1), Ok(2), bad(3), bad(4), Ok(5)]);
    assert!(receiver.is_empty());
}

#[test]
fn an_iterator_continues_after_an_undecodable_message() {
    let number = |item: Result<u64, Unreadable>| match item {
        Ok(number) => number,
        Err(Unreadable::Undecodable(bad)) => 100 + bad.number,
        Err(why) => panic!("{why}"),
    };
    for way in 0..3 {
        let (sender, receiver) = with_strings(6, &[0, 3, 5], &Options::new(10));
        drop(sender);
        let seen: Vec<u64> = match way {
            0 => receiver.try_iter().map(number).collect(),
            1 => receiver.iter().map(number).collect(),
            _ => receiver.into_iter().map(number).collect(),
        };
        assert_eq!(seen, [100, 1, 2, 103, 4, 105]);
    }
}

#[test]
fn an_iterator_ends_after_an_error_of_the_queue_itself() {
    let (sender, receiver) = bounded::<u64>(5).unwrap();
    sender.send(1).unwrap();
    sender.side.end.channel.memory.word(layout::HEAD).store(1000, std::sync::atomic::Ordering::Relaxed);
    let seen: Vec<_> = receiver.iter().collect();
    assert!(matches!(seen[..], [Err(Unreadable::Corrupt(_))]), "{seen:?}");
}

#[test]
fn an_undecodable_message_that_is_leased_becomes_a_dead_letter() {
    let (sender, receiver) = with_strings(2, &[0], &Options::new(5));
    assert!(matches!(receiver.lease(), Err(RecvError::Unreadable(Unreadable::Undecodable(_)))));
    assert_eq!(receiver.lease().unwrap().done().unwrap(), 1);
    sender.join_timeout(LONG).unwrap();
    assert_eq!(receiver.dead_letters(), 1);
    let letter = receiver.take_dead_letter().unwrap().unwrap();
    assert_eq!((letter.number, letter.deliveries), (0, 1));
    assert_eq!(string(&letter.value.unwrap_err().bytes), "string 0");
    assert!(receiver.take_dead_letter().unwrap().is_none());
}

#[test]
fn batches_keep_the_order_of_sending() {
    let (sender, receiver) = bounded(5).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| sender.send_many(0..1000_u64).unwrap());
        let mut got = Vec::new();
        while got.len() < 1000 {
            let batch = receiver.recv_many(3).unwrap();
            assert!((1..=3).contains(&batch.len()));
            got.extend(batch.into_iter().map(Result::unwrap));
        }
        assert_eq!(got, (0..1000).collect::<Vec<_>>());
    });
    drop(receiver);
    let error = sender.send_many([1, 2, 3]).unwrap_err();
    assert_eq!((error.sent, error.rest), (0, vec![1, 2, 3]));
}

fn letters(options: &Options) -> (Sender<String>, Receiver<String>) {
    let (sender, receiver) = options.create().unwrap();
    sender.send_many(["a", "b", "c"].map(str::to_owned)).unwrap();
    (sender, receiver)
}

fn drained(receiver: &Receiver<String>) -> String {
    receiver.try_iter().map(Result::unwrap).collect()
}

#[test]
fn a_lease_that_is_dropped_returns_to_the_tail() {
    let (sender, receiver) = letters(&Options::new(5));
    let first = receiver.lease().unwrap();
    assert_eq!((first.number(), first.deliveries(), receiver.len()), (0, 1, 2));
    drop(first);
    assert_eq!(receiver.len(), 3);
    sender.send("d".to_owned()).unwrap();
    assert_eq!((receiver.recv().unwrap(), receiver.recv().unwrap()), ("b".to_owned(), "c".to_owned()));
    let again = receiver.lease().unwrap();
    assert_eq!((again.as_str(), again.deliveries()), ("a", 2));
    again.done().unwrap();
    assert_eq!(drained(&receiver), "d");
}

#[test]
fn leases_that_return_to_the_head_keep_the_order_of_sending() {
    let (_sender, receiver) = letters(&Options::new(5).return_leases_to(ReturnTo::Head));
    let first = receiver.lease().unwrap();
    drop(receiver.lease().unwrap());
    drop(first);
    assert_eq!(drained(&receiver), "abc");
}

#[test]
fn the_holder_may_choose_where_its_lease_returns_to() {
    let (_sender, receiver) = letters(&Options::new(5));
    receiver.lease().unwrap().return_to(ReturnTo::Head).unwrap();
    assert_eq!(receiver.recv().unwrap(), "a");
    receiver.lease().unwrap().return_to(ReturnTo::Tail).unwrap();
    assert_eq!(drained(&receiver), "cb");
}

#[test]
fn a_batch_does_not_skip_a_returned_message_that_is_due() {
    let (sender, receiver) = letters(&Options::new(5));
    drop(receiver.lease().unwrap());
    sender.send("d".to_owned()).unwrap();
    let batch = || receiver.recv_many(10).unwrap().into_iter().map(Result::unwrap).collect::<String>();
    assert_eq!([batch(), batch(), batch()], ["bc", "a", "d"]);
}

#[test]
fn messages_that_always_fail_do_not_starve_the_rest() {
    let (sender, receiver) = bounded::<u64>(8).unwrap();
    let (mut handled, mut failures, mut next) = (0, 0, 2);
    sender.send_many([0, 1]).unwrap();
    for _ in 0..600 {
        while sender.try_send(next).is_ok() {
            next += 1;
        }
        let lease = receiver.try_lease().unwrap();
        // Two poison messages.
        if *lease < 2 {
            failures += 1;
        } else {
            lease.done().unwrap();
            handled += 1;
        }
    }
    assert!(handled > 400 && failures > 50, "{handled} handled, {failures} failures");
}

#[test]
fn a_message_that_reaches_the_delivery_limit_becomes_a_dead_letter() {
    let (sender, receiver) = letters(&Options::new(5).max_deliveries(2));
    for _ in 0..2 {
        (0..3).for_each(|_| drop(receiver.lease().unwrap()));
    }
    assert!(receiver.is_empty() && matches!(receiver.try_lease(), Err(TryRecvError::Empty)));
    sender.join_timeout(LONG).unwrap();
    assert_eq!(receiver.dead_letters(), 3);
    for text in ["a", "b", "c"] {
        let letter = receiver.take_dead_letter().unwrap().unwrap();
        assert_eq!((letter.deliveries, letter.value.unwrap()), (2, text.to_owned()));
    }
    drop(sender);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn rejecting_the_last_message_wakes_joiners() {
    let (sender, receiver) = letters(&Options::new(5));
    drained(&receiver);
    sender.send("x".repeat(100_000)).unwrap();
    let lease = receiver.lease().unwrap();
    thread::scope(|scope| {
        let joined = scope.spawn(|| sender.join());
        wait_until(|| sender.side.end.channel.memory.load(layout::JOINERS_ASLEEP) != 0);
        lease.reject().unwrap();
        joined.join().unwrap().unwrap();
    });
    assert_eq!(receiver.take_dead_letter().unwrap().unwrap().value.unwrap().len(), 100_000);
}

#[test]
fn a_full_table_of_dead_letters_refuses_leases_and_loses_nothing() {
    let (sender, receiver) = bounded::<u64>(MAX_LEASES + 1).unwrap();
    sender.send_many(0..=MAX_LEASES as u64).unwrap();
    (0..MAX_LEASES).for_each(|_| receiver.lease().unwrap().reject().unwrap());
    assert!(matches!(receiver.try_lease(), Err(TryRecvError::Unreadable(Unreadable::TooMany { .. }))));
    assert_eq!(receiver.take_dead_letter().unwrap().unwrap().value.unwrap(), 0);
    assert_eq!(receiver.lease().unwrap().done().unwrap(), MAX_LEASES as u64);
}

#[test]
fn recovery_after_a_killed_sender_is_fast_in_a_queue_of_any_size() {
    let (sender, receiver) = bounded::<u64>(MAX_CAPACITY).unwrap();
    // The thread exits while it holds the lock, as if it had been killed.
    thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(sender.side.sending(crate::sys::poll::Deadline::NEVER).unwrap()));
    });
    let begin = Instant::now();
    sender.send(7).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(receiver.recv().unwrap(), 7);
}

#[test]
fn joining_waits_until_everything_is_done() {
    let (sender, receiver) = bounded(5).unwrap();
    sender.join().unwrap();
    sender.send_many([1, 2]).unwrap();
    assert!(matches!(sender.join_timeout(SHORT), Err(JoinQueueError::Timeout)));
    assert_eq!(receiver.recv().unwrap(), 1);
    let lease = receiver.lease().unwrap();
    assert!(matches!(sender.join_timeout(SHORT), Err(JoinQueueError::Timeout)));
    thread::scope(|scope| {
        let joined = scope.spawn(|| sender.join());
        wait_until(|| sender.side.end.channel.memory.load(layout::JOINERS_ASLEEP) != 0);
        lease.done().unwrap();
        joined.join().unwrap().unwrap();
    });
    sender.send(3).unwrap();
    drop(receiver);
    assert!(matches!(sender.join(), Err(JoinQueueError::Disconnected)));
}

#[test]
fn many_threads_share_one_queue() {
    for capacity in [1, 5, 1024] {
        let (sender, receiver) = bounded::<(u8, u32)>(capacity).unwrap();
        let received = thread::scope(|scope| {
            for producer in 0..3 {
                let sender = sender.clone();
                scope.spawn(move || (0..2000).for_each(|i| sender.send((producer, i)).unwrap()));
            }
            drop(sender);
            let takers: Vec<_> = (0..2)
                .map(|_| receiver.clone())
                .map(|r| scope.spawn(move || r.iter().map(Result::unwrap).collect::<Vec<_>>()))
                .collect();
            takers.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
        });
        for one in &received {
            for producer in 0..3 {
                let in_order: Vec<_> = one.iter().filter(|(p, _)| *p == producer).map(|(_, i)| i).collect();
                assert!(in_order.is_sorted());
            }
        }
        let mut all: Vec<_> = received.into_iter().flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..3).flat_map(|p| (0..2000).map(move |i| (p, i))).collect::<Vec<_>>());
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
    Return(usize, ReturnTo),
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn it_behaves_as_a_vec_deque(capacity in 1_usize..9, steps in proptest::collection::vec(step(), 0..80)) {
        let (sender, receiver) = bounded_with_limit::<Vec<u8>>(capacity, 70_000).unwrap();
        let mut queued: VecDeque<Vec<u8>> = VecDeque::new();
        // Returned messages, each with the number of messages taken from the queue before it is due.
        let mut returned: Vec<(usize, u64, Vec<u8>)> = Vec::new();
        let mut leased: Vec<(Lease<Vec<u8>>, Vec<u8>)> = Vec::new();
        let mut head = 0;
        let is_up = |queued: &VecDeque<Vec<u8>>, returned: &[(usize, u64, Vec<u8>)], head: usize| {
            returned.iter().any(|(turn, ..)| *turn <= head || queued.is_empty())
        };
        let pop = |queued: &mut VecDeque<Vec<u8>>, returned: &mut Vec<(usize, u64, Vec<u8>)>, head: &mut usize| {
            returned.sort();
            if is_up(queued, returned, *head) {
                return Some(returned.remove(0).2);
            }
            *head += usize::from(!queued.is_empty());
            queued.pop_front()
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
                Step::Recv => assert_eq!(receiver.try_recv().ok(), pop(&mut queued, &mut returned, &mut head)),
                Step::RecvMany(max) => if !receiver.is_empty() {
                    let turn = returned.iter().map(|(turn, ..)| *turn).min().unwrap_or(usize::MAX);
                    let n = if is_up(&queued, &returned, head) { 1 } else { max.min(queued.len()).min(turn - head) };
                    let expected: Vec<_> = (0..n).filter_map(|_| pop(&mut queued, &mut returned, &mut head)).collect();
                    let batch = receiver.recv_many(max).unwrap();
                    assert_eq!(batch.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
                },
                Step::Lease => match (receiver.try_lease(), pop(&mut queued, &mut returned, &mut head)) {
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
                Step::Return(which, place) => if !leased.is_empty() {
                    let (lease, value) = leased.remove(which % leased.len());
                    let turn = if place == ReturnTo::Head { 0 } else { head + queued.len() };
                    returned.push((turn, lease.number(), value));
                    lease.return_to(place).unwrap();
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
        1 => any::<usize>().prop_map(|which| Step::Return(which, ReturnTo::Tail)),
        1 => any::<usize>().prop_map(|which| Step::Return(which, ReturnTo::Head)),
    ]
}

fn wait_until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "the condition did not become true");
        thread::yield_now();
    }
}
