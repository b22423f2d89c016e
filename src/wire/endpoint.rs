//! The descriptor under an end of an `ipc-channel`.
//!
//! `ipc-channel` keeps its descriptors private, but two things need them: a wait for a message *and*
//! for the sender's death in one `poll(2)`, and a fresh executable that is handed its first channel
//! as a descriptor. The crate prints the number in `Debug`; this file reads it from there, and
//! believes it only if it names an open packet socket. The dependency is pinned to one version, and
//! the tests below fail if that version prints otherwise.
//!
//! # Safety
//! A number that was seen to be the socket of a receiver is borrowed for as long as that receiver lives.
#![expect(unsafe_code, reason = "ipc-channel does not lend its descriptors")]

use crate::sys::descriptor::{borrow_from, packet_socket, replace};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use ipc_channel::{IpcError, TryRecvError};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// The socket of an `IpcReceiver`, `IpcSender` or opaque form of them.
///
/// # Errors
/// `Unsupported` when the number cannot be found, as with another version of `ipc-channel`.
pub fn socket_of<E: Debug>(end: &E) -> io::Result<BorrowedFd<'_>> {
    let printed = format!("{end:?}");
    number_in(&printed).and_then(packet_socket).ok_or_else(|| {
        io::Error::new(io::ErrorKind::Unsupported, format!("no socket can be found in `{printed}`"))
    })
}

/// The number in `… SharedFileDescriptor(3) …` or `… fd: Cell { value: 4 } …`.
fn number_in(printed: &str) -> Option<i32> {
    let after = ["SharedFileDescriptor(", "Cell { value: "].iter().find_map(|mark| {
        let (_, after) = printed.split_once(mark)?;
        Some(after)
    })?;
    let end = after.find(|c: char| !c.is_ascii_digit())?;
    after[..end].parse().ok()
}

/// A message of an `ipc-channel`: what its `send` and `recv` ask of a type.
pub trait Message: Serialize + for<'de> Deserialize<'de> {}

impl<T: Serialize + for<'de> Deserialize<'de>> Message for T {}

/// A receiver that can be polled together with other descriptors.
pub struct PollableReceiver<T> {
    receiver: IpcReceiver<T>,
    socket: RawFd,
}

/// Has `ipc-channel` ask how much one send may hold. It asks once, at the first send, and panics if no
/// descriptors are left to ask with; so that send is made while there are some.
fn have_sends_measured() -> io::Result<()> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.get().is_none() {
        let (sender, _receiver) = ipc::channel::<()>()?;
        // As many as it asks with.
        drop(ipc::channel::<()>()?);
        sender.send(()).map_err(io::Error::other)?;
        DONE.get_or_init(|| ());
    }
    Ok(())
}

/// A channel whose receiver can be polled.
///
/// # Errors
/// As `socketpair(2)`.
pub fn pollable_channel<T: Message>() -> io::Result<(IpcSender<T>, PollableReceiver<T>)> {
    have_sends_measured()?;
    let (sender, receiver) = ipc::channel::<()>()?;
    let socket = socket_of(&receiver)?.as_raw_fd();
    let receiver = PollableReceiver { receiver: receiver.to_opaque().to(), socket };
    Ok((sender.to_opaque().to(), receiver))
}

impl<T: Message> PollableReceiver<T> {
    /// Takes a message that is there already.
    ///
    /// # Errors
    /// `Empty`, or that no sender is left, or that the message is none of this type; `Io` when it has lost
    /// its descriptors, as where this process may open no more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        // A handle without its descriptor is met by a panic in `ipc-channel`, not by an error.
        catch_unwind(AssertUnwindSafe(|| self.receiver.try_recv())).unwrap_or_else(|_| {
            let lost = "a message came without its descriptors: is the limit of open files reached?";
            Err(TryRecvError::IpcError(IpcError::Io(io::Error::other(lost))))
        })
    }

    /// The plain receiver, for instance to pass it on.
    pub fn into_inner(self) -> IpcReceiver<T> {
        self.receiver
    }
}

impl<T> AsFd for PollableReceiver<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the receiver owns the socket and neither closes nor gives it away before its drop.
        unsafe { borrow_from(&self.receiver, self.socket) }
    }
}

impl<T> Debug for PollableReceiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PollableReceiver").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Makes a receiver out of the receiving socket of a channel, as an executable inherits it.
///
/// A new channel is made and its receiver's descriptor is made to mean `socket`.
///
/// # Errors
/// `InvalidInput` when `socket` is no packet socket; else as `socketpair(2)`.
pub fn adopt<T: Message>(socket: &OwnedFd) -> io::Result<IpcReceiver<T>> {
    if packet_socket(socket.as_raw_fd()).is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is no packet socket"));
    }
    let (_sender, receiver) = ipc::channel::<()>()?;
    replace(socket_of(&receiver)?, socket.as_fd())?;
    Ok(receiver.to_opaque().to())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_and_their_opaque_forms_tell_their_sockets() {
        let (sender, receiver) = ipc::channel::<u8>().unwrap();
        let (a, b) = (socket_of(&sender).unwrap().as_raw_fd(), socket_of(&receiver).unwrap().as_raw_fd());
        assert_ne!(a, b);
        assert_eq!(socket_of(&sender.to_opaque()).unwrap().as_raw_fd(), a);
        assert_eq!(socket_of(&receiver.to_opaque()).unwrap().as_raw_fd(), b);
    }

    #[test]
    fn an_adopted_socket_receives_what_was_sent_to_it() {
        let (sender, receiver) = ipc::channel::<String>().unwrap();
        let inherited = socket_of(&receiver).unwrap().try_clone_to_owned().unwrap();
        drop(receiver);
        let adopted = adopt::<String>(&inherited).unwrap();
        sender.send("hello".to_owned()).unwrap();
        assert_eq!(adopted.recv().unwrap(), "hello");
        drop(sender);
        assert!(adopted.recv().is_err(), "the end of the stream is seen");
    }

    #[test]
    fn what_is_no_socket_is_not_adopted() {
        let file = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        assert_eq!(adopt::<u8>(&file).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
