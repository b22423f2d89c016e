//! `socketpair(2)`: two sockets that are each other's other end.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::io;
use std::os::fd::OwnedFd;

/// Two sockets that keep the borders of messages; close-on-exec.
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}
