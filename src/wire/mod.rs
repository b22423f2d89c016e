//! Encoding values, and sending them and descriptors between processes.

/// The descriptors in a value.
pub(crate) mod attachments;
pub mod codec;
pub mod control;
pub mod frame;
pub mod handle;
pub(crate) mod inherit;
/// Bytes and descriptors, through a packet socket.
pub(crate) mod message;
pub(crate) mod panics;
/// A per-thread buffer.
pub(crate) mod scratch;
/// Objects that open descriptors before they are shared.
pub(crate) mod unshared;
