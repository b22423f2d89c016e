//! `proclab VERB …`: which verbs there are, and who does them.

use super::{net, watch};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// See how an operating system runs processes: start real ones, race them, replay them, watch them.
#[derive(Debug, Parser)]
#[command(name = "proclab", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Observe any program: who runs, who is ready, who is blocked on what.
    Watch(watch::WatchArgs),
    /// Run the network programs: chat, udp, sticky, frames, file, echo, upper, auth.
    Net(net::NetArgs),
}

/// Runs the command line; the code that the process shall exit with.
pub fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Watch(args) => watch::run(&args),
        Verb::Net(args) => net::run(args),
    }
}
