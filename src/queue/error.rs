//! Errors, one type an operation, as crossbeam's channels have them; a value that was not sent is
//! given back.

use crate::shm::region::RegionError;
use crate::sync::robust_mutex::LockError;
use crate::wire::codec::{DecodeError, EncodeError};
use std::error::Error;
use std::fmt;
use std::io;

/// The queue was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The capacity is none that a queue can have.
    #[error("a queue cannot hold {capacity} items: choose a capacity from 1 to {max}")]
    Capacity {
        /// What was asked for.
        capacity: usize,
        /// The most there can be.
        max: usize,
    },
    /// The limit of a message's size is none that a queue can have.
    #[error("a message cannot be limited to {limit} bytes: choose a limit from 1 to {max}")]
    MessageLimit {
        /// What was asked for.
        limit: u64,
        /// The most there can be.
        max: u64,
    },
    /// The system refused memory or descriptors.
    #[error("the queue's memory or descriptors cannot be had")]
    Os(#[from] io::Error),
}

impl From<RegionError> for CreateError {
    fn from(error: RegionError) -> Self {
        match error {
            RegionError::Os(error) => CreateError::Os(error),
            other => CreateError::Os(io::Error::other(other)),
        }
    }
}

/// What came from another process is not a queue that this program can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It is no shared memory that could be used safely.
    #[error("this is not the memory of a queue")]
    Region(#[from] RegionError),
    /// It holds something else, or a queue of another version.
    #[error("this is not the memory of a queue of this version: {0}")]
    Header(&'static str),
    /// Its processes are numbered differently, so that the kernel's word on who died would be wrong.
    #[error("the queue belongs to another PID namespace: use it where it was made")]
    PidNamespace,
}

/// The shared memory holds what no process could have written by the rules: a process has overwritten
/// it. The queue is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue's memory is corrupt: {0}")]
pub struct Corrupt(pub(super) &'static str);

/// Why a value is not one for this queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Its own `Serialize` failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It is larger than the limit that was set when the queue was made.
    #[error(
        "the message has {size} bytes and the queue's limit is {limit}: make the queue with a higher one"
    )]
    TooLarge {
        /// Its size in bytes, encoded.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// There is no memory left for it.
    #[error("there is no memory for the message")]
    Memory(#[source] io::Error),
    /// The queue itself is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The kernel does not watch over this thread's locks.
    #[error("the queue's lock cannot be taken")]
    Lock(#[source] io::Error),
}

/// Why a message that was there could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Its bytes are no such value. It has left the queue.
    #[error("message {number} is not such a value")]
    Decode {
        /// Its place in the order of sending, from 0.
        number: u64,
        /// What its bytes lack.
        source: DecodeError,
    },
    /// The queue itself is of no more use.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The kernel refused to read it, to sleep or to lock.
    #[error("the kernel refused")]
    Os(#[from] io::Error),
    /// Too many handles of this queue receive, or too many messages are leased.
    #[error("the queue has no room to note down who took the message: at most {max} {what} at a time")]
    TooMany {
        /// The most there can be.
        max: usize,
        /// Of what.
        what: &'static str,
    },
}

/// A value was not sent; it is given back.
pub enum SendError<T> {
    /// No live process can receive any more, or the queue was closed.
    Disconnected(T),
    /// The queue cannot take this value.
    Rejected(T, Rejection),
}

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Disconnected(value) | Self::Rejected(value, _) => value,
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(_) => f.write_str("Disconnected(..)"),
            Self::Rejected(_, why) => f.debug_tuple("Rejected").field(why).finish(),
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected(_) => "the queue is closed: nobody can receive any more",
            Self::Rejected(..) => "the queue cannot take this value",
        })
    }
}

impl<T> Error for SendError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(_, why) => Some(why),
            _ => None,
        }
    }
}

/// A value was not sent at once; it is given back.
pub enum TrySendError<T> {
    /// There is no room now, or another process is held up in the middle of sending.
    Full(T),
    /// No live process can receive any more, or the queue was closed.
    Disconnected(T),
    /// The queue cannot take this value.
    Rejected(T, Rejection),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Disconnected(value) | Self::Rejected(value, _) => value,
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::Disconnected(_) => f.write_str("Disconnected(..)"),
            Self::Rejected(_, why) => f.debug_tuple("Rejected").field(why).finish(),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Disconnected(_) => "the queue is closed: nobody can receive any more",
            Self::Rejected(..) => "the queue cannot take this value",
        })
    }
}

impl<T> Error for TrySendError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(_, why) => Some(why),
            _ => None,
        }
    }
}

/// A value was not sent in time; it is given back.
pub enum SendTimeoutError<T> {
    /// There was no room until the deadline.
    Timeout(T),
    /// No live process can receive any more, or the queue was closed.
    Disconnected(T),
    /// The queue cannot take this value.
    Rejected(T, Rejection),
}

impl<T> SendTimeoutError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(value) | Self::Disconnected(value) | Self::Rejected(value, _) => value,
        }
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(_) => f.write_str("Timeout(..)"),
            Self::Disconnected(_) => f.write_str("Disconnected(..)"),
            Self::Rejected(_, why) => f.debug_tuple("Rejected").field(why).finish(),
        }
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "the queue stayed full until the timeout",
            Self::Disconnected(_) => "the queue is closed: nobody can receive any more",
            Self::Rejected(..) => "the queue cannot take this value",
        })
    }
}

impl<T> Error for SendTimeoutError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(_, why) => Some(why),
            _ => None,
        }
    }
}

/// Of several values the first ones were sent, and the rest is given back.
#[derive(Debug, thiserror::Error)]
#[error("{sent} messages were sent and {} were not", .rest.len())]
pub struct SendManyError<T> {
    /// How many have been sent: the first ones.
    pub sent: usize,
    /// The values that were not sent, in their order.
    pub rest: Vec<T>,
    /// Why not.
    pub source: WhySendFailed,
}

/// Why a sender stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhySendFailed {
    /// No live process can receive any more, or the queue was closed.
    #[error("the queue is closed: nobody can receive any more")]
    Disconnected,
    /// The queue cannot take the next value.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// Nothing was received.
#[derive(Debug, thiserror::Error)]
pub enum RecvError {
    /// The queue is empty, and no live process can send any more, or it was closed.
    #[error("the queue is empty and closed: nobody can send any more")]
    Disconnected,
    /// There was a message, but it could not be had.
    #[error("a message could not be received")]
    Unreadable(#[from] Unreadable),
}

/// Nothing was received at once.
#[derive(Debug, thiserror::Error)]
pub enum TryRecvError {
    /// There is nothing now, or another process is held up in the middle of receiving.
    #[error("the queue is empty")]
    Empty,
    /// The queue is empty, and no live process can send any more, or it was closed.
    #[error("the queue is empty and closed: nobody can send any more")]
    Disconnected,
    /// There was a message, but it could not be had.
    #[error("a message could not be received")]
    Unreadable(#[from] Unreadable),
}

/// Nothing was received in time.
#[derive(Debug, thiserror::Error)]
pub enum RecvTimeoutError {
    /// There was nothing until the deadline.
    #[error("the queue stayed empty until the timeout")]
    Timeout,
    /// The queue is empty, and no live process can send any more, or it was closed.
    #[error("the queue is empty and closed: nobody can send any more")]
    Disconnected,
    /// There was a message, but it could not be had.
    #[error("a message could not be received")]
    Unreadable(#[from] Unreadable),
}

/// Not everything that was sent is done.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Something was still queued or leased at the deadline.
    #[error("not everything was done until the timeout")]
    Timeout,
    /// Something is left, and no live process can receive it any more.
    #[error("not everything is done, and nobody can receive any more")]
    Disconnected,
    /// The kernel refused to sleep or to lock.
    #[error("the kernel refused")]
    Os(#[from] io::Error),
}

impl From<LockError> for Rejection {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Unwatched(error) => Rejection::Lock(error),
            LockError::TimedOut => Rejection::Lock(io::ErrorKind::TimedOut.into()),
        }
    }
}
