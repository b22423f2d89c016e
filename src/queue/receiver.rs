//! The end that receives.

use super::channel::Side;
use super::error::{RecvError, RecvTimeoutError, TryRecvError, Unreadable};
use super::iter::{Iter, TryIter};
use super::lease::Lease;
use super::leases;
use super::lock_to_io;
use super::members::{self, Loss};
use super::membership::Membership;
use super::scratch::with_buffer;
use super::taking::Fault;
use super::wait::Patience;
use crate::sys::poll::Deadline;
use crate::wire::codec;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The end of a queue that receives. Each message goes to exactly one receiver: clones, and handles in
/// other processes, share what comes.
///
/// Whoever is killed with SIGKILL while it receives, at whatever instruction: no other process waits for
/// it, and at most the message that it had taken is lost, which [`Receiver::take_losses`] tells. Take a
/// [`Lease`] to have it delivered again instead.
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

    /// How many messages wait, those included that were leased and came back.
    pub fn len(&self) -> usize {
        self.side.channel.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for another message now.
    pub fn is_full(&self) -> bool {
        self.side.channel.is_full()
    }

    /// How many messages there is room for.
    pub fn capacity(&self) -> usize {
        self.side.channel.layout.capacity as usize
    }

    /// Closes the queue for everybody: nothing more can be sent, what is in it can still be received.
    ///
    /// # Errors
    /// When the queue's lock cannot be taken; the queue is open then.
    pub fn close(&self) -> io::Result<()> {
        self.side.close().map_err(lock_to_io)
    }

    /// What receivers took, by [`Self::recv`] and its like, and did not live to come back from: they were
    /// killed, or ended without coming back for the next message. Each loss is told once, to whoever asks
    /// first.
    ///
    /// # Errors
    /// When the queue's lock cannot be taken.
    pub fn take_losses(&self) -> io::Result<Vec<Loss>> {
        let receiving = self.side.channel.receiving(Deadline::NEVER).map_err(lock_to_io)?;
        Ok(members::take_losses(&receiving))
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Receives a message, and waits for one as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] when nothing is left and nothing can come any more.
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut value = None;
        match self.receive(Patience::Until(Deadline::NEVER), &mut value) {
            Ok(()) => Ok(value.expect(RECEIVED)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Receives a message if there is one now.
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

    /// Receives a message, and waits for one at most for `timeout`: never returns early without one.
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

    /// Receives at least one message, waiting for it, and as many more, up to `max`, as are there.
    ///
    /// They are taken all at once: who is killed afterwards loses all of them.
    ///
    /// # Errors
    /// As [`Self::recv`]. A message that cannot be decoded ends the batch; it is reported at the next call
    /// unless it is the first.
    pub fn recv_many(&self, max: usize) -> Result<Vec<T>, RecvError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let first = self.wait_for(Patience::Until(Deadline::NEVER), |receiving| {
            self.take_many(receiving, max, &mut bytes, &mut ends)
        })?;
        let mut begin = 0;
        let decode = |(number, end)| {
            let bytes = &bytes[std::mem::replace(&mut begin, end)..end];
            codec::decode(bytes).map_err(|source| Unreadable::Decode { number, source }.into())
        };
        (first..).zip(ends).map(decode).collect()
    }

    /// Takes a message that comes back to the head of the queue unless it is [`Lease::done`]: its holder
    /// may drop it, be killed, or just end.
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn lease(&self) -> Result<Lease<T>, RecvError> {
        self.lease_within(Patience::Until(Deadline::NEVER)).map_err(RecvError::from)
    }

    /// Leases a message if there is one now.
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_lease(&self) -> Result<Lease<T>, TryRecvError> {
        self.lease_within(Patience::Try).map_err(TryRecvError::from)
    }

    /// Leases a message, and waits for one at most for `timeout`.
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<T>, RecvTimeoutError> {
        self.lease_within(Patience::Until(Deadline::after(timeout))).map_err(RecvTimeoutError::from)
    }

    /// What comes until no process can send any more. A message that cannot be read ends it too.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// What is there now.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }

    /// Puts what is received where the caller wants it.
    #[inline]
    pub(super) fn receive(&self, patience: Patience, value: &mut Option<T>) -> Result<(), Fault> {
        with_buffer(|buffer| {
            let number = self.wait_for(patience, |receiving| self.take_one(receiving, buffer))?;
            codec::decode_into(buffer, value).map_err(|source| Unreadable::Decode { number, source }.into())
        })
    }

    fn lease_within(&self, patience: Patience) -> Result<Lease<T>, Fault> {
        self.member.announce_leasing(patience)?;
        with_buffer(|buffer| {
            let leased = self.wait_for(patience, |receiving| {
                buffer.clear();
                self.lease_one(receiving, buffer)
            })?;
            let number = leased.number;
            match codec::decode(buffer) {
                Ok(value) => Ok(Lease::new(Arc::clone(&self.member), leased, value)),
                Err(source) => {
                    leases::finish(
                        &self.side.channel.receiving(Deadline::NEVER).map_err(lock_to_io)?,
                        leased.index,
                    );
                    Err(Unreadable::Decode { number, source }.into())
                }
            }
        })
    }
}

impl From<Fault> for RecvError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreadable(why) => RecvError::Unreadable(why),
            Fault::Disconnected | Fault::Nothing => RecvError::Disconnected,
        }
    }
}

impl From<Fault> for TryRecvError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreadable(why) => TryRecvError::Unreadable(why),
            Fault::Disconnected => TryRecvError::Disconnected,
            Fault::Nothing => TryRecvError::Empty,
        }
    }
}

impl From<Fault> for RecvTimeoutError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreadable(why) => RecvTimeoutError::Unreadable(why),
            Fault::Disconnected => RecvTimeoutError::Disconnected,
            Fault::Nothing => RecvTimeoutError::Timeout,
        }
    }
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
