//! What one server gives at most, to one connection and to all.

use std::time::Duration;

/// Bounds of a server; a client uses those that concern one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Connections at once; the one above it is told so and closed.
    pub connections: usize,
    /// The longest time in which no byte moves where one is waited for.
    pub idle: Duration,
    /// The longest life of a connection, however busy: what ends one byte a second.
    pub total: Duration,
    /// How long running connections may go on once the server is asked to stop.
    pub grace: Duration,
    /// The longest message in bytes, as one connection may make the server hold it.
    pub message: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            idle: Duration::from_secs(60),
            total: Duration::from_secs(3600),
            grace: Duration::from_secs(5),
            message: 1 << 20,
        }
    }
}
