//! Plain data in, bytes out: what was found, as text and as JSON.

/// All locks side by side.
pub mod cabinet;
/// What an exploration found.
pub mod exploration;
/// One execution, a column for each process.
pub mod witness;
