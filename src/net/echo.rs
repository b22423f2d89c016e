//! `echo`: every byte comes back, one thread a connection as in Python's `ThreadingTCPServer`.

use crate::net::client::{ClientError, connect};
use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::{Log, What};
use crate::net::input::Line;
use crate::net::limits::Limits;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// What one connection makes the server hold.
const BUFFER: usize = 16 << 10;

/// Sends back what comes until the client ends its sending.
///
/// # Errors
/// When the client stops reading or writing for the idle time, lasts too long, or is gone.
pub fn serve_one(connection: &Connection) -> Result<(), ConnectionError> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            n => connection.write_all(&buffer[..n])?,
        }
    }
}

/// Sends each line and tells what came back, until the lines end.
///
/// # Errors
/// When the server cannot be reached, does not answer, or answers with other bytes.
pub fn run_client(
    address: &str,
    limits: &Limits,
    lines: &Receiver<Line>,
    log: &Log,
) -> Result<(), ClientError> {
    let connection = connect(address, limits, log)?;
    talk(&connection, lines, str::to_owned)?;
    Ok(())
}

/// Sends each line and waits for its answer, of which only `answer` knows what it must be: there are
/// no borders on the wire, so its length says where it ends.
pub(crate) fn talk(
    connection: &Connection,
    lines: &Receiver<Line>,
    answer: fn(&str) -> String,
) -> Result<(), ConnectionError> {
    for line in lines {
        match line {
            Line::Refused(why) => connection.tell(What::Note(why)),
            Line::Text(line) if line.is_empty() => {}
            Line::Text(line) => {
                let want = answer(&line);
                let got = exchange(connection, line.as_bytes(), want.len())?;
                if got != want.as_bytes() {
                    let got = String::from_utf8_lossy(&got).into_owned();
                    return Err(ConnectionError::Refused(format!("the answer is not {want:?} but {got:?}")));
                }
                connection.tell(What::Message(want));
            }
        }
    }
    goodbye(connection);
    Ok(())
}

/// Sends all of `message` and receives `want` bytes, both at once: a peer that answers before it has
/// read everything would otherwise wait for us while we wait for it.
fn exchange(connection: &Connection, message: &[u8], want: usize) -> Result<Vec<u8>, ConnectionError> {
    let mut answer = vec![0; want];
    if message.len() <= BUFFER {
        connection.write_all(message)?;
        connection.read_exact(&mut answer, "the answer")?;
        return Ok(answer);
    }
    std::thread::scope(|scope| {
        let send = || connection.write_all(message).inspect_err(|_| connection.cut());
        let sending = std::thread::Builder::new().spawn_scoped(scope, send);
        let sending = sending.map_err(ConnectionError::no_thread)?;
        let received = connection.read_exact(&mut answer, "the answer").inspect_err(|_| connection.cut());
        let sent = sending.join().expect("sending does not panic");
        sent.and(received)
    })?;
    Ok(answer)
}

/// Ends our sending and waits shortly for the server to end its own, so that the last bytes are not
/// overtaken by a reset. Python programs that never notice the end of a stream are not waited for.
pub(crate) fn goodbye(connection: &Connection) {
    connection.finish_sending();
    let until = Instant::now() + Duration::from_secs(1);
    let mut rest = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match connection.read_timeout(&mut rest, left) {
            Ok(Some(n)) if n > 0 && !left.is_zero() => {}
            _ => return,
        }
    }
}
