//! Errors of pipes.

use crate::wire::codec::{DecodeError, EncodeError};
use std::error::Error;
use std::fmt;
use std::io;

/// A value was not sent; it is returned.
pub struct PipeSendError<T> {
    /// The value that was not sent.
    pub value: T,
    /// Why not.
    pub why: PipeSendFault,
}

/// Why a value was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeSendFault {
    /// No process has the other end any more.
    #[error("no process has the other end of the pipe any more")]
    Disconnected,
    /// There was no room until the deadline; of an attempt that does not wait: there is none now.
    #[error("the pipe was full until the timeout")]
    TimedOut,
    /// Its own `Serialize` failed, or it is a value that cannot travel.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The system refused memory or descriptors.
    #[error("the message cannot be sent")]
    Os(#[source] io::Error),
}

impl<T> fmt::Debug for PipeSendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeSendError").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for PipeSendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<T> Error for PipeSendError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.why.source()
    }
}

/// Nothing was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeRecvError {
    /// Nothing is left, and no process has the other end any more: Python's `EOFError`.
    #[error("the pipe is empty, and no process has its other end any more")]
    Disconnected,
    /// No message came until the deadline; of an attempt that does not wait: none is there now.
    #[error("no message came until the timeout")]
    TimedOut,
    /// A message was taken that is not such a value; the error has its bytes.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// The system refused. At the limit of open files (`EMFILE`) the message is still there.
    #[error("the message cannot be received")]
    Os(#[from] io::Error),
}
