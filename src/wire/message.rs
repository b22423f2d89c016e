//! Messages of bytes and any number of descriptors over a packet socket, each sent entirely or not at all.
//!
//! The socket preserves message boundaries, and the kernel accepts each message atomically, so a sender that is killed
//! leaves no partial message. Long bytes are put into a file in memory, which is complete before it is sent. If there
//! are more descriptors than one message can carry, a store that contains them is sent instead.

use super::control::{content, memory};
use crate::sys::descriptor::{peek_message, receive_message, send_message};
use crate::sys::fd_store::{FdStore, TAG};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The maximum number of bytes in the message itself.
const MOST_INLINE: usize = 16 << 10;
/// The maximum number of descriptors in one message.
const MOST_BESIDE: usize = 253;
/// Bytes of the header: the number of descriptors, then the flags below.
const HEAD: usize = 8;
/// Flag: the bytes are in a file, the last descriptor.
const IN_MEMORY: u32 = 1;
/// Flag: the descriptors are in a store, the only descriptor that is sent.
const IN_STORE: u32 = 2;

/// The contents of a message.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// A message that is ready to be sent, possibly later.
#[derive(Debug)]
pub(crate) struct Packed {
    head: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Packed {
    /// Packs a message.
    ///
    /// # Errors
    /// When there is not enough memory or no descriptor is left.
    pub(crate) fn new(bytes: &[u8], mut descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let (count, mut marks) = (descriptors.len() as u32, 0);
        let mut inline = bytes;
        if bytes.len() > MOST_INLINE {
            marks |= IN_MEMORY;
            descriptors.push(memory(bytes)?);
            inline = &[];
        }
        if descriptors.len() > MOST_BESIDE {
            marks |= IN_STORE;
            let store = FdStore::new()?;
            let all: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            store.groups().push(&[0; TAG], &all)?;
            descriptors = vec![store.as_fd().try_clone_to_owned()?];
        }
        let head = [&count.to_ne_bytes(), &u32::to_ne_bytes(marks), inline].concat();
        Ok(Packed { head, descriptors })
    }

    /// Sends it, without blocking.
    ///
    /// # Errors
    /// As [`send_message`].
    pub(crate) fn send(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let descriptors: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
        send_message(socket, &self.head, &descriptors)
    }
}

/// Receives the next message, without blocking; `None` at the end of the stream.
///
/// # Errors
/// `EAGAIN` when there is none; `EMFILE` when this process may not open all of its descriptors, and then it stays in the
/// socket; `InvalidData` when it was not sent by this library.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Content>> {
    // Peek first: a message that is received at the limit on open files would lose descriptors.
    let mut head = [0; HEAD];
    let (n_bytes, beside) = again_after_reset(|| peek_message(socket, &mut head))?;
    if n_bytes == 0 {
        return Ok(None);
    }
    drop(beside);
    let mut bytes = vec![0; HEAD + MOST_INLINE];
    let (n_bytes, mut descriptors) = receive_message(socket, &mut bytes)?;
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the message was not sent by this library");
    bytes.truncate(n_bytes);
    let rest = bytes.split_off(HEAD.min(n_bytes));
    let words = bytes.as_chunks::<4>().0;
    let [count, marks] = words else { return Err(invalid()) };
    let (count, marks) = (u32::from_ne_bytes(*count) as usize, u32::from_ne_bytes(*marks));
    if marks & IN_STORE != 0 {
        let store = FdStore::from(descriptors.pop().ok_or_else(invalid)?);
        descriptors = store.groups().copy_first(count + usize::from(marks & IN_MEMORY != 0))?;
    }
    let bytes = if marks & IN_MEMORY != 0 { content(descriptors.pop().ok_or_else(invalid)?)? } else { rest };
    if descriptors.len() != count {
        return Err(invalid());
    }
    Ok(Some(Content { bytes, descriptors }))
}

/// Retries if the other end was closed with unread messages. The kernel reports that once, but the messages that it sent
/// can still be received.
fn again_after_reset<R>(mut receive: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    match receive() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => receive(),
        result => result,
    }
}
