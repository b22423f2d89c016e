//! What a server spends at most, on one connection and on all of them.

use std::time::Duration;

/// Bounds of a server; a client uses those that concern one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Connections at once; further ones are told so and closed.
    pub connections: usize,
    /// The longest time without a byte where one is awaited.
    pub idle: Duration,
    /// The longest life of a connection, however busy: it ends a peer that sends a byte a second.
    pub total: Duration,
    /// How long open connections may continue once the server is asked to stop.
    pub grace: Duration,
    /// The longest message in bytes that a connection can make the server hold.
    pub message: usize,
}

impl Limits {
    /// The limits of most programs.
    pub const DEFAULT: Self = Self {
        connections: 1024,
        idle: Duration::from_secs(60),
        total: Duration::from_secs(3600),
        grace: Duration::from_secs(5),
        message: 1 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
