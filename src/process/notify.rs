//! The socket on which the body of a child reports its state.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

static SOCKET: Mutex<Option<UnixStream>> = Mutex::new(None);

/// Sets the socket on which this process reports, or none.
pub(super) fn speak_on(socket: Option<OwnedFd>) {
    *SOCKET.lock().unwrap_or_else(PoisonError::into_inner) = socket.map(UnixStream::from);
}

/// Sends one byte to the process that asked for it, if any. Never blocks: a full socket is notification enough.
pub(crate) fn notify(byte: u8) {
    if let Some(socket) = &mut *SOCKET.lock().unwrap_or_else(PoisonError::into_inner) {
        let _ = socket.write(&[byte]);
    }
}
