//! The command line: the only module that prints.

mod args;
mod bench;
mod cabinet;
mod completions;
mod explore;
mod fault;
mod files;
mod lab;
mod list;
pub(crate) mod net;
mod output;
mod pipeline;
mod replay;
mod run;
mod schema;
mod step_by_step;
mod stock_file;
mod trials;
mod watch;

pub use args::main;
