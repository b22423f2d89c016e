//! A lock that its holder may take again.

use super::error::{MutexError, SetupError};
use super::held_lock::{self, Hold, poisoned_or};
use super::patience::Interrupt;
use super::shared::{Kind, Shared};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the holder has taken it; written by the holder only.
const DEPTH: usize = 1;

/// A lock between processes that a thread may take again while it holds it: Python's `RLock`.
///
/// It is free once every guard is dropped. It holds no value; for that, see [`super::Mutex`]. It is sent to other
/// processes like a mutex, and a killed holder poisons it in the same way.
#[derive(Debug)]
pub struct RLock {
    pub(super) shared: Shared,
    interrupt: Interrupt,
}

impl RLock {
    /// Creates a lock.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// let _held = lock.lock().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new() -> Result<Self, SetupError> {
        Ok(RLock { shared: Shared::create(Kind::RLock, 0, 0, 0)?, interrupt: Interrupt::default() })
    }

    /// Waits until no other thread holds the lock, and takes it, possibly again.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// let _outer = lock.lock().unwrap();
    /// let inner = lock.lock().unwrap(); // the same thread, once more
    /// assert_eq!(inner.depth(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MutexError::Poisoned`], with the guard, if an earlier holder ended while it held the lock;
    /// [`WaitError::Interrupted`](super::WaitError::Interrupted).
    pub fn lock(&self) -> Result<RLockGuard<'_>, MutexError<RLockGuard<'_>>> {
        self.lock_until(Deadline::NEVER)
    }

    /// Like [`Self::lock`], but waits for at most `timeout`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = proclab::sync::RLock::new()?;
    /// assert!(lock.lock_timeout(Duration::from_secs(1)).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::lock`], and [`WaitError::TimedOut`](super::WaitError::TimedOut).
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, MutexError<RLockGuard<'_>>> {
        self.lock_until(Deadline::after(timeout))
    }

    /// Takes the lock if no other thread holds it.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// let _held = lock.lock().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(lock.try_lock().is_err()));
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::lock_timeout`]; it does not wait.
    pub fn try_lock(&self) -> Result<RLockGuard<'_>, MutexError<RLockGuard<'_>>> {
        self.lock_until(Deadline::now())
    }

    fn lock_until(&self, deadline: Deadline) -> Result<RLockGuard<'_>, MutexError<RLockGuard<'_>>> {
        let depth = self.shared.word(DEPTH);
        if self.shared.lock().is_own() {
            depth.store(depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            let guard = RLockGuard { lock: self, not_send: std::marker::PhantomData };
            return poisoned_or(guard, held_lock::poison(&self.shared));
        }
        if let Some(hold) = held_lock::try_take(&self.shared) {
            depth.store(1, Ordering::Relaxed);
            std::mem::forget(hold);
            return Ok(RLockGuard { lock: self, not_send: std::marker::PhantomData });
        }
        let (hold, pid) = held_lock::take(&self.shared, &self.interrupt, deadline)?;
        depth.store(1, Ordering::Relaxed);
        // Dropping the last guard creates it again.
        std::mem::forget(hold);
        poisoned_or(RLockGuard { lock: self, not_send: std::marker::PhantomData }, pid)
    }

    /// The PID of the process that holds the lock now; `None` if it is free.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// assert_eq!(lock.holder(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holder(&self) -> Option<Pid> {
        self.shared.lock().holder()
    }

    /// The PID of the process that poisoned the lock; `None` if it is not poisoned.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// assert_eq!(lock.poisoned_by(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poisoned_by(&self) -> Option<Pid> {
        held_lock::poison(&self.shared)
    }

    /// Makes every wait through this handle fail with [`WaitError::Interrupted`](super::WaitError::Interrupted) once `interrupt` is readable.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let lock = proclab::sync::RLock::new()?.with_interrupt(&stop)?;
    /// assert!(lock.lock().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same lock.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// let same = lock.try_clone()?; // for a child
    /// let _held = same.lock().unwrap();
    /// assert!(lock.holder().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(RLock {
            shared: self.shared.try_clone(Kind::RLock, sizes)?,
            interrupt: self.interrupt.try_clone()?,
        })
    }
}

fn sizes(_: u64) -> Option<(u64, usize)> {
    Some((0, 0))
}

/// A guard of an [`RLock`], one for each time that the thread has taken it.
#[derive(Debug)]
#[must_use = "the lock is released at once if this is dropped"]
pub struct RLockGuard<'a> {
    lock: &'a RLock,
    /// The lock belongs to the thread.
    not_send: std::marker::PhantomData<*const ()>,
}

impl RLockGuard<'_> {
    /// How often the thread holds the lock.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// assert_eq!(lock.lock().unwrap().depth(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn depth(&self) -> u64 {
        self.lock.shared.word(DEPTH).load(Ordering::Relaxed)
    }

    /// Clears the poison: what the lock guards was checked, and is correct.
    ///
    /// ```
    /// let lock = proclab::sync::RLock::new()?;
    /// let held = lock.lock().unwrap();
    /// held.clear_poison(); // what it guards was checked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear_poison(&self) {
        held_lock::clear_poison(&self.lock.shared);
    }
}

impl Drop for RLockGuard<'_> {
    fn drop(&mut self) {
        let shared = &self.lock.shared;
        if !shared.lock().is_own() {
            return;
        }
        let depth = shared.word(DEPTH);
        match depth.load(Ordering::Relaxed) {
            2.. => depth.store(depth.load(Ordering::Relaxed) - 1, Ordering::Relaxed),
            _ => drop(Hold::again(shared)),
        }
    }
}

impl Serialize for RLock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RLock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shared = Shared::deserialize(deserializer, Kind::RLock, sizes)?;
        Ok(RLock { shared, interrupt: Interrupt::default() })
    }
}
