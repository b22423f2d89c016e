//! Socket features that the standard library lacks: a long backlog (`listen(2)`), the original length of truncated
//! datagrams (`recvmsg(2)`), and pairs that preserve message boundaries (`SOCK_SEQPACKET`).

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrStorage, listen, recv, recvmsg, send,
    socketpair,
};
use std::io::{self, IoSliceMut};
use std::net::{Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Raises the backlog to the system's limit (`net.core.somaxconn`). The standard library requests 128; connections
/// of a larger burst wait for a second until they retransmit their SYN.
///
/// # Errors
/// When the socket is not listening.
pub fn lengthen_backlog(listener: &TcpListener) -> io::Result<()> {
    Ok(listen(listener, Backlog::MAXALLOWABLE)?)
}

/// Makes the operations on a socket fail instead of waiting (`O_NONBLOCK`, `fcntl(2)`). The standard library uses
/// `ioctl(2)` for that, which a sandbox may refuse.
///
/// # Errors
/// As `fcntl(2)`.
pub fn set_nonblocking(socket: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL)?);
    fcntl(&socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// The error with which a sandbox refuses to end a direction of a connection (`shutdown(2)`), if it does.
pub fn shutdown_is_refused() -> Option<io::Error> {
    let (one, _other) = std::os::unix::net::UnixStream::pair().ok()?;
    one.shutdown(Shutdown::Write).err()
}

/// Creates two connected sockets that preserve message boundaries, close-on-exec (`socketpair(2)`).
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends one message. A closed peer causes an error, not a signal.
///
/// # Errors
/// `EPIPE` when the peer is closed.
pub fn send_message(socket: BorrowedFd<'_>, message: &[u8]) -> io::Result<()> {
    send(socket.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

/// Receives a message of exactly `N` bytes, without blocking.
///
/// # Errors
/// `WouldBlock` when there is none, `UnexpectedEof` when the peer is closed or the message has another length.
pub fn receive_message<const N: usize>(socket: BorrowedFd<'_>) -> io::Result<[u8; N]> {
    let mut message = [0; N];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    if recv(socket.as_raw_fd(), &mut message, flags)? == N {
        Ok(message)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Whether the socket has a message; false also when its peer is closed and nothing is left.
pub fn has_message(socket: BorrowedFd<'_>) -> bool {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
    recv(socket.as_raw_fd(), &mut [0; 1], flags).is_ok_and(|length| length > 0)
}

/// A received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// The number of bytes in the buffer.
    pub kept: usize,
    /// The number of bytes that were sent. If it is more than `kept`, the buffer was too small and the rest is lost.
    pub sent: usize,
    /// The address of the sender.
    pub from: SocketAddr,
}

/// Receives one datagram, truncated to `buffer` (`MSG_TRUNC` in `recv(2)`).
///
/// # Errors
/// When the socket's timeout expires (`WouldBlock`), a signal arrives (`Interrupted`), or the peer's machine reports
/// that nothing listens on the port (`ConnectionRefused`, on a connected socket).
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Datagram> {
    let room = buffer.len();
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, None, MsgFlags::MSG_TRUNC)?;
    let from = message
        .address
        .and_then(to_std)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the datagram has no internet address"))?;
    Ok(Datagram { kept: message.bytes.min(room), sent: message.bytes, from })
}

fn to_std(address: SockaddrStorage) -> Option<SocketAddr> {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(SocketAddr::V4((*v4).into())),
        (_, Some(v6)) => Some(SocketAddr::V6((*v6).into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_datagram_has_its_original_length() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"0123456789", socket.local_addr().unwrap()).unwrap();
        sender.send_to(b"ab", socket.local_addr().unwrap()).unwrap();

        let mut buffer = [0; 4];
        let from = sender.local_addr().unwrap();
        assert_eq!(receive(&socket, &mut buffer).unwrap(), Datagram { kept: 4, sent: 10, from });
        assert_eq!(&buffer, b"0123");
        assert_eq!(receive(&socket, &mut buffer).unwrap(), Datagram { kept: 2, sent: 2, from });
    }
}
