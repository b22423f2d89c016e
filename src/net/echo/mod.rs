//! `echo`: returns every byte, from a thread per connection as in Python's `ThreadingTCPServer`, or from a process per
//! connection.

mod demo;
mod turns;
mod workers;

use crate::net::args::{ConnectArgs, ServeArgs};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::demo::{DemoError, Stage};
use crate::net::exchange::talk;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::{Server, plain_line};
use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use workers::Workers;

/// The bytes that one connection makes the server hold.
const BUFFER: usize = 16 << 10;

/// The program.
#[derive(Debug)]
pub struct Echo;

impl Program for Echo {
    const NAME: &'static str = "echo";
    const ABOUT: &'static str = "Echo every byte";
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Send everything back
    Serve(Serve),
    /// Send each line, and show what comes back
    Connect(ConnectArgs),
}

/// The end that listens.
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
pub struct Serve {
    /// The address and the limits.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// What serves a connection
    #[arg(long, value_enum, value_name = "KIND", default_value_t)]
    pub workers: WorkerKind,
}

/// What serves a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum WorkerKind {
    /// A thread per connection
    #[default]
    Thread,
    /// A process per connection, under the supervisor
    Process,
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match self {
            Self::Serve(args) => args.serve.needs(&Echo::LIMITS),
            Self::Connect(args) => args.needs(&Echo::LIMITS, "echo serve"),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        match self {
            Self::Serve(args) => serve(args, &context),
            Self::Connect(args) => {
                let connection = args.connection(&Echo::LIMITS, context.log)?;
                Ok(talk(&connection, &context.input, str::to_owned)?)
            }
        }
    }
}

fn serve(args: &Serve, context: &Context<'_>) -> Result<(), EndError> {
    let limits = args.serve.bounds.limits(&Echo::LIMITS);
    let server = Server::bind(&args.serve.bind, limits, context.log)?;
    match args.workers {
        WorkerKind::Thread => server.serve(context.stops, plain_line, echo)?,
        WorkerKind::Process => {
            let workers = Workers::new(limits, context.log)
                .map_err(ConnectionError::io("processes cannot be supervised"))?;
            server.serve(context.stops, plain_line, |connection| workers.serve_one(connection))?;
        }
    }
    Ok(())
}

/// Sends back everything until the client ends its direction.
fn echo(connection: &Connection) -> Result<(), ConnectionError> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            n => connection.write_all(&buffer[..n])?,
        }
    }
}
