//! The command line: the only module that prints.

mod cabinet;
mod explore;
mod fault;
mod lab;
pub(crate) mod net;
mod replay;
mod step_by_step;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "proclab")]
enum Verb {
    Net(net::NetArgs),
    Explore(explore::ExploreArgs),
    Replay(replay::ReplayArgs),
}

/// Runs the command line.
pub fn main() -> std::process::ExitCode {
    match Verb::parse() {
        Verb::Net(args) => net::run(args),
        Verb::Explore(args) => explore::run(&args),
        Verb::Replay(args) => replay::run(&args),
    }
}
