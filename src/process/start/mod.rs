//! The three ways to make a child.

mod early;
mod fork;
mod forkserver;
mod inherited;
mod lasting;
mod server;
mod spawn;

pub(crate) use fork::{ForkError, fork};
pub(crate) use forkserver::{ForkServerError, forkserver, forkserver_reorder, forkserver_settle};
pub(crate) use spawn::spawn;

use super::reap::{forget_child, poll_exit};
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::poll::{Deadline, readable};
use crate::sys::wait::{self, Zombie};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How a child is made, as in Python's `multiprocessing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartMethod {
    /// A fresh copy of the executable, with clean memory. Works from any thread.
    #[default]
    Spawn,
    /// A copy of the parent's memory. Refused while the parent has a second thread.
    Fork,
    /// Forked from a small single-threaded server, itself a fresh copy that is started once: clean
    /// memory at the price of a fork. Works from any thread.
    ForkServer,
}

impl StartMethod {
    /// All of them.
    pub const ALL: [StartMethod; 3] = [StartMethod::Spawn, StartMethod::Fork, StartMethod::ForkServer];
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StartMethod::Spawn => "spawn",
            StartMethod::Fork => "fork",
            StartMethod::ForkServer => "forkserver",
        })
    }
}

/// A child that the kernel has made for us and that is not reaped.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

impl Birth {
    /// Takes hold of the new child `pid`, which waits for us to go on. Where that is refused, the child is killed:
    /// nothing could wait for it or end it later.
    fn hold(pid: Pid) -> io::Result<Birth> {
        match pidfd::open(pid) {
            Ok(pidfd) => Ok(Birth { pid, pidfd }),
            Err(error) => {
                wait::kill_and_reap(pid, SETTLE);
                Err(error)
            }
        }
    }

    fn has_ended(&self) -> bool {
        readable(&[self.pidfd.as_fd()], Deadline::now()).is_ok_and(|ready| ready[0])
    }

    fn reap(&self) {
        if poll_exit(self.pidfd.as_fd(), Zombie::Reap).is_ok_and(|exit| exit.is_some()) {
            forget_child(self.pid);
        }
    }

    /// Kills it and waits for its end; it is not reaped.
    fn kill(&self) {
        const KILL: i32 = 9;
        let _ = pidfd::send_signal(self.pidfd.as_fd(), KILL);
        let _ = readable(&[self.pidfd.as_fd()], Deadline::after(SETTLE));
    }

    /// Kills and reaps it. A child that may not be killed ends by itself, for its socket is at its end; it
    /// is then a zombie until this process ends.
    fn end(&self) {
        self.kill();
        self.reap();
    }
}

/// How long a process that was killed may take to be gone, and a delivery that nothing waits for to come.
const SETTLE: Duration = Duration::from_secs(1);
