//! A process-and-IPC runtime that you can watch, race and replay.

#[cfg(feature = "cli")]
mod cli;
pub mod observe;
pub mod process;
#[cfg(feature = "cli")]
pub mod report;
pub mod sys;
pub mod wire;

/// Command line.
#[cfg(feature = "cli")]
pub fn main() -> std::process::ExitCode {
    cli::main()
}
