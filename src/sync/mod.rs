//! Locks between processes.

/// A lock on a file.
pub mod file_lock;
/// In shared memory, for the innermost few instructions.
pub mod robust_mutex;
