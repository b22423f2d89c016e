//! Errors, one type per operation, as in crossbeam's channels. A value that was not sent is returned.

use crate::shm::region::RegionError;
use crate::sync::robust_mutex::LockError;
use crate::wire::codec::{DecodeError, EncodeError};
use std::error::Error;
use std::fmt;
use std::io;

/// A queue could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The capacity is out of range.
    #[error("a capacity of {capacity} is out of range: choose one from 1 to {max}")]
    Capacity {
        /// The value that was requested.
        capacity: usize,
        /// The largest possible value.
        max: usize,
    },
    /// The message size limit is out of range.
    #[error("a message limit of {limit} bytes is out of range: choose one from 1 to {max}")]
    MessageLimit {
        /// The value that was requested.
        limit: u64,
        /// The largest possible value.
        max: u64,
    },
    /// The kernel refused memory or descriptors.
    #[error("the memory or descriptors of the queue are unavailable")]
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

/// A descriptor from another process is not a queue that this program can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It is not shared memory that is safe to use.
    #[error("this is not the memory of a queue")]
    Region(#[from] RegionError),
    /// It holds something else, or a queue of a different version.
    #[error("this is not the memory of a queue of this version: {0}")]
    Header(&'static str),
    /// Its PIDs mean other processes here, so asking the kernel which of them died would give wrong answers.
    #[error("the queue belongs to another PID namespace: use it in the namespace in which it was created")]
    PidNamespace,
}

/// The shared memory holds values that this library never writes, so a process has overwritten it. The queue
/// is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue's memory is corrupt: {0}")]
pub struct Corrupt(pub(super) &'static str);

/// Why a queue cannot accept a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Its `Serialize` implementation failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It is larger than the limit that was set when the queue was created.
    #[error(
        "the message has {size} bytes and the queue's limit is {limit}: create the queue with a higher limit"
    )]
    TooLarge {
        /// Its size in bytes, encoded.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// There is not enough memory for it.
    #[error("there is not enough memory for the message")]
    Memory(#[source] io::Error),
    /// The queue is unusable.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The kernel cannot store the handles in the message now. `ETOOMANYREFS`: more descriptors of this user are in
    /// flight between processes than this process may have open (`RLIMIT_NOFILE`).
    #[error("the handles in the message could not be stored: {0}")]
    Handles(#[source] io::Error),
    /// The kernel does not track this thread's locks.
    #[error("the queue's lock is unavailable")]
    Lock(#[source] io::Error),
}

/// A message whose bytes do not decode to the receiver's type. It has left the queue; its bytes are here.
#[derive(thiserror::Error)]
#[error("message {number} is not a value of the receiver's type")]
pub struct Undecodable {
    /// Its position in the order of sending, counted from 0.
    pub number: u64,
    /// Its bytes, as they were sent.
    pub bytes: Vec<u8>,
    /// What is wrong with them.
    pub source: DecodeError,
}

impl fmt::Debug for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Undecodable { number, bytes, source } = self;
        let mut debug = f.debug_struct("Undecodable");
        debug.field("number", number).field("bytes.len()", &bytes.len()).field("source", source).finish()
    }
}

/// Why a message could not be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It does not decode to the receiver's type. It has left the queue; the error holds its bytes.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The queue is unusable.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The kernel refused to read the message, to sleep or to lock.
    #[error("the message could not be read")]
    Os(#[from] io::Error),
    /// Too many handles receive from this queue, or it has too many leased messages and dead letters.
    #[error("the queue cannot record the receiver of the message: it has room for {max} {what}")]
    TooMany {
        /// The maximum.
        max: usize,
        /// What is counted.
        what: &'static str,
    },
}

/// A value was not sent; it is returned.
pub enum SendError<T> {
    /// No live process can receive, or the queue was closed.
    Disconnected(T),
    /// The queue cannot accept this value.
    Rejected(T, Rejection),
}

impl<T> SendError<T> {
    /// The value that was not sent.
    ///
    /// ```
    /// let (sender, receiver) = proclab::queue::bounded(1)?;
    /// drop(receiver);
    /// assert_eq!(sender.send(7).unwrap_err().into_inner(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            Self::Disconnected(_) => "the queue is closed: no process can receive",
            Self::Rejected(..) => "the queue cannot accept this value",
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

/// A value could not be sent immediately; it is returned.
pub enum TrySendError<T> {
    /// There is no room, or another process is stopped while it sends.
    Full(T),
    /// No live process can receive, or the queue was closed.
    Disconnected(T),
    /// The queue cannot accept this value.
    Rejected(T, Rejection),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    ///
    /// ```
    /// let (sender, _receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// assert_eq!(sender.try_send(8).unwrap_err().into_inner(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            Self::Disconnected(_) => "the queue is closed: no process can receive",
            Self::Rejected(..) => "the queue cannot accept this value",
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

/// A value was not sent in time; it is returned.
pub enum SendTimeoutError<T> {
    /// There was no room before the deadline.
    Timeout(T),
    /// No live process can receive, or the queue was closed.
    Disconnected(T),
    /// The queue cannot accept this value.
    Rejected(T, Rejection),
}

impl<T> SendTimeoutError<T> {
    /// The value that was not sent.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = proclab::queue::bounded(1)?;
    /// sender.send(7)?;
    /// assert_eq!(sender.send_timeout(8, Duration::from_millis(10)).unwrap_err().into_inner(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            Self::Timeout(_) => "timed out: the queue was full",
            Self::Disconnected(_) => "the queue is closed: no process can receive",
            Self::Rejected(..) => "the queue cannot accept this value",
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

/// Only the first of several values were sent; the rest are returned.
#[derive(Debug, thiserror::Error)]
#[error("{sent} messages were sent and {} were not", .rest.len())]
pub struct SendManyError<T> {
    /// The number of values that were sent, from the first on.
    pub sent: usize,
    /// The values that were not sent, in their order.
    pub rest: Vec<T>,
    /// Why the next value was not sent.
    pub source: WhySendFailed,
}

/// Why a value was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhySendFailed {
    /// No live process can receive, or the queue was closed.
    #[error("the queue is closed: no process can receive")]
    Disconnected,
    /// The queue cannot accept the next value.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// Nothing was received.
#[derive(Debug, thiserror::Error)]
pub enum RecvError {
    /// The queue is empty, and no live process can send or the queue was closed.
    #[error("the queue is empty and closed: no process can send")]
    Disconnected,
    /// There was a message, but it could not be received.
    #[error("a message could not be received")]
    Unreadable(#[from] Unreadable),
}

/// Nothing could be received immediately.
#[derive(Debug, thiserror::Error)]
pub enum TryRecvError {
    /// There is no message, or another process is stopped while it receives.
    #[error("the queue is empty")]
    Empty,
    /// The queue is empty, and no live process can send or the queue was closed.
    #[error("the queue is empty and closed: no process can send")]
    Disconnected,
    /// There was a message, but it could not be received.
    #[error("a message could not be received")]
    Unreadable(#[from] Unreadable),
}

/// Nothing was received in time.
#[derive(Debug, thiserror::Error)]
pub enum RecvTimeoutError {
    /// There was no message before the deadline.
    #[error("timed out: the queue was empty")]
    Timeout,
    /// The queue is empty, and no live process can send or the queue was closed.
    #[error("the queue is empty and closed: no process can send")]
    Disconnected,
    /// There was a message, but it could not be received.
    #[error("a message could not be received")]
    Unreadable(#[from] Unreadable),
}

/// Waiting for every message to be done failed.
#[derive(Debug, thiserror::Error)]
pub enum JoinQueueError {
    /// A message was still queued or leased at the deadline.
    #[error("timed out: not every message is done")]
    Timeout,
    /// Messages are left, and no live process can receive them.
    #[error("not every message is done, and no process can receive")]
    Disconnected,
    /// The kernel refused to sleep or to lock.
    #[error("waiting for the messages failed")]
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

pub(super) fn lock_to_io(error: LockError) -> io::Error {
    match error {
        LockError::Unwatched(error) => error,
        LockError::TimedOut => io::ErrorKind::TimedOut.into(),
    }
}
