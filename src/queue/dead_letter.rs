//! Messages that are not delivered any more.

use super::error::Undecodable;

/// A message that is not delivered any more: it was delivered as often as the queue allows and never done,
/// its holder rejected it, or it could not be decoded when it was leased.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// Its place in the order of sending, from 0.
    pub number: u64,
    /// How often it was delivered.
    pub deliveries: u32,
    /// The message, or its bytes if they are not a `T`.
    pub value: Result<T, Undecodable>,
}
