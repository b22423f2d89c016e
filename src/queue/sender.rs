//! The end that sends.

use super::error::{
    JoinQueueError, Rejection, SendError, SendManyError, SendTimeoutError, TrySendError, WhySendFailed,
};
use super::fault::SendFault;
use super::layout::{EPOCH, FREED};
use super::parcels;
use super::receiving::Receiving;
use super::side::Side;
use super::wait::{A_SENDER, Awake, Patience, sleep};
use crate::sync::robust_mutex::LockError;
use crate::sys::poll::{Deadline, readable};
use crate::sys::ticks::ticks;
use crate::wire::attachments;
use crate::wire::codec::{self, EncodeError, Message};
use crate::wire::scratch::with_buffer;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Ticks after which a sender asks the kernel again whether a receiver lives: 20 to 50 microseconds.
const ASK_AGAIN: u64 = 50_000;

/// How often a sender looks whether there is room for handles again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The sending end of a queue. Clones, and handles in other processes, send into the same queue.
///
/// If a process is killed with SIGKILL while it sends, at any instruction, its message is in the queue wholly
/// or not at all, and no other process waits for it.
pub struct Sender<T> {
    pub(super) side: Arc<Side>,
    /// The epoch and the time at which the kernel last said that a receiver lives.
    asked: Asked,
    sends: PhantomData<fn(T)>,
}

#[derive(Debug, Default)]
struct Asked {
    epoch: AtomicU64,
    at: AtomicU64,
}

impl<T> Sender<T> {
    pub(super) fn new(side: Arc<Side>) -> Self {
        let epoch = side.channel.memory.load(EPOCH).wrapping_sub(1);
        Sender { side, asked: Asked { epoch: epoch.into(), at: 0.into() }, sends: PhantomData }
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

    /// The limit of a message's size, in bytes as encoded.
    pub fn message_limit(&self) -> u64 {
        self.side.channel.memory.layout.limit
    }

    /// Closes the queue for all processes: nothing more can be sent, what is in it can still be received.
    ///
    /// # Errors
    /// If the queue's lock is unavailable; the queue is still open then.
    pub fn close(&self) -> std::io::Result<()> {
        self.side.close().map_err(super::error::lock_to_io)
    }

    /// Whether the queue was closed or no live process can receive any more.
    pub fn is_disconnected(&self) -> bool {
        self.side.is_hung_up()
    }

    /// Waits until every message has been received, and every lease is done or a dead letter: Python's
    /// `JoinableQueue.join`.
    ///
    /// # Errors
    /// [`JoinQueueError::Disconnected`] if something is left and no live process can receive it, or the queue was
    /// closed: join first, then close.
    pub fn join(&self) -> Result<(), JoinQueueError> {
        self.join_until(Deadline::NEVER)
    }

    /// The same, for up to `timeout`.
    ///
    /// # Errors
    /// As [`Self::join`], and [`JoinQueueError::Timeout`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinQueueError> {
        self.join_until(Deadline::after(timeout))
    }

    fn join_until(&self, deadline: Deadline) -> Result<(), JoinQueueError> {
        let channel = &*self.side.channel;
        loop {
            // Asked first: whatever the last receiver did, it did before it was gone.
            let hung_up = self.side.is_hung_up();
            match Receiving::lock(channel, deadline) {
                Ok(receiving) if !receiving.prepare_sleep_until_settled() => return Ok(()),
                Ok(_) if hung_up => return Err(JoinQueueError::Disconnected),
                Ok(_) => {}
                Err(LockError::TimedOut) => return Err(JoinQueueError::Timeout),
                Err(LockError::Unwatched(error)) => return Err(JoinQueueError::Os(error)),
            }
            if sleep(channel.settled.as_fd(), &self.side, deadline)? == Awake::TimedOut {
                return Err(JoinQueueError::Timeout);
            }
        }
    }

    #[inline]
    fn send_bytes(
        &self,
        bytes: &[u8],
        handles: Option<&[OwnedFd]>,
        patience: Patience,
    ) -> Result<(), SendFault> {
        let channel = &*self.side.channel;
        loop {
            if !self.has_receivers() {
                return Err(SendFault::Disconnected);
            }
            match self.side.sending(patience.for_lock()) {
                Ok(mut sending) => {
                    if sending.is_closed() {
                        return Err(SendFault::Disconnected);
                    }
                    if sending.has_room()? {
                        let is_placed = match handles {
                            None => sending.place(bytes).map(|()| true)?,
                            Some(handles) => sending.place_with(bytes, handles)?,
                        };
                        if is_placed {
                            sending.publish();
                            return Ok(());
                        }
                        drop(sending);
                        self.wait_for_parcels(patience)?;
                        continue;
                    }
                }
                Err(LockError::TimedOut) => return Err(SendFault::NoRoom),
                Err(error) => return Err(error.into()),
            }
            self.wait_for_room(channel.memory.word(FREED).load(Ordering::Relaxed), patience)?;
        }
    }

    /// The kernel keeps as many handles of this queue as it can: waits a moment.
    #[cold]
    fn wait_for_parcels(&self, patience: Patience) -> Result<(), SendFault> {
        let Patience::Until(deadline) = patience else { return Err(SendFault::NoRoom) };
        if deadline.is_over() {
            return Err(SendFault::NoRoom);
        }
        let next = deadline.left().map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
        readable(&[self.side.line()], Deadline::after(next)).map_err(Rejection::Lock)?;
        Ok(())
    }

    /// The queue was full when `freed` messages had left it: waits until another has.
    #[cold]
    pub(super) fn wait_for_room(&self, freed: u64, patience: Patience) -> Result<(), SendFault> {
        let channel = &*self.side.channel;
        let Patience::Until(deadline) = patience else {
            let gone = self.side.is_hung_up();
            return Err(if gone { SendFault::Disconnected } else { SendFault::NoRoom });
        };
        if !channel.memory.is_full()
            || A_SENDER
                .spin_until(&channel.memory, || channel.memory.word(FREED).load(Ordering::Relaxed) != freed)
        {
            return Ok(());
        }
        match Receiving::lock(channel, deadline) {
            Ok(receiving) if !receiving.prepare_sleep_until_room() => return Ok(()),
            Ok(_) => {}
            Err(LockError::TimedOut) => return Err(SendFault::NoRoom),
            Err(error) => return Err(error.into()),
        }
        match sleep(channel.space.as_fd(), &self.side, deadline).map_err(Rejection::Lock)? {
            Awake::Look => Ok(()),
            Awake::HungUp => Err(SendFault::Disconnected),
            Awake::TimedOut => Err(SendFault::NoRoom),
        }
    }

    /// Whether a live process can receive. The kernel is asked when an end was closed since the last time, and
    /// when some time has passed, for a killed process does not announce its end.
    #[inline]
    pub(super) fn has_receivers(&self) -> bool {
        // Acquire pairs with the release in `Side::advance_epoch`: the kernel's answer is newer than the close.
        let epoch = self.side.channel.memory.word(EPOCH).load(Ordering::Acquire);
        let now = ticks();
        let fresh = now.wrapping_sub(self.asked.at.load(Ordering::Relaxed)) < ASK_AGAIN;
        if fresh && epoch == self.asked.epoch.load(Ordering::Relaxed) {
            return true;
        }
        let hung_up = self.side.is_hung_up();
        if !hung_up {
            self.asked.at.store(now, Ordering::Relaxed);
            self.asked.epoch.store(epoch, Ordering::Relaxed);
        }
        !hung_up
    }
}

impl<T: Message> Sender<T> {
    /// Sends a value, and waits for room as long as it takes.
    ///
    /// # Errors
    /// [`SendError`], with the value.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.send_value(&value, Patience::Until(Deadline::NEVER)) {
            Ok(()) => Ok(()),
            Err(SendFault::Rejected(why)) => Err(SendError::Rejected(value, why)),
            Err(SendFault::Disconnected | SendFault::NoRoom) => Err(SendError::Disconnected(value)),
        }
    }

    /// Sends a value if there is room.
    ///
    /// # Errors
    /// [`TrySendError`], with the value.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.send_value(&value, Patience::Try) {
            Ok(()) => Ok(()),
            Err(SendFault::Rejected(why)) => Err(TrySendError::Rejected(value, why)),
            Err(SendFault::Disconnected) => Err(TrySendError::Disconnected(value)),
            Err(SendFault::NoRoom) => Err(TrySendError::Full(value)),
        }
    }

    /// Sends a value, and waits for room up to `timeout`; never returns early without success.
    ///
    /// # Errors
    /// [`SendTimeoutError`], with the value.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match self.send_value(&value, Patience::Until(Deadline::after(timeout))) {
            Ok(()) => Ok(()),
            Err(SendFault::Rejected(why)) => Err(SendTimeoutError::Rejected(value, why)),
            Err(SendFault::Disconnected) => Err(SendTimeoutError::Disconnected(value)),
            Err(SendFault::NoRoom) => Err(SendTimeoutError::Timeout(value)),
        }
    }

    /// Sends values in order, as many at a time as there is room for. Each such group becomes visible to
    /// receivers at once; a kill between groups leaves whole values.
    ///
    /// # Errors
    /// [`SendManyError`], with the values that were not sent.
    pub fn send_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), SendManyError<T>> {
        let mut values: Vec<T> = values.into_iter().collect();
        let mut sent = 0;
        let result = self.send_all(&values, &mut sent);
        result.map_err(|fault| SendManyError {
            sent,
            rest: values.split_off(sent),
            source: match fault {
                SendFault::Rejected(why) => WhySendFailed::Rejected(why),
                SendFault::Disconnected | SendFault::NoRoom => WhySendFailed::Disconnected,
            },
        })
    }

    #[inline]
    pub(super) fn send_value(&self, value: &T, patience: Patience) -> Result<(), SendFault> {
        with_buffer(|buffer| {
            if let Err(error) = codec::encode_into(value, buffer) {
                return self.send_with_handles(value, buffer, patience, error);
            }
            self.check_size(buffer.len())?;
            self.send_bytes(buffer, None, patience)
        })
    }

    /// Sends a value that could not be encoded to bytes alone, if that is because it has handles.
    #[cold]
    fn send_with_handles(
        &self,
        value: &T,
        buffer: &mut Vec<u8>,
        patience: Patience,
        error: EncodeError,
    ) -> Result<(), SendFault> {
        if !attachments::take_missed() {
            return Err(error.into());
        }
        buffer.clear();
        buffer.extend(parcels::fresh_nonce().map_err(Rejection::Handles)?);
        let (encoded, handles, refused) = attachments::collect(|| codec::encode_untried(value, buffer));
        match (encoded, refused) {
            (Err(_), Some(refused)) => return Err(Rejection::Handles(refused).into()),
            (encoded, _) => drop(encoded?),
        }
        self.check_size(buffer.len() - parcels::NONCE)?;
        self.send_bytes(buffer, Some(&handles), patience)
    }

    #[inline]
    pub(super) fn check_size(&self, size: usize) -> Result<(), Rejection> {
        let limit = self.side.channel.memory.layout.limit;
        if size as u64 > limit {
            return Err(Rejection::TooLarge { size: size as u64, limit });
        }
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.side.note_dropped();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.side))
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}
