//! The command line.

mod watch;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "proclab")]
enum Verb {
    Watch(watch::WatchArgs),
}

/// Throw-away main until the base lands.
pub fn main() -> std::process::ExitCode {
    match Verb::parse() {
        Verb::Watch(args) => watch::run(&args),
    }
}
