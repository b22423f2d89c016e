//! The end that receives.

use super::channel::Side;
use super::error::{RecvError, RecvTimeoutError, TryRecvError, Unreadable};
use super::iter::{Iter, TryIter};
use super::layout::{LAST_SWEEP, LEASES_END, TAIL};
use super::lease::Lease;
use super::leases::{self, Leased};
use super::lock_to_io;
use super::members::{self, Loss};
use super::membership::Membership;
use super::receiving::Receiving;
use super::scratch::with_buffer;
use super::wait::{A_RECEIVER, Awake, Patience, sleep_for_items};
use crate::sync::robust_mutex::LockError;
use crate::sys::clock::monotonic_ns;
use crate::sys::poll::Deadline;
use crate::wire::codec;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// While the queue is not empty and something is leased, whether its holder has died is asked at most
/// this often, in nanoseconds.
const SWEEP_EVERY: u64 = 1_000_000;

/// The end of a queue that receives. Each message goes to exactly one receiver: clones, and handles in
/// other processes, share what comes.
///
/// Whoever is killed with SIGKILL while it receives, at whatever instruction: no other process waits for
/// it, and at most the message that it had taken is lost, which [`Receiver::take_losses`] tells. Take a
/// [`Lease`] to have it delivered again instead.
pub struct Receiver<T> {
    pub(super) side: Arc<Side>,
    member: Arc<Membership>,
    receives: PhantomData<fn() -> T>,
}

const RECEIVED: &str = "what was received is there";

/// Why nothing was received.
pub(super) enum Fault {
    Nothing,
    Disconnected,
    Unreadable(Unreadable),
}

impl<E: Into<Unreadable>> From<E> for Fault {
    fn from(error: E) -> Self {
        Fault::Unreadable(error.into())
    }
}

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

    /// Waits until `attempt`, made under the receive lock, yields something.
    #[inline]
    fn wait_for<R>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut(&mut Receiving<'_>) -> Result<Option<R>, Unreadable>,
    ) -> Result<R, Fault> {
        let channel = &*self.side.channel;
        if let Some(index) = self.member.known()? {
            members::note_done(channel, index);
        }
        loop {
            match channel.receiving(patience.for_lock()) {
                Ok(mut receiving) => {
                    if let Some(found) = attempt(&mut receiving)? {
                        return Ok(found);
                    }
                }
                Err(LockError::TimedOut) => return Err(Fault::Nothing),
                Err(LockError::Unwatched(error)) => return Err(error.into()),
            }
            self.wait_for_items(patience)?;
        }
    }

    /// Nothing was there a moment ago: waits until something may be.
    #[cold]
    fn wait_for_items(&self, patience: Patience) -> Result<(), Fault> {
        let channel = &*self.side.channel;
        let tail = channel.load(TAIL);
        if let Patience::Until(_) = patience
            && (channel.len() > 0 || A_RECEIVER.spin_until(channel, || channel.load(TAIL) != tail))
        {
            return Ok(());
        }
        if channel.load(LEASES_END) != 0 && self.sweep(patience)? {
            return Ok(());
        }
        // Asked first: whatever the last sender did, it did before it was gone.
        let hung_up = self.side.is_hung_up();
        let Patience::Until(deadline) = patience else {
            return Err(match hung_up {
                true if channel.len() == 0 && !self.may_come_back() => self.disconnected(patience),
                _ => Fault::Nothing,
            });
        };
        if hung_up && !self.may_come_back() {
            return match self.disconnected(patience) {
                Fault::Nothing if !deadline.is_over() => Ok(()),
                fault => Err(fault),
            };
        }
        match self.side.sending(deadline) {
            Ok(sending) if !sending.prepare_sleep() => return Ok(()),
            Ok(_) => {}
            Err(LockError::TimedOut) => return Err(Fault::Nothing),
            Err(LockError::Unwatched(error)) => return Err(error.into()),
        }
        match sleep_for_items(&self.side, hung_up, deadline)? {
            Awake::TimedOut => Err(Fault::Nothing),
            Awake::Look | Awake::HungUp => Ok(()),
        }
    }

    /// The senders have hung up: whether there is really nothing left. A closed queue may have a sender
    /// that is still under way, hence the lock.
    fn disconnected(&self, patience: Patience) -> Fault {
        match self.side.sending(patience.for_lock()) {
            Ok(sending) => {
                sending.note_closed();
                if sending.has_something() { Fault::Nothing } else { Fault::Disconnected }
            }
            Err(LockError::TimedOut) => Fault::Nothing,
            Err(LockError::Unwatched(error)) => error.into(),
        }
    }

    /// Whether another process holds a lease that may come back.
    fn may_come_back(&self) -> bool {
        leases::any_held_elsewhere(&self.side.channel, std::process::id())
    }

    /// Gives back what dead processes held. True if something came back.
    fn sweep(&self, patience: Patience) -> Result<bool, Fault> {
        match self.side.channel.receiving(patience.for_lock()) {
            Ok(receiving) => Ok(leases::sweep(&receiving)),
            Err(LockError::TimedOut) => Err(Fault::Nothing),
            Err(LockError::Unwatched(error)) => Err(error.into()),
        }
    }

    /// The returned lease that comes before all that is queued.
    #[inline]
    fn returned(receiving: &Receiving<'_>) -> Option<usize> {
        let channel = receiving.channel;
        if channel.load(LEASES_END) == 0 {
            return None;
        }
        let now = monotonic_ns();
        if now.saturating_sub(channel.load(LAST_SWEEP)) >= SWEEP_EVERY {
            channel.store(LAST_SWEEP, now);
            leases::sweep(receiving);
        }
        leases::first_returned(receiving)
    }

    /// Takes the first message and appends its bytes to `buffer`.
    #[inline]
    fn take_one(
        &self,
        receiving: &mut Receiving<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u64>, Unreadable> {
        if let Some(index) = Self::returned(receiving) {
            let member = self.member.index(receiving)?;
            let number = leases::read(receiving, index, buffer)?;
            members::note_taking(receiving, member, number, 1);
            leases::finish(receiving, index);
            return Ok(Some(number));
        }
        if receiving.queued(1)? == 0 {
            return Ok(None);
        }
        let member = self.member.index(receiving)?;
        let number = receiving.head;
        receiving.read(number, buffer)?;
        members::note_taking(receiving, member, number, 1);
        receiving.take(1);
        Ok(Some(number))
    }

    fn lease_one(
        &self,
        receiving: &mut Receiving<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Leased>, Unreadable> {
        let returned = Self::returned(receiving);
        if returned.is_none() && receiving.queued(1)? == 0 {
            return Ok(None);
        }
        let member = self.member.index(receiving)?;
        let leased = match returned {
            Some(index) => {
                leases::read(receiving, index, buffer)?;
                leases::lease_again(receiving, member, index)
            }
            None => {
                receiving.read(receiving.head, buffer)?;
                leases::lease(receiving, member, buffer)?
            }
        };
        Ok(Some(leased))
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

    fn take_many(
        &self,
        receiving: &mut Receiving<'_>,
        max: usize,
        bytes: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<Option<u64>, Unreadable> {
        let queued = receiving.queued(max as u64)?;
        if queued == 0 || Self::returned(receiving).is_some() {
            let number = self.take_one(receiving, bytes)?;
            ends.extend(number.map(|_| bytes.len()));
            return Ok(number);
        }
        let member = self.member.index(receiving)?;
        let (first, count) = (receiving.head, queued.min(max as u64));
        for number in first..first + count {
            receiving.read(number, bytes)?;
            ends.push(bytes.len());
        }
        members::note_taking(receiving, member, first, count);
        receiving.take(count);
        Ok(Some(first))
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
