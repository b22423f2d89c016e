//! A line out, its answer back.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::What;
use crate::net::input::Line;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Messages up to this size are sent as a whole before the answer is read.
const AT_ONCE: usize = 16 << 10;

/// How long the server has to end its sending after the client did.
const GOODBYE: Duration = Duration::from_secs(1);

/// Sends each line and waits for its answer, which `answer` predicts: the wire has no message boundaries, so the
/// predicted length says where the answer ends.
///
/// # Errors
/// When an answer is another one, or the connection stalls or breaks.
pub(crate) fn talk(
    connection: &Connection,
    input: &Receiver<Line>,
    answer: fn(&str) -> String,
) -> Result<(), ConnectionError> {
    for line in input {
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

/// Sends all of `message` and receives `want` bytes, both at once: otherwise a peer that answers before it has read
/// everything would wait for this end while this end waits for it.
fn exchange(connection: &Connection, message: &[u8], want: usize) -> Result<Vec<u8>, ConnectionError> {
    let mut answer = vec![0; want];
    if message.len() <= AT_ONCE {
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

/// Ends the sending and waits a moment for the server to end its own, so that a reset does not overtake the last
/// bytes. Python programs that never notice the end of a stream are not waited for.
pub(crate) fn goodbye(connection: &Connection) {
    connection.finish_sending();
    let until = Instant::now() + GOODBYE;
    let mut rest = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match connection.read_timeout(&mut rest, left) {
            Ok(Some(n)) if n > 0 && !left.is_zero() => {}
            _ => return,
        }
    }
}
