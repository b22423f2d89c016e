//! Errors of the primitives.

use crate::shm::region::RegionError;
use crate::sys::pid::Pid;
use crate::wire::codec::{DecodeError, EncodeError};
use std::fmt;
use std::io;

/// A primitive could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A size or a number is out of range.
    #[error("{what} of {value} is out of range: choose one from {min} to {max}")]
    OutOfRange {
        /// What the value is.
        what: &'static str,
        /// The value that was requested.
        value: u64,
        /// The smallest possible value.
        min: u64,
        /// The largest possible value.
        max: u64,
    },
    /// The first value cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused memory or a descriptor.
    #[error("shared memory is unavailable")]
    Os(#[from] io::Error),
}

/// Memory from another process is not that of the expected primitive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// It is not sealed memory of this library, or the system refused to map it.
    #[error(transparent)]
    Memory(#[from] RegionError),
    /// It is that of another primitive, or of values of another type.
    #[error("this is the memory of something else")]
    Other,
    /// It was created in another PID namespace.
    #[error("it belongs to another PID namespace: use it in the namespace in which it was created")]
    PidNamespace,
}

/// A value could not be stored; the old one is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It is larger than the limit that was set when the primitive was created.
    #[error("the value has {size} bytes and the limit is {limit}: create it with a higher limit")]
    TooLarge {
        /// Its size in bytes, encoded.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// There is no memory for it.
    #[error("there is no memory for the value")]
    Memory(#[from] io::Error),
}

/// A wait ended unsuccessfully.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The deadline has passed, or an attempt that does not wait would have had to.
    #[error("the wait timed out")]
    TimedOut,
    /// The handle's interrupt became readable.
    #[error("the wait was interrupted")]
    Interrupted,
    /// The maximum number of threads hold it or wait for it.
    #[error("{max} threads hold this or wait for it already")]
    TooMany {
        /// The maximum.
        max: usize,
    },
    /// The kernel refused to sleep, or does not watch this thread's locks.
    #[error("the lock is unavailable")]
    Os(#[from] io::Error),
}

/// A permit was not added to a semaphore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// There would be more permits than the maximum.
    #[error("the semaphore has {max} permits already, and cannot have more")]
    TooMany {
        /// The maximum.
        max: u64,
    },
    /// The semaphore's lock is unavailable.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// A thread did not pass a barrier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// The barrier is broken; it can be reset.
    #[error("the barrier is broken: process {pid} {why}")]
    Broken {
        /// The process that broke it.
        pid: Pid,
        /// The cause.
        why: &'static str,
    },
    /// This thread timed out or was interrupted, which broke the barrier; or its lock is unavailable.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// A lock was not taken, or is poisoned.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum MutexError<G> {
    /// An earlier holder ended or panicked while it held the lock. The lock *is* taken, and the guard is inside: check
    /// the value, repair it, and call `clear_poison`.
    #[error(transparent)]
    Poisoned(Poisoned<G>),
    /// It was not taken.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// It was taken and released again, because what it guards is not a value of this type.
    #[error("the guarded value cannot be read")]
    Unreadable(#[source] UnreadableValue),
}

/// Why a guarded value cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableValue {
    /// Its bytes are not a value of this type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The memory contains what this library never writes.
    #[error("the memory is corrupt: {0}")]
    Corrupt(&'static str),
    /// The kernel refused to read it.
    #[error("the memory is unavailable")]
    Os(#[from] io::Error),
}

/// A lock that was taken although an earlier holder ended, or panicked, while it held it.
#[derive(thiserror::Error)]
#[error("process {pid} ended while it held the lock: what it guards may be incomplete")]
pub struct Poisoned<G> {
    pub(super) guard: G,
    pub(super) pid: Pid,
}

impl<G> Poisoned<G> {
    /// The guard: the lock is held.
    ///
    /// ```
    /// use proclab::sync::{Mutex, MutexError};
    ///
    /// # fn look(count: &Mutex<u32>) {
    /// if let Err(MutexError::Poisoned(poisoned)) = count.lock() {
    ///     println!("the last value that was stored is {}", *poisoned.into_guard());
    /// }
    /// # }
    /// ```
    pub fn into_guard(self) -> G {
        self.guard
    }

    /// The PID of the process that ended, or whose thread panicked.
    ///
    /// ```
    /// use proclab::sync::{Mutex, MutexError};
    ///
    /// # fn look(count: &Mutex<u32>) {
    /// if let Err(MutexError::Poisoned(poisoned)) = count.lock() {
    ///     println!("process {} ended while it held the lock", poisoned.pid());
    /// }
    /// # }
    /// ```
    pub fn pid(&self) -> Pid {
        self.pid
    }
}

impl<G> MutexError<G> {
    /// Returns the guard of a poisoned lock, and any other error unchanged.
    ///
    /// ```
    /// let count = proclab::sync::Mutex::new(5)?;
    /// // As it is, poisoned or not.
    /// let guard = count.lock().or_else(|error| error.into_guard()).unwrap();
    /// assert_eq!(*guard, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What is not [`MutexError::Poisoned`].
    pub fn into_guard(self) -> Result<G, Self> {
        match self {
            MutexError::Poisoned(poisoned) => Ok(poisoned.guard),
            other => Err(other),
        }
    }

    /// The PID that a poisoned lock names.
    ///
    /// ```
    /// # fn look(count: &proclab::sync::Mutex<u32>) {
    /// if let Err(error) = count.lock() {
    ///     println!("{error}, by {:?}", error.pid());
    /// }
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pid(&self) -> Option<Pid> {
        match self {
            MutexError::Poisoned(poisoned) => Some(poisoned.pid),
            _ => None,
        }
    }
}

impl<G> fmt::Debug for Poisoned<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poisoned").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl<G> fmt::Debug for MutexError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MutexError::Poisoned(poisoned) => poisoned.fmt(f),
            MutexError::Wait(why) => f.debug_tuple("Wait").field(why).finish(),
            MutexError::Unreadable(why) => f.debug_tuple("Unreadable").field(why).finish(),
        }
    }
}
