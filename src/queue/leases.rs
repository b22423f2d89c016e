//! The table of leases: messages that were taken but not yet done with.
//!
//! A lease holds a copy of its message. It is written before HEAD passes the message and void until it
//! has. Afterwards one store at a time changes what it is: to its number (0: done, the lease is free) or
//! to its holder (0: returned, whoever comes next takes it).

use super::channel::Channel;
use super::error::{Corrupt, Unreadable};
use super::layout::{HEAD, LEASE, LEASES_END, MAX_LEASES, MAX_MEMBERS};
use super::members;
use super::place::{Place, read_large};
use super::process_id::Watched;
use super::receiving::Receiving;
use std::sync::atomic::Ordering;

/// The number of the message, and one; 0 when the lease is free.
const NUMBER: usize = 0;
/// How often it was delivered, above the index of the member that holds it, and one.
const HOLDER: usize = 8;
const PLACE: usize = 16;
const BYTES: usize = 24;
const INLINE_LEN: usize = LEASE - BYTES;

fn word(channel: &Channel, index: usize, offset: usize) -> u64 {
    // Pairs with the stores in `set`: the lease was written before its number.
    channel.word(channel.layout.lease(index) + offset).load(Ordering::Acquire)
}

fn set(channel: &Channel, index: usize, offset: usize, value: u64) {
    channel.word(channel.layout.lease(index) + offset).store(value, Ordering::Release);
}

fn end(channel: &Channel) -> usize {
    (channel.load(LEASES_END) as usize).min(MAX_LEASES)
}

/// The number of the message that is leased, unless the lease is free or void.
fn number(channel: &Channel, index: usize) -> Option<u64> {
    let number = word(channel, index, NUMBER).checked_sub(1)?;
    (number < channel.word(HEAD).load(Ordering::Acquire)).then_some(number)
}

fn holder(channel: &Channel, index: usize) -> Option<usize> {
    ((word(channel, index, HOLDER) & 0xFFFF_FFFF) as usize)
        .checked_sub(1)
        .filter(|holder| *holder < MAX_MEMBERS)
}

fn deliveries(channel: &Channel, index: usize) -> u32 {
    (word(channel, index, HOLDER) >> 32) as u32
}

fn held(member: usize, deliveries: u32) -> u64 {
    u64::from(deliveries) << 32 | (member as u64 + 1)
}

/// How many leases were returned and wait for another holder.
#[inline]
pub(super) fn returned(channel: &Channel) -> usize {
    let waits = |index: &usize| number(channel, *index).is_some() && holder(channel, *index).is_none();
    match end(channel) {
        0 => 0,
        end => (0..end).filter(waits).count(),
    }
}

pub(super) fn is_leased(channel: &Channel, message: u64) -> bool {
    (0..end(channel)).any(|index| number(channel, index) == Some(message))
}

pub(super) fn any_held_by(channel: &Channel, member: usize) -> bool {
    (0..end(channel)).any(|index| number(channel, index).is_some() && holder(channel, index) == Some(member))
}

/// Whether some other process than `pid` holds a lease, which may come back.
pub(super) fn any_held_elsewhere(channel: &Channel, pid: u32) -> bool {
    (0..end(channel)).any(|index| {
        number(channel, index).is_some()
            && holder(channel, index)
                .and_then(|holder| members::process(channel, holder))
                .is_some_and(|process| process.pid != pid)
    })
}

pub(super) fn none_but(receiving: &Receiving<'_>, except: Option<usize>) -> bool {
    let channel = receiving.channel;
    (0..end(channel)).all(|index| number(channel, index).is_none() || Some(index) == except)
}

/// The returned lease whose message was sent first.
pub(super) fn first_returned(receiving: &Receiving<'_>) -> Option<usize> {
    let channel = receiving.channel;
    (0..end(channel))
        .filter(|index| holder(channel, *index).is_none())
        .filter_map(|index| Some((number(channel, index)?, index)))
        .min()
        .map(|(_, index)| index)
}

/// What a lease says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leased {
    pub(super) index: usize,
    pub(super) number: u64,
    pub(super) deliveries: u32,
}

/// Leases the first queued message, whose bytes are given, to a member.
pub(super) fn lease(
    receiving: &mut Receiving<'_>,
    member: usize,
    bytes: &[u8],
) -> Result<Leased, Unreadable> {
    let channel = receiving.channel;
    let free = |index: &usize| word(channel, *index, NUMBER) == 0;
    let index = (0..end(channel)).find(free).unwrap_or(end(channel));
    if index == MAX_LEASES {
        return Err(Unreadable::TooMany { max: MAX_LEASES, what: "leased messages" });
    }
    let place = if bytes.len() <= INLINE_LEN { Place::Inline } else { Place::Large };
    match place {
        Place::Inline => channel.region.put(channel.layout.lease(index) + BYTES, bytes),
        _ => channel.region.write(bytes, channel.layout.leased(index))?,
    }
    if index >= end(channel) {
        channel.store(LEASES_END, index as u64 + 1);
    }
    let number = receiving.head;
    set(channel, index, PLACE, place.word(bytes.len()));
    set(channel, index, HOLDER, held(member, 1));
    set(channel, index, NUMBER, number + 1);
    receiving.take(1);
    Ok(Leased { index, number, deliveries: 1 })
}

/// Leases a returned message again.
pub(super) fn lease_again(receiving: &Receiving<'_>, member: usize, index: usize) -> Leased {
    let channel = receiving.channel;
    let deliveries = deliveries(channel, index).saturating_add(1);
    set(channel, index, HOLDER, held(member, deliveries));
    Leased { index, number: word(channel, index, NUMBER).wrapping_sub(1), deliveries }
}

/// Appends the bytes of a leased message to `buffer`, and says which message it is.
pub(super) fn read(receiving: &Receiving<'_>, index: usize, buffer: &mut Vec<u8>) -> Result<u64, Unreadable> {
    let channel = receiving.channel;
    let (place, len) = Place::from_word(word(channel, index, PLACE), channel.layout.limit)?;
    match place {
        Place::Inline if len <= INLINE_LEN => {
            channel.region.append_to(buffer, channel.layout.lease(index) + BYTES, len);
        }
        Place::Large => read_large(channel, channel.layout.leased(index), len, buffer)?,
        _ => return Err(Corrupt("a leased message is nowhere").into()),
    }
    Ok(word(channel, index, NUMBER).wrapping_sub(1))
}

/// Whether the lease is still that of this member.
pub(super) fn is_held_by(receiving: &Receiving<'_>, leased: Leased, member: usize) -> bool {
    let channel = receiving.channel;
    number(channel, leased.index) == Some(leased.number)
        && word(channel, leased.index, HOLDER) == held(member, leased.deliveries)
}

/// The message is done with: its lease is free.
pub(super) fn finish(receiving: &Receiving<'_>, index: usize) {
    let channel = receiving.channel;
    if channel.load(super::layout::JOINERS_ASLEEP) != 0 && receiving.is_settled(Some(index)) {
        receiving.wake_joiners();
    }
    let large = Place::from_word(word(channel, index, PLACE), channel.layout.limit);
    // The one store that counts.
    set(channel, index, NUMBER, 0);
    if let Ok((Place::Large, len)) = large {
        let _ = channel.region.release(channel.layout.leased(index), len as u64);
    }
    shorten(channel);
}

/// The message goes back to the head of the queue.
pub(super) fn give_back(receiving: &Receiving<'_>, index: usize) {
    let channel = receiving.channel;
    set(channel, index, HOLDER, u64::from(deliveries(channel, index)) << 32);
}

/// Gives back what processes that have ended were holding. True if there was something.
pub(super) fn sweep(receiving: &Receiving<'_>) -> bool {
    let channel = receiving.channel;
    let mut any = false;
    for (member, process) in members::leasing_members(channel) {
        if !matches!(process.watch(), Watched::Dead) {
            continue;
        }
        for index in 0..end(channel) {
            if number(channel, index).is_some() && holder(channel, index) == Some(member) {
                give_back(receiving, index);
                any = true;
            }
        }
        members::note_dead(channel, member);
    }
    any
}

/// Frees leases of messages that HEAD never passed: their taker died. Free leases keep no memory.
pub(super) fn strike_out_void(receiving: &Receiving<'_>) {
    let channel = receiving.channel;
    for index in 0..end(channel) {
        if word(channel, index, NUMBER) > receiving.head {
            set(channel, index, NUMBER, 0);
        }
        if word(channel, index, NUMBER) == 0 {
            let _ = channel.region.release(channel.layout.leased(index), channel.layout.limit);
        }
    }
    shorten(channel);
}

fn shorten(channel: &Channel) {
    let last = (0..end(channel)).rev().find(|index| word(channel, *index, NUMBER) != 0);
    channel.store(LEASES_END, last.map_or(0, |index| index as u64 + 1));
}
