//! `udp`: one datagram per message, answered with `收到`. Datagrams have boundaries and no other guarantee: they
//! may be lost, cut to the receiver's buffer, or arrive twice, and this program shows when that happens.

mod client;
mod demo;
mod server;

use crate::net::demo::{DemoError, Stage};
use crate::net::program::{Context, End, EndError, Needs, Program};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The server's answer to each datagram.
pub const ANSWER: &str = "收到";

/// The maximum length of a UDP datagram's data over IPv4, in bytes.
const LONGEST: usize = 65_507;

/// The program.
#[derive(Debug)]
pub struct Udp;

impl Program for Udp {
    const NAME: &'static str = "udp";
    const ABOUT: &'static str = "One datagram per message, each answered";
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Answer datagrams
    Serve(Receiving),
    /// Send each line as a datagram
    Connect(Patience),
}

/// How the server receives.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
pub struct Receiving {
    /// The address to receive at; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub bind: String,
    /// The size of the receive buffer in bytes; the rest of a longer datagram is lost and reported
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub buffer: u32,
    /// Ignore this percentage of each client's datagrams, evenly spread, to simulate loss
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub drop: u8,
}

/// The client's address, timeout and retries.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
pub struct Patience {
    /// The address of the server, HOST:PORT
    pub address: String,
    /// How long to wait for an answer
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = crate::net::args::seconds)]
    pub timeout: Duration,
    /// How many times to send a message again
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retries: u32,
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match self {
            // One socket serves all clients.
            Self::Serve(_) => Needs::listen(1).over_udp(),
            Self::Connect(args) => Needs::connect(&args.address, "udp serve").over_udp().reading(LONGEST),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        match self {
            Self::Serve(receiving) => server::serve(receiving, context.stops, context.log),
            Self::Connect(patience) => client::run(patience, &context.input, context.log),
        }
    }
}
