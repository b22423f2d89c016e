//! One side of a queue in one process, and how it detects that the other side is gone.

use super::channel::Channel;
use super::layout::EPOCH;
use super::sending::Sending;
use crate::sync::robust_mutex::LockError;
use crate::sys::poll::{self, Deadline};
use crate::wire::inherit::Registered;
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One side of a queue in one process, shared by all handles of that side here.
///
/// The sides are the two ends of a `socketpair(2)` over which nothing is ever sent, the *line*. Each process that
/// has a sender has a descriptor of one end, each process that has a receiver a descriptor of the other, and so
/// does a message in transit that carries a handle. When the last descriptor of an end is closed, however its
/// owner died, the kernel hangs up the other end, and `poll(2)` reports that immediately to every sleeper. Nothing
/// else records which processes are alive: no list, no count, no PID.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) channel: Arc<Channel>,
    /// `None` only during drop.
    line: Option<OwnedFd>,
    /// A forked child closes the line unless it was given a handle of this side.
    registered: Option<Registered>,
}

impl Side {
    pub(super) fn pair(channel: Channel) -> io::Result<(Self, Self)> {
        let channel = Arc::new(channel);
        let (one, other) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self::new(Arc::clone(&channel), one), Self::new(channel, other)))
    }

    pub(super) fn attach(channel: Channel, line: OwnedFd) -> Self {
        Self::new(Arc::new(channel), line)
    }

    fn new(channel: Arc<Channel>, line: OwnedFd) -> Self {
        let registered = Some(Registered::new(line.as_fd()));
        Side { channel, line: Some(line), registered }
    }

    /// Records that a handle of this side was dropped.
    pub(super) fn record_drop(&self) {
        if let Some(registered) = &self.registered {
            registered.record_drop();
        }
        self.channel.record_drop();
    }

    pub(super) fn line(&self) -> BorrowedFd<'_> {
        self.line.as_ref().expect("a side has its line until it is dropped").as_fd()
    }

    /// Whether no live process has a handle of the other side, or the queue was closed.
    pub(super) fn is_hung_up(&self) -> bool {
        poll::readable(&[self.line()], Deadline::now()).is_ok_and(|ready| ready[0])
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
    /// senders a system call per message.
    pub(super) fn close(&self) -> Result<(), LockError> {
        {
            let sending = self.sending(Deadline::NEVER)?;
            let _ = shutdown(self.line().as_raw_fd(), Shutdown::Both);
            sending.record_closed();
        }
        self.advance_epoch();
        Ok(())
    }

    /// Makes every sender ask the kernel again. Called after the line was closed or shut down. Release pairs with
    /// the acquire load in `Sender::has_receivers`, so a sender that sees the new epoch gets the new answer.
    fn advance_epoch(&self) {
        self.channel.memory.word(EPOCH).fetch_add(1, Ordering::Release);
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.registered.take());
        drop(self.line.take());
        self.advance_epoch();
    }
}
