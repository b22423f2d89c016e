//! Locks and signals between processes.
//!
//! A [`Mutex`] guards a value, an [`RLock`] whatever the program says it does, and a [`file_lock`] a file. All of them
//! are handed to children as arguments, or parts of arguments, under every start method. A process that is killed
//! while it holds one, at any instruction, lets the next one in, who is told; a process that is only stopped keeps
//! what it holds.

/// Errors, one type per kind of operation.
pub mod error;
/// A lock on a file.
pub mod file_lock;

/// A linked lock and its poison.
mod held_lock;
/// A robust lock that may be held together with others.
mod linked;
/// A value that processes share.
mod mutex;
/// How long a wait lasts.
mod patience;
#[cfg(test)]
mod release_order;
/// A lock that its holder may take again.
mod rlock;
/// In shared memory, for the innermost few instructions.
pub(crate) mod robust_mutex;
/// The memory of a primitive.
mod shared;

pub use error::{CreateError, MutexError, Poisoned, StoreError, UnreadableValue, WaitError};
pub use mutex::{DEFAULT_VALUE_LIMIT, Mutex, MutexGuard};
pub use rlock::{RLock, RLockGuard};

#[cfg(test)]
mod tests;
