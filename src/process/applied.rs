//! The settings of a child, as they are sent to it and applied there, before its body runs.
//!
//! # Safety
//! The environment is changed only where the process has one thread: in a forked child, and in a child of the fork
//! server before `main`. A spawned child receives it from the kernel.
#![expect(unsafe_code, reason = "the environment of a process with one thread")]

use super::notify;
use crate::sys::limit::{Resource, set_limit};
use crate::sys::pid::Pid;
use crate::sys::{descriptor, task};
use crate::wire::handle::Fd;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::ffi::OsStringExt;

/// The process group or session that a child belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Group {
    /// A group of its own.
    #[default]
    Own,
    /// The group with this ID.
    Other(Pid),
    /// A session of its own.
    Session,
}

/// A setting that was refused: which one, and the error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) setting: String,
    pub(crate) errno: i32,
}

impl Refusal {
    fn of(setting: impl Display) -> impl FnOnce(io::Error) -> Refusal {
        move |error| Refusal { setting: setting.to_string(), errno: error.raw_os_error().unwrap_or(0) }
    }
}

/// The settings, as they are sent to the child.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(super) clear_environment: bool,
    pub(super) environment: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) directory: Option<Vec<u8>>,
    pub(super) streams: [Option<Fd>; 3],
    pub(super) descriptors: Vec<(RawFd, Fd)>,
    pub(super) limits: Vec<(Resource, u64, u64)>,
    pub(super) nice: i32,
    pub(super) cpus: Vec<usize>,
    pub(super) group: Group,
    pub(super) notify: Option<Fd>,
}

impl Applied {
    /// Sets the environment.
    ///
    /// # Safety
    /// This process has no other thread.
    pub(crate) unsafe fn set_environment(&mut self) {
        if std::mem::take(&mut self.clear_environment) {
            for (name, _) in std::env::vars_os() {
                // SAFETY: the caller's promise; the name is that of an existing variable.
                unsafe { std::env::remove_var(name) };
            }
        }
        for (name, value) in std::mem::take(&mut self.environment) {
            let name = OsString::from_vec(name);
            // SAFETY: the caller's promise; names and values were checked by the parent.
            unsafe {
                match value {
                    Some(value) => std::env::set_var(name, OsString::from_vec(value)),
                    None => std::env::remove_var(name),
                }
            }
        }
    }

    /// Joins the process group or creates the session.
    pub(crate) fn join_group(&self) -> Result<(), Refusal> {
        let joined = match self.group {
            Group::Own => task::lead_group(),
            Group::Other(pgid) => task::join_group(pgid),
            // A spawned child already leads its session.
            Group::Session if task::session() == Pid::this() => Ok(()),
            Group::Session => task::lead_session(),
        };
        joined.map_err(Refusal::of(match self.group {
            Group::Own => "process_group(0)".to_owned(),
            Group::Other(pgid) => format!("process_group({pgid})"),
            Group::Session => "setsid".to_owned(),
        }))
    }

    /// Whether descriptors must be opened under given numbers, which then must be free.
    pub(crate) fn highest_number(&self) -> Option<RawFd> {
        self.descriptors.iter().map(|(number, _)| *number).max()
    }

    /// Moves the descriptors that are to be passed out of the way of their numbers.
    pub(crate) fn move_descriptors(&mut self) -> io::Result<()> {
        let passed = self.descriptors.iter_mut().map(|(_, fd)| fd);
        let others = self.streams.iter_mut().chain([&mut self.notify]).flatten();
        // Closed together at the end, so that none gets the number of another.
        let mut old = Vec::new();
        for fd in passed.chain(others) {
            let moved = Fd::from(fd.as_fd().try_clone_to_owned()?);
            old.push(std::mem::replace(fd, moved));
        }
        Ok(())
    }

    /// Applies the settings that concern the receipt of arguments as well as the body.
    pub(crate) fn apply(&mut self) -> Result<(), Refusal> {
        // Even if there is none: a forked child does not report on behalf of its parent.
        notify::speak_on(self.notify.take().map(Fd::into_owned));
        if let Some(directory) = self.directory.take().map(OsString::from_vec) {
            let refused = Refusal::of(format!("current_dir({directory:?})"));
            std::env::set_current_dir(&directory).map_err(refused)?;
        }
        for (number, stream) in (0..).zip(&mut self.streams) {
            if let Some(fd) = stream.take() {
                let name = ["stdin", "stdout", "stderr"][number as usize];
                descriptor::replace_standard(number, fd.as_fd()).map_err(Refusal::of(name))?;
            }
        }
        for (number, fd) in self.descriptors.drain(..) {
            let refused = Refusal::of(format!("fd({number})"));
            descriptor::duplicate_at(number, fd.as_fd()).map_err(refused)?;
        }
        if self.nice != 0 {
            task::nice(self.nice).map_err(Refusal::of(format!("nice({})", self.nice)))?;
        }
        if !self.cpus.is_empty() {
            let refused = Refusal::of(format!("cpu_affinity({:?})", self.cpus));
            task::set_affinity(&self.cpus).map_err(refused)?;
        }
        Ok(())
    }

    /// Limits the body. The arguments were received before, so they do not count against the limits.
    pub(crate) fn limit(self) -> Result<(), Refusal> {
        for (resource, soft, hard) in self.limits {
            let refused = Refusal::of(format!("rlimit({resource:?}, {soft}, {hard})"));
            set_limit(resource, soft, hard).map_err(refused)?;
        }
        Ok(())
    }
}
