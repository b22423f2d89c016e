//! What the standard library's sockets leave out: a long queue of connections that wait to be
//! accepted (`listen(2)`), and datagrams that say how long they were before they were cut (`recvmsg(2)`).

use nix::sys::socket::{Backlog, MsgFlags, SockaddrStorage, listen, recvmsg};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;

/// Lets as many connections wait to be accepted as the system allows (`net.core.somaxconn`); the
/// standard library asks for 128, and a burst above that waits a second for its next SYN.
///
/// # Errors
/// When the socket does not listen.
pub fn lengthen_backlog(listener: &TcpListener) -> io::Result<()> {
    Ok(listen(listener, Backlog::MAXALLOWABLE)?)
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
/// side's machine says that nobody listens (`ConnectionRefused`, on a connected socket).
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
