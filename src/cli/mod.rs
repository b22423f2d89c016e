//! The command line: the only module that prints.

mod args;
mod cabinet;
mod explore;
mod fault;
mod lab;
pub(crate) mod net;
mod replay;
mod step_by_step;
mod trials;
mod watch;

pub use args::main;
