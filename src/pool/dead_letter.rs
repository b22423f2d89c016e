//! Jobs that are not tried any more.

use super::bytes::Bytes;
use super::error::JobError;
use crate::wire::codec::{self, DecodeError, Message};

/// As many as are kept; the oldest are dropped beyond it.
pub const MAX_DEAD_LETTERS: usize = 1024;

/// A job that failed as often as it was to be tried.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The name of its function.
    pub function: &'static str,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub error: JobError,
    args: Bytes,
}

impl DeadLetter {
    pub(super) fn new(function: &'static str, attempts: u32, error: JobError, args: Bytes) -> DeadLetter {
        DeadLetter { function, attempts, error, args }
    }

    /// Its arguments, as they were submitted.
    ///
    /// # Errors
    /// When they are not an `A`.
    pub fn args<A: Message>(&self) -> Result<A, DecodeError> {
        codec::decode(self.args.as_slice())
    }
}
