//! A store of descriptors that several processes share: a socket that is connected to itself (`unix(7)`).
//!
//! A message stays in the socket, with the descriptors that were sent with it (`SCM_RIGHTS`), until a process that has
//! the socket receives it, even if the sender has died. When the last descriptor of the socket is closed, the kernel
//! closes everything in it. The kernel chooses the socket's name, which is in no file system, and only the socket itself
//! can send to it.

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

/// Groups of descriptors, first in, first out.
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
        // If this is refused, the store holds fewer groups.
        let _ = setsockopt(&socket, sockopt::SndBuf, &BUFFER);
        Ok(FdStore(socket))
    }

    /// Adds a group of copies of `descriptors` at the end.
    ///
    /// # Errors
    /// `EAGAIN` when the store is full; `ETOOMANYREFS` when more descriptors of this user are in flight than this
    /// process may open; `EMFILE`; `EMSGSIZE` for a group of more than [`MOST_IN_A_GROUP`].
    pub fn push(&self, tag: &[u8; TAG], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if descriptors.len() <= MOST_IN_A_MESSAGE {
            return send_message(self.0.as_fd(), tag, descriptors);
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
        send_message(self.0.as_fd(), tag, &stores)
    }

    /// The tag of the first group; `None` if the store is empty.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn first_tag(&self) -> io::Result<Option<[u8; TAG]>> {
        let mut tag = [0; TAG];
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        match nix::sys::socket::recv(self.0.as_raw_fd(), &mut tag, flags) {
            Ok(_) => Ok(Some(tag)),
            Err(nix::errno::Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies of the `count` descriptors of the first group, which stays in the store.
    ///
    /// # Errors
    /// `EMFILE` when this process may not open as many; `InvalidData` when the group has another number.
    pub fn first(&self, count: usize) -> io::Result<Vec<OwnedFd>> {
        let mut group = peek(self.0.as_fd())?;
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

    /// Removes the first group and closes its descriptors.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn remove_first(&self) -> io::Result<()> {
        match nix::sys::socket::recv(self.0.as_raw_fd(), &mut [0; 1], MsgFlags::MSG_DONTWAIT) {
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves the first group to the end. A copy of it is in the store at any time.
    ///
    /// # Errors
    /// As [`Self::first`] and [`Self::push`]; the group then stays the first one.
    pub fn rotate(&self, tag: &[u8; TAG]) -> io::Result<()> {
        let group = peek(self.0.as_fd())?;
        let group: Vec<_> = group.iter().map(AsFd::as_fd).collect();
        send_message(self.0.as_fd(), tag, &group)?;
        self.remove_first()
    }
}

fn peek(socket: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    Ok(peek_message(socket, &mut [0; TAG])?.1)
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
        let store = FdStore::new().unwrap();
        assert!(store.first_tag().unwrap().is_none());
        for (number, count) in [(1, 1), (2, 0), (3, 253)] {
            let descriptors: Vec<_> = (0..count).map(|_| null()).collect();
            let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            store.push(&[number; TAG], &descriptors).unwrap();
        }
        for (number, count) in [(1, 1), (2, 0), (3, 253)] {
            assert_eq!(store.first_tag().unwrap(), Some([number; TAG]));
            assert_eq!(store.first(count).unwrap().len(), count);
            assert_eq!(store.first(count).unwrap().len(), count, "they are still there");
            store.remove_first().unwrap();
        }
        assert!(store.first_tag().unwrap().is_none());
    }

    #[test]
    fn a_group_may_be_larger_than_a_message() {
        let store = FdStore::new().unwrap();
        let null = null();
        store.push(&[1; TAG], &vec![null.as_fd(); 600]).unwrap();
        assert_eq!(store.first(600).unwrap().len(), 600);
        store.push(&[2; TAG], &[null.as_fd()]).unwrap();
        store.rotate(&[1; TAG]).unwrap();
        assert_eq!(store.first_tag().unwrap(), Some([2; TAG]));
        store.remove_first().unwrap();
        assert_eq!(store.first(600).unwrap().len(), 600);
    }

    #[test]
    fn the_descriptors_in_a_store_are_closed_with_it() {
        let store = FdStore::new().unwrap();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        store.push(&[0; TAG], &[writer.as_fd()]).unwrap();
        writer.write_all(b"x").unwrap();
        drop(writer);
        drop(store);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
}
