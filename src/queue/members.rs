//! The table of receiving handles, and what each took last: so that the losses of a killed receiver are known.
//!
//! A member is one handle that receives. Its note "takes messages n to m" is written before HEAD passes them,
//! and counts once HEAD has; it is cleared when the handle comes back for the next message, for its program is
//! done with them by then. What is noted for a process that has ended is lost.
//!
//! A member joins under the receive lock, and leaves without it, when its handle is dropped. What makes that
//! safe is its PID, which is stored with release and loaded with acquire: a process that finds the place free stores
//! to it after everything that the last member stored. With relaxed accesses a late `LEASING = 0` could wipe
//! out the next member's `LEASING = 1`, on processors that let stores pass each other.

use super::error::Unreadable;
use super::layout::{MAX_MEMBERS, MEMBERS_END};
use super::memory::Memory;
use super::process_id::ProcessId;
use crate::sys::pid::Pid;
use std::sync::atomic::Ordering;

const PID: usize = 0;
const START: usize = 8;
/// The number of the first message taken plus one; 0 for none.
const TAKEN: usize = 16;
const COUNT: usize = 24;
/// Whether it has ever held a lease, so that sleepers watch its process.
pub(super) const LEASING: usize = 32;

/// Messages that a receiver took and did not live to handle, as far as the queue can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The PID of the process, which has ended.
    pub pid: Pid,
    /// The number of the first message lost, in the order of sending from 0.
    pub first: u64,
    /// The number of consecutive messages lost: more than one only after `recv_many`.
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

/// The process of a member; `None` where there is none.
#[inline]
pub(super) fn process(memory: &Memory, index: usize) -> Option<ProcessId> {
    let pid = i32::try_from(pid(memory, index)).ok().filter(|pid| *pid != 0).map(Pid::from_raw)?;
    Some(ProcessId { pid, start: word(memory, index, START) })
}

/// Members that have held leases, with their index. Without the lock a member that is just changing may be
/// seen with the PID of one and the start of another: that is a process which does not exist, and counts as
/// dead; the caller then looks again.
pub(super) fn leasing(memory: &Memory) -> impl Iterator<Item = (usize, ProcessId)> {
    (0..end(memory))
        .filter(|index| word(memory, *index, LEASING) != 0)
        .filter_map(|index| Some((index, process(memory, index)?)))
}

/// Adds a member for the calling process. A dead member that holds no lease makes room if need be: first
/// one that lost nothing, then the one whose loss has waited longest to be reported.
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

/// Removes a member whose handle is dropped, without the lock. The PID last, with release: see above.
pub(super) fn leave(memory: &Memory, index: usize) {
    set(memory, index, TAKEN, 0);
    set(memory, index, LEASING, 0);
    set_pid(memory, index, 0);
}

/// Notes that the member takes messages. The count first: it counts once `TAKEN` says so, and that once HEAD
/// has passed the messages.
#[inline(always)]
pub(super) fn note_taking(memory: &Memory, index: usize, first: u64, count: u64) {
    let [_, _, taken, counted] = memory.region.words(memory.layout.member(index));
    counted.store(count, Ordering::Relaxed);
    taken.store(first + 1, Ordering::Relaxed);
}

/// The member is done with what it took. Under the lock: a second thread with the same handle may be in the
/// middle of taking.
#[inline]
pub(super) fn note_done(memory: &Memory, index: usize) {
    set(memory, index, TAKEN, 0);
}

/// The member may hold leases from now on.
pub(super) fn note_leasing(memory: &Memory, index: usize) {
    set(memory, index, LEASING, 1);
}

/// Sleepers need not watch the member any more: its process has ended and holds nothing.
pub(super) fn note_dead(memory: &Memory, index: usize) {
    set(memory, index, LEASING, 0);
    if word(memory, index, TAKEN) == 0 {
        set_pid(memory, index, 0);
    }
}

/// Clears the notes of messages that were not taken after all: their taker died before HEAD passed them, or
/// before it freed the lease that it was taking over.
pub(super) fn discard_uncommitted(memory: &Memory, head: u64, is_leased: impl Fn(u64) -> bool) {
    for index in 0..end(memory) {
        let taken = word(memory, index, TAKEN);
        if taken > head || (taken != 0 && is_leased(taken - 1)) {
            set(memory, index, TAKEN, 0);
        }
    }
}

/// What receivers that have ended had taken. Each loss is reported once.
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
