//! Exits and reapings of processes that are not our children, as they happen (`pidfd_open(2)`, `epoll(7)`).
//!
//! A pidfd becomes readable when its process ends and, from Linux 6.9, hangs up when it is reaped: the two
//! edges of a zombie. It is watched edge-triggered, for between the edges it stays readable.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// What a pidfd has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The process has ended; it is a zombie.
    Ended,
    /// It has been reaped.
    Reaped,
}

/// A set of processes whose ends are waited for.
#[derive(Debug)]
pub struct Deaths(Epoll);

impl Deaths {
    /// An empty set.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Watches the process of `pidfd` under the number `token`. Dropping the pidfd ends it.
    ///
    /// # Errors
    /// `ENOSPC` at the user's limit of watches.
    pub fn add(&self, pidfd: &OwnedFd, token: u64) -> io::Result<()> {
        Ok(self.0.add(pidfd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, token))?)
    }

    /// The edges since the last call, up to 256.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn edges(&self) -> io::Result<Vec<(u64, Edge)>> {
        let mut events = [EpollEvent::empty(); 256];
        let told = match self.0.wait(&mut events, EpollTimeout::ZERO) {
            Ok(told) => told,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let edge = |event: &EpollEvent| {
            let reaped = event.events().contains(EpollFlags::EPOLLHUP);
            (event.data(), if reaped { Edge::Reaped } else { Edge::Ended })
        };
        Ok(events[..told].iter().map(edge).collect())
    }
}

impl AsFd for Deaths {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
