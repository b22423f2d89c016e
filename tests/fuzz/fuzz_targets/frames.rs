//! Any bytes in any pieces: the frames are those of the bytes in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proclab::wire::frame::{FrameDecoder, FrameError};

const LIMIT: usize = 4096;

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let (mut decoder, mut messages) = (FrameDecoder::new(LIMIT), Vec::new());
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

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, bytes) = (usize::from(input.0) + 1, input.1);
    assert_eq!(decode(std::iter::once(&bytes[..])), decode(bytes.chunks(size)));
});
