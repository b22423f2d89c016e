//! Locks between processes.

/// In shared memory, for the innermost few instructions.
pub mod robust_mutex;
