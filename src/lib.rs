//! A process-and-IPC runtime that you can watch, race and replay.

#[cfg(feature = "cli")]
pub mod cli;
pub mod explore;
#[cfg(feature = "cli")]
pub mod net;
pub mod observe;
mod process;
pub mod queue;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod scenario;
pub mod shm;
mod supervisor;
pub mod sync;
pub mod sys;
pub mod wire;

pub use process::{
    Child, Current, Exit, Handle, JoinError, Panic, Parent, Process, ResultError, Run, Signal, StartError,
    StartMethod, Target, child_entry, current, parent, wait_any,
};
pub use supervisor::{Left, ShutdownError, Supervisor};
