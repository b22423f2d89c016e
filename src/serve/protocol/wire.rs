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
    /// Whether it is decided by hand what becomes of each piece.
    pub by_hand: bool,
}

/// What stands on the wire until it is decided about; replaces the previous one.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct WireStanding {
    /// Whether further pieces are held.
    pub holds: bool,
    /// The pieces, the oldest first.
    pub pieces: Vec<WirePiece>,
}

/// A piece of a stream that was sent at once, or a datagram.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WirePiece {
    /// Its number, for the command `wire`.
    pub piece: u64,
    /// Whether the client sent it.
    pub to_server: bool,
    /// The client's address, which tells the connections apart.
    pub client: String,
    /// How many bytes went before it in its direction.
    pub first: u64,
    /// How many bytes it has.
    pub bytes: usize,
    /// The first of them, at most 128.
    pub head: Vec<u8>,
    /// The first of them as Python shows them.
    pub text: String,
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
