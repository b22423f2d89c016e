//! The client: prints the server's frames while it sends its own.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::framing::{BUFFER, receive_all};
use crate::net::input::Line;
use crate::net::program::EndError;
use crate::wire::frame::encode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

sentences! {
    /// Remarks of the client.
    enum Note {
        LastLinesLost => "the server has closed: the last lines are lost", "服务器已关闭：最后几行丢失了";
    }
}

/// How long to wait for another line of input after the server has ended its direction.
const LAST_LINES: Duration = Duration::from_millis(300);

/// Reports each frame of the server, and sends each line as a frame of up to `limit` bytes. Returns when both directions
/// have ended, or when the server's has and no further line arrives.
///
/// # Errors
/// If a frame is too long or not UTF-8, or the connection stalls or breaks.
pub(super) fn talk(connection: &Connection, input: &Receiver<Line>, limit: usize) -> Result<(), EndError> {
    let server_ended = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let receive = move || {
            let received = receive_all(connection, limit, BUFFER);
            server_ended.store(true, Ordering::Relaxed);
            received
        };
        let receiving = std::thread::Builder::new().spawn_scoped(scope, receive);
        let receiving = receiving.map_err(ConnectionError::no_thread)?;
        let sent = send_lines(connection, input, limit, server_ended);
        connection.finish_sending();
        let received = receiving.join().expect("receiving frames does not panic");
        match (received, sent) {
            // Python's server closes once it has sent its messages. Lines sent after that are lost, which is not an
            // error.
            (Ok(()), Err(ConnectionError::Reset)) => {
                connection.note(Note::LastLinesLost);
                Ok(())
            }
            (received, sent) => received.and(sent),
        }
    })?;
    Ok(())
}

fn send_lines(
    connection: &Connection,
    input: &Receiver<Line>,
    limit: usize,
    server_ended: &AtomicBool,
) -> Result<(), ConnectionError> {
    loop {
        let line = match input.recv_timeout(LAST_LINES) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) if server_ended.load(Ordering::Relaxed) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => continue,
        };
        match line {
            Line::Text(line) => connection.write_all(&encode(line.as_bytes(), limit)?)?,
            Line::Refused(why) => connection.note(why),
        }
    }
}
