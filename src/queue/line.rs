//! One end of a queue's *line*, the pair of sockets between its senders and its receivers.

use crate::sys::fd_store::Groups;
use crate::sys::poll;
use crate::sys::socket_pair::{inode, packet_pair, shut_down};
use crate::wire::inherit::Registered;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Each process that has a sender has a descriptor of one end, each process that has a receiver a descriptor of the
/// other, and so does a message in transit that carries a handle. It serves for three things:
/// - *death*: when the last descriptor of an end is closed, however its owner died, the kernel hangs up the other end,
///   and `poll(2)` reports that immediately to every sleeper. Nothing else records which processes are alive: no list,
///   no count, no PID;
/// - *wake-ups* of the other side ([`super::wake_event`]): an end is readable while a signal is in it;
/// - *handles in messages*, from senders to receivers ([`super::parcels`]).
#[derive(Debug)]
pub(super) struct Line {
    /// A forked child closes the line unless it was given a handle of this side. Dropped first.
    registered: Registered,
    fd: OwnedFd,
    /// The inode of the other end, by which a supervisor finds out that a child waits for this process.
    pub(super) peer: u64,
}

impl Line {
    /// The senders' end and the receivers' end of a new line.
    pub(super) fn pair() -> io::Result<(Line, Line)> {
        let (senders, receivers) = packet_pair()?;
        Groups::of(senders.as_fd()).enlarge();
        let inodes = [inode(senders.as_fd())?, inode(receivers.as_fd())?];
        Ok((Line::attach(senders, inodes[1]), Line::attach(receivers, inodes[0])))
    }

    /// An end that came from another process, or was just created.
    pub(super) fn attach(fd: OwnedFd, peer: u64) -> Self {
        Line { registered: Registered::with_peer(fd.as_fd(), Some(peer)), fd, peer }
    }

    /// What is sent through it.
    pub(super) fn groups(&self) -> Groups<'_> {
        Groups::of(self.fd.as_fd())
    }

    /// Whether no process has the other end, or it was closed.
    pub(super) fn is_hung_up(&self) -> bool {
        poll::has_hung_up(self.fd.as_fd())
    }

    /// Hangs it up for all processes.
    pub(super) fn close(&self) {
        shut_down(self.fd.as_fd());
    }

    /// Records that a handle of this side was dropped.
    pub(super) fn record_drop(&self) {
        self.registered.record_drop();
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
