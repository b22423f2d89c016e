//! The three start methods.

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

/// How a child is started, as in Python's `multiprocessing`.
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
    /// All start methods.
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

/// A child that was created and not yet reaped.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

impl Birth {
    /// Opens a pidfd for the new child `pid`, which waits for this process. If that fails, the child is killed,
    /// because nothing could wait for it or end it later.
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

    /// Kills and reaps it. A child that cannot be killed exits by itself, because its socket was closed; it then
    /// remains a zombie until this process ends.
    fn end(&self) {
        self.kill();
        self.reap();
    }
}

/// How long to wait for a killed process to end, and for a delivery that no caller needs.
const SETTLE: Duration = Duration::from_secs(1);
