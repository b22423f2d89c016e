//! Memory that several processes share.

/// Which executions a processor may let a protocol have.
#[cfg(test)]
pub(crate) mod model;
/// A sealed, nameless piece of memory, and checked ways to reach into it.
pub mod region;
/// Words in shared memory.
pub mod word;
