//! Who receives, and what each took last: so that what a killed receiver had taken can be told.
//!
//! A member is one handle that receives. Its note "I take messages n to m" is written before HEAD passes
//! them and counts only once it has; it is struck out when the handle comes back for the next, for then
//! its program has done with them. What is noted for a process that has ended is lost with it.

use super::channel::Channel;
use super::error::Unreadable;
use super::layout::{MAX_MEMBERS, MEMBERS_END};
use super::leases;
use super::process_id::ProcessId;
use super::receiving::Receiving;
use std::sync::atomic::Ordering;

const PID: usize = 0;
const START: usize = 8;
/// The number of the first message taken, and one; 0 for none.
const TAKEN: usize = 16;
const COUNT: usize = 24;
/// Whether it ever held a lease, so that sleepers watch its process.
const LEASING: usize = 32;

/// Messages that a receiver took and did not live to handle, as far as the queue can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The PID of the process, which has ended.
    pub pid: u32,
    /// The number of the first message lost, in the order of sending from 0.
    pub first: u64,
    /// How many messages in a row: more than one only for `recv_many`.
    pub count: u64,
}

#[inline]
fn word(channel: &Channel, index: usize, offset: usize) -> u64 {
    channel.load(channel.layout.member(index) + offset)
}

#[inline]
fn set(channel: &Channel, index: usize, offset: usize, value: u64) {
    channel.store(channel.layout.member(index) + offset, value);
}

fn end(channel: &Channel) -> usize {
    (channel.load(MEMBERS_END) as usize).min(MAX_MEMBERS)
}

/// Whose handle a member is; `None` where there is none.
#[inline]
pub(super) fn process(channel: &Channel, index: usize) -> Option<ProcessId> {
    let pid = u32::try_from(word(channel, index, PID)).ok().filter(|pid| *pid != 0)?;
    Some(ProcessId { pid, start: word(channel, index, START) })
}

/// The processes that have ever held a lease, and may hold one.
pub(super) fn leasing(channel: &Channel) -> Vec<ProcessId> {
    let leasing = |index: &usize| word(channel, *index, LEASING) != 0;
    let mut all: Vec<ProcessId> =
        (0..end(channel)).filter(leasing).filter_map(|index| process(channel, index)).collect();
    all.sort_unstable_by_key(|process| (process.pid, process.start));
    all.dedup();
    all
}

/// Adds a member for the calling process.
pub(super) fn join(receiving: &Receiving<'_>) -> Result<usize, Unreadable> {
    let channel = receiving.channel;
    let free = |index: &usize| word(channel, *index, PID) == 0;
    let mut index = (0..end(channel)).find(free).unwrap_or(end(channel));
    if index == MAX_MEMBERS {
        // The dead make room: first those who lost nothing, then the one whose loss has waited longest to
        // be told.
        let dead = |index: &usize| {
            process(channel, *index).is_none_or(|process| process.is_dead())
                && !leases::any_held_by(channel, *index)
        };
        let taken = |index: &usize| word(channel, *index, TAKEN);
        let found = (0..MAX_MEMBERS)
            .find(|index| taken(index) == 0 && dead(index))
            .or_else(|| (0..MAX_MEMBERS).filter(dead).min_by_key(taken));
        index = found.ok_or(Unreadable::TooMany { max: MAX_MEMBERS, what: "receiving handles" })?;
    }
    if index >= end(channel) {
        channel.store(MEMBERS_END, index as u64 + 1);
    }
    let own = ProcessId::own();
    set(channel, index, PID, 0);
    set(channel, index, TAKEN, 0);
    set(channel, index, LEASING, 0);
    set(channel, index, START, own.start);
    set(channel, index, PID, u64::from(own.pid));
    Ok(index)
}

/// Takes a member out: its handle is dropped.
pub(super) fn leave(channel: &Channel, index: usize) {
    set(channel, index, TAKEN, 0);
    set(channel, index, LEASING, 0);
    set(channel, index, PID, 0);
}

/// Notes that the member takes messages; they count once HEAD has passed them.
#[inline(always)]
pub(super) fn note_taking(receiving: &Receiving<'_>, index: usize, first: u64, count: u64) {
    let [_, _, taken, counted] = receiving.channel.region.words(receiving.channel.layout.member(index));
    counted.store(count, Ordering::Relaxed);
    taken.store(first + 1, Ordering::Relaxed);
}

/// The member has done with what it took.
#[inline]
pub(super) fn note_done(channel: &Channel, index: usize) {
    set(channel, index, TAKEN, 0);
}

/// The member may hold leases from now on.
pub(super) fn note_leasing(receiving: &Receiving<'_>, index: usize) {
    set(receiving.channel, index, LEASING, 1);
}

/// Sleepers need not watch the member any more: its process has ended and holds nothing.
pub(super) fn note_dead(channel: &Channel, index: usize) {
    set(channel, index, LEASING, 0);
    if word(channel, index, TAKEN) == 0 {
        set(channel, index, PID, 0);
    }
}

/// Members that have held leases, with their index.
pub(super) fn leasing_members(channel: &Channel) -> Vec<(usize, ProcessId)> {
    (0..end(channel))
        .filter(|index| word(channel, *index, LEASING) != 0)
        .filter_map(|index| Some((index, process(channel, index)?)))
        .collect()
}

/// Strikes out notes of messages that were not taken after all: their taker died before HEAD passed
/// them, or before it let go of the lease that it took over.
pub(super) fn strike_out_void(receiving: &Receiving<'_>) {
    let channel = receiving.channel;
    for index in 0..end(channel) {
        let taken = word(channel, index, TAKEN);
        if taken > receiving.head || (taken != 0 && leases::is_leased(channel, taken - 1)) {
            set(channel, index, TAKEN, 0);
        }
    }
}

/// What receivers that have ended had taken. Each loss is told once.
pub(super) fn take_losses(receiving: &Receiving<'_>) -> Vec<Loss> {
    let channel = receiving.channel;
    let mut losses = Vec::new();
    for index in 0..end(channel) {
        let Some(process) = process(channel, index) else { continue };
        let taken = word(channel, index, TAKEN);
        if taken != 0 && process.is_dead() {
            losses.push(Loss { pid: process.pid, first: taken - 1, count: word(channel, index, COUNT) });
            set(channel, index, TAKEN, 0);
            if word(channel, index, LEASING) == 0 {
                set(channel, index, PID, 0);
            }
        }
    }
    losses.sort_unstable_by_key(|loss| loss.first);
    losses
}
