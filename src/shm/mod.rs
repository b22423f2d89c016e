//! Memory that several processes share.

/// A sealed, nameless piece of memory, and checked ways to reach into it.
pub mod region;
