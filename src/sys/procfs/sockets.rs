//! `/proc/PID/net/{tcp,tcp6,udp,udp6,unix}`: the addresses and peers of sockets.

use crate::sys::pid::Pid;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// `tcp`, `udp`, or `unix`.
    pub protocol: &'static str,
    /// Its address or path.
    pub local: String,
    /// The peer's address, if it is connected.
    pub peer: Option<String>,
    /// Whether it listens for connections.
    pub listens: bool,
}

/// Looks up a socket by inode in the network namespace of `pid`; reads at most 8 MiB of each table.
pub fn find(pid: Pid, inode: u64) -> Option<Socket> {
    ["tcp", "tcp6", "udp", "udp6"]
        .into_iter()
        .find_map(|table| internet(&read(pid, table)?, table, inode))
        .or_else(|| unix(&read(pid, "unix")?, inode))
}

/// The inode of the socket at the other end of a loopback connection or UDP pair.
pub fn peer_inode(pid: Pid, inode: u64) -> Option<u64> {
    ["tcp", "tcp6", "udp", "udp6"].into_iter().find_map(|table| {
        let text = read(pid, table)?;
        let rows = || text.lines().skip(1).filter_map(row);
        let own = rows().find(|row| row.inode == inode)?;
        rows().find(|row| row.local == own.peer && row.peer == own.local).map(|row| row.inode)
    })
}

fn read(pid: Pid, table: &str) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(format!("/proc/{pid}/net/{table}"))
        .ok()?
        .take(8 << 20)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

struct Row<'a> {
    local: &'a str,
    peer: &'a str,
    state: &'a str,
    inode: u64,
}

/// Parses a row: `sl local remote st tx:rx tr:when retrnsmt uid timeout inode …`.
fn row(line: &str) -> Option<Row<'_>> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    Some(Row {
        local: words.get(1)?,
        peer: words.get(2)?,
        state: words.get(3)?,
        inode: words.get(9)?.parse().ok()?,
    })
}

fn internet(text: &str, table: &str, inode: u64) -> Option<Socket> {
    const LISTEN: &str = "0A";
    let row = text.lines().skip(1).filter_map(row).find(|row| row.inode == inode)?;
    let protocol = if table.starts_with("tcp") { "tcp" } else { "udp" };
    let peer = address(row.peer).filter(|peer| peer.port() != 0).map(|peer| peer.to_string());
    let listens = protocol == "tcp" && row.state == LISTEN;
    Some(Socket { protocol, local: address(row.local)?.to_string(), peer, listens })
}

/// Parses `0100007F:2328`: the words of the address in host byte order, and the port, both in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?);
            ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Finds a row of `unix`: `Num RefCount Protocol Flags Type St Inode Path`.
fn unix(text: &str, inode: u64) -> Option<Socket> {
    const ACCEPTS: u32 = 1 << 16;
    text.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        (words.get(6)?.parse::<u64>().ok()? == inode).then(|| Socket {
            protocol: "unix",
            local: words.get(7).map_or("(unnamed)".to_owned(), |path| (*path).to_owned()),
            peer: None,
            listens: words
                .get(3)
                .and_then(|flags| u32::from_str_radix(flags, 16).ok())
                .is_some_and(|flags| flags & ACCEPTS != 0),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_found_by_its_inode() {
        use std::os::fd::AsRawFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let link = link.to_string_lossy().into_owned();
        let inode = link.trim_start_matches("socket:[").trim_end_matches(']').parse().unwrap();
        let socket = find(Pid::this(), inode).unwrap();
        assert_eq!(socket.local, listener.local_addr().unwrap().to_string());
        assert!(socket.listens && socket.peer.is_none());
    }
}
