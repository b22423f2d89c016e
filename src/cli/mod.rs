//! The command line.

pub(crate) mod net;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "proclab")]
enum Verb {
    Net(net::NetArgs),
}

/// Runs the command line.
pub fn main() -> std::process::ExitCode {
    let Verb::Net(args) = Verb::parse();
    net::run(args)
}
