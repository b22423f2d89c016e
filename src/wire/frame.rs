//! Length-prefixed frames: a signed 32-bit little-endian length, then that many bytes.
//!
//! The bytes are those of `struct.pack('i', n)` on every machine that Python calls little-endian.
//! The decoder does no I/O: it is fed what came, in whatever pieces it came, and every way to split
//! a stream decodes alike. The length is judged before any memory is taken, and memory then grows
//! with the bytes that really came, not with the length that was claimed.

/// Bytes that the length takes on the wire.
pub const PREFIX: usize = 4;

/// A stream of frames broke its own rules, or a message cannot be made a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is negative.
    #[error("a frame's length of {length} is refused: it is negative")]
    Length {
        /// What the four bytes said.
        length: i32,
    },
    /// The message is empty where something must be said.
    #[error("a frame's length of 0 is refused: a header must not be empty")]
    Empty,
    /// The length is above what this end takes.
    #[error("a frame of {length} bytes is refused: the limit is {limit} bytes")]
    TooLong {
        /// The length that was claimed, or that the message has.
        length: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// The stream ended between the first byte of a frame and its last.
    #[error("the stream ended inside a frame: {got} of {want} bytes had come")]
    Cut {
        /// Bytes of the frame that came, its length's bytes included.
        got: usize,
        /// Bytes of the whole frame as far as known: 4 until the length is whole.
        want: usize,
    },
}

/// The four bytes that go before a message of `length` bytes.
///
/// # Errors
/// When the message is longer than `limit` or than an `i32` can say.
pub fn prefix(length: usize, limit: usize) -> Result<[u8; PREFIX], FrameError> {
    match i32::try_from(length) {
        Ok(n) if length <= limit => Ok(n.to_le_bytes()),
        _ => Err(FrameError::TooLong { length, limit }),
    }
}

/// The message as a frame: one buffer, so that one write sends it.
///
/// # Errors
/// As [`prefix`].
pub fn encode(message: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut frame = prefix(message.len(), limit)?.to_vec();
    frame.extend_from_slice(message);
    Ok(frame)
}

/// Puts frames together from the pieces that a stream hands over.
///
/// After an error the stream has lost its borders, so every later call gives the same error.
#[derive(Debug)]
pub struct FrameDecoder {
    limit: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Prefix { bytes: [u8; PREFIX], got: usize },
    Body { bytes: Vec<u8>, want: usize },
    Broken(FrameError),
}

const BORDER: State = State::Prefix { bytes: [0; PREFIX], got: 0 };

impl FrameDecoder {
    /// A decoder at the border before the first frame, that takes messages of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: BORDER }
    }

    /// Takes bytes from the front of `input`, up to the end of one frame, and gives that frame's
    /// message; `None` when all of `input` is used and the frame is not whole yet.
    ///
    /// # Errors
    /// When a length is negative or above the limit.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            match &mut self.state {
                State::Prefix { bytes, got } => {
                    let taken = take(input, PREFIX - *got);
                    bytes[*got..*got + taken.len()].copy_from_slice(taken);
                    *got += taken.len();
                    if *got < PREFIX {
                        return Ok(None);
                    }
                    self.state = match judge(i32::from_le_bytes(*bytes), self.limit) {
                        Ok(want) => State::Body { bytes: Vec::new(), want },
                        Err(error) => State::Broken(error),
                    };
                }
                State::Body { bytes, want } => {
                    bytes.extend_from_slice(take(input, *want - bytes.len()));
                    if bytes.len() < *want {
                        return Ok(None);
                    }
                    let message = std::mem::take(bytes);
                    self.state = BORDER;
                    return Ok(Some(message));
                }
                State::Broken(error) => return Err(error.clone()),
            }
        }
    }

    /// Says whether the stream may end here: only at a border between two frames.
    ///
    /// # Errors
    /// When the end is inside a frame, or the stream was broken before.
    pub fn end(&self) -> Result<(), FrameError> {
        match &self.state {
            State::Prefix { got: 0, .. } => Ok(()),
            State::Prefix { got, .. } => Err(FrameError::Cut { got: *got, want: PREFIX }),
            State::Body { bytes, want } => {
                Err(FrameError::Cut { got: PREFIX + bytes.len(), want: PREFIX + want })
            }
            State::Broken(error) => Err(error.clone()),
        }
    }
}

fn judge(length: i32, limit: usize) -> Result<usize, FrameError> {
    match usize::try_from(length) {
        Err(_) => Err(FrameError::Length { length }),
        Ok(length) if length > limit => Err(FrameError::TooLong { length, limit }),
        Ok(length) => Ok(length),
    }
}

/// Cuts up to `most` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: usize = 64;

    /// What a stream decodes to: its messages, then how it ended.
    fn decode_in_pieces<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
        let mut decoder = FrameDecoder::new(LIMIT);
        let mut messages = Vec::new();
        for mut piece in pieces {
            loop {
                match decoder.decode(&mut piece) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Err(error)),
                }
            }
        }
        let end = decoder.end();
        (messages, end)
    }

    #[test]
    fn the_bytes_are_those_of_struct_pack() {
        assert_eq!(encode(b"Parallel", LIMIT).unwrap(), b"\x08\0\0\0Parallel");
    }

    #[test]
    fn lengths_that_lie_are_refused_before_memory_is_taken() {
        for (length, error) in [
            (-1, FrameError::Length { length: -1 }),
            (i32::MIN, FrameError::Length { length: i32::MIN }),
            (65, FrameError::TooLong { length: 65, limit: LIMIT }),
            (i32::MAX, FrameError::TooLong { length: i32::MAX as usize, limit: LIMIT }),
        ] {
            let mut decoder = FrameDecoder::new(LIMIT);
            let bytes = length.to_le_bytes();
            assert_eq!(decoder.decode(&mut &bytes[..]), Err(error.clone()));
            assert_eq!(decoder.decode(&mut &b"\x01\0\0\0x"[..]), Err(error), "a broken stream stays broken");
        }
    }

    #[test]
    fn a_claimed_length_takes_no_memory_until_bytes_come() {
        let mut decoder = FrameDecoder::new(usize::MAX);
        assert_eq!(decoder.decode(&mut &i32::MAX.to_le_bytes()[..]), Ok(None));
        let State::Body { bytes, .. } = &decoder.state else { panic!("{:?}", decoder.state) };
        assert_eq!(bytes.capacity(), 0);
    }

    #[test]
    fn an_empty_message_is_a_message() {
        let stream = [encode(b"", LIMIT).unwrap(), encode(b"a", LIMIT).unwrap()].concat();
        assert_eq!(stream, b"\0\0\0\0\x01\0\0\0a");
        assert_eq!(decode_in_pieces([&stream[..]]), (vec![vec![], b"a".to_vec()], Ok(())));
        assert_eq!(decode_in_pieces(stream.chunks(1)), (vec![vec![], b"a".to_vec()], Ok(())));
    }

    #[test]
    fn an_end_at_a_border_is_told_from_an_end_inside_a_frame() {
        let stream = encode(b"abc", LIMIT).unwrap();
        assert_eq!(decode_in_pieces([&stream[..]]), (vec![b"abc".to_vec()], Ok(())));
        assert_eq!(decode_in_pieces([&stream[..2]]).1, Err(FrameError::Cut { got: 2, want: 4 }));
        assert_eq!(decode_in_pieces([&stream[..5]]).1, Err(FrameError::Cut { got: 5, want: 7 }));
    }

    #[test]
    fn a_message_that_cannot_be_a_frame_is_not_encoded() {
        assert!(matches!(encode(&[0; 65], LIMIT), Err(FrameError::TooLong { length: 65, .. })));
    }

    proptest! {
        #[test]
        fn every_split_of_every_stream_decodes_alike(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..LIMIT), 0..6),
            tail in prop::collection::vec(any::<u8>(), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut stream: Vec<u8> = messages.iter().flat_map(|m| encode(m, LIMIT).unwrap()).collect();
            stream.extend(tail);
            let whole = decode_in_pieces([&stream[..]]);
            prop_assert_eq!(&whole, &decode_in_pieces(stream.chunks(1)));

            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            at.extend([0, stream.len()]);
            at.sort_unstable();
            prop_assert_eq!(&whole, &decode_in_pieces(at.windows(2).map(|w| &stream[w[0]..w[1]])));
            prop_assert!(whole.0.starts_with(&messages));
        }
    }
}
