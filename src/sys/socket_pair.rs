//! `socketpair(2)`: two connected sockets.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::io;
use std::os::fd::OwnedFd;

/// Creates two connected sockets that preserve message boundaries, close-on-exec.
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}
