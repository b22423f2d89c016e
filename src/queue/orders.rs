//! The words that are accessed across locks, under the memory models of arm64 and x86-64. The tests run the
//! queue's own code in these models, and show that each ordering in it is needed.

use super::last_sleep;
use super::layout::{HEAD, Layout, RECEIVERS_ASLEEP};
use super::leases;
use super::members;
use super::memory::Memory;
use super::options::Options;
use super::place;
use super::policy::Policy;
use super::receiver::Receiver;
use super::receiving::Receiving;
use super::sender::Sender;
use crate::shm::model::{Outcome, Processor, Protocol};
use crate::sys::poll::Deadline;
use std::sync::atomic::Ordering;

/// The accesses, reads before writes, whose orderings prevent an unwanted outcome on arm64. With them, the outcome
/// is impossible on either processor.
fn needed(threads: &[&dyn Fn() -> u64], unwanted: impl Fn(&Outcome<'_>) -> bool) -> Vec<(String, bool)> {
    for processor in Processor::ALL {
        let protocol = Protocol::new(processor, threads).most_events(32);
        assert!(protocol.allows(|_| true), "there is no execution at all");
        assert!(!protocol.allows(&unwanted), "{processor:?}");
    }
    let protocol = Protocol::new(Processor::Arm64, threads).most_events(32);
    let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    protocol.needed(&unwanted).into_iter().map(|site| (file(site.file), site.writes)).collect()
}

fn pair(load: &str, store: &str) -> Vec<(String, bool)> {
    let mut pair = vec![(load.to_owned(), false), (store.to_owned(), true)];
    pair.sort();
    pair
}

#[test]
fn a_member_that_leaves_late_does_not_overwrite_the_next_one() {
    let memory = Memory::create(Layout::new(1, 100, Policy::default()).unwrap()).unwrap();
    let index = members::join(&memory, |_| false).unwrap();
    members::record_leasing(&memory, index);
    let leave = || {
        members::leave(&memory, index);
        0
    };
    let join = || {
        let index = members::join(&memory, |_| false).unwrap();
        members::record_leasing(&memory, index);
        index as u64
    };
    let leasing = memory.word(memory.layout.member(index) + members::LEASING).as_ptr().addr();
    let reused = |outcome: &Outcome<'_>| outcome.returned(1) == Some(index as u64);
    let protocol = Protocol::new(Processor::Arm64, &[&leave, &join]);
    assert!(protocol.allows(|outcome| reused(outcome) && outcome.last_is(leasing, |set| set == 1)));
    let overwritten = |outcome: &Outcome<'_>| reused(outcome) && outcome.last_is(leasing, |set| set == 0);
    assert_eq!(needed(&[&leave, &join], overwritten), pair("members.rs", "members.rs"));
}

/// A queue that holds `queued` messages. Each consists of its number plus one, eight times.
fn queue(capacity: usize, queued: u64) -> (Sender<[u8; 8]>, Receiver<[u8; 8]>) {
    let (sender, receiver) = Options::new(capacity).create().unwrap();
    (1..=queued).for_each(|number| sender.send([number as u8; 8]).unwrap());
    (sender, receiver)
}

/// Sends one message if there is room.
fn send(sender: &Sender<[u8; 8]>, byte: u8) -> u64 {
    let mut sending = sender.side.sending(Deadline::NEVER).unwrap();
    if !sending.has_room().unwrap() {
        return 0;
    }
    sending.place(&[byte; 8]).unwrap();
    sending.publish();
    1
}

/// Takes one message and returns its bytes, or `EMPTY` if there is none.
fn take(receiver: &Receiver<[u8; 8]>) -> u64 {
    let mut receiving = Receiving::lock(&receiver.side.end, Deadline::NEVER).unwrap();
    match receiving.queued(1) {
        Ok(1..) => {}
        _ => return EMPTY,
    }
    let mut bytes = Vec::new();
    if place::read_slot(receiving.memory, receiving.head, &mut bytes).is_err() {
        return TORN;
    }
    receiving.take(1);
    bytes.try_into().map_or(TORN, u64::from_ne_bytes)
}

const EMPTY: u64 = 0;
const TORN: u64 = u64::MAX;

fn message(number: u8) -> u64 {
    u64::from_ne_bytes([number; 8])
}

#[test]
fn a_visible_message_is_complete() {
    let (sender, receiver) = queue(1, 0);
    let (send, take) = (|| send(&sender, 1), || take(&receiver));
    let protocol = Protocol::new(Processor::Arm64, &[&send, &take]).most_events(32);
    assert!(protocol.allows(|outcome| outcome.returned(1) == Some(message(1))));
    assert!(protocol.allows(|outcome| outcome.returned(1) == Some(EMPTY)));
    let torn = |outcome: &Outcome<'_>| ![Some(EMPTY), Some(message(1))].contains(&outcome.returned(1));
    assert_eq!(needed(&[&send, &take], torn), pair("receiving.rs", "sending.rs"));
}

#[test]
fn a_slot_is_not_reused_before_it_was_read() {
    let (sender, receiver) = queue(1, 1);
    let (send, take) = (|| send(&sender, 2), || take(&receiver));
    let protocol = Protocol::new(Processor::Arm64, &[&send, &take]).most_events(32);
    assert!(protocol.allows(|outcome| outcome.returned(0) == Some(1)));
    let overwritten = |outcome: &Outcome<'_>| outcome.returned(1) != Some(message(1));
    assert_eq!(needed(&[&send, &take], overwritten), pair("sending.rs", "receiving.rs"));
}

#[test]
fn the_lease_of_a_taken_message_is_visible() {
    let (_sender, receiver) = queue(1, 1);
    let memory = &receiver.side.end.channel.memory;
    let lease = || {
        let mut receiving = Receiving::lock(&receiver.side.end, Deadline::NEVER).unwrap();
        receiving.lease(0, &[1; 8]).map_or(0, |leased| leased.number + 1)
    };
    let observe = || match memory.word(HEAD).load(Ordering::Acquire) {
        1 => u64::from(leases::get(memory, 0).is_some()),
        _ => 2,
    };
    let protocol = Protocol::new(Processor::Arm64, &[&lease, &observe]).most_events(32);
    assert!(protocol.allows(|outcome| outcome.returned(1) == Some(1)));
    let missed = |outcome: &Outcome<'_>| outcome.returned(1) == Some(0);
    assert_eq!(needed(&[&lease, &observe], missed), pair("orders.rs", "receiving.rs"));
}

/// A queue whose senders are gone: the settling of the last lease wakes nobody else.
#[test]
fn a_receiver_does_not_sleep_through_the_end_of_the_last_lease() {
    let (_sender, receiver) = queue(1, 1);
    let memory = &receiver.side.end.channel.memory;
    let mut receiving = Receiving::lock(&receiver.side.end, Deadline::NEVER).unwrap();
    let leased = receiving.lease(0, &[1; 8]).unwrap();
    drop(receiving);
    let settle = || {
        leases::free(memory, leased.index);
        u64::from(last_sleep::may_be_asleep(memory))
    };
    let sleep = || {
        memory.store(RECEIVERS_ASLEEP, 1);
        last_sleep::flag_is_set();
        u64::from(leases::any_may_return(memory, |_| false))
    };
    let protocol = Protocol::new(Processor::Arm64, &[&settle, &sleep]);
    assert!(protocol.allows(|outcome| (outcome.returned(0), outcome.returned(1)) == (Some(1), Some(1))));
    assert!(protocol.allows(|outcome| outcome.returned(1) == Some(0)));
    let forgotten = |outcome: &Outcome<'_>| (outcome.returned(0), outcome.returned(1)) == (Some(0), Some(1));
    let sites = needed(&[&settle, &sleep], forgotten);
    assert_eq!(sites.len(), 2, "both fences: {sites:?}");
    assert!(sites.iter().all(|(file, _)| file == "last_sleep.rs"), "{sites:?}");
}
