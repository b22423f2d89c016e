//! Values to bytes and back: serde with bincode, numbers at their full width.
//!
//! The one file that names `bincode`, so that replacing it is a change of one file.

use bincode::config::{Configuration, Fixint, LittleEndian};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer};
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// Numbers have the width of their type: nothing is sent far enough for shorter ones to pay for the time
/// that they take.
const CONFIG: Configuration<LittleEndian, Fixint> = bincode::config::standard().with_fixed_int_encoding();

/// A value could not be turned into bytes.
#[derive(Debug, thiserror::Error)]
#[error("the value cannot be encoded: {reason}")]
pub struct EncodeError {
    reason: String,
}

/// Bytes are not the value that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the bytes cannot be decoded: {reason}")]
pub struct DecodeError {
    reason: String,
}

thread_local! {
    static ENCODING: Cell<bool> = const { Cell::new(false) };
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside [`encode`]: handles refuse it, for bytes cannot carry them.
#[inline]
pub(crate) fn is_encoding() -> bool {
    ENCODING.get()
}

/// Whether this thread is inside [`decode`].
pub(crate) fn is_decoding() -> bool {
    DECODING.get()
}

/// Sets a flag for as long as it lives, also through a panic of the value's own `Serialize`.
struct During(&'static std::thread::LocalKey<Cell<bool>>, bool);

impl During {
    #[inline]
    fn new(flag: &'static std::thread::LocalKey<Cell<bool>>) -> Self {
        During(flag, flag.replace(true))
    }
}

impl Drop for During {
    #[inline]
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// What a value's own `Serialize` says is wrong; bincode shows its words as a programmer would write them.
fn refused(error: &bincode::error::EncodeError) -> EncodeError {
    EncodeError {
        reason: match error {
            bincode::error::EncodeError::OtherString(words) => words.clone(),
            other => other.to_string(),
        },
    }
}

/// Encodes `value`.
///
/// # Errors
/// When the value's own `Serialize` fails.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let _during = During::new(&ENCODING);
    bincode::serde::encode_to_vec(value, CONFIG).map_err(|e| refused(&e))
}

/// Encodes a value that is part of a message of an `ipc-channel` which is just being sent: its handles
/// travel beside the bytes.
pub(crate) fn encode_with_handles<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    bincode::serde::encode_to_vec(value, CONFIG).map_err(|e| refused(&e))
}

/// Decodes what [`encode_with_handles`] encoded, while its message is being received.
#[inline]
pub(crate) fn decode_with_handles<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut value = None;
    decode_whole(bytes, &mut value)?;
    Ok(value.expect("what was decoded is there"))
}

/// Encodes `value` behind what `buffer` already holds; on an error the buffer is as it was.
///
/// # Errors
/// When the value's own `Serialize` fails.
#[inline]
pub fn encode_into<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<usize, EncodeError> {
    let _during = During::new(&ENCODING);
    let before = buffer.len();
    bincode::serde::encode_into_std_write(value, &mut *buffer, CONFIG).map_err(|e| {
        buffer.truncate(before);
        refused(&e)
    })
}

/// Decodes a value that fills `bytes` exactly.
///
/// # Errors
/// When the bytes are too short, too long or not such a value.
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut value = None;
    decode_into(bytes, &mut value)?;
    Ok(value.expect("what was decoded is there"))
}

/// Decodes a value that fills `bytes` exactly to where the caller wants it: a large one is moved once less for
/// each function that it does not have to be returned by.
///
/// # Errors
/// As [`decode`].
#[inline]
pub(crate) fn decode_into<T: DeserializeOwned>(
    bytes: &[u8],
    value: &mut Option<T>,
) -> Result<(), DecodeError> {
    let _during = During::new(&DECODING);
    decode_whole(bytes, value)
}

#[inline(always)]
fn decode_whole<T: DeserializeOwned>(bytes: &[u8], value: &mut Option<T>) -> Result<(), DecodeError> {
    match bounded(bytes, Destination(value)) {
        Ok(used) if used == bytes.len() => Ok(()),
        Ok(used) => Err(DecodeError { reason: format!("{} bytes are left over", bytes.len() - used) }),
        Err(error) => Err(DecodeError { reason: error.to_string() }),
    }
}

/// Where a value goes when it is decoded.
struct Destination<'a, T>(&'a mut Option<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Destination<'_, T> {
    type Value = ();

    #[inline(always)]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match T::deserialize(deserializer) {
            Ok(value) => {
                *self.0 = Some(value);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Decodes under the smallest limit that every honest value of this length keeps; how many bytes it used.
///
/// A length inside the bytes may lie, and bincode takes the memory before it reads on, so the limit
/// follows what is really there. It counts a number by its width in memory (at most 16 bytes for
/// one on the wire); limits are constants of the type, hence the steps.
#[inline(always)]
fn bounded<'de, S: DeserializeSeed<'de, Value = ()>>(
    bytes: &'de [u8],
    seed: S,
) -> Result<usize, bincode::error::DecodeError> {
    use bincode::serde::seed_decode_from_slice as decode;
    let need = bytes.len().saturating_mul(16);
    let ((), used) = match need {
        0..=0xFFFF => decode(seed, bytes, CONFIG.with_limit::<0xFFFF>()),
        0x1_0000..=0xFF_FFFF => decode(seed, bytes, CONFIG.with_limit::<0xFF_FFFF>()),
        0x100_0000..=0x3FFF_FFFF => decode(seed, bytes, CONFIG.with_limit::<0x3FFF_FFFF>()),
        _ => decode(seed, bytes, CONFIG.with_limit::<{ 1 << 36 }>()),
    }?;
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_went() {
        let value = (7_u32, "火锅".to_owned(), vec![Some(1_i64), None]);
        let bytes = encode(&value).unwrap();
        assert_eq!(decode::<(u32, String, Vec<Option<i64>>)>(&bytes).unwrap(), value);
    }

    #[test]
    fn bytes_left_over_are_an_error() {
        let mut bytes = encode(&1_u8).unwrap();
        bytes.push(0);
        assert!(decode::<u8>(&bytes).unwrap_err().to_string().contains("1 bytes are left over"));
    }

    #[test]
    fn a_length_that_lies_takes_no_memory() {
        // A length prefix of 2^60 with nothing behind it.
        let bytes = [0, 0, 0, 0, 0, 0, 0, 16];
        assert!(decode::<Vec<u8>>(&bytes).is_err());
        assert!(decode::<String>(&bytes).is_err());
    }
}
