//! The command line: the only module that prints.

mod args;
mod completions;
mod fault;
mod list;
pub(crate) mod net;
mod pipeline;
mod run;
mod schema;
mod stock_file;
mod watch;

pub use args::main;
