//! Segments as a sequence diagram, the client on the left, the server on the right.

use super::segment::{Flags, Segment};
use crate::net::event::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;

/// Connections that are drawn at once; the life of one above that is not.
const FLOWS: usize = 1024;

/// Characters between the two ends.
const WIDTH: usize = 62;

/// Draws the connections of one server.
#[derive(Debug)]
pub struct Diagram {
    port: u16,
    flows: HashMap<SocketAddr, Flow>,
}

#[derive(Debug)]
struct Flow {
    began: u64,
    /// The first sequence number of each direction; numbers are shown from there, as Wireshark does.
    client: Option<u32>,
    server: Option<u32>,
}

impl Diagram {
    /// A diagram of the connections of the server at `port`.
    pub fn new(port: u16) -> Self {
        Self { port, flows: HashMap::new() }
    }

    /// The lines for a segment that passed at `at_ns`; none when it is of another server.
    pub fn add(&mut self, at_ns: u64, segment: &Segment) -> Vec<String> {
        let to_server = match (segment.to.port() == self.port, segment.from.port() == self.port) {
            (true, _) => true,
            (_, true) => false,
            _ => return Vec::new(),
        };
        let (client, server) =
            if to_server { (segment.from, segment.to) } else { (segment.to, segment.from) };
        let mut lines = Vec::new();
        if !self.flows.contains_key(&client) {
            if self.flows.len() >= FLOWS {
                return lines;
            }
            self.flows.insert(client, Flow { began: at_ns, client: None, server: None });
            let (left, right) = (format!("client {client}"), format!("server {server}"));
            let gap = (WIDTH + 2).saturating_sub(left.len() + right.len()).max(1);
            lines.push(format!("{:>10}  {left}{:gap$}{right}", "ms", ""));
        }
        let Some(flow) = self.flows.get_mut(&client) else { return lines };
        let (ours, theirs) =
            if to_server { (&mut flow.client, flow.server) } else { (&mut flow.server, flow.client) };
        let first = *ours.get_or_insert(segment.seq);
        let seq = segment.seq.wrapping_sub(first);
        let ack = segment.ack.wrapping_sub(theirs.unwrap_or(segment.ack));
        let ms = at_ns.saturating_sub(flow.began) as f64 / 1e6;
        let label = label(segment, seq, ack);
        let line = "─".repeat(WIDTH.saturating_sub(label.chars().count() + 6));
        lines.push(if to_server {
            format!("{ms:>10.3}  │── {label} {line}▶│")
        } else {
            format!("{ms:>10.3}  │◀{line} {label} ──│")
        });
        if segment.flags.rst {
            self.flows.remove(&client);
        }
        lines
    }
}

fn label(segment: &Segment, seq: u32, ack: u32) -> String {
    let mut label = names(segment.flags);
    label += &format!(" seq={seq}");
    if segment.flags.ack {
        label += &format!(" ack={ack}");
    }
    if segment.length > 0 {
        label += &format!(" {}", Bytes { length: segment.length, head: segment.head.clone() });
        // A diagram keeps its shape; the whole is in the log.
        if let Some((at, _)) = label.char_indices().nth(WIDTH - 8) {
            label.truncate(at);
            label.push('…');
        }
    }
    label
}

fn names(flags: Flags) -> String {
    let all =
        [(flags.syn, "SYN"), (flags.fin, "FIN"), (flags.rst, "RST"), (flags.psh, "PSH"), (flags.ack, "ACK")];
    all.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_drawn_from_its_first_syn_to_its_last_ack() {
        let client = SocketAddr::from(([127, 0, 0, 1], 40000));
        let server = SocketAddr::from(([127, 0, 0, 1], 9000));
        let (none, ack) = (Flags::default(), Flags { ack: true, ..Flags::default() });
        let up = |flags, seq, ack, data: &[u8]| Segment {
            from: client,
            to: server,
            flags,
            seq,
            ack,
            length: data.len(),
            head: data.to_vec(),
        };
        let down = |flags, seq, ack| Segment { from: server, to: client, ..up(flags, seq, ack, b"") };
        let life = [
            up(Flags { syn: true, ..none }, 4_294_967_295, 0, b""),
            down(Flags { syn: true, ..ack }, 500, 0),
            up(ack, 0, 501, b""),
            up(Flags { psh: true, ..ack }, 0, 501, b"hello"),
            down(ack, 501, 5),
            up(Flags { fin: true, ..ack }, 5, 501, b""),
            down(Flags { fin: true, ..ack }, 501, 6),
            up(ack, 6, 502, b""),
        ];
        let mut diagram = Diagram::new(9000);
        let lines: Vec<String> =
            life.iter().zip(0..).flat_map(|(segment, ms)| diagram.add(ms * 1_000_000, segment)).collect();
        let expected = "\
        ms  client 127.0.0.1:40000           server 127.0.0.1:9000
     0.000  │── SYN seq=0 ───────────────────────────────────────────▶│
     1.000  │◀────────────────────────────────── SYN, ACK seq=0 ack=1 ──│
     2.000  │── ACK seq=1 ack=1 ─────────────────────────────────────▶│
     3.000  │── PSH, ACK seq=1 ack=1 5 bytes \"hello\" ─────────────────▶│
     4.000  │◀──────────────────────────────────────── ACK seq=1 ack=6 ──│
     5.000  │── FIN, ACK seq=6 ack=1 ─────────────────────────────────▶│
     6.000  │◀─────────────────────────────────── FIN, ACK seq=1 ack=7 ──│
     7.000  │── ACK seq=7 ack=2 ──────────────────────────────────────▶│";
        let squeezed = |text: &str| text.replace('─', "").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&lines.join("\n")), squeezed(expected));
        let widths: Vec<usize> = lines[1..].iter().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{lines:#?}");
    }

    #[test]
    fn other_servers_are_not_drawn() {
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        let segment = Segment {
            from: other,
            to: other,
            flags: Flags::default(),
            seq: 0,
            ack: 0,
            length: 0,
            head: Vec::new(),
        };
        assert!(Diagram::new(9000).add(0, &segment).is_empty());
    }
}
