//! The command line: the only module that prints.

mod args;
mod fault;
pub(crate) mod net;
mod watch;

pub use args::main;
