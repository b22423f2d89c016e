//! Length-prefixed frames: a signed 32-bit little-endian length, then that many bytes.
//!
//! The bytes of the length are those of Python's `struct.pack('i', n)` on little-endian machines. The decoder does no
//! I/O: it is fed the bytes in the pieces in which they arrive, and every split of a stream decodes to the same frames.
//! The length is checked before memory is allocated, and memory then grows with the bytes that arrive, not with the
//! claimed length.

/// The size of the length prefix in bytes.
pub const PREFIX: usize = 4;

/// A stream of frames is invalid, or a message cannot be encoded as a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length is negative.
    #[error("a frame's length of {length} is refused: it is negative")]
    Length {
        /// The length in the prefix.
        length: i32,
    },
    /// The message is empty but must not be.
    #[error("a frame's length of 0 is refused: a header must not be empty")]
    Empty,
    /// The length is above the limit.
    #[error("a frame of {length} bytes is refused: the limit is {limit} bytes")]
    TooLong {
        /// The length that was claimed, or that the message has.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// The stream ended between the first byte of a frame and its last.
    #[error("the stream ended inside a frame: {got} of {want} bytes had arrived")]
    Cut {
        /// The number of bytes of the frame that arrived, including the prefix.
        got: usize,
        /// The number of bytes of the whole frame, as far as it is known: 4 until the prefix is complete.
        want: usize,
    },
}

/// The prefix of a message of `length` bytes.
///
/// # Errors
/// When the message is longer than `limit` or than `i32::MAX`.
pub fn prefix(length: usize, limit: usize) -> Result<[u8; PREFIX], FrameError> {
    match i32::try_from(length) {
        Ok(n) if length <= limit => Ok(n.to_le_bytes()),
        _ => Err(FrameError::TooLong { length, limit }),
    }
}

/// Encodes a message as a frame, in one buffer, so that one write sends it.
///
/// # Errors
/// As [`prefix`].
pub fn encode(message: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut frame = prefix(message.len(), limit)?.to_vec();
    frame.extend_from_slice(message);
    Ok(frame)
}

/// Assembles frames from the pieces of a stream.
///
/// After an error the boundaries of frames are unknown, so every later call returns the same error.
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

const BETWEEN_FRAMES: State = State::Prefix { bytes: [0; PREFIX], got: 0 };

impl FrameDecoder {
    /// Creates a decoder for messages of up to `limit` bytes, at the beginning of a frame.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: BETWEEN_FRAMES }
    }

    /// Consumes bytes from the front of `input`, up to the end of one frame, and returns its message; `None` if all of
    /// `input` was consumed and the frame is incomplete.
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
                    self.state = match check(i32::from_le_bytes(*bytes), self.limit) {
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
                    self.state = BETWEEN_FRAMES;
                    return Ok(Some(message));
                }
                State::Broken(error) => return Err(error.clone()),
            }
        }
    }

    /// Checks whether the stream may end here, which it may only between two frames.
    ///
    /// # Errors
    /// When the end is inside a frame, or the stream was already invalid.
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

fn check(length: i32, limit: usize) -> Result<usize, FrameError> {
    match usize::try_from(length) {
        Err(_) => Err(FrameError::Length { length }),
        Ok(length) if length > limit => Err(FrameError::TooLong { length, limit }),
        Ok(length) => Ok(length),
    }
}

/// Removes up to `most` bytes from the front of `input`.
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

    /// Decodes a stream to its messages and the result at its end.
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
    fn invalid_lengths_are_refused_before_memory_is_allocated() {
        for (length, error) in [
            (-1, FrameError::Length { length: -1 }),
            (i32::MIN, FrameError::Length { length: i32::MIN }),
            (65, FrameError::TooLong { length: 65, limit: LIMIT }),
            (i32::MAX, FrameError::TooLong { length: i32::MAX as usize, limit: LIMIT }),
        ] {
            let mut decoder = FrameDecoder::new(LIMIT);
            let bytes = length.to_le_bytes();
            assert_eq!(decoder.decode(&mut &bytes[..]), Err(error.clone()));
            assert_eq!(
                decoder.decode(&mut &b"\x01\0\0\0x"[..]),
                Err(error),
                "an invalid stream stays invalid"
            );
        }
    }

    #[test]
    fn a_claimed_length_allocates_no_memory_until_bytes_arrive() {
        let mut decoder = FrameDecoder::new(usize::MAX);
        assert_eq!(decoder.decode(&mut &i32::MAX.to_le_bytes()[..]), Ok(None));
        let State::Body { bytes, .. } = &decoder.state else { panic!("{:?}", decoder.state) };
        assert_eq!(bytes.capacity(), 0);
    }

    #[test]
    fn an_empty_message_is_valid() {
        let stream = [encode(b"", LIMIT).unwrap(), encode(b"a", LIMIT).unwrap()].concat();
        assert_eq!(stream, b"\0\0\0\0\x01\0\0\0a");
        assert_eq!(decode_in_pieces([&stream[..]]), (vec![vec![], b"a".to_vec()], Ok(())));
        assert_eq!(decode_in_pieces(stream.chunks(1)), (vec![vec![], b"a".to_vec()], Ok(())));
    }

    #[test]
    fn an_end_between_frames_differs_from_an_end_inside_a_frame() {
        let stream = encode(b"abc", LIMIT).unwrap();
        assert_eq!(decode_in_pieces([&stream[..]]), (vec![b"abc".to_vec()], Ok(())));
        assert_eq!(decode_in_pieces([&stream[..2]]).1, Err(FrameError::Cut { got: 2, want: 4 }));
        assert_eq!(decode_in_pieces([&stream[..5]]).1, Err(FrameError::Cut { got: 5, want: 7 }));
    }

    #[test]
    fn a_message_above_the_limit_is_not_encoded() {
        assert!(matches!(encode(&[0; 65], LIMIT), Err(FrameError::TooLong { length: 65, .. })));
    }

    proptest! {
        #[test]
        fn every_split_of_a_stream_decodes_to_the_same_messages(
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
