//! Locks between processes.

/// A lock on a file.
pub mod file_lock;
#[cfg(test)]
mod release_order;
/// In shared memory, for the innermost few instructions.
pub(crate) mod robust_mutex;
