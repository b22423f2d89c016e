//! One end of one program as a value: what the command line asks for, and what a demo hands to the
//! process that is to be that end.

use crate::net::auth::{self, Attempts, Key, Scheme};
use crate::net::client::{ClientError, connect};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::datagram::{self, Patience, Receiving};
use crate::net::event::{Log, What};
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::net::server::Server;
use crate::net::sticky::{self, Reading, Sending};
use crate::net::transfer::digest::Hash;
use crate::net::transfer::receive::{Received, receive};
use crate::net::transfer::send::{check, send};
use crate::net::transfer::store::Store;
use crate::net::upper::{self, Report};
use crate::net::workers::Workers;
use crate::net::{chat, echo, frames};
use crate::wire::frame;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;

/// An end that waits for others at an address (`HOST:PORT`, port 0 for any).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Serving {
    /// What the input says goes to everyone who is connected.
    Chat,
    /// Answers datagrams.
    Udp(Receiving),
    /// Shows what reads make of a stream.
    Sticky(Reading),
    /// Sends these messages to each client, and shows the frames that come.
    Frames(Vec<String>),
    /// Sends everything back.
    Echo {
        /// A process for each connection instead of a thread.
        processes: bool,
    },
    /// Sends everything back in upper case.
    Upper {
        /// By asking all sockets without end, instead of by readiness.
        busy: bool,
    },
    /// As `Upper`, for those who have the key.
    Auth(Scheme, Key),
    /// Sends a file to each client, or receives one from each.
    File(Transfer, Until),
}

/// An end that goes to an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Connecting {
    /// Lines go out, messages come in.
    Chat,
    /// A line a datagram.
    Udp(Patience),
    /// Many small sends.
    Sticky(Sending),
    /// A line a frame.
    Frames,
    /// A line, and the same line back.
    Echo,
    /// A line, and the line in upper case back.
    Upper,
    /// As `Upper`, after the key was proven.
    Auth(Scheme, Key),
    /// Sends a file, or receives one.
    File(Transfer),
}

/// Which way a file goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Transfer {
    /// From here.
    Send {
        /// The file.
        path: PathBuf,
        /// The function of its digest.
        hash: Hash,
        /// Whether the other end says where to go on.
        resume: bool,
    },
    /// To here.
    Receive {
        /// The folder.
        into: PathBuf,
        /// The largest file in bytes.
        limit: u64,
        /// Whether a file of the same name is replaced.
        overwrite: bool,
        /// The function of a file's digest where the sender names none.
        hash: Hash,
        /// Whether an unfinished file is kept, and gone on with.
        resume: bool,
    },
}

/// How long an end that waits for others goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// Until it is asked to stop.
    Stopped,
    /// Until one transfer has succeeded, or it is asked to stop.
    Once,
}

impl Serving {
    /// Serves at `address` until one of `stops` is readable; `lines` feed the programs that speak.
    ///
    /// # Errors
    /// When the address cannot be served.
    pub fn run(
        self,
        address: &str,
        limits: Limits,
        lines: Receiver<Line>,
        stops: &[BorrowedFd<'_>],
        log: &Log,
    ) -> Result<(), ClientError> {
        if let Self::Udp(receiving) = self {
            return datagram::serve(address, receiving, stops, log);
        }
        let server = Server::bind(address, limits, log)?;
        let text = |why: &str| format!("{why}\n").into_bytes();
        match self {
            Self::Udp(_) => unreachable!("a datagram server has no connections and was served above"),
            Self::Chat => {
                let room = chat::Room::default();
                let (speaker, notes) = (room.clone(), log.clone());
                // Detached, as it may wait for a terminal; it ends with the process.
                let speak = move || speaker.speak(&lines, &notes);
                std::thread::Builder::new().spawn(speak).map_err(ConnectionError::no_thread)?;
                server.serve(stops, text, |connection| room.serve_one(connection, &limits))?;
            }
            Self::Sticky(reading) => {
                server.serve(stops, text, |connection| sticky::serve_one(connection, reading, &limits))?;
            }
            Self::Frames(messages) => {
                let framed = |why: &str| frame::encode(why.as_bytes(), 1024).unwrap_or_default();
                let serve = |connection: &Connection| frames::serve_one(connection, &messages, &limits);
                server.serve(stops, framed, serve)?;
            }
            Self::Echo { processes: false } => server.serve(stops, text, echo::serve_one)?,
            Self::Echo { processes: true } => {
                let workers = Workers::new(limits, log).map_err(ConnectionError::io("no supervisor"))?;
                server.serve(stops, text, |connection| workers.serve_one(connection))?;
            }
            Self::Upper { busy } => {
                let (listener, serve) =
                    (server.into_listener(), if busy { upper::busy::serve } else { upper::ready::serve });
                let report = serve(listener, &limits, stops, log)?;
                log.tell(None, What::Note(told(&report)));
            }
            Self::Auth(scheme, key) => {
                let attempts = Attempts::default();
                server
                    .serve(stops, text, |connection| auth::serve_one(connection, scheme, &key, &attempts))?;
            }
            Self::File(transfer, until) => {
                let prepared = transfer.prepare()?;
                let (done, is_done) = UnixStream::pair().map_err(ConnectionError::io("no socket pair"))?;
                // Closing its other end makes it readable, which stops the server.
                let done = Mutex::new(Some(done));
                let mut stops = stops.to_vec();
                stops.push(is_done.as_fd());
                server.serve(&stops, text, |connection| {
                    prepared.run(connection)?;
                    if until == Until::Once {
                        *done.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

impl Connecting {
    /// Goes to `address` and does what the program does there; `lines` are what it says.
    ///
    /// # Errors
    /// When the server cannot be reached, or the conversation does not end well.
    pub fn run(
        self,
        address: &str,
        limits: Limits,
        lines: Receiver<Line>,
        log: &Log,
    ) -> Result<(), ClientError> {
        match self {
            Self::Chat => chat::run_client(address, &limits, lines, log),
            Self::Udp(patience) => datagram::run_client(address, patience, &lines, log),
            Self::Sticky(sending) => sticky::run_client(address, sending, &limits, log),
            Self::Frames => frames::run_client(address, &limits, lines, log),
            Self::Echo => echo::run_client(address, &limits, &lines, log),
            Self::Upper => upper::run_client(address, &limits, &lines, log),
            Self::Auth(scheme, key) => auth::run_client(address, scheme, &key, &limits, &lines, log),
            Self::File(transfer) => {
                let prepared = transfer.prepare()?;
                Ok(prepared.run(&connect(address, &limits, log)?)?)
            }
        }
    }
}

/// A transfer whose file or folder has been found to be usable, before anyone is bothered.
enum Prepared {
    Send { path: PathBuf, hash: Hash, resume: bool },
    Receive { store: Store, limit: u64, hash: Hash, resume: bool },
}

impl Transfer {
    fn prepare(self) -> Result<Prepared, ClientError> {
        match self {
            Self::Send { path, hash, resume } => match check(&path) {
                Ok(()) => Ok(Prepared::Send { path, hash, resume }),
                Err(source) => Err(ClientError::Path { path, sending: true, source }),
            },
            Self::Receive { into, limit, overwrite, hash, resume } => {
                match Store::open(&into, overwrite, limit) {
                    Ok(store) => Ok(Prepared::Receive { store, limit, hash, resume }),
                    Err(error) => {
                        let source = ConnectionError::Refused(crate::net::event::chain(&error));
                        Err(ClientError::Path { path: into, sending: false, source })
                    }
                }
            }
        }
    }
}

impl Prepared {
    fn run(&self, connection: &Connection) -> Result<(), ConnectionError> {
        let told = match self {
            Self::Send { path, hash, resume } => {
                let sum = send(connection, path, *hash, *resume)?;
                format!("sent {} {hash} {sum}", path.display())
            }
            Self::Receive { store, limit, hash, resume } => {
                let Received { name, size, sum } = receive(connection, store, *limit, *hash, *resume)?;
                format!("received {name} {size} bytes {} {sum}", sum.hash)
            }
        };
        connection.tell(What::Message(told));
        Ok(())
    }
}

fn told(report: &Report) -> String {
    let (user, kernel) = report.cpu;
    let (used, wall) = ((user + kernel).as_secs_f64(), report.wall.as_secs_f64());
    format!(
        "{} connections, at most {} at once; {used:.2} s of processor time ({:.2} user, {:.2} kernel) in {wall:.1} s: {:.1} % of a core",
        report.connections,
        report.most,
        user.as_secs_f64(),
        kernel.as_secs_f64(),
        100.0 * used / wall.max(0.001)
    )
}
