//! Locks and signals between processes.
//!
//! | to | there is |
//! |---|---|
//! | guard a value | [`Mutex`] |
//! | guard something else, and take the lock again while holding it | [`RLock`] |
//! | admit a limited number of threads | [`Semaphore`], [`BoundedSemaphore`] |
//! | wait for a signal of another process | [`Event`] |
//! | wait until a guarded value has changed | [`Condition`] |
//! | wait until all have arrived | [`Barrier`] |
//! | share a plain value, or many | [`Value`], [`Array`] |
//! | guard a file | [`file_lock`] |
//!
//! All but the last are passed to children as arguments, or parts of arguments, under every start method, and through
//! queues and pipes. A guard belongs to the thread that took it, and cannot move to another one.
//!
//! # A process that is killed
//! If a process is killed with SIGKILL while it uses one of these, at any instruction, no other process waits for it
//! for longer than about 10 ms. What it held is released, and the next holder learns its PID: a mutex is *poisoned*,
//! a barrier *breaks*, a permit returns, a notification goes to the next waiting thread. A stopped process keeps what
//! it holds.
//!
//! All processes must share a PID namespace. A forked copy of a process does not hold what its parent holds.

/// Plain values as a slice.
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
/// Values that lie in memory as they are.
mod plain;
#[cfg(test)]
mod release_order;
/// A lock that its holder may take again.
mod rlock;
/// A lock for short critical sections of this library.
pub(crate) mod robust_mutex;
/// The threads that hold a primitive or wait for it.
mod roster;
/// Permits.
mod semaphore;
/// The memory of a primitive.
mod shared;
/// A plain value without a lock to hold.
mod value;
/// Waiting for primitives together with other objects.
mod waitable;

pub use array::{Array, ArrayGuard};
pub use barrier::{Barrier, BarrierPass};
pub use condition::Condition;
pub use error::{
    BarrierError, MemoryError, MutexError, Poisoned, ReleaseError, SetupError, StoreError, UnreadableValue,
    WaitError,
};
pub use event::Event;
pub use mutex::{DEFAULT_VALUE_LIMIT, Mutex, MutexGuard};
pub use plain::{MAX_ALIGN, Plain};
pub use rlock::{RLock, RLockGuard};
pub use semaphore::{BoundedSemaphore, MAX_PERMITS, Permit, Semaphore};
pub use value::Value;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wait_tests;
