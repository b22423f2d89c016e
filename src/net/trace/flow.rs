//! The connections of one server: which of them a segment belongs to, and its place in that connection.

use super::segment::{Flags, Segment};
use std::collections::HashMap;
use std::net::SocketAddr;

/// The maximum number of connections to remember; above that, the one with the oldest segment is forgotten.
const FLOWS: usize = 1024;

/// A segment as part of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// When it was captured, in nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// When the first segment of its connection was.
    pub began_ns: u64,
    /// The client's end.
    pub client: SocketAddr,
    /// The server's end.
    pub server: SocketAddr,
    /// Whether the client sent it.
    pub to_server: bool,
    /// Whether it is the first one of its connection.
    pub is_first: bool,
    /// Its flags.
    pub flags: Flags,
    /// The number of its first byte in its direction, counted from 0 at the first segment, as Wireshark does.
    pub seq: u32,
    /// The next byte that is expected from the other direction, counted likewise, if ACK is set.
    pub ack: u32,
    /// The number of bytes of data.
    pub length: usize,
    /// The first bytes of data.
    pub head: Vec<u8>,
}

/// The connections of one server.
#[derive(Debug)]
pub struct Flows {
    port: u16,
    known: HashMap<SocketAddr, Flow>,
}

#[derive(Debug)]
struct Flow {
    began_ns: u64,
    last_ns: u64,
    /// The first sequence number of each direction.
    client: Option<u32>,
    server: Option<u32>,
}

impl Flows {
    /// The connections of the server at `port`; none is known yet.
    pub fn new(port: u16) -> Self {
        Self { port, known: HashMap::new() }
    }

    /// The place of a segment that was captured at `at_ns`; `None` if it belongs to another server.
    pub fn add(&mut self, at_ns: u64, segment: &Segment) -> Option<Passed> {
        let to_server = match (segment.to.port() == self.port, segment.from.port() == self.port) {
            (true, _) => true,
            (_, true) => false,
            _ => return None,
        };
        let (client, server) =
            if to_server { (segment.from, segment.to) } else { (segment.to, segment.from) };
        let known = self.known.get(&client);
        // A SYN with another sequence number begins a new connection on a port that an earlier one used.
        let is_syn = segment.flags.syn && !segment.flags.ack;
        let is_first = known.is_none_or(|flow| is_syn && flow.client != Some(segment.seq));
        if is_first {
            self.make_room();
            let flow = Flow { began_ns: at_ns, last_ns: at_ns, client: None, server: None };
            self.known.insert(client, flow);
        }
        let flow = self.known.get_mut(&client)?;
        flow.last_ns = at_ns;
        let began_ns = flow.began_ns;
        let (ours, theirs) =
            if to_server { (&mut flow.client, flow.server) } else { (&mut flow.server, flow.client) };
        let first = *ours.get_or_insert(segment.seq);
        let seq = segment.seq.wrapping_sub(first);
        let ack = segment.ack.wrapping_sub(theirs.unwrap_or(segment.ack));
        if segment.flags.rst {
            self.known.remove(&client);
        }
        let (flags, length, head) = (segment.flags, segment.length, segment.head.clone());
        Some(Passed { at_ns, began_ns, client, server, to_server, is_first, flags, seq, ack, length, head })
    }

    fn make_room(&mut self) {
        if self.known.len() >= FLOWS {
            let silent = self.known.iter().min_by_key(|(_, flow)| flow.last_ns).map(|(client, _)| *client);
            silent.map(|client| self.known.remove(&client));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_take_bounded_memory_and_the_latest_is_known() {
        let mut flows = Flows::new(9000);
        let syn = Flags { syn: true, ..Flags::default() };
        for port in 10_000..13_000 {
            let (from, to) = (([127, 0, 0, 1], port).into(), ([127, 0, 0, 1], 9000).into());
            let segment = Segment { from, to, flags: syn, seq: 7, ack: 0, length: 0, head: Vec::new() };
            assert!(flows.add(u64::from(port), &segment).is_some_and(|passed| passed.is_first));
        }
        assert_eq!(flows.known.len(), FLOWS);
    }
}
