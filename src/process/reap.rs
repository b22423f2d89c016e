//! The reaper: the only place that waits for children.
//!
//! A child is held by a pidfd from its birth until it is reaped, so its number is never used after
//! somebody else may have got it. Each exit is taken exactly once, under the lock of the child's
//! status, and kept: however many threads join, one `waitid` is made. All pidfds of a supervisor are
//! in one `epoll` set, so that a wait for one child reaps whichever of its siblings end meanwhile.
//!
//! No signal handler and no thread is needed, and the exit is exact: a grandchild that holds
//! descriptors, an `exec` or the disposition of `SIGCHLD` play no part (`pidfd_open(2)`).

use super::child::Handle;
use super::exit::Exit;
use crate::sys::epoll::ReadySet;
use crate::sys::wait::{How, Whose, Zombie, is_no_child, try_wait};
use crate::sys::{pidfd, signal, task};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Asks how the child of `pidfd` ended; `None` while it lives.
///
/// # Errors
/// Only what no caller can cause.
pub(crate) fn look(pidfd: BorrowedFd<'_>, zombie: Zombie) -> io::Result<Option<Exit>> {
    match try_wait(Whose::Pidfd(pidfd), zombie) {
        Ok(ended) => Ok(ended.map(|ended| ended.how.into())),
        Err(error) if is_no_child(&error) => {
            // No zombie is left. If the kernel reaps by itself it is nobody's theft, and a new kernel
            // still knows the status; otherwise somebody else has waited for it.
            let by_kernel = signal::children_are_reaped_by_the_kernel();
            let status = by_kernel.then(|| pidfd::status_after_reaping(pidfd)).flatten();
            let exit = status.map(|status| How::from_status(status).into());
            Ok(Some(exit.unwrap_or(Exit::Stolen)))
        }
        Err(error) => Err(error),
    }
}

/// The children of one supervisor.
#[derive(Debug)]
pub(crate) struct Family {
    /// Always there until the drop.
    ends: Option<ReadySet>,
    /// In the order of their start. The key, unlike a PID, is never used twice.
    members: Mutex<BTreeMap<u64, Handle>>,
    interrupt: Option<OwnedFd>,
}

impl Family {
    /// No children; waits are broken off once `interrupt` is readable.
    pub(crate) fn new(interrupt: Option<OwnedFd>) -> io::Result<Family> {
        let ends = ReadySet::new()?;
        note_descriptors([ends.as_fd().as_raw_fd()]);
        Ok(Family { ends: Some(ends), members: Mutex::default(), interrupt })
    }

    fn ready_set(&self) -> &ReadySet {
        self.ends.as_ref().expect("kept until the drop")
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<u64, Handle>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a new child in, and forgets those that were reaped.
    pub(crate) fn add(&self, child: &Handle) -> io::Result<()> {
        let mut members = self.members();
        let key = members.last_key_value().map_or(0, |(last, _)| last + 1);
        self.ready_set().add(child.as_fd(), key)?;
        members.retain(|_, child| !child.is_reaped());
        members.insert(key, child.clone());
        Ok(())
    }

    /// Reaps whoever has ended.
    pub(crate) fn reap(&self) -> io::Result<()> {
        loop {
            let ready = self.ready_set().ready()?;
            if ready.is_empty() {
                return Ok(());
            }
            let ended: Vec<Handle> = {
                let members = self.members();
                ready.iter().filter_map(|key| members.get(key).cloned()).collect()
            };
            for child in ended {
                child.settle().map_err(io::Error::other)?;
            }
        }
    }

    /// Takes a child that has ended out of the set of those whose end is awaited.
    pub(crate) fn let_go(&self, child: &Handle) {
        self.ready_set().remove(child.as_fd());
    }

    /// Those that are not reaped, oldest first.
    pub(crate) fn unreaped(&self) -> Vec<Handle> {
        self.members().values().filter(|child| !child.is_reaped()).cloned().collect()
    }

    /// Everyone who was started since the last [`add`](Family::add), or is not reaped; oldest first.
    pub(crate) fn all(&self) -> Vec<Handle> {
        self.members().values().cloned().collect()
    }

    /// Readable when somebody has ended.
    pub(crate) fn ends(&self) -> BorrowedFd<'_> {
        self.ready_set().as_fd()
    }

    /// Readable when waiting shall be broken off.
    pub(crate) fn interrupt(&self) -> Option<BorrowedFd<'_>> {
        self.interrupt.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let ends = self.ends.take();
        if let Some(ends) = ends
            && !disown_descriptor(ends.as_fd().as_raw_fd())
        {
            // A forked copy: the descriptor was closed at its start, and its number may be in use.
            std::mem::forget(ends);
        }
    }
}

/// The descriptors of this process that its forked children shall not keep: they would grow with every
/// sibling, and hold channels open whose end somebody waits for.
static PARENTS: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

fn parents() -> MutexGuard<'static, BTreeSet<RawFd>> {
    PARENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes descriptors that belong to a handle of this process.
pub(crate) fn note_descriptors(fds: impl IntoIterator<Item = RawFd>) {
    parents().extend(fds);
}

/// Whether this process still has the descriptor, which is forgotten here: a forked child has closed
/// its copy of it already.
pub(crate) fn disown_descriptor(fd: RawFd) -> bool {
    parents().remove(&fd)
}

/// What a forked child has to close; it owns none of it from now on.
pub(crate) fn parents_descriptors() -> BTreeSet<RawFd> {
    std::mem::take(&mut parents())
}

/// The unreaped children of this process that it started itself; other children it has are orphans that
/// it adopted, or were started by other means.
static KNOWN: Mutex<(i32, BTreeSet<i32>)> = Mutex::new((0, BTreeSet::new()));

fn known() -> MutexGuard<'static, (i32, BTreeSet<i32>)> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.0 != task::pid() {
        // A forked copy has no children yet.
        *known = (task::pid(), BTreeSet::new());
    }
    known
}

/// Notes a child at its birth.
pub(crate) fn note_child(pid: i32) {
    known().1.insert(pid);
}

/// Forgets a child once it is reaped: its number may be another's now.
pub(crate) fn forget_child(pid: i32) {
    known().1.remove(&pid);
}

/// Whether this process started the child `pid` and has not reaped it.
pub(crate) fn is_known(pid: i32) -> bool {
    known().1.contains(&pid)
}
