//! What the standard library's sockets leave out: a long queue of connections that wait to be
//! accepted (`listen(2)`), datagrams that say how long they were before they were cut (`recvmsg(2)`), and
//! pairs that keep messages apart (`SOCK_SEQPACKET`).

use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrStorage, listen, recv, recvmsg, send,
    socketpair,
};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Lets as many connections wait to be accepted as the system allows (`net.core.somaxconn`); the
/// standard library asks for 128, and a burst above that waits a second for its next SYN.
///
/// # Errors
/// When the socket does not listen.
pub fn lengthen_backlog(listener: &TcpListener) -> io::Result<()> {
    Ok(listen(listener, Backlog::MAXALLOWABLE)?)
}

/// Two connected sockets that keep messages apart (`socketpair(2)`); close-on-exec.
///
/// # Errors
/// `EMFILE` when no descriptor is left.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Sends one message; a closed peer is an error and no signal.
///
/// # Errors
/// `EPIPE` when the peer is closed.
pub fn send_message(socket: BorrowedFd<'_>, message: &[u8]) -> io::Result<()> {
    send(socket.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

/// Receives a message of exactly `N` bytes that is there already, without waiting.
///
/// # Errors
/// `WouldBlock` when none is there, `UnexpectedEof` when the peer is closed or the message has another length.
pub fn receive_message<const N: usize>(socket: BorrowedFd<'_>) -> io::Result<[u8; N]> {
    let mut message = [0; N];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    if recv(socket.as_raw_fd(), &mut message, flags)? == N {
        Ok(message)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Whether a message waits in the socket; false as well when its peer is closed and nothing is left.
pub fn has_message(socket: BorrowedFd<'_>) -> bool {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
    recv(socket.as_raw_fd(), &mut [0; 1], flags).is_ok_and(|length| length > 0)
}

/// A datagram as it lies in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// Bytes in the buffer.
    pub kept: usize,
    /// Bytes that were sent; more than `kept` when the buffer was too small, and the rest is lost.
    pub sent: usize,
    /// Who sent it.
    pub from: SocketAddr,
}

/// Receives one datagram. A datagram longer than `buffer` is cut (`MSG_TRUNC` in `recv(2)`).
///
/// # Errors
/// When the socket's timeout passes (`WouldBlock`), a signal comes (`Interrupted`), or the other
/// side's machine reports that nothing listens (`ConnectionRefused`, on a connected socket).
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Datagram> {
    let room = buffer.len();
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, None, MsgFlags::MSG_TRUNC)?;
    let from = message.address.and_then(to_std).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the datagram came without an internet address")
    })?;
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
    fn a_datagram_that_is_cut_says_how_long_it_was() {
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
