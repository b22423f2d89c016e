//! Exchange of lines and answers.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::What;
use crate::net::input::Line;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Messages up to this size are sent completely before the answer is read.
const AT_ONCE: usize = 16 << 10;

/// How long the server may take to end its direction after the client has.
const GOODBYE: Duration = Duration::from_secs(1);

/// Sends each line and waits for its answer, which `answer` predicts: the wire has no message boundaries, so the
/// predicted length says where the answer ends.
///
/// # Errors
/// If an answer differs from the prediction, or the connection stalls or breaks.
pub(crate) fn talk(
    connection: &Connection,
    input: &Receiver<Line>,
    answer: fn(&str) -> String,
) -> Result<(), ConnectionError> {
    for line in input {
        match line {
            Line::Refused(why) => connection.note(why),
            Line::Text(line) if line.is_empty() => {}
            Line::Text(line) => {
                let want = answer(&line);
                let got = exchange(connection, line.as_bytes(), want.len())?;
                if got != want.as_bytes() {
                    let got = String::from_utf8_lossy(&got).into_owned();
                    return Err(ConnectionError::Refused(format!(
                        "expected the answer {want:?}, got {got:?}"
                    )));
                }
                connection.tell(What::Message(want));
            }
        }
    }
    goodbye(connection);
    Ok(())
}

/// Sends all of `message` and receives `want` bytes at the same time: otherwise this end and a peer that answers
/// before it has read everything would wait for each other.
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

/// Ends the sending direction and waits briefly for the server to do the same, so that a reset does not overtake the
/// last bytes. The wait is short because some Python programs never notice the end of a stream.
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
