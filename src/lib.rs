//! A process-and-IPC runtime that you can watch, race and replay.

pub mod explore;
mod process;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod scenario;
mod shm;
mod supervisor;
mod sync;
pub mod sys;
pub mod wire;

pub use process::{
    Child, Current, Exit, Handle, JoinError, Panic, Parent, Process, ResultError, Run, Signal, StartError,
    StartMethod, Target, child_entry, current, parent, wait_any,
};
pub use supervisor::{Left, ShutdownError, Supervisor};
