//! The fork server's own side: one fork per order, before `main`, in a process that has one thread.
//!
//! The server clones with `CLONE_PARENT`: what it makes are children of *its* parent, so their PPID is the
//! supervisor's PID and the supervisor reaps them. It has no child of its own and ends when its parent
//! ends: by the signal of its parent's death, and by the end of the stream of orders.
//!
//! A child waits here for its boot message, and then returns: constructors and `main` run in it as in any fresh copy,
//! up to `child_entry`. So each child has its own instances of the threads that `main` starts before that.
//!
//! # Safety
//! The server forks only after it has counted its threads and found one.
#![expect(unsafe_code, reason = "process creation")]

use crate::process::entry::{Boot, receive_boot};
use crate::sys::descriptor::{receive_descriptors, take_stdin};
use crate::sys::fork::{Forked, exit_now, fork_sibling};
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::send_message;
use crate::sys::task;
use crate::wire::control::{self, Receiver, Sender};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the server answers to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The child's PID.
    Made(Pid),
    /// The number of the error of the call that failed.
    Failed(i32),
    /// The server has this many threads, so it must not fork.
    Threads(i32),
}

impl Answer {
    pub(super) fn to_bytes(self) -> [u8; 8] {
        let (kind, value) = match self {
            Answer::Made(pid) => (0_i32, pid.as_raw()),
            Answer::Failed(errno) => (1, errno),
            Answer::Threads(count) => (2, count),
        };
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        bytes[4..].copy_from_slice(&value.to_ne_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; 8]) -> Option<Answer> {
        let [a, b, c, d, value @ ..] = bytes;
        let value = i32::from_ne_bytes(value);
        match i32::from_ne_bytes([a, b, c, d]) {
            0 => Some(Answer::Made(Pid::from_raw(value))),
            1 => Some(Answer::Failed(value)),
            2 => Some(Answer::Threads(value)),
            _ => None,
        }
    }
}

/// Serves until the parent is gone; returns in each child that is given a boot message.
pub(super) fn serve() {
    task::set_name("forkserver");
    let Ok(orders) = take_stdin() else { std::process::exit(1) };
    // What a process determines once is then inherited by each child.
    warm_up();
    while let Ok([boot, report]) = next_order(orders.as_fd()) {
        let answer = match make_child() {
            Ok(Forked::Child) => {
                drop(orders);
                return stand_by(boot, report);
            }
            Ok(Forked::Parent(pid)) => Answer::Made(pid),
            Err(answer) => answer,
        };
        if send_message(orders.as_fd(), &answer.to_bytes()).is_err() {
            break;
        }
    }
    exit_now(0)
}

/// An order consists of two descriptors: the socket from which the child reads its boot message, and the one to which
/// it reports.
fn next_order(orders: BorrowedFd<'_>) -> io::Result<[OwnedFd; 2]> {
    readable(&[orders], Deadline::NEVER)?;
    receive_descriptors(orders, 2)?.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
}

fn make_child() -> Result<Forked, Answer> {
    let failed = |error: io::Error| Answer::Failed(error.raw_os_error().unwrap_or(0));
    // A library that was loaded with this program may have started a thread before this code ran.
    match task::n_threads().map_err(failed)? {
        // SAFETY: the one thread of this process is here.
        1 => unsafe { fork_sibling() }.map_err(failed),
        count => Err(Answer::Threads(i32::try_from(count).unwrap_or(i32::MAX))),
    }
}

/// Waits, in a child, for its boot message or the end of its parent.
fn stand_by(boot: OwnedFd, report: OwnedFd) {
    // If the parent died before this call, the socket is at its end.
    let ready = task::die_with_parent(true).and_then(|()| {
        let ends: (Sender<()>, Receiver<Boot>) = control::adopt_both(report.as_fd(), boot.as_fd())?;
        warm_up();
        Ok(ends)
    });
    drop((boot, report));
    // SAFETY: this process was forked from one with one thread, and has not begun its `main`.
    let received = ready.and_then(|(report, boots)| unsafe { receive_boot(boots, report) });
    if received.is_err() {
        exit_now(1);
    }
}

/// Rehearses a start, to touch the code and the memory that it needs. A fork does not copy the page tables of files,
/// and shares all other pages until they are written, so the page faults happen now instead of during a start.
fn warm_up() {
    if let Ok((sender, receiver)) = control::channel::<Boot>() {
        let _ = sender.send(Boot::rehearsal()).map(|()| receiver.recv());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for answer in [Answer::Made(Pid::from_raw(7)), Answer::Failed(11), Answer::Threads(2)] {
            assert_eq!(Answer::from_bytes(answer.to_bytes()), Some(answer));
        }
        assert_eq!(Answer::from_bytes([9; 8]), None);
    }
}
