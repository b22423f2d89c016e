//! One side of a queue in one process, and how it detects that the other side is gone.

use super::channel::Channel;
use super::end::{Descriptors, End, Role};
use super::error::lock_to_io;
use super::inbox::Inbox;
use super::layout::{CLOSED, EPOCH};
use super::line::Line;
use super::sending::Sending;
use crate::sync::robust_mutex::LockError;
use crate::sys::poll::Deadline;
use crate::sys::robust::lineage;
use crate::wire::unshared::{Entry, Share};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// How long the first handle that is sent waits for the lock of its queue, which only threads of this process can hold.
const SHARE_LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long a receiver waits for the lock to close handles.
const DISCARD_LOCK_WAIT: Duration = Duration::from_millis(20);

/// One side of a queue in one process, shared by all handles of that side here.
///
/// Until a handle leaves its process ([`Side::share`]) there is no line: each side knows whether the other one exists.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) end: End,
    /// The other side, while both are in this process and nothing is shared.
    unshared: OnceLock<Unshared>,
}

/// What a side knows while there is no line.
#[derive(Debug)]
struct Unshared {
    other: Weak<Side>,
    /// The process that created the queue: a forked copy for which it was not shared has no part in it.
    lineage: u64,
}

impl Side {
    /// The senders' and the receivers' side of a new queue.
    pub(super) fn pair(channel: Channel) -> io::Result<(Arc<Self>, Arc<Self>)> {
        let channel = Arc::new(channel);
        let new =
            |role| Arc::new(Side { end: End::new(Arc::clone(&channel), role), unshared: OnceLock::new() });
        let (senders, receivers) = (new(Role::Senders), new(Role::Receivers));
        let lineage = lineage()?;
        let _ = senders.unshared.set(Unshared { other: Arc::downgrade(&receivers), lineage });
        let _ = receivers.unshared.set(Unshared { other: Arc::downgrade(&senders), lineage });
        let entry = |side: &Arc<Side>| Entry::new(Arc::downgrade(side) as Weak<dyn Share>);
        match (entry(&senders), entry(&receivers)) {
            (Ok(one), Ok(other)) => *channel.entries() = Some([one, other]),
            _ => senders.share()?,
        }
        Ok((senders, receivers))
    }

    /// A side whose descriptors came from another process.
    pub(super) fn attach(end: End) -> Self {
        Side { end, unshared: OnceLock::new() }
    }

    /// Opens the descriptors that other processes need; does nothing if they are open.
    ///
    /// Threads that sleep are woken, and from then on sleep on the descriptors. The queue is not closed meanwhile,
    /// because the send lock is held.
    pub(super) fn share(&self) -> io::Result<()> {
        let channel = &self.end.channel;
        if channel.is_shared() {
            return Ok(());
        }
        let unshared = self.unshared.get().filter(|unshared| unshared.is_of_this_process());
        let unshared =
            unshared.ok_or_else(|| io::Error::other("the queue belongs to the parent of this process"))?;
        let (senders, receivers) = Line::pair()?;
        let senders = Descriptors { line: senders, inbox: None };
        let receivers = Descriptors { line: receivers, inbox: Some(Inbox::new()?) };
        let (own, theirs) = match self.end.role {
            Role::Senders => (senders, receivers),
            Role::Receivers => (receivers, senders),
        };
        let deadline = Deadline::after(SHARE_LOCK_WAIT);
        let sending = self.sending(deadline).map_err(lock_to_io)?;
        if channel.is_shared() {
            return Ok(()); // another thread was faster
        }
        if sending.is_closed() {
            own.line.close();
        }
        // If the other side is gone, its end is closed here, which hangs up this one.
        let other = unshared.other.upgrade();
        channel.bell.ring_after(|| {
            if let Some(other) = &other {
                other.end.connect(theirs);
            }
            self.end.connect(own);
            // Last: a thread that finds that it is shared finds the line.
            channel.shared.set(()).is_ok()
        });
        drop(sending);
        drop((other, channel.entries().take()));
        Ok(())
    }

    /// Whether no live process has a handle of the other side, or the queue was closed.
    pub(super) fn is_hung_up(&self) -> bool {
        match self.end.line() {
            Some(line) => line.is_hung_up(),
            None => {
                self.end.channel.memory.load(CLOSED) != 0
                    || self.unshared.get().is_none_or(Unshared::is_alone)
            }
        }
    }

    /// Takes the send lock. A killed holder may have closed the queue and died before it recorded that, so this
    /// records it.
    #[inline(always)]
    pub(super) fn sending(&self, deadline: Deadline) -> Result<Sending<'_>, LockError> {
        if let Some(sending) = Sending::try_lock(&self.end) {
            return Ok(sending);
        }
        let (sending, owner_died) = Sending::lock(&self.end, deadline)?;
        if owner_died && self.is_hung_up() {
            sending.record_closed();
        }
        Ok(sending)
    }

    /// Closes the handles of messages that were taken or are done, message `number` among them. If the lock is
    /// unavailable, a receiver does so later.
    #[cold]
    pub(super) fn discard_parcels(&self, number: u64) {
        if let Ok(sending) = self.sending(Deadline::after(DISCARD_LOCK_WAIT)) {
            sending.discard_parcels(number);
        }
    }

    /// Closes the queue for all processes. Shutting down the line is what closes it; the record in memory saves
    /// senders a system call per message, and is what closes a queue without a line.
    pub(super) fn close(&self) -> Result<(), LockError> {
        {
            let sending = self.sending(Deadline::NEVER)?;
            if let Some(line) = self.end.line() {
                line.close();
            }
            sending.record_closed();
        }
        self.advance_epoch();
        self.end.channel.bell.ring();
        Ok(())
    }

    /// Makes every sender ask again. Called after the line was closed or shut down. Release pairs with
    /// the acquire load in `Sender::has_receivers`, so a sender that sees the new epoch gets the new answer.
    fn advance_epoch(&self) {
        self.end.channel.memory.word(EPOCH).fetch_add(1, Ordering::Release);
    }
}

impl Unshared {
    fn is_of_this_process(&self) -> bool {
        lineage().is_ok_and(|lineage| lineage == self.lineage)
    }

    /// Whether the other side was dropped, or this is a copy of the process that the queue is used in.
    fn is_alone(&self) -> bool {
        let is_dropped = self.other.strong_count() == 0;
        // Pairs with the release decrement of the count: what the last handle did is visible.
        fence(Ordering::Acquire);
        is_dropped || !self.is_of_this_process()
    }
}

impl Share for Side {
    fn share(&self) -> io::Result<RawFd> {
        Side::share(self)?;
        Ok(self.end.line().map_or(0, |line| line.as_fd().as_raw_fd()))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.end.disconnect();
        self.advance_epoch();
        self.end.channel.bell.ring();
    }
}
