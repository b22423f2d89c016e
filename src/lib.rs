//! A process-and-IPC runtime that you can watch, race and replay.

#[cfg(feature = "cli")]
mod cli;
pub mod observe;
mod process;
#[cfg(feature = "cli")]
pub mod report;
mod supervisor;
pub mod sys;
pub mod wire;

pub use process::{
    Child, Current, Exit, Handle, JoinError, Panic, Parent, Process, ResultError, Run, Signal, StartError,
    StartMethod, Target, child_entry, current, parent, wait_any,
};
pub use supervisor::{Left, ShutdownError, Supervisor};

/// Command line.
#[cfg(feature = "cli")]
pub fn main() -> std::process::ExitCode {
    cli::main()
}
