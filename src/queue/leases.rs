//! The table of leases: messages that were taken but are not done, and dead letters.
//!
//! A lease holds a copy of its message. It is written before HEAD passes the message, and is *uncommitted*
//! until then. Afterwards every change of state is a single store, either to the number (0 frees the lease) or
//! to the holder (a member; none, if the message waits for its next receiver; or the mark of a dead letter).
//!
//! Only the holder of the receive lock changes the table. Other processes read it without the lock to decide
//! whether to sleep, so every word is stored with release and loaded with acquire, and a state that spans
//! several words is published by the store to the last one.

use super::error::{Corrupt, Unreadable};
use super::layout::{HEAD, LEASE, LEASES_END, MAX_LEASES, MAX_MEMBERS};
use super::memory::Memory;
use super::place::{HANDLES, Place, has_handles, read_large};
use std::sync::atomic::Ordering;

/// The number of the message plus one; 0 when the lease is free.
const NUMBER: usize = 0;
/// The number of deliveries in the upper half, the code of the holder in the lower.
const HOLDER: usize = 8;
const PLACE: usize = 16;
/// For a returned message: it is due once HEAD has reached this value.
const TURN: usize = 24;
const BYTES: usize = 32;
const INLINE_LEN: usize = LEASE - BYTES;

/// The holder code of a dead letter. Other codes are 0 for no holder, or the index of the member plus one.
const DEAD_LETTER: u64 = 0xFFFF_FFFF;

/// The holder of a leased message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Member(usize),
    /// The message was returned and waits for its next receiver.
    None,
    /// The message is not delivered again.
    DeadLetter,
}

/// A lease that is neither free nor uncommitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leased {
    pub(super) index: usize,
    pub(super) number: u64,
    pub(super) deliveries: u32,
    pub(super) holder: Holder,
}

impl Holder {
    fn code(self) -> u64 {
        match self {
            Holder::None => 0,
            Holder::Member(index) => index as u64 + 1,
            Holder::DeadLetter => DEAD_LETTER,
        }
    }

    fn from_code(code: u64) -> Self {
        match code {
            DEAD_LETTER => Holder::DeadLetter,
            1.. if code <= MAX_MEMBERS as u64 => Holder::Member(code as usize - 1),
            _ => Holder::None,
        }
    }
}

fn word(memory: &Memory, index: usize, offset: usize) -> u64 {
    memory.word(memory.layout.lease(index) + offset).load(Ordering::Acquire)
}

fn set(memory: &Memory, index: usize, offset: usize, value: u64) {
    memory.word(memory.layout.lease(index) + offset).store(value, Ordering::Release);
}

fn end(memory: &Memory) -> usize {
    (memory.load(LEASES_END) as usize).min(MAX_LEASES)
}

/// Whether the table is empty. This is the common case, and then nothing else needs to be read.
#[inline]
pub(super) fn is_empty(memory: &Memory) -> bool {
    memory.load(LEASES_END) == 0
}

/// The lease at `index`, unless it is free or uncommitted.
pub(super) fn get(memory: &Memory, index: usize) -> Option<Leased> {
    let number = word(memory, index, NUMBER).checked_sub(1)?;
    // Pairs with the release store to HEAD: what the receiver wrote before it is complete.
    if number >= memory.word(HEAD).load(Ordering::Acquire) {
        return None;
    }
    // One load, because the holder and the number of deliveries belong together.
    let state = word(memory, index, HOLDER);
    let holder = Holder::from_code(state & 0xFFFF_FFFF);
    Some(Leased { index, number, deliveries: (state >> 32) as u32, holder })
}

pub(super) fn all(memory: &Memory) -> impl Iterator<Item = Leased> {
    (0..end(memory)).filter_map(|index| get(memory, index))
}

fn having(memory: &Memory, holder: Holder) -> impl Iterator<Item = Leased> {
    all(memory).filter(move |lease| lease.holder == holder)
}

/// The number of messages that were returned and wait for their next receiver.
#[inline]
pub(super) fn returned(memory: &Memory) -> usize {
    having(memory, Holder::None).count()
}

pub(super) fn dead_letters(memory: &Memory) -> usize {
    having(memory, Holder::DeadLetter).count()
}

/// The dead letter that was sent first.
pub(super) fn first_dead_letter(memory: &Memory) -> Option<Leased> {
    having(memory, Holder::DeadLetter).min_by_key(|lease| lease.number)
}

pub(super) fn is_leased(memory: &Memory, message: u64) -> bool {
    all(memory).any(|lease| lease.number == message)
}

pub(super) fn any_held_by(memory: &Memory, member: usize) -> bool {
    having(memory, Holder::Member(member)).next().is_some()
}

/// Whether a message was returned, or may yet be returned by a member that is not `own`.
///
/// One pass reads each holder once, so a lease that is returned meanwhile is seen in one of the two states.
pub(super) fn any_may_return(memory: &Memory, own: impl Fn(usize) -> bool) -> bool {
    all(memory).any(|lease| match lease.holder {
        Holder::None => true,
        Holder::Member(member) => !own(member),
        Holder::DeadLetter => false,
    })
}

/// Whether every message that was taken is done or a dead letter, ignoring the lease `except`.
pub(super) fn all_settled(memory: &Memory, except: Option<usize>) -> bool {
    all(memory).all(|lease| lease.holder == Holder::DeadLetter || Some(lease.index) == except)
}

/// The first returned message that is due when HEAD is `head`.
pub(super) fn first_returned(memory: &Memory, head: u64) -> Option<Leased> {
    having(memory, Holder::None)
        .map(|lease| (word(memory, lease.index, TURN), lease))
        .filter(|(turn, _)| *turn <= head)
        .min_by_key(|(turn, lease)| (*turn, lease.number))
        .map(|(_, lease)| lease)
}

/// The value of HEAD at which the next returned message is due.
pub(super) fn next_turn(memory: &Memory, head: u64) -> u64 {
    let turns = having(memory, Holder::None).map(|lease| word(memory, lease.index, TURN));
    turns.filter(|turn| *turn > head).min().unwrap_or(u64::MAX)
}

/// Writes an uncommitted lease of message `number` to a free entry.
pub(super) fn write(
    memory: &Memory,
    number: u64,
    member: usize,
    bytes: &[u8],
    is_marked: bool,
) -> Result<Leased, Unreadable> {
    let free = |index: &usize| word(memory, *index, NUMBER) == 0;
    let index = (0..end(memory)).find(free).unwrap_or(end(memory));
    if index == MAX_LEASES {
        return Err(Unreadable::TooMany { max: MAX_LEASES, what: "leased messages and dead letters" });
    }
    if index >= end(memory) {
        memory.reserve_entry(memory.layout.lease(index), LEASE)?;
    }
    let place = if bytes.len() <= INLINE_LEN { Place::Inline } else { Place::Large };
    match place {
        Place::Inline => memory.region.put(memory.layout.lease(index) + BYTES, bytes),
        _ => memory.region.write(bytes, memory.layout.leased(index))?,
    }
    if index >= end(memory) {
        memory.store(LEASES_END, index as u64 + 1);
    }
    let leased = Leased { index, number, deliveries: 1, holder: Holder::Member(member) };
    set(memory, index, PLACE, place.word(bytes.len()) | if is_marked { HANDLES } else { 0 });
    set_holder(memory, leased);
    set(memory, index, NUMBER, number + 1);
    Ok(leased)
}

/// Changes the holder of a message and its number of deliveries in one store.
pub(super) fn set_holder(memory: &Memory, lease: Leased) {
    set(memory, lease.index, HOLDER, u64::from(lease.deliveries) << 32 | lease.holder.code());
}

/// Returns a message to the queue, due for its next receiver once HEAD has reached `turn`.
pub(super) fn set_returned(memory: &Memory, lease: Leased, turn: u64) {
    set(memory, lease.index, TURN, turn);
    set_holder(memory, Leased { holder: Holder::None, ..lease });
}

/// Appends the bytes of a leased message to `buffer`, and returns whether it has handles.
pub(super) fn read(memory: &Memory, index: usize, buffer: &mut Vec<u8>) -> Result<bool, Unreadable> {
    let location = word(memory, index, PLACE);
    let (place, len) = Place::from_word(location, memory.layout.limit)?;
    match place {
        Place::Inline if len <= INLINE_LEN => {
            memory.region.append_to(buffer, memory.layout.lease(index) + BYTES, len);
        }
        Place::Large => read_large(memory, memory.layout.leased(index), len, buffer)?,
        _ => return Err(Corrupt("the location of a leased message is invalid").into()),
    }
    Ok(has_handles(location))
}

/// Whether the message has handles.
pub(super) fn is_marked(memory: &Memory, index: usize) -> bool {
    has_handles(word(memory, index, PLACE))
}

/// Frees a lease.
pub(super) fn free(memory: &Memory, index: usize) {
    let large = Place::from_word(word(memory, index, PLACE), memory.layout.limit);
    // The store that takes effect.
    set(memory, index, NUMBER, 0);
    if let Ok((Place::Large, len)) = large {
        let _ = memory.region.release(memory.layout.leased(index), len as u64);
    }
    shorten(memory);
}

/// Frees the leases of messages that HEAD never passed because their receiver died, and releases the memory of
/// every free lease, with one system call per run of free leases.
pub(super) fn discard_uncommitted(memory: &Memory, head: u64) {
    let mut run = None;
    for index in 0..=end(memory) {
        let is_free = index < end(memory) && {
            if word(memory, index, NUMBER) > head {
                set(memory, index, NUMBER, 0);
            }
            word(memory, index, NUMBER) == 0
        };
        match (run, is_free) {
            (None, true) => run = Some(index),
            (Some(begin), false) => {
                let (offset, len) = memory.layout.leased_range(begin, index);
                let _ = memory.region.release(offset, len);
                run = None;
            }
            _ => {}
        }
    }
    shorten(memory);
}

fn shorten(memory: &Memory) {
    let last = (0..end(memory)).rev().find(|index| word(memory, *index, NUMBER) != 0);
    memory.store(LEASES_END, last.map_or(0, |index| index as u64 + 1));
}
