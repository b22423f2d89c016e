//! What a network program is: two ends, each a value that the command line or a demo makes, and a demo of both.

use crate::net::address::AddressError;
use crate::net::connection::ConnectionError;
use crate::net::demo::{DemoError, Stage};
use crate::net::event::Log;
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::wire::control::Message;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::Receiver;

/// A network program. It is a folder of its own and one line of the [registry](super::registry).
pub trait Program: 'static {
    /// Its name on the command line.
    const NAME: &'static str;
    /// What it does, in one line.
    const ABOUT: &'static str;
    /// Its limits where the arguments set none.
    const LIMITS: Limits = Limits::DEFAULT;

    /// Its ends: a subcommand each, with the end's parameters as arguments.
    type Ends: clap::Subcommand + End + Message + 'static;

    /// Runs both ends on `stage`, and checks what came of it.
    ///
    /// # Errors
    /// When the demo cannot go on.
    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError>;
}

/// One end of a program, with its parameters.
pub trait End {
    /// What it needs before it can run.
    fn needs(&self) -> Needs;

    /// Runs it to its end. A server ends when one of the stops is readable, a client when its input and the
    /// conversation have ended.
    ///
    /// # Errors
    /// When the address is unusable, a client's conversation fails, or something on this machine is missing.
    fn run(&self, context: Context<'_>) -> Result<(), EndError>;
}

/// What an end runs with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Lines to send, for an end that [reads input](Needs::reading); otherwise none.
    pub input: Receiver<Line>,
    /// A server stops when one of these is readable.
    pub stops: &'a [BorrowedFd<'a>],
    /// Where events go.
    pub log: &'a Log,
}

/// What an end needs before it can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Where it is.
    pub place: Place,
    /// The longest line of input that it sends, in bytes; `None` if it reads no input.
    pub input: Option<usize>,
    /// What it speaks.
    pub transport: Transport,
}

/// Where an end is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It listens.
    Listen {
        /// How many connections it takes at once: a descriptor each.
        connections: usize,
    },
    /// It connects.
    Connect {
        /// To this address, `HOST:PORT`.
        to: String,
        /// The end that must listen there, as a command after `proclab net`.
        other_end: &'static str,
    },
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Streams.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Needs {
    /// A TCP server for up to `connections` at once, without input.
    pub fn listen(connections: usize) -> Self {
        Self { place: Place::Listen { connections }, input: None, transport: Transport::Tcp }
    }

    /// A TCP client without input, for which `other_end` must listen at the address `to`.
    pub fn connect(to: &str, other_end: &'static str) -> Self {
        let place = Place::Connect { to: to.to_owned(), other_end };
        Self { place, input: None, transport: Transport::Tcp }
    }

    /// It reads input, in lines of up to `longest` bytes.
    pub fn reading(self, longest: usize) -> Self {
        Self { input: Some(longest), ..self }
    }

    /// It speaks UDP.
    pub fn over_udp(self) -> Self {
        Self { transport: Transport::Udp, ..self }
    }
}

/// An end could not run, or a client's conversation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndError {
    /// The arguments name something unusable.
    #[error("{what}")]
    Usage {
        /// What is unusable, and why.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file or folder of this machine is unusable.
    #[error("{what}")]
    Local {
        /// What is unusable.
        what: String,
        /// What to do.
        hint: String,
        /// Why.
        #[source]
        source: ConnectionError,
    },
    /// The address is unusable.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The conversation failed.
    #[error("the conversation failed")]
    Connection(#[from] ConnectionError),
}
