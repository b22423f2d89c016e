//! UTF-8 decoding of a stream: a character that is split over two reads is joined.

/// The bytes are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A byte sequence that is not valid UTF-8.
    #[error("the text is not UTF-8: byte {at} is invalid")]
    Invalid {
        /// Bytes of the stream before the invalid one.
        at: u64,
    },
    /// The stream ended inside a character.
    #[error("the stream ended inside a character, after {at} bytes")]
    Cut {
        /// Bytes of the stream before the unfinished character.
        at: u64,
    },
}

/// Decodes a stream of UTF-8 piece by piece, and holds back at most three bytes.
#[derive(Debug, Default)]
pub struct TextDecoder {
    held: Vec<u8>,
    done: u64,
}

impl TextDecoder {
    /// The characters that these bytes complete; an incomplete character at the end is held back.
    ///
    /// # Errors
    /// If the bytes are not UTF-8.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<String, TextError> {
        self.held.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.held) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => return Err(TextError::Invalid { at: self.done + error.valid_up_to() as u64 }),
        };
        let rest = self.held.split_off(whole);
        self.done += whole as u64;
        let text = String::from_utf8(std::mem::replace(&mut self.held, rest));
        Ok(text.expect("the bytes up to `whole` were just found to be UTF-8"))
    }

    /// Whether every byte so far belongs to a complete character.
    pub fn is_between_characters(&self) -> bool {
        self.held.is_empty()
    }

    /// Counts bytes that the caller has found to be complete characters.
    pub fn skip(&mut self, bytes: usize) {
        debug_assert!(self.is_between_characters());
        self.done += bytes as u64;
    }

    /// Checks that the stream may end here.
    ///
    /// # Errors
    /// If a character is incomplete.
    pub fn end(&self) -> Result<(), TextError> {
        if self.held.is_empty() { Ok(()) } else { Err(TextError::Cut { at: self.done }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Result<String, TextError> {
        let mut decoder = TextDecoder::default();
        let mut text = String::new();
        for piece in pieces {
            text += &decoder.decode(piece)?;
        }
        decoder.end().map(|()| text)
    }

    #[test]
    fn a_wrong_byte_and_an_unfinished_character_are_told_apart() {
        assert_eq!(all(&[b"ab\xff"]), Err(TextError::Invalid { at: 2 }));
        assert_eq!(all(&["火".as_bytes(), b"\xe7\x81"]), Err(TextError::Cut { at: 3 }));
    }

    proptest! {
        #[test]
        fn every_split_decodes_alike(
            bytes in prop::collection::vec(any::<u8>(), 0..24),
            text in ".{0,12}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            for bytes in [text.as_bytes(), &bytes[..]] {
                let whole = all(&[bytes]);
                // At every place, at some places at once, and at all of them.
                for at in 0..=bytes.len() {
                    prop_assert_eq!(&whole, &all(&[&bytes[..at], &bytes[at..]]));
                }
                let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                at.extend([0, bytes.len()]);
                at.sort_unstable();
                prop_assert_eq!(&whole, &all(&at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect::<Vec<_>>()));
                prop_assert_eq!(&whole, &all(&bytes.chunks(1).collect::<Vec<_>>()));
            }
        }
    }
}
