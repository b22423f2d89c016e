//! `socketpair(2)`: two connected sockets.

use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Creates two connected sockets that preserve message boundaries, close-on-exec.
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Hangs up both ends: nothing more can be sent, but what was sent can be received.
pub fn shut_down(end: BorrowedFd<'_>) {
    // It fails only if the other end is closed, which has the same effect.
    let _ = shutdown(end.as_raw_fd(), Shutdown::Both);
}

/// The number of its inode, by which `/proc/PID/fd` names it.
///
/// # Errors
/// None that a caller can cause.
pub fn inode(end: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(nix::sys::stat::fstat(end)?.st_ino)
}
