//! Memory that several processes share.

/// The executions that a processor's memory model allows a protocol.
#[cfg(test)]
pub(crate) mod model;
/// A sealed, anonymous region of shared memory, with checked accesses.
pub mod region;
/// Words in shared memory.
pub mod word;
