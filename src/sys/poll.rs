//! `ppoll(2)`: wait for any of several descriptors, bounded as a whole.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// A point in time that bounds a whole operation, however many system calls it takes.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No bound.
    pub const NEVER: Deadline = Deadline(None);

    /// `timeout` from now; one that no clock can hold is no bound.
    pub fn after(timeout: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(timeout))
    }

    /// What is left, never negative; `None` without a bound.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether the time has come.
    pub fn is_over(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}

/// Waits until one of `fds` is readable or hung up, and says which; none of them when the deadline
/// came first. Signals do not end the wait, and it never ends early.
///
/// # Errors
/// `EINVAL` above the limit of descriptors, `ENOMEM`.
pub fn readable(fds: &[BorrowedFd<'_>], deadline: Deadline) -> io::Result<Vec<bool>> {
    let mut set: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match ppoll(&mut set, deadline.left().map(TimeSpec::from_duration), None) {
            Ok(0) if !deadline.is_over() => {}
            Ok(_) => return Ok(set.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
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
    fn an_end_that_is_closed_is_readable() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(writer);
        assert_eq!(readable(&[reader.as_fd()], Deadline::NEVER).unwrap(), [true]);
    }
}
