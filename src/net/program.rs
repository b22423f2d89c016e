//! The interface of a network program: two ends, each a value that the command line or a demo creates, and a demo.

use crate::net::address::AddressError;
use crate::net::connection::ConnectionError;
use crate::net::demo::{DemoError, Stage};
use crate::net::event::Log;
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::wire::control::Message;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::Receiver;

/// A network program: a folder of its own and one line in the [registry](super::registry).
pub trait Program: 'static {
    /// The name on the command line.
    const NAME: &'static str;
    /// A one-line description.
    const ABOUT: &'static str;
    /// The default limits.
    const LIMITS: Limits = Limits::DEFAULT;

    /// The ends: one subcommand each, with the end's parameters as arguments.
    type Ends: clap::Subcommand + End + Message + 'static;

    /// Runs both ends on `stage` and checks the result.
    ///
    /// # Errors
    /// If the demo cannot continue.
    fn demo(stage: &mut Stage<'_>) -> Result<(), DemoError>;
}

/// One end of a program, with its parameters.
pub trait End {
    /// What the end needs before it can run.
    fn needs(&self) -> Needs;

    /// Runs the end. A server returns when one of the stops is readable, a client when its input and the conversation
    /// have ended.
    ///
    /// # Errors
    /// If the address is unusable, a client's conversation fails, or a local resource is missing.
    fn run(&self, context: Context<'_>) -> Result<(), EndError>;
}

/// The context in which an end runs.
#[derive(Debug)]
pub struct Context<'a> {
    /// Lines to send, for an end that [reads input](Needs::reading); otherwise none.
    pub input: Receiver<Line>,
    /// A server stops when one of these is readable.
    pub stops: &'a [BorrowedFd<'a>],
    /// Receives the events.
    pub log: &'a Log,
}

/// What an end needs before it can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Whether it listens or connects.
    pub opening: Opening,
    /// The maximum length of an input line in bytes; `None` if it reads no input.
    pub input: Option<usize>,
    /// The transport protocol.
    pub transport: Transport,
}

/// Whether an end listens or connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// It listens.
    Listen {
        /// The maximum number of open connections, each of which needs a descriptor.
        connections: usize,
    },
    /// It connects.
    Connect {
        /// The address, `HOST:PORT`.
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
        Self { opening: Opening::Listen { connections }, input: None, transport: Transport::Tcp }
    }

    /// A TCP client without input, for which `other_end` must listen at the address `to`.
    pub fn connect(to: &str, other_end: &'static str) -> Self {
        let opening = Opening::Connect { to: to.to_owned(), other_end };
        Self { opening, input: None, transport: Transport::Tcp }
    }

    /// Adds that it reads input, in lines of up to `longest` bytes.
    pub fn reading(self, longest: usize) -> Self {
        Self { input: Some(longest), ..self }
    }

    /// Adds that it uses UDP.
    pub fn over_udp(self) -> Self {
        Self { transport: Transport::Udp, ..self }
    }
}

/// An end could not run, or a client's conversation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndError {
    /// An argument cannot be used.
    #[error("{what}")]
    Usage {
        /// Which one, and why.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A local file or folder cannot be used.
    #[error("{what}")]
    Local {
        /// Which one.
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
