//! The demo of a network program as data: what both ends did, what passed between them, and which checks held.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::demo::damage::{Direction, Fate};
use crate::net::demo::{Entry, Touched};
use crate::net::event::{Event, What};
use crate::net::trace::Sight;
use crate::net::trace::diagram::names;
use crate::said::Said;
use crate::sys::pid::Pid;

/// The demos that were run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Demos {
    /// One per program.
    pub demos: Vec<DemoView>,
}

/// One demo.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DemoView {
    /// The program's name.
    pub program: String,
    /// What it shows.
    pub about: String,
    /// What happened, in order.
    pub rows: Vec<WireRow>,
    /// How many checks were made.
    pub checks: usize,
    /// How many of them failed.
    pub failed: usize,
}

impl DemoView {
    /// The view of a demo that began at `began_ns`.
    pub fn new(program: &str, about: &str, began_ns: u64, entries: &[(u64, Entry)]) -> Self {
        let mut rows: Vec<WireRow> =
            entries.iter().flat_map(|(at_ns, entry)| rows(*at_ns, entry, began_ns)).collect();
        rows.sort_by_key(|row| row.at_ns);
        let held =
            |row: &WireRow| if let WireEvent::Check { held, .. } = row.event { Some(held) } else { None };
        let (checks, failed) = rows
            .iter()
            .filter_map(held)
            .fold((0, 0), |(all, failed), held| (all + 1, failed + usize::from(!held)));
        Self { program: program.to_owned(), about: about.to_owned(), rows, checks, failed }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WireRow {
    /// Nanoseconds since the demo began.
    pub at_ns: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: WireEvent,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum WireEvent {
    /// What is shown next.
    Scene(Said),
    /// A measured or computed fact.
    Fact(Said),
    /// A check.
    Check {
        /// What was to hold.
        #[serde(flatten)]
        said: Said,
        /// Whether it did.
        held: bool,
    },
    /// An event in one of the processes.
    Process {
        /// `server`, `client` or `worker`.
        who: String,
        /// Its PID.
        pid: Pid,
        /// The other end's address, if there is one.
        peer: Option<String>,
        /// `listening`, `opened`, `sent`, `received`, `message`, `note`, `progress`, `failed` or `closed`.
        what: String,
        /// In words; of a send or a receive the first bytes as Python shows them.
        text: String,
        /// A note as a sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<Said>,
        /// How many bytes a call sent or received; 0 received is the end of the stream.
        bytes: Option<usize>,
    },
    /// A TCP segment that passed.
    Segment {
        /// The client's address, which tells the connections apart.
        client: String,
        /// Whether the client sent it.
        to_server: bool,
        /// The flags that are set, as `PSH, ACK`.
        flags: String,
        /// The number of its first byte in its direction; the first segment has 0.
        seq: u32,
        /// The next byte that is expected from the other direction, if ACK is set.
        ack: Option<u32>,
        /// How many bytes of data it carries.
        bytes: usize,
        /// The first of them as Python shows them; empty if there are none.
        text: String,
    },
    /// A change of state at one end of a connection, where packets cannot be captured.
    State {
        /// The client's port, which tells the connections apart.
        client: u16,
        /// Whether it is the server's end.
        at_server: bool,
        /// The state before, if it was known.
        before: Option<String>,
        /// The state now; null if the connection is gone.
        now: Option<String>,
    },
    /// Something was done to what is on the wire.
    Touched {
        /// The client's address, which tells the connections apart.
        client: String,
        /// Whether the client sent it.
        to_server: bool,
        /// How many bytes were sent at once.
        bytes: usize,
        /// `passed` (after it was held), `flipped` (a bit), or `cut`: the connection ends there, a datagram is lost.
        what: String,
        /// Where, as `--damage` and `--cut` take it; null if it passed.
        place: Option<String>,
        /// How long it was held, in nanoseconds.
        held_ns: u64,
    },
    /// A remark on the trace.
    Remark(Said),
}

/// An entry as rows; a trace is many.
pub fn rows(at_ns: u64, entry: &Entry, began_ns: u64) -> Vec<WireRow> {
    let row = |at_ns: u64, event| WireRow { at_ns: at_ns.saturating_sub(began_ns), event };
    match entry {
        Entry::Scene(said) => vec![row(at_ns, WireEvent::Scene(said.clone()))],
        Entry::Fact(said) => vec![row(at_ns, WireEvent::Fact(said.clone()))],
        Entry::Check { what, held } => {
            vec![row(at_ns, WireEvent::Check { said: what.clone(), held: *held })]
        }
        Entry::Event { who, event } => vec![row(event.at_ns, process(who, event))],
        Entry::Touched(one) => vec![row(one.at_ns, touched(one))],
        Entry::Trace(sights) => {
            let mut at_ns = sights.iter().find_map(Sight::at_ns).unwrap_or(at_ns);
            sights
                .iter()
                .map(|sight| {
                    at_ns = sight.at_ns().unwrap_or(at_ns);
                    row(at_ns, seen(sight))
                })
                .collect()
        }
    }
}

fn process(who: &str, event: &Event) -> WireEvent {
    let peer = event.peer.map(|peer| peer.to_string());
    let (what, text, bytes) = match &event.what {
        What::Listening(address) => ("listening", address.to_string(), None),
        What::Opened => ("opened", peer.clone().unwrap_or_default(), None),
        What::Sent(bytes) => ("sent", bytes.to_string(), Some(bytes.length)),
        What::Received(bytes) => ("received", bytes.to_string(), Some(bytes.length)),
        What::Message(text) => ("message", text.clone(), None),
        What::Note(note) => ("note", note.text.clone(), None),
        What::Progress { done, total } => ("progress", format!("{done} of {total} bytes"), None),
        What::Failed(why) => ("failed", why.clone(), None),
        What::Closed => ("closed", peer.clone().unwrap_or_default(), None),
    };
    let said = if let What::Note(note) = &event.what { Some(note.clone()) } else { None };
    WireEvent::Process { who: who.to_owned(), pid: event.pid, peer, what: what.to_owned(), text, said, bytes }
}

fn touched(one: &Touched) -> WireEvent {
    let what = match one.fate {
        Fate::Pass => "passed",
        Fate::Flip(_) => "flipped",
        Fate::Cut(_) => "cut",
    };
    WireEvent::Touched {
        client: one.piece.client.to_string(),
        to_server: one.piece.direction == Direction::Up,
        bytes: one.piece.bytes.length,
        what: what.to_owned(),
        place: one.place().map(|place| place.to_string()),
        held_ns: one.held_ns,
    }
}

fn seen(sight: &Sight) -> WireEvent {
    match sight {
        Sight::Remark(said) => WireEvent::Remark(said.clone()),
        Sight::Passed(passed) => {
            let bytes = crate::net::event::Bytes { length: passed.length, head: passed.head.clone() };
            WireEvent::Segment {
                client: passed.client.to_string(),
                to_server: passed.to_server,
                flags: names(passed.flags),
                seq: passed.seq,
                ack: passed.flags.ack.then_some(passed.ack),
                bytes: passed.length,
                text: if passed.length > 0 { bytes.to_string() } else { String::new() },
            }
        }
        Sight::Changed(changed) => WireEvent::State {
            client: changed.end.client,
            at_server: changed.end.is_server,
            before: changed.before.map(str::to_owned),
            now: changed.now.map(str::to_owned),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_is_told_in_order_with_the_number_of_its_checks() {
        let said = |text: &str| Said::new("It", [("n", "3".to_owned())], [text.to_owned(), "中".to_owned()]);
        let check = |held| Entry::Check { what: said("it holds"), held };
        let view = DemoView::new(
            "chat",
            "talk",
            5,
            &[(9, check(true)), (7, Entry::Scene(said("First."))), (12, check(false))],
        );
        assert_eq!((view.checks, view.failed), (2, 1));
        let times: Vec<u64> = view.rows.iter().map(|row| row.at_ns).collect();
        assert_eq!(times, [2, 4, 7]);
        let json = serde_json::to_value(&view.rows[0]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "at_ns": 2, "kind": "scene", "code": "it", "values": { "n": "3" }, "text": "First.", "zh": "中" })
        );
    }
}
