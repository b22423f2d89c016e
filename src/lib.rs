//! A process-and-IPC runtime that you can watch, race and replay.

pub mod queue;
pub mod shm;
pub mod sync;
pub mod sys;
pub mod wire;
