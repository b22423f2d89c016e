//! One connection without a thread of its own: what both servers do in its turn.

use super::upper;
use crate::net::connection::ConnectionError;
use crate::net::event::{Log, What};
use crate::net::limits::Limits;
use crate::net::text::TextDecoder;
use crate::sys::socket::set_nonblocking;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// How many bytes are read in one turn. One connection can make the server hold about three times as many, because a
/// character can grow in upper case.
pub(super) const TURN: usize = 16 << 10;

/// How many connections are accepted before the open ones get their turns.
pub(super) const ACCEPTS: usize = 128;

/// The result of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// More may have arrived: give it another turn, after the others.
    Again,
    /// Everything that had arrived was read.
    Emptied,
    /// Nothing can be done until the kernel reports a change.
    Wait,
    /// The client has ended its direction and has received all answers.
    Done,
}

/// A connection that is served in turns.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    decoder: TextDecoder,
    /// Answers that the client has not read yet; until it has, nothing is read from it.
    pending: Vec<u8>,
    opened: Instant,
    moved: Instant,
    ended: bool,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, address: SocketAddr) -> io::Result<Self> {
        set_nonblocking(&stream)?;
        let now = Instant::now();
        let decoder = TextDecoder::default();
        Ok(Self { stream, address, decoder, pending: Vec::new(), opened: now, moved: now, ended: false })
    }

    /// Writes what is pending, or reads once and writes the answer; never blocks.
    pub(super) fn turn(
        &mut self,
        buffer: &mut [u8],
        now: Instant,
        log: &Log,
    ) -> Result<Turn, ConnectionError> {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.send(&pending, now, log)?;
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
                self.moved = now;
                let is_all = n < buffer.len();
                let text = &mut buffer[..n];
                if text.is_ascii() && self.decoder.is_between_characters() {
                    text.make_ascii_uppercase();
                    self.decoder.skip(n);
                    self.send(text, now, log)?;
                } else {
                    let answer = upper(&self.decoder.decode(text)?);
                    self.send(answer.as_bytes(), now, log)?;
                }
                Ok(match (self.pending.is_empty(), is_all) {
                    (false, _) => Turn::Wait,
                    (true, true) => Turn::Emptied,
                    (true, false) => Turn::Again,
                })
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Ok(Turn::Wait),
                ErrorKind::Interrupted => Ok(Turn::Again),
                _ => Err(ConnectionError::Reset),
            },
        }
    }

    fn send(&mut self, bytes: &[u8], now: Instant, log: &Log) -> Result<(), ConnectionError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = log.before_send();
            match self.stream.write(rest) {
                Ok(n) => {
                    log.sent(at, self.address, &rest[..n]);
                    self.moved = now;
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

    /// Checks the idle time and the duration of the connection.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Duration;

    /// What a client gets back for each piece that it sends, and the turns that the pieces took.
    fn answers(pieces: &[&[u8]], buffer: usize) -> (Vec<u8>, Vec<Turn>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, address) = listener.accept().unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut peer = Peer::new(stream, address).unwrap();
        let (mut buffer, log, mut turns) = (vec![0; buffer], Log::new(drop), Vec::new());
        for piece in pieces {
            client.write_all(piece).unwrap();
            let until = Instant::now() + Duration::from_secs(10);
            while Instant::now() < until {
                match peer.turn(&mut buffer, Instant::now(), &log).unwrap() {
                    // It has not been delivered yet.
                    Turn::Wait => std::thread::yield_now(),
                    Turn::Again => turns.push(Turn::Again),
                    turn => {
                        turns.push(turn);
                        break;
                    }
                }
            }
        }
        drop(peer);
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        (got, turns)
    }

    #[test]
    fn ascii_and_split_characters_come_back_in_upper_case_and_in_order() {
        let fire = "火".as_bytes();
        let pieces: [&[u8]; 5] = [b"abc", &fire[..1], &fire[1..], b"d", "straße".as_bytes()];
        let (got, turns) = answers(&pieces, TURN);
        assert_eq!(String::from_utf8(got).unwrap(), "ABC火DSTRASSE");
        assert_eq!(turns, [Turn::Emptied; 5], "a short read leaves nothing behind");
    }

    #[test]
    fn a_full_buffer_gets_another_turn() {
        let (got, turns) = answers(&[b"abcdef"], 4);
        assert_eq!((&got[..], &turns[..]), (&b"ABCDEF"[..], &[Turn::Again, Turn::Emptied][..]));
    }

    #[test]
    fn the_place_of_a_wrong_byte_counts_ascii_before_it() {
        let mut decoder = TextDecoder::default();
        decoder.skip(3);
        assert!(matches!(decoder.decode(b"a\xff"), Err(crate::net::text::TextError::Invalid { at: 4 })));
    }
}
