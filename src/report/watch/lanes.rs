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
    /// From a moment in one lane to a moment in another.
    pub arrows: Vec<Arrow>,
    /// How deep the scenario's queue was, from each moment on.
    pub depth: Vec<(u64, u64)>,
    /// What the drawing leaves out.
    pub remarks: Vec<String>,
}

/// A row of the drawing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Lane {
    /// Its heading.
    pub label: String,
    /// How far the heading is indented: a child stands below its parent.
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
    /// Who had a CPU.
    Cpu,
    /// The states of a process.
    Process,
    /// The states of a thread.
    Thread,
}

/// A stretch of time in a lane.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Piece {
    /// Begin.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// The part of the time spent in each state; in a CPU's lane the part that the CPU was in use.
    pub shares: Vec<(State, f64)>,
    /// Whether all of it is known; otherwise it is the room between two bounds.
    pub known: bool,
    /// Of a CPU's lane: the process that had it, by its place in the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<usize>,
    /// What it is, in words.
    pub text: String,
}

/// An arrow between two lanes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Arrow {
    /// What it means.
    pub kind: ArrowKind,
    /// Lane and moment of its tail.
    pub from: (usize, u64),
    /// Lane and moment of its head.
    pub to: (usize, u64),
    /// What it is, in words.
    pub text: String,
}

/// What an arrow means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArrowKind {
    /// A process made another one.
    Fork,
    /// A message went through a queue.
    Message,
}
