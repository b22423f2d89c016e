//! Segments as a sequence diagram, the client on the left, the server on the right.

use super::flow::Passed;
use super::segment::Flags;
use crate::net::event::Bytes;
use std::net::SocketAddr;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The minimum and maximum width of a diagram, in columns.
pub const COLUMNS: std::ops::RangeInclusive<usize> = 40..=76;

/// The minimum width for a diagram with space around the times.
const ROOMY: usize = 60;

/// The minimum number of columns for data beside the numbers; with less, the data gets a row of its own.
const QUOTE: usize = 8;

/// Draws the connections of one server.
#[derive(Debug)]
pub struct Diagram {
    shape: Shape,
    /// The client of the last segment: when it changes, the ends are named again.
    drawn: Option<SocketAddr>,
}

impl Diagram {
    /// A diagram that is `columns` wide, within [`COLUMNS`].
    pub fn new(columns: usize) -> Self {
        Self { shape: Shape::new(columns), drawn: None }
    }

    /// The lines for a segment.
    pub fn draw(&mut self, passed: &Passed) -> Vec<String> {
        let mut lines = Vec::new();
        if passed.is_first || self.drawn != Some(passed.client) {
            self.drawn = Some(passed.client);
            lines = self.shape.ends(passed.client, passed.server);
        }
        let ms = passed.at_ns.saturating_sub(passed.began_ns) as f64 / 1e6;
        lines.extend(self.shape.arrow(ms, &self.shape.label(passed), passed.to_server));
        lines
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
    fn label(self, passed: &Passed) -> Vec<String> {
        let names = names(passed.flags);
        let mut numbers = format!("seq={}", passed.seq);
        if passed.flags.ack {
            numbers += &format!(" ack={}", passed.ack);
        }
        let head = format!("{names} {numbers}");
        let bytes = Bytes { length: passed.length, head: passed.head.clone() };
        let data = if passed.length > 0 { bytes.to_string() } else { String::new() };
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

/// The names of the flags that are set.
pub fn names(flags: Flags) -> String {
    let all =
        [(flags.syn, "SYN"), (flags.fin, "FIN"), (flags.rst, "RST"), (flags.psh, "PSH"), (flags.ack, "ACK")];
    all.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::trace::flow::Flows;
    use crate::net::trace::segment::Segment;

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

    /// What is drawn of the segments to and from port 9000.
    struct Traced(Flows, Diagram);

    impl Traced {
        fn new(columns: usize) -> Self {
            Self(Flows::new(9000), Diagram::new(columns))
        }

        fn add(&mut self, at_ns: u64, segment: &Segment) -> Vec<String> {
            self.0.add(at_ns, segment).map_or(Vec::new(), |passed| self.1.draw(&passed))
        }
    }

    fn drawn(segments: &[Segment], columns: usize) -> Vec<String> {
        let mut diagram = Traced::new(columns);
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
        let mut diagram = Traced::new(76);
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
    fn other_servers_are_not_drawn() {
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        let segment = Segment { from: other, to: other, ..up(Flags::default(), 0, 0, b"") };
        assert!(Traced::new(76).add(0, &segment).is_empty());
    }
}
