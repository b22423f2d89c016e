//! The table of receiving handles, which records what each took last, so that the losses of a killed receiver
//! are known.
//!
//! A member is one receiving handle. Its record of the messages it takes is written before HEAD passes them,
//! and is valid once HEAD has. It is cleared when the handle receives again, because its program has handled
//! the messages by then. Messages on record for a process that has ended are lost.
//!
//! A member joins under the receive lock, but leaves without it, when its handle is dropped. This is safe because
//! its PID is stored with release and loaded with acquire: a process that finds the entry free stores to it after
//! everything that the previous member stored. With relaxed accesses, on processors that reorder stores, a late
//! `LEASING = 0` could overwrite the next member's `LEASING = 1`.

use super::error::Unreadable;
use super::layout::{MAX_MEMBERS, MEMBER, MEMBERS_END};
use super::memory::Memory;
use super::process_id::ProcessId;
use crate::sys::pid::Pid;
use std::sync::atomic::Ordering;

const PID: usize = 0;
const START: usize = 8;
/// The number of the first message taken, plus one; 0 for none.
const TAKEN: usize = 16;
const COUNT: usize = 24;
/// Whether the member may hold leases, in which case sleepers watch its process.
pub(super) const LEASING: usize = 32;

/// Messages that a receiver took and did not handle before it ended, as far as the queue can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The PID of the process, which has ended.
    pub pid: Pid,
    /// The number of the first lost message, in the order of sending from 0.
    pub first: u64,
    /// The number of consecutive lost messages: more than one only after `recv_many`.
    pub count: u64,
}

#[inline]
fn word(memory: &Memory, index: usize, offset: usize) -> u64 {
    memory.load(memory.layout.member(index) + offset)
}

#[inline]
fn set(memory: &Memory, index: usize, offset: usize, value: u64) {
    memory.store(memory.layout.member(index) + offset, value);
}

fn pid(memory: &Memory, index: usize) -> u64 {
    memory.word(memory.layout.member(index) + PID).load(Ordering::Acquire)
}

fn set_pid(memory: &Memory, index: usize, pid: u64) {
    memory.word(memory.layout.member(index) + PID).store(pid, Ordering::Release);
}

fn end(memory: &Memory) -> usize {
    (memory.load(MEMBERS_END) as usize).min(MAX_MEMBERS)
}

/// The process of a member; `None` if the entry is free.
#[inline]
pub(super) fn process(memory: &Memory, index: usize) -> Option<ProcessId> {
    let pid = i32::try_from(pid(memory, index)).ok().filter(|pid| *pid != 0).map(Pid::from_raw)?;
    Some(ProcessId { pid, start: word(memory, index, START) })
}

/// Members that may hold leases, with their index. Without the lock, an entry that is changing may be seen with
/// the PID of one process and the start time of another. Such a process does not exist and counts as dead; the
/// caller then checks again.
pub(super) fn leasing(memory: &Memory) -> impl Iterator<Item = (usize, ProcessId)> {
    (0..end(memory))
        .filter(|index| word(memory, *index, LEASING) != 0)
        .filter_map(|index| Some((index, process(memory, index)?)))
}

/// Adds a member for the calling process. If the table is full, it replaces a dead member that holds no lease:
/// preferably one that lost nothing, otherwise the one whose loss is the oldest.
pub(super) fn join(memory: &Memory, holds_lease: impl Fn(usize) -> bool) -> Result<usize, Unreadable> {
    let free = |index: &usize| pid(memory, *index) == 0;
    let mut index = (0..end(memory)).find(free).unwrap_or(end(memory));
    if index == MAX_MEMBERS {
        let dead = |index: &usize| {
            process(memory, *index).is_none_or(|process| process.is_dead()) && !holds_lease(*index)
        };
        let taken = |index: &usize| word(memory, *index, TAKEN);
        let found = (0..MAX_MEMBERS)
            .find(|index| taken(index) == 0 && dead(index))
            .or_else(|| (0..MAX_MEMBERS).filter(dead).min_by_key(taken));
        index = found.ok_or(Unreadable::TooMany { max: MAX_MEMBERS, what: "receiving handles" })?;
    }
    if index >= end(memory) {
        memory.reserve_entry(memory.layout.member(index), MEMBER)?;
        memory.store(MEMBERS_END, index as u64 + 1);
    }
    let own = ProcessId::own();
    set_pid(memory, index, 0);
    set(memory, index, TAKEN, 0);
    set(memory, index, LEASING, 0);
    set(memory, index, START, own.start);
    set_pid(memory, index, u64::from(own.pid.as_raw().cast_unsigned()));
    Ok(index)
}

/// Removes a member whose handle is dropped, without the lock. The PID is stored last, with release: see above.
pub(super) fn leave(memory: &Memory, index: usize) {
    set(memory, index, TAKEN, 0);
    set(memory, index, LEASING, 0);
    set_pid(memory, index, 0);
}

/// Records that the member takes messages. The count is stored first, because `TAKEN` makes it valid, and HEAD
/// makes `TAKEN` valid once it has passed the messages.
#[inline(always)]
pub(super) fn record_taking(memory: &Memory, index: usize, first: u64, count: u64) {
    let [_, _, taken, counted] = memory.region.words(memory.layout.member(index));
    counted.store(count, Ordering::Relaxed);
    taken.store(first + 1, Ordering::Relaxed);
}

/// Records that the member has handled what it took. Requires the receive lock, because another thread may be
/// receiving with the same handle.
#[inline]
pub(super) fn clear_taken(memory: &Memory, index: usize) {
    set(memory, index, TAKEN, 0);
}

/// Records that the member may hold leases from now on.
pub(super) fn record_leasing(memory: &Memory, index: usize) {
    set(memory, index, LEASING, 1);
}

/// Records that the member's process has ended and holds nothing, so sleepers need not watch it.
pub(super) fn record_death(memory: &Memory, index: usize) {
    set(memory, index, LEASING, 0);
    if word(memory, index, TAKEN) == 0 {
        set_pid(memory, index, 0);
    }
}

/// Clears records of messages that were not taken after all, because the receiver died before HEAD passed them,
/// or before it freed the lease that it was taking over.
pub(super) fn discard_uncommitted(memory: &Memory, head: u64, is_leased: impl Fn(u64) -> bool) {
    for index in 0..end(memory) {
        let taken = word(memory, index, TAKEN);
        if taken > head || (taken != 0 && is_leased(taken - 1)) {
            set(memory, index, TAKEN, 0);
        }
    }
}

/// Returns what receivers that have ended had taken. Each loss is reported once.
pub(super) fn take_losses(memory: &Memory) -> Vec<Loss> {
    let mut losses = Vec::new();
    for index in 0..end(memory) {
        let Some(process) = process(memory, index) else { continue };
        let taken = word(memory, index, TAKEN);
        if taken != 0 && process.is_dead() {
            losses.push(Loss { pid: process.pid, first: taken - 1, count: word(memory, index, COUNT) });
            set(memory, index, TAKEN, 0);
            if word(memory, index, LEASING) == 0 {
                set_pid(memory, index, 0);
            }
        }
    }
    losses.sort_unstable_by_key(|loss| loss.first);
    losses
}
