//! Segments as a sequence diagram, the client on the left, the server on the right.

use super::segment::{Flags, Segment};
use crate::net::event::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;
use unicode_width::UnicodeWidthStr;

/// Connections that are remembered; above that, the one that has been silent longest is forgotten.
const FLOWS: usize = 1024;

/// Characters between the two ends.
const WIDTH: usize = 62;

/// Draws the connections of one server.
#[derive(Debug)]
pub struct Diagram {
    port: u16,
    flows: HashMap<SocketAddr, Flow>,
    /// Whose segment was drawn last: when another's comes between, the ends are named again.
    drawn: Option<SocketAddr>,
}

#[derive(Debug)]
struct Flow {
    began: u64,
    last: u64,
    /// The first sequence number of each direction; numbers are shown from there, as Wireshark does.
    client: Option<u32>,
    server: Option<u32>,
}

impl Diagram {
    /// A diagram of the connections of the server at `port`.
    pub fn new(port: u16) -> Self {
        Self { port, flows: HashMap::new(), drawn: None }
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
        let known = self.flows.get(&client);
        // A first SYN with another number begins a new life, on a port that an earlier one has left.
        let is_first = segment.flags.syn && !segment.flags.ack;
        if known.is_none_or(|flow| is_first && flow.client != Some(segment.seq)) {
            self.make_room();
            self.flows.insert(client, Flow { began: at_ns, last: at_ns, client: None, server: None });
            self.drawn = None;
        }
        let mut lines = Vec::new();
        if self.drawn != Some(client) {
            self.drawn = Some(client);
            let (left, right) = (format!("client {client}"), format!("server {server}"));
            let gap = (WIDTH + 2).saturating_sub(left.len() + right.len()).max(1);
            lines.push(format!("{:>10}  {left}{:gap$}{right}", "ms", ""));
        }
        let Some(flow) = self.flows.get_mut(&client) else { return lines };
        flow.last = at_ns;
        let (ours, theirs) =
            if to_server { (&mut flow.client, flow.server) } else { (&mut flow.server, flow.client) };
        let first = *ours.get_or_insert(segment.seq);
        let seq = segment.seq.wrapping_sub(first);
        let ack = segment.ack.wrapping_sub(theirs.unwrap_or(segment.ack));
        let ms = at_ns.saturating_sub(flow.began) as f64 / 1e6;
        let label = label(segment, seq, ack);
        let line = "─".repeat(WIDTH.saturating_sub(label.width() + 6));
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

    fn make_room(&mut self) {
        if self.flows.len() >= FLOWS {
            let silent = self.flows.iter().min_by_key(|(_, flow)| flow.last).map(|(client, _)| *client);
            silent.map(|client| self.flows.remove(&client));
        }
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
        if label.width() > WIDTH - 7 {
            while label.width() > WIDTH - 8 {
                label.pop();
            }
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

    const CLIENT: ([u8; 4], u16) = ([127, 0, 0, 1], 40000);
    const SERVER: ([u8; 4], u16) = ([127, 0, 0, 1], 9000);

    fn up(flags: Flags, seq: u32, ack: u32, data: &[u8]) -> Segment {
        let head = data.to_vec();
        Segment { from: CLIENT.into(), to: SERVER.into(), flags, seq, ack, length: data.len(), head }
    }

    fn down(flags: Flags, seq: u32, ack: u32, data: &[u8]) -> Segment {
        Segment { from: SERVER.into(), to: CLIENT.into(), ..up(flags, seq, ack, data) }
    }

    fn flags(syn: bool, ack: bool) -> Flags {
        Flags { syn, ack, ..Flags::default() }
    }

    #[test]
    fn a_life_is_drawn_from_its_first_syn_to_its_last_ack() {
        let (none, ack) = (Flags::default(), flags(false, true));
        let life = [
            up(Flags { syn: true, ..none }, 4_294_967_295, 0, b""),
            down(Flags { syn: true, ..ack }, 500, 0, b""),
            up(ack, 0, 501, b""),
            up(Flags { psh: true, ..ack }, 0, 501, b"hello"),
            down(ack, 501, 5, "两".as_bytes()),
            up(Flags { fin: true, ..ack }, 5, 504, b""),
            down(Flags { fin: true, ..ack }, 504, 6, b""),
            up(ack, 6, 505, b""),
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
     4.000  │◀────────────────────── ACK seq=1 ack=6 3 bytes \"两\" ──│
     5.000  │── FIN, ACK seq=6 ack=4 ─────────────────────────────────▶│
     6.000  │◀─────────────────────────────────── FIN, ACK seq=4 ack=7 ──│
     7.000  │── ACK seq=7 ack=5 ──────────────────────────────────────▶│";
        let squeezed = |text: &str| text.replace('─', "").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&lines.join("\n")), squeezed(expected));
        let widths: Vec<usize> = lines[1..].iter().map(|line| line.width()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{lines:#?}");
    }

    #[test]
    fn lives_that_mingle_are_told_apart_and_a_port_that_is_used_again_begins_anew() {
        let mut diagram = Diagram::new(9000);
        let other = |segment: Segment| Segment { from: ([127, 0, 0, 1], 40001).into(), ..segment };
        let heads: Vec<bool> = [
            up(flags(true, false), 7, 0, b""),
            down(flags(true, true), 70, 8, b""),
            other(up(flags(true, false), 9, 0, b"")),
            up(flags(false, true), 8, 71, b""),
            up(flags(false, true), 8, 71, b"a"),
        ]
        .iter()
        .map(|segment| diagram.add(0, segment).len() == 2)
        .collect();
        assert_eq!(heads, [true, false, true, true, false]);
        let again = diagram.add(0, &up(flags(true, false), 1_000_000, 0, b""));
        assert!(again.len() == 2 && again[1].contains("SYN seq=0"), "{again:?}");
        let twice = diagram.add(0, &up(flags(true, false), 1_000_000, 0, b""));
        assert!(twice.len() == 1 && twice[0].contains("SYN seq=0"), "{twice:?}");
    }

    #[test]
    fn many_lives_take_bounded_memory_and_the_latest_is_drawn() {
        let mut diagram = Diagram::new(9000);
        for port in 10_000..13_000 {
            let from = ([127, 0, 0, 1], port).into();
            let lines = diagram.add(u64::from(port), &Segment { from, ..up(flags(true, false), 7, 0, b"") });
            assert_eq!(lines.len(), 2);
        }
        assert_eq!(diagram.flows.len(), FLOWS);
    }

    #[test]
    fn other_servers_are_not_drawn() {
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        let segment = Segment { from: other, to: other, ..up(Flags::default(), 0, 0, b"") };
        assert!(Diagram::new(9000).add(0, &segment).is_empty());
    }
}
