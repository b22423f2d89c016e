//! A process-and-IPC runtime that you can watch, race and replay.

#[cfg(feature = "cli")]
pub mod net;
pub mod sys;
pub mod wire;
