//! Reports when processes end and when they are reaped, even if they are not our children (`pidfd_open(2)`, `epoll(7)`).
//!
//! A pidfd becomes readable when its process ends and, since Linux 6.9, hangs up when the process is reaped: the two
//! edges of the zombie state. It is watched edge-triggered, because it stays readable between the edges.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// What happened to the process of a pidfd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The process has ended; it is a zombie.
    Ended,
    /// It has been reaped.
    Reaped,
}

/// A set of processes that are watched until they end.
#[derive(Debug)]
pub struct Deaths(Epoll);

impl Deaths {
    /// Creates an empty set.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Watches the process of `pidfd` until the pidfd is closed. Its edges are reported with `token`.
    ///
    /// # Errors
    /// `ENOSPC` at the user's limit on watches.
    pub fn add(&self, pidfd: &OwnedFd, token: u64) -> io::Result<()> {
        Ok(self.0.add(pidfd, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, token))?)
    }

    /// Returns the edges since the last call.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn edges(&self) -> io::Result<Vec<(u64, Edge)>> {
        const BATCH: usize = 256;
        /// More are left for the next call.
        const MOST: usize = 1 << 16;
        let mut edges = Vec::new();
        while edges.len() < MOST {
            let mut events = [EpollEvent::empty(); BATCH];
            let count = match self.0.wait(&mut events, EpollTimeout::ZERO) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            edges.extend(events[..count].iter().map(|event| {
                let reaped = event.events().contains(EpollFlags::EPOLLHUP);
                (event.data(), if reaped { Edge::Reaped } else { Edge::Ended })
            }));
            if count < BATCH {
                break;
            }
        }
        Ok(edges)
    }
}

impl AsFd for Deaths {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
