//! The sending end.

use super::error::{
    JoinQueueError, Rejection, SendError, SendManyError, SendTimeoutError, TrySendError, WhySendFailed,
};
use super::fault::SendFault;
use super::layout::{EPOCH, FREED};
use super::nonce::fresh_nonce;
use super::parcels;
use super::receiving::Receiving;
use super::side::Side;
use super::wait::{SENDER, WaitLimit, WakeReason, sleep_unshared, sleep_until_room, sleep_until_settled};
use crate::sync::robust_mutex::LockError;
use crate::sys::poll::{Deadline, await_hang_up};
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

/// Ticks after which a sender asks the kernel again whether a receiver is alive: 20 to 50 microseconds.
const CONFIRM_TICKS: u64 = 50_000;

/// The interval at which a sender retries to store handles.
const STORE_RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// The sending end of a queue. Clones, and handles in other processes, send into the same queue.
///
/// If a process is killed with SIGKILL while it sends, at any instruction, its message is in the queue entirely or
/// not at all, and no other process waits for it.
pub struct Sender<T> {
    pub(super) side: Arc<Side>,
    /// When the kernel last confirmed that a receiver is alive.
    confirmed: Confirmed,
    sends: PhantomData<fn(T)>,
}

#[derive(Debug, Default)]
struct Confirmed {
    epoch: AtomicU64,
    at: AtomicU64,
}

impl<T> Sender<T> {
    pub(super) fn new(side: Arc<Side>) -> Self {
        let epoch = side.end.channel.memory.load(EPOCH).wrapping_sub(1);
        Sender { side, confirmed: Confirmed { epoch: epoch.into(), at: 0.into() }, sends: PhantomData }
    }

    /// The number of waiting messages, including those that were leased and returned.
    ///
    /// ```
    /// let (sender, _receiver) = proclab::queue::bounded(2)?;
    /// sender.send(7)?;
    /// assert_eq!(sender.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.side.end.channel.len()
    }

    /// Whether no message is waiting.
    ///
    /// ```
    /// let (sender, _receiver) = proclab::queue::bounded::<u8>(2)?;
    /// assert!(sender.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for another message.
    ///
    /// ```
    /// let (sender, _receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// assert!(sender.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.side.end.channel.memory.is_full()
    }

    /// The number of messages that the queue can hold.
    ///
    /// ```
    /// let (sender, _receiver) = proclab::queue::bounded::<u8>(2)?;
    /// assert_eq!(sender.capacity(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.side.end.channel.memory.layout.capacity as usize
    }

    /// The message size limit, in encoded bytes.
    ///
    /// ```
    /// let (sender, _receiver) = proclab::queue::bounded_with_limit::<u8>(2, 100)?;
    /// assert_eq!(sender.message_limit(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn message_limit(&self) -> u64 {
        self.side.end.channel.memory.layout.limit
    }

    /// Closes the queue for all processes: nothing more can be sent, but queued messages can still be received.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded::<u8>(2)?;
    /// sender.close()?;
    /// assert!(receiver.recv().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the queue's lock is unavailable; the queue then stays open.
    pub fn close(&self) -> std::io::Result<()> {
        self.side.close().map_err(super::error::lock_to_io)
    }

    /// Whether the queue was closed or no live process can receive.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded::<u8>(2)?;
    /// drop(receiver);
    /// assert!(sender.is_disconnected());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_disconnected(&self) -> bool {
        self.side.is_hung_up()
    }

    /// Waits until every message has been received, and every lease is done or a dead letter, like Python's
    /// `JoinableQueue.join`.
    ///
    /// ```no_run
    /// let (sender, receiver) = proclab::queue::bounded::<u32>(1)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| receiver.lease().unwrap().done().unwrap());
    ///     sender.send(7).unwrap();
    ///     sender.join().unwrap(); // every message is done
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JoinQueueError::Disconnected`] if messages are left and no live process can receive them or the queue was
    /// closed. Join first, then close.
    pub fn join(&self) -> Result<(), JoinQueueError> {
        self.join_until(Deadline::NEVER)
    }

    /// Like [`Self::join`], for up to `timeout`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// println!("{:?}", sender.join_timeout(Duration::from_millis(10)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::join`], and [`JoinQueueError::Timeout`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinQueueError> {
        self.join_until(Deadline::after(timeout))
    }

    fn join_until(&self, deadline: Deadline) -> Result<(), JoinQueueError> {
        let channel = &*self.side.end.channel;
        loop {
            let rung = channel.bell.count();
            // Checked first: everything that the last receiver did happened before it hung up.
            let hung_up = self.side.is_hung_up();
            let seen = match Receiving::lock(&self.side.end, deadline)
                .map(|held| held.prepare_sleep_until_settled())
            {
                Ok(None) => return Ok(()),
                Ok(Some(_)) if hung_up => return Err(JoinQueueError::Disconnected),
                Ok(Some(seen)) => seen,
                Err(LockError::TimedOut) => return Err(JoinQueueError::Timeout),
                Err(LockError::Unwatched(error)) => return Err(JoinQueueError::Os(error)),
            };
            let woken = if channel.is_shared() {
                sleep_until_settled(&self.side, seen, deadline)?
            } else {
                sleep_unshared(&self.side, rung, deadline)
            };
            if woken == WakeReason::TimedOut {
                return Err(JoinQueueError::Timeout);
            }
        }
    }

    #[inline]
    fn send_bytes(
        &self,
        bytes: &[u8],
        handles: Option<&[OwnedFd]>,
        wait: WaitLimit,
    ) -> Result<(), SendFault> {
        let channel = &*self.side.end.channel;
        loop {
            if !self.has_receivers() {
                return Err(SendFault::Disconnected);
            }
            match self.side.sending(wait.for_lock()) {
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
                        self.wait_for_parcels(wait)?;
                        continue;
                    }
                }
                Err(LockError::TimedOut) => return Err(SendFault::NoRoom),
                Err(error) => return Err(error.into()),
            }
            self.wait_for_room(channel.memory.word(FREED).load(Ordering::Relaxed), wait)?;
        }
    }

    /// Waits for a short time, after the kernel refused to store more handles for this queue.
    #[cold]
    fn wait_for_parcels(&self, wait: WaitLimit) -> Result<(), SendFault> {
        if self.side.is_hung_up() {
            return Err(SendFault::Disconnected);
        }
        let WaitLimit::Until(deadline) = wait else { return Err(SendFault::NoRoom) };
        if deadline.is_over() {
            return Err(SendFault::NoRoom);
        }
        let next = deadline.left().map_or(STORE_RETRY_INTERVAL, |left| left.min(STORE_RETRY_INTERVAL));
        let Some(line) = self.side.end.line() else { return Ok(()) };
        await_hang_up(line.as_fd(), Deadline::after(next)).map_err(Rejection::Lock)?;
        Ok(())
    }

    /// Waits until another slot is free. The queue was full when FREED was `freed`.
    #[cold]
    pub(super) fn wait_for_room(&self, freed: u64, wait: WaitLimit) -> Result<(), SendFault> {
        let channel = &*self.side.end.channel;
        let WaitLimit::Until(deadline) = wait else {
            let gone = self.side.is_hung_up();
            return Err(if gone { SendFault::Disconnected } else { SendFault::NoRoom });
        };
        if !channel.memory.is_full()
            || SENDER
                .spin_until(&channel.memory, || channel.memory.word(FREED).load(Ordering::Relaxed) != freed)
        {
            return Ok(());
        }
        let rung = channel.bell.count();
        match Receiving::lock(&self.side.end, deadline) {
            Ok(receiving) if !receiving.prepare_sleep_until_room() => return Ok(()),
            Ok(_) => {}
            Err(LockError::TimedOut) => return Err(SendFault::NoRoom),
            Err(error) => return Err(error.into()),
        }
        match sleep_until_room(&self.side, rung, deadline).map_err(Rejection::Lock)? {
            WakeReason::Recheck => Ok(()),
            WakeReason::HungUp => Err(SendFault::Disconnected),
            WakeReason::TimedOut => Err(SendFault::NoRoom),
        }
    }

    /// Whether a live process can receive. Asks the kernel if an end was closed since the last check, and also
    /// after some time, because a killed process does not announce its end.
    #[inline]
    pub(super) fn has_receivers(&self) -> bool {
        // Acquire pairs with the release in `Side::advance_epoch`: the kernel's answer is newer than the close.
        let epoch = self.side.end.channel.memory.word(EPOCH).load(Ordering::Acquire);
        let now = ticks();
        let fresh = now.wrapping_sub(self.confirmed.at.load(Ordering::Relaxed)) < CONFIRM_TICKS;
        if fresh && epoch == self.confirmed.epoch.load(Ordering::Relaxed) {
            return true;
        }
        let hung_up = self.side.is_hung_up();
        if !hung_up {
            self.confirmed.at.store(now, Ordering::Relaxed);
            self.confirmed.epoch.store(epoch, Ordering::Relaxed);
        }
        !hung_up
    }
}

impl<T: Message> Sender<T> {
    /// Sends a value, blocking until there is room.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// assert_eq!(receiver.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SendError`], with the value.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.send_value(&value, WaitLimit::Until(Deadline::NEVER)) {
            Ok(()) => Ok(()),
            Err(SendFault::Rejected(why)) => Err(SendError::Rejected(value, why)),
            Err(SendFault::Disconnected | SendFault::NoRoom) => Err(SendError::Disconnected(value)),
        }
    }

    /// Sends a value if there is room, without blocking.
    ///
    /// ```
    /// use proclab::queue::error::TrySendError;
    ///
    /// let (sender, _receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// assert!(matches!(sender.try_send(8), Err(TrySendError::Full(8))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TrySendError`], with the value.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.send_value(&value, WaitLimit::Try) {
            Ok(()) => Ok(()),
            Err(SendFault::Rejected(why)) => Err(TrySendError::Rejected(value, why)),
            Err(SendFault::Disconnected) => Err(TrySendError::Disconnected(value)),
            Err(SendFault::NoRoom) => Err(TrySendError::Full(value)),
        }
    }

    /// Sends a value, blocking for up to `timeout` until there is room; never fails early with a timeout.
    ///
    /// ```
    /// use proclab::queue::error::SendTimeoutError;
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// let full = sender.send_timeout(8, Duration::from_millis(10));
    /// assert!(matches!(full, Err(SendTimeoutError::Timeout(8))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SendTimeoutError`], with the value.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        match self.send_value(&value, WaitLimit::Until(Deadline::after(timeout))) {
            Ok(()) => Ok(()),
            Err(SendFault::Rejected(why)) => Err(SendTimeoutError::Rejected(value, why)),
            Err(SendFault::Disconnected) => Err(SendTimeoutError::Disconnected(value)),
            Err(SendFault::NoRoom) => Err(SendTimeoutError::Timeout(value)),
        }
    }

    /// Sends values in order, in groups of as many as there is room for. The values of a group become visible to
    /// receivers together; a kill between groups leaves only complete values.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(3)?;
    /// sender.send_many([1, 2, 3])?;
    /// assert_eq!(receiver.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    pub(super) fn send_value(&self, value: &T, wait: WaitLimit) -> Result<(), SendFault> {
        with_buffer(|buffer| {
            if let Err(error) = codec::encode_into(value, buffer) {
                return self.send_with_handles(value, buffer, wait, error);
            }
            self.check_size(buffer.len())?;
            self.send_bytes(buffer, None, wait)
        })
    }

    /// Sends a value that could not be encoded to bytes alone, if the reason is that it has handles.
    #[cold]
    fn send_with_handles(
        &self,
        value: &T,
        buffer: &mut Vec<u8>,
        wait: WaitLimit,
        error: EncodeError,
    ) -> Result<(), SendFault> {
        if !attachments::take_missed() {
            return Err(error.into());
        }
        buffer.clear();
        buffer.extend(fresh_nonce().map_err(Rejection::Handles)?.to_ne_bytes());
        let (encoded, handles, refused) = attachments::collect(|| codec::encode_untried(value, buffer));
        match (encoded, refused) {
            (Err(_), Some(refused)) => return Err(Rejection::Handles(refused).into()),
            (encoded, _) => drop(encoded?),
        }
        self.check_size(buffer.len() - parcels::NONCE)?;
        self.side.share().map_err(Rejection::Handles)?;
        self.send_bytes(buffer, Some(&handles), wait)
    }

    #[inline]
    pub(super) fn check_size(&self, size: usize) -> Result<(), Rejection> {
        let limit = self.side.end.channel.memory.layout.limit;
        if size as u64 > limit {
            return Err(Rejection::TooLarge { size: size as u64, limit });
        }
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.side.end.record_drop();
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
