//! Plain data in, bytes out: every view of a run.

/// All locks side by side.
pub mod cabinet;
/// What an exploration found.
pub mod exploration;
/// What many free runs showed.
pub mod trials;
pub mod watch;
/// One execution, a column for each process.
pub mod witness;
