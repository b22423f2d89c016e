//! `epoll(7)`: one descriptor that is readable while any of a set of descriptors is.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A set of descriptors, each with a token of the caller's choice.
#[derive(Debug)]
pub struct ReadySet(Epoll);

impl ReadySet {
    /// Creates an empty set, close-on-exec.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn new() -> io::Result<ReadySet> {
        Ok(ReadySet(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Adds `fd` with `token`.
    ///
    /// # Errors
    /// `EEXIST` when it is already in the set, `ENOSPC` at the user's limit on watches.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// Removes `fd`, if it is in the set.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = self.0.delete(fd);
    }

    /// Returns the tokens of the descriptors that are readable now, up to 64.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn ready(&self) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            match self.0.wait(&mut events, EpollTimeout::ZERO) {
                Ok(n) => return Ok(events[..n].iter().map(EpollEvent::data).collect()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for ReadySet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
