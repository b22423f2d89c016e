//! Frames on a connection: messages preceded by their length.

use crate::net::connection::{Connection, ConnectionError};
use crate::net::event::What;
use crate::net::text::TextError;
use crate::wire::frame::{FrameDecoder, FrameError, PREFIX};

/// The size of a read.
pub(crate) const BUFFER: usize = 16 << 10;

/// Receives frames of up to `limit` bytes, in reads of up to `size` bytes, to the end of the stream, and reports
/// each as a message.
///
/// # Errors
/// If a frame is too long or not UTF-8, or the stream ends inside one.
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

/// Receives one frame, which must not be empty: a header or an answer. `ahead` contains bytes that were received
/// earlier, and on return those that arrived after the frame.
///
/// # Errors
/// If the frame is empty or longer than `limit`, or the stream ends first.
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
            return Err(FrameError::Cut { got: 0, want: PREFIX }.into());
        }
        came.clear();
        came.extend_from_slice(&buffer[..n]);
    }
}

fn message_text(message: Vec<u8>) -> Result<String, ConnectionError> {
    String::from_utf8(message)
        .map_err(|error| TextError::Invalid { at: error.utf8_error().valid_up_to() as u64 }.into())
}
