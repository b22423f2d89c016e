//! Handles in messages: locks, ends of queues and pipes, descriptors.
//!
//! The bytes of a message are in shared memory, and its descriptors are in a *parcel*, a group that the kernel keeps in a
//! socket ([`crate::sys::fd_store`]): in the line while the message is queued ([`super::line`]), in a store of the
//! receivers while it is leased or a dead letter ([`super::inbox`]). A message with a parcel is marked and begins with a
//! nonce, which its parcel has too.
//!
//! - A sender sends the parcel, under the send lock, before it publishes the message. If it is killed in between, it
//!   leaves a stray parcel, one without a message.
//! - A receiver *copies* the descriptors of the parcel, under the receive lock, before it takes the message. If it leases
//!   the message, it puts the copies into the store, also before it takes the message.
//! - A parcel is removed **under the send lock only**, by a receiver, when its message was taken or is done. While that
//!   lock is held, no parcel is sent, so what was seen to be first in a socket is what is removed.
//!
//! So no message is ever without its parcel. A parcel without a message, which a killed process left, is recognized by its
//! number and its nonce. The next removal of a parcel removes it, and so does the next receiver that goes to sleep.
//!
//! Parcels in the line are in the order of their messages. A receiver copies the first one only: if it is not the right
//! one, it releases the receive lock, removes what is before it, and tries again. Those in the store are moved to the end
//! until the right one is first, each copied before it is removed.

use super::leases;
use super::memory::Memory;
use super::place;
use crate::sys::fd_store::{Front, Groups, TAG};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Length of the nonce at the beginning of a marked message, in bytes.
pub(super) const NONCE: usize = 8;

/// The tag of a parcel, which identifies its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    nonce: u64,
    /// The number of the message.
    number: u64,
    count: u64,
}

impl Ticket {
    fn bytes(self) -> [u8; TAG] {
        let mut tag = [0; TAG];
        for (eight, word) in tag.chunks_exact_mut(8).zip([self.nonce, self.number, self.count]) {
            eight.copy_from_slice(&word.to_ne_bytes());
        }
        tag
    }

    fn from_bytes(tag: [u8; TAG]) -> Self {
        let (words, _) = tag.as_chunks::<8>();
        let [nonce, number, count] = [0, 1, 2].map(|at| u64::from_ne_bytes(words[at]));
        Ticket { nonce, number, count }
    }
}

/// Adds the parcel of message `number`, which begins with its nonce.
pub(super) fn leave(to: Groups<'_>, number: u64, message: &[u8], handles: &[OwnedFd]) -> io::Result<()> {
    let nonce = nonce_of(message).ok_or(io::ErrorKind::InvalidInput)?;
    let ticket = Ticket { nonce, number, count: handles.len() as u64 };
    let handles: Vec<_> = handles.iter().map(AsFd::as_fd).collect();
    to.push(&ticket.bytes(), &handles)
}

/// Copies the descriptors in the parcel of message `number`, if it is the first one. Requires the receive lock, which
/// keeps the parcel where it is.
pub(super) fn open(from: Groups<'_>, number: u64, message: &[u8]) -> io::Result<Option<Vec<OwnedFd>>> {
    let Front::Group(tag) = from.front()? else { return Ok(None) };
    let ticket = Ticket::from_bytes(tag);
    if ticket.number != number || Some(ticket.nonce) != nonce_of(message) {
        return Ok(None);
    }
    from.copy_first(ticket.count as usize).map(Some)
}

/// Removes what is before the parcel of message `wanted` in the line, or before a later one. Returns whether `wanted` is
/// the first one now. Calls `wake` before it removes a signal. Requires the send lock.
pub(super) fn advance(memory: &Memory, line: Groups<'_>, wake: impl Fn(), wanted: u64) -> io::Result<bool> {
    loop {
        match line.front()? {
            Front::Nothing => return Ok(false),
            Front::Signal => wake(),
            Front::Group(tag) => {
                let ticket = Ticket::from_bytes(tag);
                if is_queued(memory, &ticket) {
                    return Ok(ticket.number == wanted);
                }
            }
        }
        line.remove_first()?;
    }
}

/// Moves the parcel of the leased message `wanted` to the front. Returns whether there is one. Requires the send lock.
pub(super) fn bring_kept(memory: &Memory, kept: Groups<'_>, wanted: u64) -> io::Result<bool> {
    search(memory, kept, |ticket| ticket.number == wanted)
}

/// Removes the kept parcel of message `number`, which is done, and those of other messages that are. Requires the send
/// lock.
pub(super) fn discard_kept(memory: &Memory, kept: Groups<'_>, number: u64) -> io::Result<()> {
    // The parcels are in the order of their messages, unless they were moved.
    search(memory, kept, |ticket| ticket.number > number && is_kept(memory, ticket)).map(drop)
}

/// Moves the first wanted parcel to the front, and removes those before it that belong to no lease. Returns whether there
/// is one.
fn search(memory: &Memory, kept: Groups<'_>, is_wanted: impl Fn(&Ticket) -> bool) -> io::Result<bool> {
    let mut first_moved = None;
    while let Front::Group(tag) = kept.front()? {
        let ticket = Ticket::from_bytes(tag);
        if is_wanted(&ticket) {
            return Ok(true);
        }
        if first_moved == Some(ticket) {
            return Ok(false);
        }
        if is_kept(memory, &ticket) {
            first_moved.get_or_insert(ticket);
            kept.rotate(&tag)?;
        } else {
            kept.remove_first()?;
        }
    }
    Ok(false)
}

/// Whether this parcel belongs to a queued message. No message is being sent, because the send lock is held; if this one
/// is taken meanwhile, the answer does not matter.
fn is_queued(memory: &Memory, ticket: &Ticket) -> bool {
    let (head, tail) = memory.ends();
    if !(head..tail).contains(&ticket.number) {
        return false;
    }
    let mut message = Vec::new();
    let is_marked = place::read_slot(memory, ticket.number, &mut message);
    // A message that cannot be read now keeps its parcel.
    is_marked.map_or(true, |is_marked| is_marked && nonce_of(&message) == Some(ticket.nonce))
}

/// Whether this parcel belongs to a lease, or to one that is about to be.
fn is_kept(memory: &Memory, ticket: &Ticket) -> bool {
    // HEAD is read first: if it has passed the message, the lease is visible.
    let (head, _) = memory.ends();
    ticket.number >= head || leases::is_leased(memory, ticket.number)
}

fn nonce_of(message: &[u8]) -> Option<u64> {
    message.first_chunk().map(|nonce| u64::from_ne_bytes(*nonce))
}
