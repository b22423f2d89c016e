//! A process-and-IPC runtime that you can watch, race and replay.

pub mod explore;
pub mod sys;
pub mod wire;
