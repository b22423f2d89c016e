//! `frames`: messages with their length before them, so that a stream has borders after all.

use crate::net::client::{ClientError, connect};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::{Log, What};
use crate::net::input::Line;
use crate::net::limits::Limits;
use crate::wire::frame::{FrameDecoder, FrameError, encode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

const BUFFER: usize = 16 << 10;

/// How long a client looks for a further line of its input once the server has ended.
const LAST_LINES: Duration = Duration::from_millis(300);

/// Sends `messages`, a frame each, ends the sending, and tells each frame that the client sends.
///
/// # Errors
/// When the client breaks the frames' rules, ends inside a frame, stalls, or is gone.
pub fn serve_one(
    connection: &Connection,
    messages: &[String],
    limits: &Limits,
) -> Result<(), ConnectionError> {
    for message in messages {
        connection.write_all(&encode(message.as_bytes(), limits.message)?)?;
    }
    connection.finish_sending();
    receive_all(connection, limits.message, BUFFER)
}

/// Tells each frame that the server sends, and sends each line as a frame. It is over when the server
/// has ended and no further line is there, or when both have ended.
///
/// # Errors
/// As [`serve_one`], and when the server cannot be reached.
pub fn run_client(
    address: &str,
    limits: &Limits,
    lines: Receiver<Line>,
    log: &Log,
) -> Result<(), ClientError> {
    let connection = connect(address, limits, log)?;
    let server_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (connection, server_ended) = (&connection, &server_ended);
        let send = move || {
            let sent = send_lines(connection, &lines, limits.message, server_ended);
            connection.finish_sending();
            sent
        };
        let sending = std::thread::Builder::new().spawn_scoped(scope, send);
        let sending = sending.map_err(ConnectionError::no_thread)?;
        let received = receive_all(connection, limits.message, BUFFER);
        server_ended.store(true, Ordering::Relaxed);
        let sent = sending.join().expect("sending frames does not panic");
        match (received, sent) {
            // Python's server closes once it has spoken: what is said to it then is lost, not wrong.
            (Ok(()), Err(ConnectionError::Reset)) => {
                connection.tell(What::Note("the server had closed: the last lines are lost".to_owned()));
                Ok(())
            }
            (received, sent) => received.and(sent),
        }
    })?;
    Ok(())
}

fn send_lines(
    connection: &Connection,
    lines: &Receiver<Line>,
    limit: usize,
    server_ended: &AtomicBool,
) -> Result<(), ConnectionError> {
    loop {
        let line = match lines.recv_timeout(LAST_LINES) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) if server_ended.load(Ordering::Relaxed) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => continue,
        };
        match line {
            Line::Text(line) => connection.write_all(&encode(line.as_bytes(), limit)?)?,
            Line::Refused(why) => connection.tell(What::Note(why)),
        }
    }
}

/// Receives frames in reads of up to `size` bytes, to the end of the stream, which must be at a border.
pub(crate) fn receive_all(connection: &Connection, limit: usize, size: usize) -> Result<(), ConnectionError> {
    let mut decoder = FrameDecoder::new(limit);
    let mut buffer = vec![0; size];
    loop {
        let n = connection.read(&mut buffer)?;
        if n == 0 {
            return Ok(decoder.end()?);
        }
        let mut piece = &buffer[..n];
        while let Some(message) = decoder.decode(&mut piece)? {
            connection.tell(What::Message(message_text(message)?));
        }
    }
}

/// Receives one frame, for a header or an answer, which is not empty. What `ahead` holds came before; what came behind the
/// frame is in it afterwards.
pub(crate) fn receive_one(
    connection: &Connection,
    limit: usize,
    ahead: &mut Vec<u8>,
) -> Result<Vec<u8>, ConnectionError> {
    let mut decoder = FrameDecoder::new(limit);
    let mut buffer = vec![0; BUFFER];
    let mut came = std::mem::take(ahead);
    loop {
        let mut piece = &came[..];
        if let Some(message) = decoder.decode(&mut piece)? {
            if message.is_empty() {
                return Err(FrameError::Empty.into());
            }
            ahead.extend_from_slice(piece);
            return Ok(message);
        }
        let n = connection.read(&mut buffer)?;
        if n == 0 {
            decoder.end()?;
            return Err(FrameError::Cut { got: 0, want: crate::wire::frame::PREFIX }.into());
        }
        came.clear();
        came.extend_from_slice(&buffer[..n]);
    }
}

fn message_text(message: Vec<u8>) -> Result<String, ConnectionError> {
    String::from_utf8(message).map_err(|error| {
        crate::net::text::TextError::Invalid { at: error.utf8_error().valid_up_to() as u64 }.into()
    })
}
