//! One conversation: a thread writes, another reads.

use super::turn::Turn;
use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::What;
use crate::net::limits::Limits;
use crate::net::text::TextDecoder;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel};
use std::time::Duration;

/// A pause that ends a message.
const QUIET: Duration = Duration::from_millis(30);
/// How long the other end has to close after one of the two said `Q`.
const PARTING: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) enum Out {
    Text(String),
    /// No more messages will follow.
    End,
}

/// Whether a message ends the conversation.
pub(super) fn is_end(text: &str) -> bool {
    text.trim_end_matches(['\r', '\n']).eq_ignore_ascii_case("q")
}

/// Holds a conversation: another thread writes the messages from `queue`, this one reads, and `show` converts a text
/// into a message.
pub(super) fn converse(
    connection: &Connection,
    limits: &Limits,
    outgoing: &SyncSender<Out>,
    queue: Receiver<Out>,
    turn: Turn,
    show: &dyn Fn(String) -> String,
) -> Result<(), ConnectionError> {
    let (reading_ended, reading) = channel::<()>();
    let idle = limits.idle;
    let wake = outgoing.clone();
    // Wakes the writer, which waits for the queue and not for the socket. If the queue is full, it is not waiting.
    connection.on_cut(move || drop(wake.try_send(Out::End)));
    std::thread::scope(|scope| {
        let turn = &turn;
        let write = move || {
            let written = write_messages(connection, &queue, turn, idle);
            connection.finish_sending();
            if !matches!(written, Ok(Parted::AtEnd)) {
                // `Q` was sent, or nothing more can be sent: give the other end a moment to close as well.
                let _ = reading.recv_timeout(PARTING);
                connection.cut();
            }
            written
        };
        let writer = std::thread::Builder::new().spawn_scoped(scope, write);
        let writer = writer.map_err(ConnectionError::no_thread)?;
        let read = read_messages(connection, limits.message, turn, show);
        match read {
            Ok(Parted::AtEnd) => turn.peer_ended(),
            Ok(Parted::WithQ) => connection.finish_sending(),
            Err(_) => connection.cut(),
        }
        if !matches!(read, Ok(Parted::AtEnd)) {
            turn.end();
            let _ = outgoing.try_send(Out::End);
        }
        // The writer and this thread may wait for each other: end the writer's wait first.
        drop(reading_ended);
        let written = writer.join().expect("writing messages does not panic");
        match (read, written) {
            // After a `Q` in either direction it does not matter how the other end closes.
            (Ok(Parted::WithQ), _) | (_, Ok(Parted::WithQ)) => Ok(()),
            (read, written) => read.and(written).map(|_| ()),
        }
    })
}

/// How one direction ended: with a `Q`, or with the end of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parted {
    WithQ,
    AtEnd,
}

fn write_messages(
    connection: &Connection,
    queue: &Receiver<Out>,
    turn: &Turn,
    idle: Duration,
) -> Result<Parted, ConnectionError> {
    loop {
        let text = match queue.recv_timeout(idle) {
            Ok(Out::Text(text)) if turn.wait() => text,
            // The peer has closed one direction or both; which of them cannot be seen yet.
            Err(RecvTimeoutError::Timeout) if !turn.has_peer_ended() => continue,
            _ => return Ok(Parted::AtEnd),
        };
        connection.write_all(text.as_bytes())?;
        turn.sent();
        if is_end(&text) {
            return Ok(Parted::WithQ);
        }
    }
}

fn read_messages(
    connection: &Connection,
    limit: usize,
    turn: &Turn,
    show: &dyn Fn(String) -> String,
) -> Result<Parted, ConnectionError> {
    let mut decoder = TextDecoder::default();
    let mut buffer = vec![0; limit.clamp(1, 16 << 10)];
    let mut text = String::new();
    loop {
        let got = if text.is_empty() {
            Some(connection.read(&mut buffer)?)
        } else {
            connection.read_timeout(&mut buffer, QUIET)?
        };
        let ended = got == Some(0);
        if let Some(n) = got {
            text += &decoder.decode(&buffer[..n])?;
        }
        // A stream without a pause is shown in pieces of the maximum length, so that memory stays bounded.
        if (got.is_none() || ended || text.len() >= limit) && !text.is_empty() {
            turn.received();
            if is_end(&text) {
                return Ok(Parted::WithQ);
            }
            let message = std::mem::take(&mut text);
            connection.tell(What::Message(show(message.trim_end_matches(['\r', '\n']).to_owned())));
        }
        if ended {
            decoder.end()?;
            return Ok(Parted::AtEnd);
        }
    }
}
