//! Segments as a sequence diagram, the client on the left, the server on the right.

use super::segment::{Flags, Segment};
use crate::net::event::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The maximum number of connections to remember; above that, the one with the oldest segment is forgotten.
const FLOWS: usize = 1024;

/// The minimum and maximum width of a diagram, in columns.
pub const COLUMNS: std::ops::RangeInclusive<usize> = 40..=76;

/// The minimum width for a diagram with space around the times.
const ROOMY: usize = 60;

/// The minimum number of columns for data beside the numbers; with less, the data gets a row of its own.
const QUOTE: usize = 8;

/// Draws the connections of one server.
#[derive(Debug)]
pub struct Diagram {
    port: u16,
    shape: Shape,
    flows: HashMap<SocketAddr, Flow>,
    /// The client of the last segment: when it changes, the ends are named again.
    drawn: Option<SocketAddr>,
}

#[derive(Debug)]
struct Flow {
    began: u64,
    last: u64,
    /// The first sequence number of each direction; numbers are relative to it, as in Wireshark.
    client: Option<u32>,
    server: Option<u32>,
}

impl Diagram {
    /// A diagram of the connections of the server at `port`, `columns` wide, within [`COLUMNS`].
    pub fn new(port: u16, columns: usize) -> Self {
        Self { port, shape: Shape::new(columns), flows: HashMap::new(), drawn: None }
    }

    /// The lines for a segment captured at `at_ns`; none if it belongs to another server.
    pub fn add(&mut self, at_ns: u64, segment: &Segment) -> Vec<String> {
        let to_server = match (segment.to.port() == self.port, segment.from.port() == self.port) {
            (true, _) => true,
            (_, true) => false,
            _ => return Vec::new(),
        };
        let (client, server) =
            if to_server { (segment.from, segment.to) } else { (segment.to, segment.from) };
        let known = self.flows.get(&client);
        // A SYN with another sequence number begins a new connection on a port that an earlier one used.
        let is_first = segment.flags.syn && !segment.flags.ack;
        if known.is_none_or(|flow| is_first && flow.client != Some(segment.seq)) {
            self.make_room();
            self.flows.insert(client, Flow { began: at_ns, last: at_ns, client: None, server: None });
            self.drawn = None;
        }
        let mut lines = Vec::new();
        if self.drawn != Some(client) {
            self.drawn = Some(client);
            lines = self.shape.ends(client, server);
        }
        let Some(flow) = self.flows.get_mut(&client) else { return lines };
        flow.last = at_ns;
        let (ours, theirs) =
            if to_server { (&mut flow.client, flow.server) } else { (&mut flow.server, flow.client) };
        let first = *ours.get_or_insert(segment.seq);
        let seq = segment.seq.wrapping_sub(first);
        let ack = segment.ack.wrapping_sub(theirs.unwrap_or(segment.ack));
        let ms = at_ns.saturating_sub(flow.began) as f64 / 1e6;
        let label = self.shape.label(segment, seq, ack);
        lines.extend(self.shape.arrow(ms, &label, to_server));
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

/// The layout of a diagram of a given width.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// The width of the time, and of the gap between it and the client's line.
    time: usize,
    gap: usize,
    /// The width between the lines of the two ends.
    lane: usize,
}

impl Shape {
    fn new(columns: usize) -> Self {
        let columns = columns.clamp(*COLUMNS.start(), *COLUMNS.end());
        let (time, gap) = if columns < ROOMY { (8, 1) } else { (10, 2) };
        Self { time, gap, lane: columns - time - gap - 2 }
    }

    /// The width of a label: what the arrow leaves.
    fn room(self) -> usize {
        self.lane - 6
    }

    /// The heading of a diagram; two lines if the names of both ends do not fit into one.
    fn ends(self, client: SocketAddr, server: SocketAddr) -> Vec<String> {
        let Self { time, gap, lane } = self;
        let (left, right) = (format!("client {client}"), format!("server {server}"));
        let lane = lane + 2;
        if left.len() + right.len() < lane {
            let between = lane - left.len() - right.len();
            return vec![format!("{:>time$}{:gap$}{left}{:between$}{right}", "ms", "", "")];
        }
        vec![format!("{:>time$}{:gap$}{left}", "ms", ""), format!("{:time$}{:gap$}{right:>lane$}", "", "")]
    }

    /// The description of a segment, in as few rows as possible, with as much of its data as fits.
    fn label(self, segment: &Segment, seq: u32, ack: u32) -> Vec<String> {
        let names = names(segment.flags);
        let mut numbers = format!("seq={seq}");
        if segment.flags.ack {
            numbers += &format!(" ack={ack}");
        }
        let head = format!("{names} {numbers}");
        let bytes = Bytes { length: segment.length, head: segment.head.clone() };
        let data = if segment.length > 0 { bytes.to_string() } else { String::new() };
        let least = data.find('"').map_or(data.len(), |quote| quote + QUOTE).min(data.width());
        if data.is_empty() && head.width() <= self.room() {
            return vec![head];
        }
        if head.width() + 1 + least <= self.room() {
            return vec![cut(&format!("{head} {data}"), self.room())];
        }
        let mut rows = if head.width() <= self.room() { vec![head] } else { vec![names, numbers] };
        if !data.is_empty() {
            rows.push(cut(&data, self.room()));
        }
        rows
    }

    /// The first row of `label` on an arrow, and the others below it.
    fn arrow(self, ms: f64, label: &[String], to_server: bool) -> Vec<String> {
        let Self { time, gap, lane } = self;
        let mut lines = Vec::with_capacity(label.len());
        for (number, row) in label.iter().enumerate() {
            let left = lane.saturating_sub(row.width() + 6);
            lines.push(match (number, to_server) {
                (0, true) => format!("{ms:>time$.3}{:gap$}│── {row} {}▶│", "", "─".repeat(left + 1)),
                (0, false) => format!("{ms:>time$.3}{:gap$}│◀{} {row} ──│", "", "─".repeat(left + 1)),
                (_, true) => format!("{:time$}{:gap$}│   {row}{:left$}   │", "", "", ""),
                (_, false) => format!("{:time$}{:gap$}│   {:left$}{row}   │", "", "", ""),
            });
        }
        lines
    }
}

/// The beginning of `text` that fits into `room` columns, with an ellipsis if it was cut.
fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut taken = 0;
    let mut kept: String = text
        .chars()
        .take_while(|c| {
            taken += c.width().unwrap_or(0);
            taken < room
        })
        .collect();
    kept.push('…');
    kept
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

    fn life() -> [Segment; 8] {
        let (none, ack) = (Flags::default(), flags(false, true));
        [
            up(Flags { syn: true, ..none }, 4_294_967_295, 0, b""),
            down(Flags { syn: true, ..ack }, 500, 0, b""),
            up(ack, 0, 501, b""),
            up(Flags { psh: true, ..ack }, 0, 501, b"hello"),
            down(ack, 501, 5, "两".as_bytes()),
            up(Flags { fin: true, ..ack }, 5, 504, b""),
            down(Flags { fin: true, ..ack }, 504, 6, b""),
            up(ack, 6, 505, b""),
        ]
    }

    fn drawn(segments: &[Segment], columns: usize) -> Vec<String> {
        let mut diagram = Diagram::new(9000, columns);
        segments.iter().zip(0..).flat_map(|(segment, ms)| diagram.add(ms * 1_000_000, segment)).collect()
    }

    #[test]
    fn a_life_is_drawn_from_its_first_syn_to_its_last_ack() {
        let lines = drawn(&life(), 76);
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
    }

    #[test]
    fn a_narrow_diagram_keeps_its_shape_and_says_the_same_in_more_rows() {
        let long = up(Flags { psh: true, ..flags(false, true) }, 2_000_000_000, 505, &[7; 64]);
        let life = [&life()[..], &[long]].concat();
        for columns in 0..=120 {
            let lines = drawn(&life, columns);
            let most = columns.clamp(40, 76);
            for line in &lines {
                let is_head = !line.contains('│');
                assert!(line.width() == most || (is_head && line.width() <= most), "{columns}: {line:?}");
            }
            let all = lines.join("\n");
            for part in ["seq=1 ack=6", "\"hello\"", "\"两\"", "seq=2000000001 ack=5", "64 bytes b\""] {
                assert!(all.contains(part), "{columns}: no {part} in\n{all}");
            }
        }
        let rows = [40, 60, 76].map(|columns| drawn(&life, columns).len());
        assert_eq!(rows, [15, 11, 10]);
        let narrow = drawn(&life[3..5], 40).join("\n");
        let expected = "
      ms client 127.0.0.1:40000
                   server 127.0.0.1:9000
   0.000 │── PSH, ACK seq=0 ack=0 ────▶│
         │   5 bytes \"hello\"           │
   1.000 │◀───────── ACK seq=0 ack=5 ──│
         │              3 bytes \"两\"   │";
        assert_eq!(narrow, expected.trim_start_matches('\n'));
    }

    #[test]
    fn lives_that_mingle_are_told_apart_and_a_port_that_is_used_again_begins_anew() {
        let mut diagram = Diagram::new(9000, 76);
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
        let mut diagram = Diagram::new(9000, 76);
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
        assert!(Diagram::new(9000, 76).add(0, &segment).is_empty());
    }
}
