//! A process-and-IPC runtime that you can watch, race and replay.

pub mod observe;
pub mod process;
pub mod sys;
pub mod wire;
