//! The peers of connected Unix domain sockets (`sock_diag(7)`), which `/proc/net/unix` does not show.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `UDIAG_SHOW_PEER`.
const SHOW_PEER: u32 = 4;
/// `UNIX_DIAG_PEER`.
const PEER: u16 = 2;
/// The size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// The size of `struct unix_diag_msg`.
const MESSAGE: usize = 16;
/// The maximum number of datagrams that are read.
const MOST: usize = 4096;

/// Maps the inode of each connected socket in this network namespace to the inode of its peer; empty if the kernel
/// refuses the query.
pub fn unix_peers() -> HashMap<u64, u64> {
    query().unwrap_or_default()
}

fn query() -> nix::Result<HashMap<u64, u64>> {
    let fd: OwnedFd = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )?;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut request = Vec::with_capacity(40);
    request.extend(40_u32.to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 8]);
    // `struct unix_diag_req`: family, protocol, padding, states, inode, attributes, cookie.
    request.extend([libc::AF_UNIX as u8, 0, 0, 0]);
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(0_u32.to_ne_bytes());
    request.extend(SHOW_PEER.to_ne_bytes());
    request.extend([0; 8]);
    sendto(fd.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut peers = HashMap::new();
    let mut buffer = vec![0; 32 << 10];
    for _ in 0..MOST {
        let length = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        if length == 0 || parse(&buffer[..length], &mut peers).is_none() {
            break;
        }
    }
    Ok(peers)
}

/// Parses the messages of one datagram; `None` at the end of the response.
fn parse(mut bytes: &[u8], peers: &mut HashMap<u64, u64>) -> Option<()> {
    while bytes.len() >= HEADER {
        let length = u32_at(bytes, 0)? as usize;
        if u16_at(bytes, 4)? != BY_FAMILY || length < HEADER + MESSAGE {
            return None;
        }
        let message = bytes.get(HEADER..length)?;
        let inode = u32_at(message, 4)?;
        let mut attributes = message.get(MESSAGE..)?;
        while attributes.len() >= 4 {
            let length = usize::from(u16_at(attributes, 0)?).max(4);
            if u16_at(attributes, 2)? == PEER {
                peers.insert(inode.into(), u32_at(attributes, 4)?.into());
            }
            attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_sockets_of_a_pair_are_peers() {
        let (one, other) = UnixStream::pair().unwrap();
        let inode = |stream: &UnixStream| {
            let link = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd())).unwrap();
            let text = link.to_string_lossy().into_owned();
            text.trim_start_matches("socket:[").trim_end_matches(']').parse::<u64>().unwrap()
        };
        let peers = unix_peers();
        if peers.is_empty() {
            return;
        }
        assert_eq!(peers.get(&inode(&one)), Some(&inode(&other)));
        assert_eq!(peers.get(&inode(&other)), Some(&inode(&one)));
    }

    #[test]
    fn an_invalid_response_adds_no_peers() {
        let mut peers = HashMap::new();
        for length in 0..64 {
            let _ = parse(&vec![0xff; length], &mut peers);
            let _ = parse(&vec![0; length], &mut peers);
        }
        assert!(peers.is_empty());
    }
}
