//! The command line: the only module that prints.

mod args;
mod bench;
mod budget;
mod cabinet;
mod completions;
mod explore;
mod fault;
mod files;
mod gate;
mod keys;
mod lab;
mod list;
pub(crate) mod net;
mod output;
mod progress;
mod replay;
mod run;
mod scenario;
mod schema;
#[cfg(feature = "serve")]
mod serve;
mod step_by_step;
mod traced;
mod trials;
mod watch;

pub use args::main;
