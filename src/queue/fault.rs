//! Why nothing was sent or received, before it becomes the error of one operation.

use super::error::{RecvError, RecvTimeoutError, Rejection, TryRecvError, Unreadable};
use crate::sync::robust_mutex::LockError;

/// Why bytes were not sent.
pub(super) enum SendFault {
    NoRoom,
    Disconnected,
    Rejected(Rejection),
}

impl<E: Into<Rejection>> From<E> for SendFault {
    fn from(error: E) -> Self {
        SendFault::Rejected(error.into())
    }
}

/// Why nothing was received.
pub(super) enum RecvFault {
    Nothing,
    Disconnected,
    Unreadable(Unreadable),
}

impl<E: Into<Unreadable>> From<E> for RecvFault {
    fn from(error: E) -> Self {
        RecvFault::Unreadable(error.into())
    }
}

impl From<LockError> for RecvFault {
    fn from(error: LockError) -> Self {
        match error {
            LockError::TimedOut => RecvFault::Nothing,
            LockError::Unwatched(error) => error.into(),
        }
    }
}

impl From<RecvFault> for RecvError {
    fn from(fault: RecvFault) -> Self {
        match fault {
            RecvFault::Unreadable(why) => RecvError::Unreadable(why),
            RecvFault::Disconnected | RecvFault::Nothing => RecvError::Disconnected,
        }
    }
}

impl From<RecvFault> for TryRecvError {
    fn from(fault: RecvFault) -> Self {
        match fault {
            RecvFault::Unreadable(why) => TryRecvError::Unreadable(why),
            RecvFault::Disconnected => TryRecvError::Disconnected,
            RecvFault::Nothing => TryRecvError::Empty,
        }
    }
}

impl From<RecvFault> for RecvTimeoutError {
    fn from(fault: RecvFault) -> Self {
        match fault {
            RecvFault::Unreadable(why) => RecvTimeoutError::Unreadable(why),
            RecvFault::Disconnected => RecvTimeoutError::Disconnected,
            RecvFault::Nothing => RecvTimeoutError::Timeout,
        }
    }
}
