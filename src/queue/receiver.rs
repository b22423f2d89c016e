//! The end that receives.

use super::dead_letter::DeadLetter;
use super::error::lock_to_io;
use super::error::{RecvError, RecvTimeoutError, TryRecvError, Undecodable, Unreadable};
use super::fault::RecvFault;
use super::lease::Lease;
use super::leases;
use super::members::{self, Loss};
use super::membership::Membership;
use super::parcels;
use super::receiving::Receiving;
use super::side::Side;
use super::wait::Patience;
use crate::sys::poll::Deadline;
use crate::wire::attachments;
use crate::wire::codec::{self, DecodeError};
use crate::wire::scratch::with_buffer;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// The receiving end of a queue. Each message goes to exactly one receiver: clones, and handles in other
/// processes, share what arrives.
///
/// If a process is killed with SIGKILL while it receives, at any instruction, no other process waits for it,
/// and at most the message that it had taken is lost, which [`Receiver::take_losses`] reports. Take a [`Lease`]
/// to have it delivered again instead.
///
/// What was taken is recorded per handle: in a process with several receiving threads give each a clone.
pub struct Receiver<T> {
    pub(super) side: Arc<Side>,
    pub(super) member: Arc<Membership>,
    receives: PhantomData<fn() -> T>,
}

const RECEIVED: &str = "what was received is there";

impl<T> Receiver<T> {
    pub(super) fn new(side: Arc<Side>) -> Self {
        Receiver { member: Arc::new(Membership::new(Arc::clone(&side))), side, receives: PhantomData }
    }

    /// The number of messages that wait, those included that were leased and returned.
    pub fn len(&self) -> usize {
        self.side.channel.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for another message.
    pub fn is_full(&self) -> bool {
        self.side.channel.memory.is_full()
    }

    /// The number of messages that the queue has room for.
    pub fn capacity(&self) -> usize {
        self.side.channel.memory.layout.capacity as usize
    }

    /// Closes the queue for all processes: nothing more can be sent, what is in it can still be received.
    ///
    /// # Errors
    /// If the queue's lock is unavailable; the queue is still open then.
    pub fn close(&self) -> io::Result<()> {
        self.side.close().map_err(lock_to_io)
    }

    /// The messages that receivers took, by [`Self::recv`] and its like, and did not live to handle: the
    /// process was killed, or ended without coming back for the next message. Each loss is reported once, to
    /// the first caller.
    ///
    /// # Errors
    /// If the queue's lock is unavailable.
    pub fn take_losses(&self) -> io::Result<Vec<Loss>> {
        let receiving = Receiving::lock(&self.side.channel, Deadline::NEVER).map_err(lock_to_io)?;
        Ok(members::take_losses(receiving.memory))
    }

    /// The number of dead letters: messages that are not delivered any more.
    pub fn dead_letters(&self) -> usize {
        leases::dead_letters(&self.side.channel.memory)
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Receives a message, and waits for one as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] if nothing is left and nothing can arrive any more;
    /// [`Unreadable::Undecodable`], with the bytes, if the message is not a `T`.
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut value = None;
        match self.receive(Patience::Until(Deadline::NEVER), &mut value) {
            Ok(()) => Ok(value.expect(RECEIVED)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut value = None;
        match self.receive(Patience::Try, &mut value) {
            Ok(()) => Ok(value.expect(RECEIVED)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Receives a message, and waits for one up to `timeout`; never returns early without one.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let mut value = None;
        match self.receive(Patience::Until(Deadline::after(timeout)), &mut value) {
            Ok(()) => Ok(value.expect(RECEIVED)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Waits for a message, and receives it and those that are queued behind it, up to `max`.
    ///
    /// They are taken at once, so a process that is killed afterwards loses all of them. The vector has every
    /// message that was taken, in order: one that cannot be decoded is an `Err` in its place, with its bytes.
    /// It is empty only if `max` is 0.
    ///
    /// # Errors
    /// As [`Self::recv`], apart from undecodable messages; nothing was taken then.
    pub fn recv_many(&self, max: usize) -> Result<Vec<Result<T, Undecodable>>, RecvError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let first = self.wait_for(Patience::Until(Deadline::NEVER), |receiving| {
            bytes.clear();
            ends.clear();
            self.take_many(receiving, max, &mut bytes, &mut ends)
        })?;
        let mut begin = 0;
        let decode = |(number, (end, handles))| {
            decode(number, &bytes[std::mem::replace(&mut begin, end)..end], handles)
        };
        Ok((first..).zip(ends).map(decode).collect())
    }

    /// Takes a message that returns to the queue unless [`Lease::done`] is called: its holder may drop it, be
    /// killed, or just end.
    ///
    /// A message that cannot be decoded becomes a dead letter.
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn lease(&self) -> Result<Lease<T>, RecvError> {
        self.lease_within(Patience::Until(Deadline::NEVER)).map_err(RecvError::from)
    }

    /// Leases a message if there is one.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_lease(&self) -> Result<Lease<T>, TryRecvError> {
        self.lease_within(Patience::Try).map_err(TryRecvError::from)
    }

    /// Leases a message, and waits for one up to `timeout`.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<T>, RecvTimeoutError> {
        self.lease_within(Patience::Until(Deadline::after(timeout))).map_err(RecvTimeoutError::from)
    }

    /// Takes the dead letter that was sent first, if there is any. Dead letters keep their place among the
    /// leases until they are taken.
    ///
    /// # Errors
    /// If the queue's lock or its memory is unavailable; nothing was taken then.
    pub fn take_dead_letter(&self) -> Result<Option<DeadLetter<T>>, Unreadable> {
        with_buffer(|buffer| {
            let (letter, handles) = {
                let mut receiving =
                    Receiving::lock(&self.side.channel, Deadline::NEVER).map_err(lock_to_io)?;
                (self.take_dead(&mut receiving, buffer)?, receiving.handles.take())
            };
            Ok(letter.map(|letter| DeadLetter {
                number: letter.number,
                deliveries: letter.deliveries,
                value: decode(letter.number, buffer, handles),
            }))
        })
    }

    /// Puts what is received where the caller wants it.
    #[inline]
    pub(super) fn receive(&self, patience: Patience, value: &mut Option<T>) -> Result<(), RecvFault> {
        with_buffer(|buffer| {
            let mut handles = None;
            let number = self.wait_for(patience, |receiving| {
                buffer.clear();
                let number = self.take_one(receiving, buffer)?;
                handles = receiving.handles.take();
                Ok(number)
            })?;
            if handles.is_some() {
                *value = Some(decode(number, buffer, handles)?);
                return Ok(());
            }
            codec::decode_into(buffer, value).map_err(|source| undecodable(number, buffer, source).into())
        })
    }

    fn lease_within(&self, patience: Patience) -> Result<Lease<T>, RecvFault> {
        self.member.announce_leasing(patience)?;
        with_buffer(|buffer| {
            let mut handles = None;
            let leased = self.wait_for(patience, |receiving| {
                buffer.clear();
                let leased = self.lease_one(receiving, buffer)?;
                handles = receiving.handles.take();
                Ok(leased)
            })?;
            match decode(leased.number, buffer, handles) {
                Ok(value) => Ok(Lease::new(Arc::clone(&self.member), leased, value)),
                Err(undecodable) => {
                    let lease = Lease::new(Arc::clone(&self.member), leased, ());
                    lease.reject()?;
                    Err(undecodable.into())
                }
            }
        })
    }
}

/// Decodes a message; one with handles begins with a nonce.
fn decode<T: DeserializeOwned>(
    number: u64,
    bytes: &[u8],
    handles: Option<Vec<OwnedFd>>,
) -> Result<T, Undecodable> {
    let Some(handles) = handles else {
        return codec::decode(bytes).map_err(|source| undecodable(number, bytes, source));
    };
    let bytes = bytes.get(parcels::NONCE..).unwrap_or_default();
    let (value, _) = attachments::lay_out(handles, || codec::decode(bytes));
    value.map_err(|source| undecodable(number, bytes, source))
}

#[cold]
fn undecodable(number: u64, bytes: &[u8], source: DecodeError) -> Undecodable {
    Undecodable { number, bytes: bytes.to_vec(), source }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.side.note_dropped();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.side))
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}
