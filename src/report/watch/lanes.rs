//! A drawing as plain data: lanes, pieces of time, arrows.

use schemars::JsonSchema;
use serde::Serialize;

use crate::observe::event::State;

/// A run to be drawn. All times count from its beginning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Drawing {
    /// Its length.
    pub length_ns: u64,
    /// From top to bottom.
    pub lanes: Vec<Lane>,
    /// From a time in one lane to a time in another.
    pub arrows: Vec<Arrow>,
    /// The depth of the scenario's queue from each time on.
    pub depth: Vec<(u64, u64)>,
    /// What the drawing leaves out.
    pub remarks: Vec<String>,
}

/// A row of the drawing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lane {
    /// Its heading.
    pub label: String,
    /// The indentation of the heading: a child is below its parent.
    pub indent: usize,
    /// What it shows.
    pub kind: LaneKind,
    /// Its pieces, oldest first.
    pub pieces: Vec<Piece>,
    /// When it held the scenario's lock.
    pub lock_spans: Vec<(u64, u64)>,
}

/// What a lane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LaneKind {
    /// Which process had a CPU.
    Cpu,
    /// The states of a process.
    Process,
    /// The states of a thread.
    Thread,
}

/// A period in a lane.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Piece {
    /// Begin.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// The share of the time spent in each state; in a CPU's lane the share in which it was used.
    pub shares: Vec<(State, f64)>,
    /// Whether the state is certain; otherwise this is the period between two bounds.
    pub known: bool,
    /// In a CPU's lane: the process that had it, by its index in the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<usize>,
    /// The description.
    pub text: String,
}

/// An arrow between two lanes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Arrow {
    /// What it means.
    pub kind: ArrowKind,
    /// Lane and time of its tail.
    pub from: (usize, u64),
    /// Lane and time of its head.
    pub to: (usize, u64),
    /// The description.
    pub text: String,
}

/// What an arrow means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArrowKind {
    /// A process forked another one.
    Fork,
    /// A message went through a queue.
    Message,
    /// A signal was sent.
    Signal,
}
