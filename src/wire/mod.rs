//! Bytes on the move: how values become bytes, and how descriptors travel.

/// The descriptors beside a value.
pub(crate) mod attachments;
pub mod codec;
pub mod control;
pub mod frame;
pub mod handle;
pub(crate) mod inherit;
/// Bytes and descriptors, through a packet socket.
pub(crate) mod message;
pub(crate) mod panics;
/// A buffer per thread.
pub(crate) mod scratch;
