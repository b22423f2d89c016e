//! The demo of a network program.

use schemars::JsonSchema;
use serde::Serialize;

/// The beginning of a demo of a network program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WireBegin {
    /// The program's name.
    pub program: String,
    /// What it shows.
    pub about: String,
    /// Where a bit is flipped on the wire, as `up:0`.
    pub damage: Option<String>,
    /// Where the connection is cut, as `down:4`.
    pub cut: Option<String>,
}

/// The end of a demo of a network program.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct WireOver {
    /// How many checks were made.
    pub checks: usize,
    /// How many of them failed.
    pub failed: usize,
    /// Rows that are not shown, for there are too many.
    pub hidden: u64,
    /// It was stopped before its end.
    pub stopped: bool,
}
