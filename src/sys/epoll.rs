//! `epoll(7)`: one descriptor that is readable while any of many is.
//!
//! # Safety
//! `epoll_ctl` reads one event; a number that is no descriptor is an answer (`EBADF`), not a fault.
#![expect(unsafe_code, reason = "epoll by number: a wait may outlive another thread's descriptor")]

use super::poll::Interest;
use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

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

    /// As [`Self::add`], by number and for any interest. One that is in the set already, or that another thread
    /// has closed, is left out.
    ///
    /// # Errors
    /// `ENOSPC` at the user's limit of watches, `EPERM` for a file that is always ready.
    pub fn add_number(&self, fd: RawFd, interest: Interest, token: u64) -> io::Result<()> {
        let flags = match interest {
            Interest::Read => EpollFlags::EPOLLIN,
            Interest::Write => EpollFlags::EPOLLOUT,
            Interest::HangUp => EpollFlags::empty(),
        };
        let mut event = libc::epoll_event { events: flags.bits().cast_unsigned(), u64: token };
        // SAFETY: the event outlives the call, and a number that is no descriptor is an error.
        let added =
            unsafe { libc::epoll_ctl(self.as_fd().as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        match Errno::result(added) {
            Ok(_) | Err(Errno::EEXIST | Errno::EBADF) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes `fd` out; one that is not in the set is left alone.
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
