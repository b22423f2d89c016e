//! Objects that only this process uses so far, and that open descriptors before another one does.
//!
//! A queue whose ends have never left its process needs one descriptor, and opens the others when a handle of it is
//! encoded ([`Share`]). A copy of the process (`fork(2)`) gets its handles without that, so every object is shared before
//! the C library's `fork`, and before a child is started by `Fork` those that are in its arguments.

use super::attachments;
use super::codec::{self, Message};
use crate::sys::{fork, resource};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Descriptors that a fork leaves to its process when it shares everything.
const HEADROOM: u64 = 128;

/// An object that is not shared with other processes yet.
pub(crate) trait Share: Send + Sync {
    /// Opens the descriptors that other processes need, and returns one of them. Does nothing if they are open.
    ///
    /// # Errors
    /// When no descriptor is left.
    fn share(&self) -> io::Result<RawFd>;
}

type Objects = (u64, BTreeMap<u64, Weak<dyn Share>>);

static UNSHARED: Mutex<Objects> = Mutex::new((0, BTreeMap::new()));

thread_local! {
    /// Held while this thread forks, so that the copy finds the lock free.
    static HELD: RefCell<Option<MutexGuard<'static, Objects>>> = const { RefCell::new(None) };
}

fn unshared() -> MutexGuard<'static, Objects> {
    UNSHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An entry in the list of unshared objects.
#[derive(Debug)]
pub(crate) struct Entry(u64);

impl Entry {
    /// Adds an object.
    ///
    /// # Errors
    /// When forks cannot be observed. The object must then be shared immediately.
    pub(crate) fn new(object: Weak<dyn Share>) -> io::Result<Self> {
        static OBSERVED: OnceLock<bool> = OnceLock::new();
        if !OBSERVED.get_or_init(|| fork::at_fork(before_fork, after_fork).is_ok()) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let mut unshared = unshared();
        unshared.0 += 1;
        let id = unshared.0;
        unshared.1.insert(id, object);
        Ok(Entry(id))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let object = unshared().1.remove(&self.0);
        drop(object);
    }
}

/// Shares the objects in `value`, which a forked child is about to be given.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn share_in<T: Message>(value: &T) -> io::Result<()> {
    if unshared().1.is_empty() {
        return Ok(());
    }
    // Encoding a handle shares it. A value that cannot be encoded can be given to a forked child nevertheless.
    match attachments::collect(|| codec::encode_untried(value, &mut Vec::new()).is_ok()) {
        (_, _, Some(refused)) => Err(refused),
        (true, ..) => Ok(()),
        (false, ..) => {
            share_all();
            Ok(())
        }
    }
}

/// Shares every object, as far as there are descriptors.
fn share_all() {
    let objects: Vec<Arc<dyn Share>> = unshared().1.values().filter_map(Weak::upgrade).collect();
    let (limit, _) = resource::open_files().unwrap_or((u64::MAX, u64::MAX));
    for object in objects {
        match object.share() {
            Ok(fd) if u64::from(fd.unsigned_abs()) + HEADROOM < limit => {}
            _ => break,
        }
    }
}

extern "C" fn before_fork() {
    if fork::is_own() {
        return;
    }
    share_all();
    HELD.with_borrow_mut(|held| *held = Some(unshared()));
}

extern "C" fn after_fork() {
    HELD.with_borrow_mut(|held| *held = None);
}
