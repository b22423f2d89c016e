//! One side of a queue in one process, and how it detects that the other side is gone.

use super::channel::Channel;
use super::error::lock_to_io;
use super::layout::{CLOSED, EPOCH};
use super::sending::Sending;
use super::wires::Wires;
use crate::sync::robust_mutex::LockError;
use crate::sys::poll::{self, Deadline};
use crate::sys::robust::lineage;
use crate::wire::inherit::Registered;
use crate::wire::unshared::{Entry, Share};
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// How long the first handle that is sent waits for the lock of its queue, which only threads of this process can hold.
const SHARE_LOCK_WAIT: Duration = Duration::from_secs(10);

/// One side of a queue in one process, shared by all handles of that side here.
///
/// The sides are the two ends of a `socketpair(2)` over which nothing is ever sent, the *line*. Each process that
/// has a sender has a descriptor of one end, each process that has a receiver a descriptor of the other, and so
/// does a message in transit that carries a handle. When the last descriptor of an end is closed, however its
/// owner died, the kernel hangs up the other end, and `poll(2)` reports that immediately to every sleeper. Nothing
/// else records which processes are alive: no list, no count, no PID.
///
/// Until a handle leaves its process ([`Side::share`]) there is no line: each side knows whether the other one exists.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) channel: Arc<Channel>,
    line: OnceLock<Line>,
    /// The other side, while both are in this process and nothing is shared.
    unshared: OnceLock<Unshared>,
}

/// One end of the line.
#[derive(Debug)]
struct Line {
    /// A forked child closes the line unless it was given a handle of this side. Dropped first.
    registered: Registered,
    fd: OwnedFd,
}

/// What a side knows while there is no line.
#[derive(Debug)]
struct Unshared {
    other: Weak<Side>,
    /// The process that created the queue: a forked copy for which it was not shared has no part in it.
    lineage: u64,
}

impl Line {
    fn new(fd: OwnedFd) -> Self {
        Line { registered: Registered::new(fd.as_fd()), fd }
    }
}

impl Side {
    /// Both sides of a new queue.
    pub(super) fn pair(channel: Channel) -> io::Result<(Arc<Self>, Arc<Self>)> {
        let channel = Arc::new(channel);
        let new = || {
            Arc::new(Side { channel: Arc::clone(&channel), line: OnceLock::new(), unshared: OnceLock::new() })
        };
        let (one, other) = (new(), new());
        let lineage = lineage()?;
        let _ = one.unshared.set(Unshared { other: Arc::downgrade(&other), lineage });
        let _ = other.unshared.set(Unshared { other: Arc::downgrade(&one), lineage });
        let entry = |side: &Arc<Side>| Entry::new(Arc::downgrade(side) as Weak<dyn Share>);
        match (entry(&one), entry(&other)) {
            (Ok(one), Ok(other)) => *channel.entries() = Some([one, other]),
            _ => one.share()?,
        }
        Ok((one, other))
    }

    /// A side whose descriptors came from another process.
    pub(super) fn attach(channel: Channel, line: OwnedFd) -> Self {
        Side { channel: Arc::new(channel), line: Line::new(line).into(), unshared: OnceLock::new() }
    }

    /// Opens the line and the wires, which other processes need; does nothing if they are open.
    ///
    /// Threads that sleep are woken, and from then on sleep on the wires. The queue is not closed meanwhile, because
    /// the send lock is held.
    pub(super) fn share(&self) -> io::Result<()> {
        let channel = &self.channel;
        if channel.wires.get().is_some() {
            return Ok(());
        }
        let unshared = self.unshared.get().filter(|unshared| unshared.is_of_this_process());
        let unshared =
            unshared.ok_or_else(|| io::Error::other("the queue belongs to the parent of this process"))?;
        let wires = Wires::new()?;
        let (own, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        let deadline = Deadline::after(SHARE_LOCK_WAIT);
        let sending = self.sending(deadline).map_err(lock_to_io)?;
        if channel.wires.get().is_some() {
            return Ok(()); // another thread was faster
        }
        if sending.is_closed() {
            let _ = shutdown(own.as_raw_fd(), Shutdown::Both);
        }
        // If the other side is gone, its end is closed here, which hangs up this one.
        let other = unshared.other.upgrade();
        channel.bell.ring_after(|| {
            if let Some(other) = &other {
                let _ = other.line.set(Line::new(theirs));
            }
            let _ = self.line.set(Line::new(own));
            // Last: a thread that finds the wires finds the line.
            channel.wires.set(wires).is_ok()
        });
        drop(sending);
        drop((other, channel.entries().take()));
        Ok(())
    }

    /// Records that a handle of this side was dropped.
    pub(super) fn record_drop(&self) {
        if let Some(line) = self.line.get() {
            line.registered.record_drop();
        }
        self.channel.record_drop();
    }

    /// This side's end of the line, once the queue is shared.
    pub(super) fn line(&self) -> Option<BorrowedFd<'_>> {
        self.line.get().map(|line| line.fd.as_fd())
    }

    /// Whether no live process has a handle of the other side, or the queue was closed.
    pub(super) fn is_hung_up(&self) -> bool {
        match self.line() {
            Some(line) => poll::readable(&[line], Deadline::now()).is_ok_and(|ready| ready[0]),
            None => {
                self.channel.memory.load(CLOSED) != 0 || self.unshared.get().is_none_or(Unshared::is_alone)
            }
        }
    }

    /// Takes the send lock. A killed holder may have closed the queue and died before it recorded that, so this
    /// records it.
    #[inline(always)]
    pub(super) fn sending(&self, deadline: Deadline) -> Result<Sending<'_>, LockError> {
        if let Some(sending) = Sending::try_lock(&self.channel) {
            return Ok(sending);
        }
        let (sending, owner_died) = Sending::lock(&self.channel, deadline)?;
        if owner_died && self.is_hung_up() {
            sending.record_closed();
        }
        Ok(sending)
    }

    /// Closes the queue for all processes. Shutting down the line is what closes it; the record in memory saves
    /// senders a system call per message, and is what closes a queue without a line.
    pub(super) fn close(&self) -> Result<(), LockError> {
        {
            let sending = self.sending(Deadline::NEVER)?;
            if let Some(line) = self.line() {
                let _ = shutdown(line.as_raw_fd(), Shutdown::Both);
            }
            sending.record_closed();
        }
        self.advance_epoch();
        self.channel.bell.ring();
        Ok(())
    }

    /// Makes every sender ask again. Called after the line was closed or shut down. Release pairs with
    /// the acquire load in `Sender::has_receivers`, so a sender that sees the new epoch gets the new answer.
    fn advance_epoch(&self) {
        self.channel.memory.word(EPOCH).fetch_add(1, Ordering::Release);
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
        Ok(self.line().map_or(0, |line| line.as_raw_fd()))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.line.take());
        self.advance_epoch();
        self.channel.bell.ring();
    }
}
