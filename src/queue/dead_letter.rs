//! Messages that are no longer delivered.

use super::error::Undecodable;

/// A message that is no longer delivered: it reached the queue's delivery limit without being done, its
/// holder rejected it, or it could not be decoded when it was leased.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// Its position in the order of sending, counted from 0.
    pub number: u64,
    /// How often it was delivered.
    pub deliveries: u32,
    /// The message, or its bytes if they do not decode to a `T`.
    pub value: Result<T, Undecodable>,
}
