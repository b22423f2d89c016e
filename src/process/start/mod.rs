//! The three ways to make a child.

mod fork;
mod forkserver;
mod lasting;
mod spawn;

pub(crate) use fork::{ForkError, fork};
pub(crate) use forkserver::{ForkServerError, forkserver, forkserver_reorder, forkserver_settle};
pub(crate) use spawn::spawn;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::fd::OwnedFd;

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
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}
