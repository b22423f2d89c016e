//! The states of a server's connections as `/proc/net/tcp` shows them (`proc_net(5)`), for users who may not capture
//! packets.

use crate::sys::clock::monotonic_ns;
use crate::sys::poll::{Deadline, readable};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// How often the lists are read.
const EVERY: Duration = Duration::from_micros(200);

/// Checks that the states are available.
///
/// # Errors
/// If the list cannot be read.
pub fn check() -> io::Result<()> {
    std::fs::read(LISTS[0]).map(|_| ())
}

/// A change of the state of one end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// When it was seen, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// When the states were first read.
    pub began_ns: u64,
    /// The end.
    pub end: End,
    /// Its state before, if it was known.
    pub before: Option<&'static str>,
    /// Its state now; `None` if it is gone.
    pub now: Option<&'static str>,
}

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.at_ns.saturating_sub(self.began_ns) as f64 / 1e6;
        write!(f, "{ms:>10.3}  {}: ", self.end)?;
        if let Some(before) = self.before {
            write!(f, "{before} → ")?;
        }
        f.write_str(self.now.unwrap_or("gone"))
    }
}

/// Reports every change of state at either end of the connections of the server at `port`.
pub(super) fn follow(stopped: &UnixStream, port: u16, mut emit: impl FnMut(Changed)) {
    let mut known: BTreeMap<End, &'static str> = BTreeMap::new();
    let mut began = None;
    let mut last_look = false;
    loop {
        let mut now = BTreeMap::new();
        for list in LISTS {
            // The second list does not exist on a kernel without IPv6.
            let text = std::fs::read_to_string(list).unwrap_or_default();
            now.extend(text.lines().filter_map(|line| parse(line, port)));
        }
        let at_ns = monotonic_ns();
        let began_ns = *began.get_or_insert(at_ns);
        for (end, state) in &now {
            let before = known.get(end).copied();
            if before != Some(*state) {
                emit(Changed { at_ns, began_ns, end: *end, before, now: Some(state) });
            }
        }
        for (end, before) in known.iter().filter(|(end, _)| !now.contains_key(end)) {
            emit(Changed { at_ns, began_ns, end: *end, before: Some(before), now: None });
        }
        known = now;
        if last_look {
            return;
        }
        last_look = readable(&[stopped.as_fd()], Deadline::after(EVERY)).is_ok_and(|ready| ready[0]);
    }
}

/// One end of one connection, named by the client's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The client's port.
    pub client: u16,
    /// Whether it is the server's end.
    pub is_server: bool,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client port {}, at the {}", self.client, if self.is_server { "server" } else { "client" })
    }
}

/// `  0: 0100007F:2328 0100007F:9C40 01 …`: the local end, the remote end, the state.
fn parse(line: &str, server: u16) -> Option<(End, &'static str)> {
    let mut fields = line.split_whitespace().skip(1);
    let mut port = || u16::from_str_radix(fields.next()?.rsplit_once(':')?.1, 16).ok();
    let (local, remote) = (port()?, port()?);
    let state = match fields.next()? {
        "01" => "ESTABLISHED",
        "02" => "SYN_SENT",
        "03" => "SYN_RECV",
        "04" => "FIN_WAIT1",
        "05" => "FIN_WAIT2",
        "06" => "TIME_WAIT",
        "07" => "CLOSE",
        "08" => "CLOSE_WAIT",
        "09" => "LAST_ACK",
        "0B" => "CLOSING",
        "0C" => "NEW_SYN_RECV",
        // 0A is the listening socket itself.
        _ => return None,
    };
    if local == server {
        Some((End { client: remote, is_server: true }, state))
    } else if remote == server {
        Some((End { client: local, is_server: false }, state))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_an_end_and_its_state() {
        let line = "   1: 0100007F:2328 0100007F:9C40 08 00000000:00000000 00:00000000 00000000     0 0 5 1";
        let server = End { client: 40000, is_server: true };
        let client = End { client: 9000, is_server: false };
        assert_eq!(parse(line, 9000), Some((server, "CLOSE_WAIT")));
        assert_eq!(parse(line, 40000), Some((client, "CLOSE_WAIT")));
        assert_eq!(parse(line, 1), None);
        assert_eq!(parse("  sl  local_address rem_address   st tx_queue", 9000), None);
    }
}
