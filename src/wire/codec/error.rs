//! Why a value could not be encoded, or bytes not decoded.

use std::any::type_name;
use std::fmt;

/// A value could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("`{type_name}` cannot be sent: {reason}")]
pub struct EncodeError {
    type_name: &'static str,
    reason: String,
}

impl EncodeError {
    pub(super) fn new<T>(reason: String) -> Self {
        EncodeError { type_name: type_name::<T>(), reason }
    }

    /// What is wrong with the value, without the name of its type.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Bytes could not be decoded to a value. The error keeps them, so that nothing that was sent is lost.
#[derive(thiserror::Error)]
#[error("the bytes are not a `{type_name}`: {reason}")]
pub struct DecodeError {
    type_name: &'static str,
    reason: String,
    bytes: Vec<u8>,
}

impl DecodeError {
    pub(super) fn new<T>(reason: String, bytes: &[u8]) -> Self {
        DecodeError { type_name: type_name::<T>(), reason, bytes: bytes.to_vec() }
    }

    /// The bytes that could not be decoded.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes that could not be decoded.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("type_name", &self.type_name)
            .field("reason", &self.reason)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}
