//! One message of bytes and any number of descriptors, through a packet socket: whole or not at all.
//!
//! The socket keeps the borders of messages, and the kernel takes each in one step, so a sender that is killed leaves
//! none half-sent. What is too long for that lies in a file in memory, which is complete before it is sent. More
//! descriptors than one message takes lie in a store that is sent in their stead.

use super::control::{content, memory};
use crate::sys::descriptor::{peek_message, receive_message, send_message};
use crate::sys::fd_store::{FdStore, TAG};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes that go into the message itself.
const MOST_INLINE: usize = 16 << 10;
/// As many descriptors as one message takes.
const MOST_BESIDE: usize = 253;
/// How many descriptors the value has, then a word of the marks below.
const HEAD: usize = 8;
/// The bytes lie in a file, the last of the descriptors.
const IN_MEMORY: u32 = 1;
/// The descriptors lie in a store, the only one that is sent.
const IN_STORE: u32 = 2;

/// What one message holds.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// A message that is ready to be sent, perhaps after a wait.
#[derive(Debug)]
pub(crate) struct Packed {
    head: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Packed {
    /// # Errors
    /// When memory or descriptors are short.
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
            store.push(&[0; TAG], &all)?;
            descriptors = vec![store.as_fd().try_clone_to_owned()?];
        }
        let head = [&count.to_ne_bytes(), &u32::to_ne_bytes(marks), inline].concat();
        Ok(Packed { head, descriptors })
    }

    /// Sends it, without waiting.
    ///
    /// # Errors
    /// As [`send_message`].
    pub(crate) fn send(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let descriptors: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
        send_message(socket, &self.head, &descriptors)
    }
}

/// Takes the next message, without waiting; `None` at the end.
///
/// # Errors
/// `EAGAIN` when none is there; `EMFILE` when its descriptors are too many for this process, and then it stays where it
/// is; `InvalidData` when it is none of this library's.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Content>> {
    // Taken at the limit of open files it would lose descriptors: they are received twice.
    let mut head = [0; HEAD];
    let (n_bytes, beside) = again_after_reset(|| peek_message(socket, &mut head))?;
    if n_bytes == 0 {
        return Ok(None);
    }
    drop(beside);
    let mut bytes = vec![0; HEAD + MOST_INLINE];
    let (n_bytes, mut descriptors) = receive_message(socket, &mut bytes)?;
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "this is not a message of this library");
    bytes.truncate(n_bytes);
    let rest = bytes.split_off(HEAD.min(n_bytes));
    let words = bytes.as_chunks::<4>().0;
    let [count, marks] = words else { return Err(invalid()) };
    let (count, marks) = (u32::from_ne_bytes(*count) as usize, u32::from_ne_bytes(*marks));
    if marks & IN_STORE != 0 {
        let store = FdStore::from(descriptors.pop().ok_or_else(invalid)?);
        descriptors = store.first(count + usize::from(marks & IN_MEMORY != 0))?;
    }
    let bytes = if marks & IN_MEMORY != 0 { content(descriptors.pop().ok_or_else(invalid)?)? } else { rest };
    if descriptors.len() != count {
        return Err(invalid());
    }
    Ok(Some(Content { bytes, descriptors }))
}

/// The other end was closed with messages unread: that is told once, and what came from it is still there.
fn again_after_reset<R>(mut receive: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    match receive() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => receive(),
        result => result,
    }
}
