//! `sticky`: small sends without borders, and what the reads at the other end make of them.
//!
//! TCP carries a stream of bytes. Sends may be joined on the way and split by reads, with Nagle's
//! algorithm (RFC 896) on or off: it changes how many packets there are, never that there are no
//! borders. Only a protocol draws borders, as [`crate::net::frames`] do.

use crate::net::client::{ClientError, connect};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::echo::goodbye;
use crate::net::event::{Bytes, Log, What};
use crate::net::frames;
use crate::net::limits::Limits;
use crate::wire::frame::encode;
use std::time::Duration;

/// How the receiving end reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// The size of the buffer of one read.
    pub buffer: usize,
    /// How late the first read is.
    pub late: Duration,
    /// Whether the messages come as frames.
    pub framed: bool,
}

/// How the sending end sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sending {
    /// How many messages.
    pub count: u32,
    /// Whether Nagle's algorithm may hold small segments back; `false` is `TCP_NODELAY`.
    pub nagle: bool,
    /// Whether each message is a frame.
    pub framed: bool,
}

/// The text of message number `n`, as the sending end makes it.
pub fn message(n: u32) -> String {
    format!("message {n};")
}

/// Tells what each read gave, or each frame, to the end of the stream.
///
/// # Errors
/// When the client stalls, breaks the frames' rules, or is gone.
pub fn serve_one(connection: &Connection, reading: Reading, limits: &Limits) -> Result<(), ConnectionError> {
    std::thread::sleep(reading.late);
    let size = reading.buffer.clamp(1, limits.message);
    if reading.framed {
        return frames::receive_all(connection, limits.message, size);
    }
    let mut buffer = vec![0; size];
    let (mut reads, mut bytes) = (0_u64, 0_u64);
    loop {
        let n = connection.read(&mut buffer)?;
        if n == 0 {
            let reads = if reads == 1 { "1 read".to_owned() } else { format!("{reads} reads") };
            connection.tell(What::Note(format!("{bytes} bytes came in {reads}: a stream has no borders")));
            return Ok(());
        }
        reads += 1;
        bytes += n as u64;
        connection.tell(What::Message(format!("read {reads}: {}", Bytes::of(&buffer[..n]))));
    }
}

/// Sends the messages, one system call each.
///
/// # Errors
/// When the server cannot be reached, stalls, or is gone.
pub fn run_client(address: &str, sending: Sending, limits: &Limits, log: &Log) -> Result<(), ClientError> {
    let connection = connect(address, limits, log)?;
    let no_delay = connection.stream().set_nodelay(!sending.nagle);
    no_delay.map_err(ConnectionError::io("TCP_NODELAY cannot be set"))?;
    for n in 1..=sending.count {
        let text = message(n);
        let bytes = if sending.framed {
            encode(text.as_bytes(), limits.message).map_err(ConnectionError::from)?
        } else {
            text.into_bytes()
        };
        connection.write_all(&bytes)?;
    }
    connection.tell(What::Note(format!(
        "{} messages went out in as many sends, with Nagle's algorithm {}",
        sending.count,
        if sending.nagle { "on" } else { "off" }
    )));
    goodbye(&connection);
    Ok(())
}
