//! `file`: sends a length, a JSON header, then the bytes of a file; either end may listen.

mod demo;
pub mod digest;
pub mod header;
mod pace;
mod receive;
mod send;
mod store;

use crate::net::address::connect;
use crate::net::args::Bounds;
use crate::net::connection::{Connection, ConnectionError};
use crate::net::demo::{DemoError, Stage};
use crate::net::event::What;
use crate::net::limits::Limits;
use crate::net::program::{Context, End, EndError, Needs, Program};
use crate::net::server::{Server, plain_line};
use crate::process::chain;
use clap::{Args, Subcommand};
use digest::Hash;
use receive::{Received, receive};
use send::{check, send};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use store::Store;

/// The program.
#[derive(Debug)]
pub struct File;

impl Program for File {
    const NAME: &'static str = "file";
    const ABOUT: &'static str = "Transfer a file, whole or not at all; either end may listen";
    const LIMITS: Limits = Limits { connections: 64, ..Limits::DEFAULT };
    type Ends = Ends;

    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError> {
        demo::play(stage)
    }
}

/// The ends.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
pub enum Ends {
    /// Send a file to a receiver, or to each that connects
    Send(Sending),
    /// Receive files into a folder
    Receive(Receiving),
}

/// The parameters of the sending end.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Sending {
    /// The file to send
    pub path: PathBuf,
    /// Which end listens, and at which address.
    #[command(flatten)]
    pub meeting: Meeting,
    /// The hash function of the digest that both ends print
    #[arg(long, value_enum, value_name = "FUNCTION", default_value_t)]
    pub hash: Hash,
    /// Continue an interrupted transfer; the receiver must be `receive --resume`
    #[arg(long)]
    pub resume: bool,
    /// With --bind: exit after the first successful transfer
    #[arg(long, conflicts_with = "to")]
    pub once: bool,
    /// The limits.
    #[command(flatten)]
    pub bounds: Bounds,
}

/// The parameters of the receiving end.
#[derive(Debug, Args, Serialize, Deserialize)]
pub struct Receiving {
    /// The folder for received files
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// Which end listens, and at which address.
    #[command(flatten)]
    pub meeting: Meeting,
    /// The maximum size of a file in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 30)]
    pub max_size: u64,
    /// Replace a file that has the same name
    #[arg(long)]
    pub overwrite: bool,
    /// The hash function of the printed digest, unless the sender names one
    #[arg(long, value_enum, value_name = "FUNCTION", default_value_t)]
    pub hash: Hash,
    /// Keep and continue unfinished files of senders with --resume: up to 16 files with a total size of --max-size;
    /// the oldest are removed first
    #[arg(long)]
    pub resume: bool,
    /// With --bind: exit after the first successful transfer
    #[arg(long, conflicts_with = "to")]
    pub once: bool,
    /// The limits.
    #[command(flatten)]
    pub bounds: Bounds,
}

/// Which of the two ends listens, and at which address.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[group(required = true, multiple = false)]
pub struct Meeting {
    /// Listen here; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<String>,
    /// Connect to this address
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
}

impl Ends {
    fn meeting(&self) -> &Meeting {
        match self {
            Self::Send(Sending { meeting, .. }) | Self::Receive(Receiving { meeting, .. }) => meeting,
        }
    }

    fn once(&self) -> bool {
        match self {
            Self::Send(Sending { once, .. }) | Self::Receive(Receiving { once, .. }) => *once,
        }
    }

    fn limits(&self) -> Limits {
        match self {
            Self::Send(Sending { bounds, .. }) | Self::Receive(Receiving { bounds, .. }) => {
                bounds.limits(&File::LIMITS)
            }
        }
    }

    /// Checks that the file or the folder can be used, before any connection is made.
    fn prepare(&self) -> Result<Transfer<'_>, EndError> {
        match self {
            Self::Send(args) => match check(&args.path) {
                Ok(()) => Ok(Transfer::Send(args)),
                Err(source) => Err(EndError::Local {
                    what: format!("cannot send {}", args.path.display()),
                    hint: "PATH must be a file that you may read, and its name must not begin with a dot"
                        .to_owned(),
                    source,
                }),
            },
            Self::Receive(args) => match Store::open(&args.into, args.overwrite, args.max_size) {
                Ok(store) => Ok(Transfer::Receive(args, store)),
                Err(error) => Err(EndError::Local {
                    what: format!("cannot receive files into {}", args.into.display()),
                    hint: if args.into.exists() {
                        "--into must be a folder that you may write to".to_owned()
                    } else {
                        format!("create the folder first: mkdir -p {}", args.into.display())
                    },
                    source: ConnectionError::Refused(chain(&error)),
                }),
            },
        }
    }
}

impl End for Ends {
    fn needs(&self) -> Needs {
        match (&self.meeting().to, self) {
            (None, _) => Needs::listen(self.limits().connections),
            (Some(to), Self::Send(_)) => Needs::connect(to, "file receive --into DIR"),
            (Some(to), Self::Receive(_)) => Needs::connect(to, "file send PATH"),
        }
    }

    fn run(&self, context: Context<'_>) -> Result<(), EndError> {
        let transfer = self.prepare()?;
        let limits = self.limits();
        let Meeting { bind, to } = self.meeting();
        match (bind, to) {
            (Some(bind), _) => serve(&transfer, bind, limits, self.once(), &context),
            (None, to) => {
                let connection = connect(to.as_deref().unwrap_or_default(), &limits, context.log)?;
                Ok(transfer.run(&connection)?)
            }
        }
    }
}

fn serve(
    transfer: &Transfer<'_>,
    bind: &str,
    limits: Limits,
    once: bool,
    context: &Context<'_>,
) -> Result<(), EndError> {
    let server = Server::bind(bind, limits, context.log)?;
    let (done, is_done) = UnixStream::pair().map_err(ConnectionError::io("cannot create a socket pair"))?;
    // Closing this end makes the other one readable, which stops the server.
    let done = Mutex::new(Some(done));
    let mut stops = context.stops.to_vec();
    stops.push(is_done.as_fd());
    server.serve(&stops, plain_line, |connection| {
        transfer.run(connection)?;
        if once {
            *done.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    })?;
    Ok(())
}

/// A transfer whose file or folder is usable.
enum Transfer<'a> {
    Send(&'a Sending),
    Receive(&'a Receiving, Store),
}

impl Transfer<'_> {
    fn run(&self, connection: &Connection) -> Result<(), ConnectionError> {
        let report = match self {
            Self::Send(Sending { path, hash, resume, .. }) => {
                let sum = send(connection, path, *hash, *resume)?;
                format!("sent {} {hash} {sum}", path.display())
            }
            Self::Receive(Receiving { max_size, hash, resume, .. }, store) => {
                let Received { name, size, sum } = receive(connection, store, *max_size, *hash, *resume)?;
                format!("received {name} {size} bytes {} {sum}", sum.hash)
            }
        };
        connection.tell(What::Message(report));
        Ok(())
    }
}
