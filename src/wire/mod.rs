//! Bytes on the move: how values become bytes, and how descriptors travel.

pub mod codec;
pub mod control;
pub mod frame;
pub mod handle;
pub(crate) mod inherit;
pub(crate) mod panics;
