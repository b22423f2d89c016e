//! Locks and signals between processes.
//!
//! | to | there is |
//! |---|---|
//! | guard a value | [`Mutex`] |
//! | guard what the program says it does, and take the lock again while holding it | [`RLock`] |
//! | let a number of threads in at a time | [`Semaphore`], [`BoundedSemaphore`] |
//! | wait until another process says so | [`Event`] |
//! | wait until a guarded value has changed | [`Condition`] |
//! | wait until all have come | [`Barrier`] |
//! | share a number, or many | [`Value`], [`Array`] |
//! | guard a file | [`file_lock`] |
//!
//! All but the last are handed to children as arguments, or parts of arguments, under every start method. A thread is
//! the owner of what it holds: a guard does not move to another one.
//!
//! # A process that is killed
//! If a process is killed with SIGKILL while it uses one of these, at any instruction, no other process waits for it
//! for longer than about 10 ms. What it held is free, and the next one is told by whom it was held: a mutex is
//! *poisoned*, a barrier *breaks*, a permit returns, a notification goes on to the next thread that waits. A process
//! that is only stopped keeps what it holds.
//!
//! All processes must share a PID namespace. A forked copy of a process does not hold what its parent holds.

/// Numbers as a slice.
mod array;
/// A point that processes pass together.
mod barrier;
/// Waiting for a change of what a mutex guards.
mod condition;
/// Errors, one type per kind of operation.
pub mod error;
/// A flag that processes wait for.
mod event;
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
/// Numbers that lie in memory as they are.
mod plain;
#[cfg(test)]
mod release_order;
/// A lock that its holder may take again.
mod rlock;
/// In shared memory, for the innermost few instructions.
pub(crate) mod robust_mutex;
/// The threads that hold a primitive or wait for it.
mod roster;
/// Permits.
mod semaphore;
/// The memory of a primitive.
mod shared;
/// A number without a lock.
mod value;
/// Primitives beside other things that are waited for.
mod waitable;

pub use array::{Array, ArrayGuard};
pub use barrier::{Barrier, BarrierPass};
pub use condition::Condition;
pub use error::{
    BarrierError, MutexError, Poisoned, ReleaseError, SetupError, StoreError, UnreadableValue, WaitError,
};
pub use event::Event;
pub use mutex::{DEFAULT_VALUE_LIMIT, Mutex, MutexGuard};
pub use plain::Plain;
pub use rlock::{RLock, RLockGuard};
pub use semaphore::{BoundedSemaphore, MAX_PERMITS, Permit, Semaphore};
pub use value::Value;

#[cfg(test)]
mod tests;
