//! `/proc/PID/net/{tcp,tcp6,udp,udp6,unix}`: the addresses and peers of sockets.

use crate::sys::pid::Pid;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

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

/// The socket tables of network namespaces, each read when it is first needed and then kept: one moment's answers for
/// any number of questions. To walk the kernel's table of TCP connections takes a millisecond, however few there are.
#[derive(Debug, Default)]
pub struct Sockets {
    /// By the namespace's inode and the table's name.
    tables: RefCell<HashMap<(u64, &'static str), Rc<Table>>>,
}

/// The cheapest first.
const TABLES: [&str; 5] = ["unix", "udp", "udp6", "tcp", "tcp6"];

#[derive(Debug, Default)]
struct Table {
    sockets: HashMap<u64, Socket>,
    /// Inodes by the addresses of both ends, as the kernel writes them: own, then peer.
    ends: HashMap<(String, String), u64>,
    /// The same the other way round.
    addresses: HashMap<u64, (String, String)>,
}

impl Sockets {
    /// Looks up a socket by inode in the network namespace of `pid`.
    pub fn find(&self, pid: Pid, inode: u64) -> Option<Socket> {
        self.table_of(pid, inode)?.sockets.get(&inode).cloned()
    }

    /// The inode of the socket at the other end of a loopback connection or UDP pair.
    pub fn peer_inode(&self, pid: Pid, inode: u64) -> Option<u64> {
        let table = self.table_of(pid, inode)?;
        let (local, peer) = table.addresses.get(&inode)?.clone();
        table.ends.get(&(peer, local)).copied()
    }

    fn table_of(&self, pid: Pid, inode: u64) -> Option<Rc<Table>> {
        TABLES.into_iter().map(|name| self.table(pid, name)).find(|table| table.sockets.contains_key(&inode))
    }

    fn table(&self, pid: Pid, name: &'static str) -> Rc<Table> {
        let namespace = std::fs::metadata(format!("/proc/{pid}/ns/net")).map_or(0, |meta| meta.ino());
        let mut tables = self.tables.borrow_mut();
        let table = tables.entry((namespace, name)).or_insert_with(|| {
            let text = read(pid, name).unwrap_or_default();
            Rc::new(if name == "unix" { unix(&text) } else { internet(&text, name) })
        });
        Rc::clone(table)
    }
}

/// At most 8 MiB of a table.
fn read(pid: Pid, table: &str) -> Option<String> {
    super::table_text(format!("/proc/{pid}/net/{table}"), 8 << 20).ok()
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

fn internet(text: &str, name: &str) -> Table {
    const LISTEN: &str = "0A";
    let protocol = if name.starts_with("tcp") { "tcp" } else { "udp" };
    let mut table = Table::default();
    for row in text.lines().skip(1).filter_map(row) {
        let Some(local) = address(row.local) else { continue };
        let peer = address(row.peer).filter(|peer| peer.port() != 0).map(|peer| peer.to_string());
        let listens = protocol == "tcp" && row.state == LISTEN;
        table.sockets.insert(row.inode, Socket { protocol, local: local.to_string(), peer, listens });
        let ends = (row.local.to_owned(), row.peer.to_owned());
        table.ends.insert(ends.clone(), row.inode);
        table.addresses.insert(row.inode, ends);
    }
    table
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

/// A table of `unix`: `Num RefCount Protocol Flags Type St Inode Path`.
fn unix(text: &str) -> Table {
    const ACCEPTS: u32 = 1 << 16;
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let flags = u32::from_str_radix(words.get(3)?, 16).ok()?;
        let local = words.get(7).map_or("(unnamed)".to_owned(), |path| (*path).to_owned());
        let listens = flags & ACCEPTS != 0;
        Some((words.get(6)?.parse().ok()?, Socket { protocol: "unix", local, peer: None, listens }))
    };
    Table { sockets: text.lines().skip(1).filter_map(socket).collect(), ..Table::default() }
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
        let socket = Sockets::default().find(Pid::this(), inode).unwrap();
        assert_eq!(socket.local, listener.local_addr().unwrap().to_string());
        assert!(socket.listens && socket.peer.is_none());
    }

    #[test]
    fn the_two_ends_of_a_connection_find_each_other() {
        use std::os::fd::{AsFd, AsRawFd};
        let inode = |socket: &dyn AsFd| {
            let link = format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd());
            std::fs::metadata(link).unwrap().ino()
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let sockets = Sockets::default();
        assert_eq!(sockets.peer_inode(Pid::this(), inode(&client)), Some(inode(&server)));
        assert_eq!(sockets.peer_inode(Pid::this(), inode(&server)), Some(inode(&client)));
        assert_eq!(sockets.peer_inode(Pid::this(), inode(&listener)), None);
    }
}
