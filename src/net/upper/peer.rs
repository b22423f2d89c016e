//! One connection without a thread of its own: what both servers do when it has a turn.

use super::upper;
use crate::net::connection::ConnectionError;
use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use crate::net::text::TextDecoder;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// Bytes that are read in one turn. One connection can make the server hold about three times as much, for a
/// character can grow in upper case.
pub(super) const TURN: usize = 16 << 10;

/// What a turn of a connection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// More may be there: give it another turn, after the others.
    Again,
    /// Nothing more can be done until the kernel has something for it.
    Wait,
    /// The client has ended and has all its answers.
    Done,
}

/// A connection that waits for its turns.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    decoder: TextDecoder,
    /// What the client has not taken yet; nothing is read until it has.
    pending: Vec<u8>,
    opened: Instant,
    moved: Instant,
    ended: bool,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, address: SocketAddr) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let now = Instant::now();
        let decoder = TextDecoder::default();
        Ok(Self { stream, address, decoder, pending: Vec::new(), opened: now, moved: now, ended: false })
    }

    /// Writes what is pending, or reads once and writes the answer; never blocks.
    pub(super) fn turn(&mut self, buffer: &mut [u8], log: &Log) -> Result<Turn, ConnectionError> {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.send(&pending, log)?;
            if !self.pending.is_empty() {
                return Ok(Turn::Wait);
            }
        }
        if self.ended {
            return Ok(Turn::Done);
        }
        match self.stream.read(buffer) {
            Ok(0) => {
                log.received(self.address, &[]);
                self.decoder.end()?;
                self.ended = true;
                Ok(Turn::Done)
            }
            Ok(n) => {
                log.received(self.address, &buffer[..n]);
                self.moved = Instant::now();
                let answer = upper(&self.decoder.decode(&buffer[..n])?);
                self.send(answer.as_bytes(), log)?;
                Ok(if self.pending.is_empty() { Turn::Again } else { Turn::Wait })
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Ok(Turn::Wait),
                ErrorKind::Interrupted => Ok(Turn::Again),
                _ => Err(ConnectionError::Reset),
            },
        }
    }

    fn send(&mut self, bytes: &[u8], log: &Log) -> Result<(), ConnectionError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = log.before_send();
            match self.stream.write(rest) {
                Ok(n) => {
                    log.sent(at, self.address, &rest[..n]);
                    self.moved = Instant::now();
                    rest = &rest[n..];
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => break,
                    _ => return Err(ConnectionError::Reset),
                },
            }
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    /// An error when the connection has used up its idle or its whole time.
    pub(super) fn check_time(&self, limits: &Limits, now: Instant) -> Result<(), ConnectionError> {
        if now.saturating_duration_since(self.opened) >= limits.total {
            return Err(ConnectionError::Total(limits.total));
        }
        if now.saturating_duration_since(self.moved) >= limits.idle {
            return Err(ConnectionError::Idle(limits.idle));
        }
        Ok(())
    }

    pub(super) fn tell(&self, log: &Log, what: What) {
        log.tell(Some(self.address), what);
    }
}
