//! The receiving end.

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
use super::wait::WaitLimit;
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
/// processes, share the messages that arrive.
///
/// If a process is killed with SIGKILL while it receives, at any instruction, no other process waits for it, and
/// at most the message that it had taken is lost, which [`Receiver::take_losses`] reports. Take a [`Lease`]
/// to have the message delivered again instead.
///
/// Taken messages are recorded per handle, so give each receiving thread a clone.
pub struct Receiver<T> {
    pub(super) side: Arc<Side>,
    pub(super) member: Arc<Membership>,
    receives: PhantomData<fn() -> T>,
}

const RECEIVED: &str = "a successful receive yields a value";

impl<T> Receiver<T> {
    pub(super) fn new(side: Arc<Side>) -> Self {
        Receiver { member: Arc::new(Membership::new(Arc::clone(&side))), side, receives: PhantomData }
    }

    /// The number of waiting messages, including those that were leased and returned.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(2)?;
    /// sender.send(7)?;
    /// assert_eq!(receiver.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.side.end.channel.len()
    }

    /// Whether no message is waiting.
    ///
    /// ```
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(2)?;
    /// assert!(receiver.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for another message.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// assert!(receiver.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.side.end.channel.memory.is_full()
    }

    /// The number of messages that the queue can hold.
    ///
    /// ```
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(2)?;
    /// assert_eq!(receiver.capacity(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.side.end.channel.memory.layout.capacity as usize
    }

    /// Closes the queue for all processes: nothing more can be sent, but queued messages can still be received.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(2)?;
    /// sender.send(7)?;
    /// receiver.close()?;
    /// assert!(sender.send(8).is_err());
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the queue's lock is unavailable; the queue then stays open.
    pub fn close(&self) -> io::Result<()> {
        self.side.close().map_err(lock_to_io)
    }

    /// Returns the messages that receivers took with [`Self::recv`] and similar methods but did not handle: the
    /// process was killed, or exited without receiving again. Each loss is reported once, to the first caller.
    ///
    /// ```
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(2)?;
    /// for loss in receiver.take_losses()? {
    ///     println!("{} lost {} messages from number {}", loss.pid, loss.count, loss.first);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the queue's lock is unavailable.
    pub fn take_losses(&self) -> io::Result<Vec<Loss>> {
        let receiving = Receiving::lock(&self.side.end, Deadline::NEVER).map_err(lock_to_io)?;
        let losses = members::take_losses(receiving.memory);
        for loss in &losses {
            event!(WARN, pid = loss.pid.as_raw(), first = loss.first, count = loss.count, "messages lost");
            let _ = loss;
        }
        Ok(losses)
    }

    /// The number of dead letters: messages that are no longer delivered.
    ///
    /// ```
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(2)?;
    /// assert_eq!(receiver.dead_letters(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dead_letters(&self) -> usize {
        leases::dead_letters(&self.side.end.channel.memory)
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Receives a message, blocking until there is one.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecvError::Disconnected`] if the queue is empty and nothing more can arrive;
    /// [`Unreadable::Undecodable`], with the bytes, if the message is not a `T`.
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut value = None;
        match self.receive(WaitLimit::Until(Deadline::NEVER), &mut value) {
            Ok(()) => Ok(value.expect(RECEIVED)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Receives a message if there is one, without blocking.
    ///
    /// ```
    /// use proclab::queue::error::TryRecvError;
    ///
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(1)?;
    /// assert!(matches!(receiver.try_recv(), Err(TryRecvError::Empty)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut value = None;
        match self.receive(WaitLimit::Try, &mut value) {
            Ok(()) => Ok(value.expect(RECEIVED)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Receives a message, blocking for up to `timeout`; never returns early without one.
    ///
    /// ```
    /// use proclab::queue::error::RecvTimeoutError;
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(1)?;
    /// let nothing = receiver.recv_timeout(Duration::from_millis(10));
    /// assert!(matches!(nothing, Err(RecvTimeoutError::Timeout)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let mut value = None;
        match self.receive(WaitLimit::Until(Deadline::after(timeout)), &mut value) {
            Ok(()) => Ok(value.expect(RECEIVED)),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Waits for a message, then receives it and those queued behind it, up to `max` in total.
    ///
    /// They are taken together, so a process that is killed afterwards loses all of them. The vector contains every
    /// message that was taken, in order; one that cannot be decoded is an `Err` with its bytes. It is empty only if
    /// `max` is 0, and contains at most one message with handles.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(5)?;
    /// sender.send_many([1, 2, 3])?;
    /// assert_eq!(receiver.recv_many(2)?.into_iter().collect::<Result<Vec<u32>, _>>()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::recv`], except for undecodable messages; nothing was taken then.
    pub fn recv_many(&self, max: usize) -> Result<Vec<Result<T, Undecodable>>, RecvError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let first = self.wait_for(WaitLimit::Until(Deadline::NEVER), |receiving| {
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

    /// Leases a message, blocking until there is one. It returns to the queue unless [`Lease::done`] is called,
    /// whether the lease is dropped or its process is killed or exits.
    ///
    /// A message that cannot be decoded becomes a dead letter.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send("order".to_owned())?;
    /// let order = receiver.lease()?;
    /// println!("working on {}", *order);
    /// order.done()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::recv`].
    pub fn lease(&self) -> Result<Lease<T>, RecvError> {
        self.lease_within(WaitLimit::Until(Deadline::NEVER)).map_err(RecvError::from)
    }

    /// Leases a message if there is one, without blocking.
    ///
    /// ```
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(1)?;
    /// assert!(receiver.try_lease().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TryRecvError`].
    pub fn try_lease(&self) -> Result<Lease<T>, TryRecvError> {
        self.lease_within(WaitLimit::Try).map_err(TryRecvError::from)
    }

    /// Leases a message, blocking for up to `timeout`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (_sender, receiver) = proclab::queue::bounded::<u8>(1)?;
    /// assert!(receiver.lease_timeout(Duration::from_millis(10)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecvTimeoutError`].
    pub fn lease_timeout(&self, timeout: Duration) -> Result<Lease<T>, RecvTimeoutError> {
        self.lease_within(WaitLimit::Until(Deadline::after(timeout))).map_err(RecvTimeoutError::from)
    }

    /// Takes the dead letter that was sent first, if there is one. A dead letter occupies a lease until it is taken.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// receiver.lease()?.reject()?;
    /// let letter = receiver.take_dead_letter()?.expect("one was rejected");
    /// assert_eq!(letter.value?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the queue's lock or memory is unavailable; nothing was taken then.
    pub fn take_dead_letter(&self) -> Result<Option<DeadLetter<T>>, Unreadable> {
        with_buffer(|buffer| {
            let mut handles = None;
            let letter = self.locked(Deadline::NEVER, |receiving| {
                buffer.clear();
                let letter = self.take_dead(receiving, buffer)?;
                handles = receiving.handles.take();
                Ok(letter)
            });
            let letter = letter.map_err(|fault| match fault {
                RecvFault::Unreadable(why) => why,
                // A wait without a deadline for a lock ends with the lock or with an error.
                RecvFault::Nothing | RecvFault::Disconnected => io::Error::other("no lock").into(),
            })?;
            Ok(letter.map(|letter| DeadLetter {
                number: letter.number,
                deliveries: letter.deliveries,
                value: decode(letter.number, buffer, handles),
            }))
        })
    }

    /// Receives a message into `value`.
    #[inline]
    pub(super) fn receive(&self, wait: WaitLimit, value: &mut Option<T>) -> Result<(), RecvFault> {
        with_buffer(|buffer| {
            let mut handles = None;
            let number = self.wait_for(wait, |receiving| {
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

    fn lease_within(&self, wait: WaitLimit) -> Result<Lease<T>, RecvFault> {
        self.member.announce_leasing(wait)?;
        with_buffer(|buffer| {
            let mut handles = None;
            let leased = self.wait_for(wait, |receiving| {
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
        self.side.end.record_drop();
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
