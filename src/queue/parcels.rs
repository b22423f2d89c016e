//! Handles in messages: locks, ends of queues and pipes, descriptors.
//!
//! The bytes of a message are in shared memory, and its descriptors are in a *parcel*, a group in a store that the
//! kernel keeps ([`crate::sys::fd_store`]). A message with a parcel is marked and begins with a nonce, which its
//! parcel has too.
//!
//! - A sender stores the parcel, under the send lock, before it publishes the message. If it is killed in between, it
//!   leaves a stray parcel, one without a message.
//! - A receiver *copies* the descriptors of the parcel, under the receive lock, before it takes the message, and
//!   removes the parcel after that. If it is killed in between, it leaves the message with its parcel, or a stray
//!   parcel.
//! - A leased message keeps its parcel until it is done.
//!
//! So no message is ever without its parcel. A stray parcel is recognized by its number and nonce. The next search for
//! a parcel removes it, and so does the next receiver that finds that a process was killed.
//!
//! Parcels are in the order of their messages. Only a search for a parcel behind that of a leased message moves the
//! parcels before it to the end, each copied before it is removed.

use super::leases;
use super::memory::Memory;
use super::place;
use crate::sys::fd_store::{FdStore, TAG};
use crate::sys::robust::lineage;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

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

/// A nonce that no other message has.
pub(super) fn fresh_nonce() -> io::Result<[u8; NONCE]> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok((lineage()? ^ count.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_ne_bytes())
}

/// Stores the parcel of message `number`, which begins with its nonce.
pub(super) fn leave(store: &FdStore, number: u64, message: &[u8], handles: &[OwnedFd]) -> io::Result<()> {
    let nonce = nonce_of(message).ok_or(io::ErrorKind::InvalidInput)?;
    let ticket = Ticket { nonce, number, count: handles.len() as u64 };
    let handles: Vec<_> = handles.iter().map(AsFd::as_fd).collect();
    store.push(&ticket.bytes(), &handles)
}

/// Copies the descriptors in the parcel of message `number`. Requires the receive lock.
pub(super) fn open(
    memory: &Memory,
    store: &FdStore,
    number: u64,
    message: &[u8],
) -> io::Result<Vec<OwnedFd>> {
    let wanted = nonce_of(message);
    let is_wanted = |ticket: &Ticket| Some(ticket.nonce) == wanted && ticket.number == number;
    let found = search(memory, store, is_wanted)?;
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "the handles of a message are missing");
    store.first(found.ok_or_else(missing)?.count as usize)
}

/// Removes the parcel of message `number`, which was taken or is done, and the stray parcels before it. Requires the
/// receive lock.
pub(super) fn remove(memory: &Memory, store: &FdStore, number: u64) {
    // It is a stray parcel now, so the search removes it on its way to the first parcel of a later message.
    let _ = search(memory, store, |ticket| ticket.number > number && is_live(memory, ticket));
}

/// Removes every stray parcel. Requires the receive lock.
#[cold]
pub(super) fn remove_strays(memory: &Memory, store: &FdStore) {
    let _ = search(memory, store, |_| false);
}

/// Moves the first wanted parcel to the front, and removes the stray parcels before it. `None` if no parcel is wanted.
fn search(
    memory: &Memory,
    store: &FdStore,
    is_wanted: impl Fn(&Ticket) -> bool,
) -> io::Result<Option<Ticket>> {
    let mut first_moved = None;
    while let Some(tag) = store.first_tag()? {
        let ticket = Ticket::from_bytes(tag);
        if is_wanted(&ticket) {
            return Ok(Some(ticket));
        }
        if first_moved == Some(ticket) {
            return Ok(None);
        }
        if is_live(memory, &ticket) {
            first_moved.get_or_insert(ticket);
            store.rotate(&tag)?;
        } else {
            store.remove_first()?;
        }
    }
    Ok(None)
}

/// Whether this parcel belongs to a message, or to one that may be about to be published.
fn is_live(memory: &Memory, ticket: &Ticket) -> bool {
    let (head, tail) = memory.ends();
    if ticket.number >= tail {
        // The message is being sent, or its sender was killed; then the next message has its number, and another nonce.
        return true;
    }
    let mut message = Vec::new();
    let is_marked = if ticket.number >= head {
        place::read_slot(memory, ticket.number, &mut message)
    } else {
        let lease = leases::all(memory).find(|lease| lease.number == ticket.number);
        lease.map_or(Ok(false), |lease| leases::read(memory, lease.index, &mut message))
    };
    // A message that cannot be read now keeps its parcel.
    is_marked.map_or(true, |is_marked| is_marked && nonce_of(&message) == Some(ticket.nonce))
}

fn nonce_of(message: &[u8]) -> Option<u64> {
    message.first_chunk().map(|nonce| u64::from_ne_bytes(*nonce))
}
