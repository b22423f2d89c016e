//! `ppoll(2)`: waiting for any of several descriptors, with a deadline for the whole wait.
//!
//! # Safety
//! `ppoll` accesses only the array that it is given; for a number that is not a descriptor it reports `POLLNVAL`.
#![expect(unsafe_code, reason = "ppoll by number: a wait may outlive another thread's descriptor")]

use nix::libc;
use nix::sys::time::TimeSpec;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// A point in time that bounds a whole operation, however many system calls it takes.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline.
    pub const NEVER: Deadline = Deadline(None);

    /// `timeout` from now; no deadline if the clock cannot represent it.
    pub fn after(timeout: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(timeout))
    }

    /// A deadline that has already passed, to check without waiting.
    pub fn now() -> Deadline {
        Deadline(Some(Instant::now()))
    }

    /// The time left, never negative; `None` without a deadline.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether the deadline has passed.
    pub fn is_over(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// Waits until at least one of `fds` is readable or hung up, and returns for each whether it is; all are false if the
/// deadline passed first. Signals do not end the wait, and it never ends early.
///
/// # Errors
/// `EINVAL` above the limit on descriptors, `ENOMEM`.
pub fn readable(fds: &[BorrowedFd<'_>], deadline: Deadline) -> io::Result<Vec<bool>> {
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    readable_numbers(&numbers, deadline)
}

/// Whether the other end of `fd` is gone for good: a terminal that was closed, a pipe without a writer.
pub fn has_hung_up(fd: BorrowedFd<'_>) -> bool {
    await_hang_up(fd, Deadline::now()).unwrap_or(false)
}

/// Waits until the other end of `fd` is gone for good, whether or not it can be read. Returns false if the deadline
/// passed first.
///
/// # Errors
/// As [`readable`].
pub fn await_hang_up(fd: BorrowedFd<'_>, deadline: Deadline) -> io::Result<bool> {
    Ok(ready_numbers(&[(fd.as_raw_fd(), Interest::HangUp)], deadline)?[0])
}

/// Like [`readable`], by number. A descriptor that another thread closes meanwhile counts as ready, or may be another
/// file by then, so the wait may end spuriously.
///
/// # Errors
/// As [`readable`].
pub fn readable_numbers(fds: &[RawFd], deadline: Deadline) -> io::Result<Vec<bool>> {
    poll_all(fds.iter().map(|fd| (*fd, Interest::Read)), deadline)
}

/// The operation for which a descriptor must be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Neither: only an error or a hang-up makes it ready.
    HangUp,
}

impl Interest {
    fn events(self) -> libc::c_short {
        match self {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            Interest::HangUp => 0,
        }
    }
}

/// Like [`readable_numbers`], for reading or for writing. A descriptor with an error or a hang-up is ready for both.
///
/// # Errors
/// As [`readable`].
pub fn ready_numbers(fds: &[(RawFd, Interest)], deadline: Deadline) -> io::Result<Vec<bool>> {
    poll_all(fds.iter().copied(), deadline)
}

fn poll_all(fds: impl Iterator<Item = (RawFd, Interest)>, deadline: Deadline) -> io::Result<Vec<bool>> {
    let mut set: Vec<libc::pollfd> =
        fds.map(|(fd, interest)| libc::pollfd { fd, events: interest.events(), revents: 0 }).collect();
    loop {
        let timeout = deadline.left().map(|left| *TimeSpec::from_duration(left).as_ref());
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the set and the timeout outlive the call; a null mask does not change the signal mask.
        let n =
            unsafe { libc::ppoll(set.as_mut_ptr(), set.len() as libc::nfds_t, timeout, std::ptr::null()) };
        match n {
            0 if !deadline.is_over() => {}
            0.. => return Ok(set.iter().map(|entry| entry.revents != 0).collect()),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Waits until `fd` is writable or has an error, or until `interrupt` is readable; returns true for the former.
///
/// # Errors
/// `ENOMEM`.
pub fn await_writable(fd: BorrowedFd<'_>, interrupt: Option<BorrowedFd<'_>>) -> io::Result<bool> {
    // `ppoll` ignores negative numbers.
    let interrupt = interrupt.map_or(-1, |fd| fd.as_raw_fd());
    let mut set = [(fd.as_raw_fd(), libc::POLLOUT), (interrupt, libc::POLLIN)]
        .map(|(fd, events)| libc::pollfd { fd, events, revents: 0 });
    loop {
        // SAFETY: both entries outlive the call; null means no timeout and no change of the signal mask.
        let n = unsafe { libc::ppoll(set.as_mut_ptr(), 2, std::ptr::null(), std::ptr::null()) };
        match n {
            0.. if set[1].revents != 0 => return Ok(false),
            0.. if set[0].revents != 0 => return Ok(true),
            0.. => {}
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Whether a message can be written now without waiting.
pub fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry that outlives the call, which does not wait.
    unsafe { libc::poll(&raw mut entry, 1, 0) == 1 && entry.revents & libc::POLLOUT != 0 }
}

/// Whether the peer of a stream socket has shut down its sending side (`POLLRDHUP`), even if unread bytes are left.
pub fn has_finished_sending(fd: BorrowedFd<'_>) -> bool {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: the one entry outlives the call, which does not block.
    unsafe { libc::poll(&raw mut entry, 1, 0) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_wait_is_never_early() {
        let (quiet, _other) = nix::unistd::pipe().unwrap();
        let (begin, timeout) = (Instant::now(), Duration::from_millis(20));
        assert_eq!(readable(&[quiet.as_fd()], Deadline::after(timeout)).unwrap(), [false]);
        assert!(begin.elapsed() >= timeout);
    }

    #[test]
    fn a_peer_that_has_finished_sending_is_detected_before_its_bytes_are_read() {
        use std::io::Write;
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.write_all(b"x").unwrap();
        assert!(!has_finished_sending(ours.as_fd()));
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(has_finished_sending(ours.as_fd()));
    }

    #[test]
    fn a_pipe_without_a_writer_is_readable() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(writer);
        assert_eq!(readable(&[reader.as_fd()], Deadline::NEVER).unwrap(), [true]);
    }
}
