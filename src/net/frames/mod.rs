//! `frames`: precedes each message with its length, which gives a stream message boundaries.

mod client;
mod demo;

use crate::net::address::connect;
use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::demo::{DemoError, Stage};
use crate::net::framing::{BUFFER, receive_all};
use crate::net::limits::Limits;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::Server;
use crate::wire::frame::encode;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

/// The maximum length in bytes of the reason that a rejected client gets.
const REASON: usize = 1024;

/// The program.
#[derive(Debug)]
pub struct Frames;

impl Program for Frames {
    const NAME: &'static str = "frames";
    const ABOUT: &'static str = "Messages preceded by their length";
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Send the messages to each client, and print the frames that it sends
    Serve(Serve),
    /// Print the server's frames, and send each line as a frame
    Connect(ConnectArgs),
}

/// The end that listens.
#[derive(Debug, clap::Args, Serialize, Deserialize)]
pub struct Serve {
    /// The address and the limits.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// A message to send; can be given several times
    #[arg(long, value_name = "TEXT", default_value = "Parallel")]
    pub message: Vec<String>,
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match self {
            Self::Serve(args) => args.serve.needs(&Frames::LIMITS),
            Self::Connect(args) => args.needs(&Frames::LIMITS, "frames serve"),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        match self {
            Self::Serve(args) => serve(args, &context),
            Self::Connect(args) => {
                let limits = args.bounds.limits(&Frames::LIMITS);
                client::talk(&connect(&args.address, &limits, context.log)?, &context.input, limits.message)
            }
        }
    }
}

fn serve(args: &Serve, context: &Context<'_>) -> Result<(), EndError> {
    let limits = args.serve.bounds.limits(&Frames::LIMITS);
    let server = Server::bind(&args.serve.bind, limits, context.log)?;
    let reason = |why: &str| encode(why.as_bytes(), REASON).unwrap_or_default();
    server.serve(context.stops, reason, |connection| serve_one(connection, &args.message, &limits))?;
    Ok(())
}

/// Sends `messages`, ends the sending direction, and reports each frame of the client.
fn serve_one(connection: &Connection, messages: &[String], limits: &Limits) -> Result<(), ConnectionError> {
    for message in messages {
        connection.write_all(&encode(message.as_bytes(), limits.message)?)?;
    }
    connection.finish_sending();
    receive_all(connection, limits.message, BUFFER)
}
