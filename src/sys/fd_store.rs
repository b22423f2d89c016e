//! Descriptors that are kept in a socket (`SCM_RIGHTS`, `unix(7)`).
//!
//! A message stays in the socket that it was sent to, with the descriptors that were sent with it, until a process that
//! has the socket receives it, even if the sender has died. When the last descriptor of the socket is closed, the kernel
//! closes everything in it.
//!
//! [`Groups`] are such messages, in one of a pair of sockets or in a [`FdStore`], a socket that is connected to itself:
//! the kernel chooses its name, which is in no file system, and only the socket itself can send to it.

use super::descriptor::{peek_message, send_message};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, getsockname, setsockopt, socket,
    sockopt,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Length in bytes of the tag that identifies a group of descriptors.
pub const TAG: usize = 24;
/// The maximum number of descriptors in one message (`SCM_MAX_FD` of the kernel).
const MOST_IN_A_MESSAGE: usize = 253;
/// The maximum number of descriptors in one group.
pub const MOST_IN_A_GROUP: usize = MOST_IN_A_MESSAGE * MOST_IN_A_MESSAGE;
/// The requested capacity, in bytes as the kernel accounts for them, of which a group takes about 800. The system's
/// limit is `net.core.wmem_max`.
const BUFFER: usize = 4 << 20;

/// What a socket has received first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// Nothing.
    Nothing,
    /// A message without meaning, which makes the socket readable.
    Signal,
    /// A group with this tag.
    Group([u8; TAG]),
}

/// Groups of descriptors in a socket that preserves message boundaries, first in, first out.
///
/// Each operation is one system call, or has no effect until its last one.
#[derive(Debug, Clone, Copy)]
pub struct Groups<'a>(BorrowedFd<'a>);

impl<'a> Groups<'a> {
    /// Those that are sent and received through `socket`.
    pub fn of(socket: BorrowedFd<'a>) -> Self {
        Groups(socket)
    }

    /// Asks the kernel for room for a few thousand groups. If this is refused, there is less room.
    pub fn enlarge(self) {
        let _ = setsockopt(&self.0, sockopt::SndBuf, &BUFFER);
    }

    /// Makes the receiving socket readable. Fails only if it is full, and therefore readable, or closed.
    pub fn signal(self) {
        let _ = send_message(self.0, &[0], &[]);
    }

    /// Sends a group of copies of `descriptors`.
    ///
    /// # Errors
    /// `EAGAIN` when there is no room; `ETOOMANYREFS` when more descriptors of this user are in flight than this process
    /// may open; `EPIPE` or `ECONNRESET` when the receiving socket is closed; `EMFILE`; `EMSGSIZE` for a group of more
    /// than [`MOST_IN_A_GROUP`].
    pub fn push(self, tag: &[u8; TAG], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if descriptors.len() <= MOST_IN_A_MESSAGE {
            return send_message(self.0, tag, descriptors);
        }
        // A group that does not fit into one message is split into stores of its own.
        let mut stores = Vec::new();
        for some in descriptors.chunks(MOST_IN_A_MESSAGE) {
            let store = FdStore::new()?;
            send_message(store.0.as_fd(), &[], some)?;
            stores.push(store);
        }
        let stores: Vec<_> = stores.iter().map(|store| store.0.as_fd()).collect();
        if stores.len() > MOST_IN_A_MESSAGE {
            return Err(nix::errno::Errno::EMSGSIZE.into());
        }
        send_message(self.0, tag, &stores)
    }

    /// What the socket has received first.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn front(self) -> io::Result<Front> {
        let mut tag = [0; TAG];
        Ok(match self.receive(&mut tag, MsgFlags::MSG_PEEK)? {
            None => Front::Nothing,
            Some(TAG) => Front::Group(tag),
            Some(_) => Front::Signal,
        })
    }

    /// Copies of the `count` descriptors of the first group, which stays in the socket.
    ///
    /// # Errors
    /// `EMFILE` when this process may not open as many; `InvalidData` when the group has another number.
    pub fn copy_first(self, count: usize) -> io::Result<Vec<OwnedFd>> {
        let mut group = peek(self.0)?;
        if count > MOST_IN_A_MESSAGE {
            let stores = std::mem::take(&mut group);
            for store in stores {
                group.extend(peek(store.as_fd())?);
            }
        }
        if group.len() == count {
            return Ok(group);
        }
        let what = format!("the group has {} descriptors instead of {count}", group.len());
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// Removes what was received first, and closes its descriptors. Returns whether there was anything.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn remove_first(self) -> io::Result<bool> {
        Ok(self.receive(&mut [0; 1], MsgFlags::empty())?.is_some())
    }

    /// Removes everything.
    pub fn clear(self) {
        while self.remove_first().unwrap_or(false) {}
    }

    /// Moves the first group of a store to the end. A copy of it is in the store at any time.
    ///
    /// # Errors
    /// As [`Self::copy_first`] and [`Self::push`]; the group then stays the first one.
    pub fn rotate(self, tag: &[u8; TAG]) -> io::Result<()> {
        let group = peek(self.0)?;
        let group: Vec<_> = group.iter().map(AsFd::as_fd).collect();
        send_message(self.0, tag, &group)?;
        self.remove_first().map(drop)
    }

    /// The length of what was received first; `None` if there is nothing.
    fn receive(self, bytes: &mut [u8], flags: MsgFlags) -> io::Result<Option<usize>> {
        let flags = flags | MsgFlags::MSG_DONTWAIT;
        match again_after_reset(|| Ok(nix::sys::socket::recv(self.0.as_raw_fd(), bytes, flags)?)) {
            Ok(0) => Ok(None),
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A place for groups that several processes share: a socket that is connected to itself.
#[derive(Debug)]
pub struct FdStore(OwnedFd);

impl FdStore {
    /// Creates an empty store.
    ///
    /// # Errors
    /// `EMFILE`, or the error of a sandbox.
    pub fn new() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
        connect(socket.as_raw_fd(), &getsockname::<UnixAddr>(socket.as_raw_fd())?)?;
        Groups(socket.as_fd()).enlarge();
        Ok(FdStore(socket))
    }

    /// What is in it.
    pub fn groups(&self) -> Groups<'_> {
        Groups(self.0.as_fd())
    }
}

/// Retries if the other end was closed with unread messages. The kernel reports that once, but the messages that it sent
/// can still be received.
fn again_after_reset<R>(mut receive: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    match receive() {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => receive(),
        result => result,
    }
}

fn peek(socket: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    Ok(again_after_reset(|| peek_message(socket, &mut [0; TAG]))?.1)
}

impl AsFd for FdStore {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for FdStore {
    fn from(socket: OwnedFd) -> Self {
        FdStore(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    fn null() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn groups_are_first_in_first_out() {
        let owner = FdStore::new().unwrap();
        let store = owner.groups();
        assert_eq!(store.front().unwrap(), Front::Nothing);
        for (number, count) in [(1, 1), (2, 0), (3, 253)] {
            let descriptors: Vec<_> = (0..count).map(|_| null()).collect();
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            store.push(&[number; TAG], &descriptors).unwrap();
        }
        for (number, count) in [(1, 1), (2, 0), (3, 253)] {
            assert_eq!(store.front().unwrap(), Front::Group([number; TAG]));
            assert_eq!(store.copy_first(count).unwrap().len(), count);
            assert_eq!(store.copy_first(count).unwrap().len(), count, "they are still there");
            assert!(store.remove_first().unwrap());
        }
        assert_eq!(store.front().unwrap(), Front::Nothing);
    }

    #[test]
    fn a_group_may_be_larger_than_a_message() {
        let owner = FdStore::new().unwrap();
        let store = owner.groups();
        let null = null();
        store.push(&[1; TAG], &vec![null.as_fd(); 600]).unwrap();
        assert_eq!(store.copy_first(600).unwrap().len(), 600);
        store.push(&[2; TAG], &[null.as_fd()]).unwrap();
        store.rotate(&[1; TAG]).unwrap();
        assert_eq!(store.front().unwrap(), Front::Group([2; TAG]));
        assert!(store.remove_first().unwrap());
        assert_eq!(store.copy_first(600).unwrap().len(), 600);
    }

    #[test]
    fn the_descriptors_in_a_store_are_closed_with_it() {
        let owner = FdStore::new().unwrap();
        let store = owner.groups();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        store.push(&[0; TAG], &[writer.as_fd()]).unwrap();
        writer.write_all(b"x").unwrap();
        drop(writer);
        drop(owner);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
}
