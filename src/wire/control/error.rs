//! Why a value was not sent or received.

use crate::wire::codec::EncodeError;
use std::io;

/// The maximum number of ends of `ipc-channel` in one message, including the carrier.
pub(in crate::wire) const MOST_ENDS: usize = 64;

/// A value was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The value could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Its `Serialize` implementation panicked.
    #[error("encoding the value panicked: {0}")]
    Panicked(String),
    /// It contains ends of another version of `ipc-channel` than this library uses.
    #[error(
        "the value contains an end of another version of ipc-channel than {VERSION}: depend on \
         `ipc-channel = \"={VERSION}\"`, or send ends of a queue"
    )]
    ForeignEnds,
    /// It contains more ends of `ipc-channel` than one message can carry.
    #[error(
        "the value contains {held} ends of ipc-channel, and one message can carry {MOST_ENDS}, or one less with \
         descriptors: send ends of queues"
    )]
    TooManyEnds {
        /// The number that it contains.
        held: usize,
    },
    /// Its descriptors could not be sent, or there is not enough memory for it.
    #[error("the value's descriptors or memory could not be sent: {0}")]
    Os(#[source] io::Error),
    /// No process can receive it.
    #[error("the channel is closed: no process can receive")]
    Disconnected,
}

/// The version of `ipc-channel` whose ends a value can contain.
pub(super) const VERSION: &str = "0.23.1";

/// Nothing was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// There is no message now.
    #[error("the channel is empty")]
    Empty,
    /// There is no message, and no process can send one.
    #[error("the channel is empty and closed: no process can send")]
    Disconnected,
    /// A message was received that does not decode to a value of the type.
    #[error("{0}")]
    Unreadable(String),
    /// A message was received, but the kernel refused the handles in it, perhaps because this process is at a limit.
    #[error("the handles in a message could not be received")]
    Refused(#[source] io::Error),
    /// The kernel refused. The message is still in the channel: at the limit on open files it can be received once
    /// this process has closed some.
    #[error("a message could not be received: {0}")]
    Os(#[from] io::Error),
}

impl SendError {
    /// The error number of the kernel, if it caused the error (`errno(3)`).
    pub(crate) fn errno(&self) -> Option<i32> {
        if let SendError::Os(error) = self { error.raw_os_error() } else { None }
    }
}

impl TryRecvError {
    /// The error number of the kernel, if it caused the error (`errno(3)`).
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            TryRecvError::Refused(error) | TryRecvError::Os(error) => error.raw_os_error(),
            _ => None,
        }
    }
}
