//! Connections that a server cannot serve: each is told why, and repeated failures of `accept` do not flood the
//! log.
//!
//! Nothing here blocks or needs a thread, so a client that does not read delays no other client.

use crate::net::event::{Log, What};
use crate::sys::socket::set_nonblocking;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a rejected connection stays open, so that its client can read why.
const STAY: Duration = Duration::from_millis(200);
/// How many rejected connections stay open at once; above that, the oldest is closed early.
const STAYING: usize = 64;
/// How long a server waits after `accept` failed for lack of descriptors or memory.
pub(crate) const REST: Duration = Duration::from_millis(100);

/// The rejected connections, and whether `accept` currently fails.
#[derive(Debug, Default)]
pub(crate) struct Door {
    leaving: VecDeque<(Instant, TcpStream)>,
    failing: bool,
}

impl Door {
    /// Sends `reply` and ends the stream. The connection is closed a little later by
    /// [`close_due`](Self::close_due): closing a socket that holds unread bytes resets the connection,
    /// and the reset can overtake the reply.
    pub(crate) fn turn_away(&mut self, stream: TcpStream, reply: &[u8]) {
        if self.leaving.len() >= STAYING
            && let Some((_, oldest)) = self.leaving.pop_front()
        {
            close(&oldest);
        }
        let _ = set_nonblocking(&stream);
        let _ = (&stream).write(reply);
        let _ = stream.shutdown(Shutdown::Write);
        self.leaving.push_back((Instant::now() + STAY, stream));
    }

    /// Closes the connections whose time is up.
    pub(crate) fn close_due(&mut self) {
        let now = Instant::now();
        while self.leaving.front().is_some_and(|(at, _)| *at <= now) {
            self.leaving.pop_front().iter().for_each(|(_, stream)| close(stream));
        }
    }

    /// The time until the next connection must be closed.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.leaving.front().map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    /// `accept` succeeded.
    pub(crate) fn accepted(&mut self) {
        self.failing = false;
    }

    /// `accept` failed. Returns whether the server must pause before the next attempt: without descriptors or memory it
    /// would fail again immediately. This is logged once until a connection is accepted again.
    pub(crate) fn accept_failed(&mut self, error: &io::Error, log: &Log) -> bool {
        // The client left before it was accepted, or another thread was faster.
        if matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
        ) {
            return false;
        }
        if !self.failing {
            log.tell(None, What::Failed(format!("cannot accept connections: {error}")));
        }
        self.failing = true;
        self.leaving.drain(..).for_each(|(_, stream)| close(&stream));
        true
    }
}

/// Rejects `stream` because `limit` connections are open, and logs that.
pub(crate) fn refuse_above_limit(
    door: &mut Door,
    stream: TcpStream,
    peer: SocketAddr,
    limit: usize,
    reply: fn(&str) -> Vec<u8>,
    log: &Log,
) {
    let why = format!("busy: the limit of {limit} connections is reached; try again later");
    door.turn_away(stream, &reply(&why));
    log.tell(Some(peer), What::Failed(why));
}

/// Discards what has arrived, so that closing the socket does not reset the connection.
fn close(mut stream: &TcpStream) {
    let mut discarded = [0; 16 << 10];
    // Bounded: a client that never stops sending is reset.
    for _ in 0..64 {
        match stream.read(&mut discarded) {
            Ok(n) if n > 0 => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    #[test]
    fn many_silent_clients_delay_no_reply() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut door = Door::default();
        let began = Instant::now();
        let mut clients: Vec<_> = (0..200)
            .map(|_| {
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                door.turn_away(listener.accept().unwrap().0, b"busy\n");
                client
            })
            .collect();
        let mut reply = String::new();
        clients[199].read_to_string(&mut reply).unwrap();
        assert_eq!(reply, "busy\n");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(door.leaving.len(), STAYING);
    }

    #[test]
    fn a_kernel_that_accepts_nothing_is_logged_once_until_it_accepts_again() {
        let lines = Arc::new(Mutex::new(0));
        let count = Arc::clone(&lines);
        let log = Log::new(move |_| *count.lock().unwrap() += 1);
        let mut door = Door::default();
        let full = || io::Error::from_raw_os_error(24);
        assert!(!door.accept_failed(&ErrorKind::WouldBlock.into(), &log));
        for _ in 0..3 {
            assert!(door.accept_failed(&full(), &log));
        }
        assert_eq!(*lines.lock().unwrap(), 1);
        door.accepted();
        assert!(door.accept_failed(&full(), &log));
        assert_eq!(*lines.lock().unwrap(), 2);
    }
}
