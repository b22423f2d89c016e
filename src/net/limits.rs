//! The limits of a server, for one connection and for all of them.

use std::time::Duration;

/// The limits of a server; a client uses those of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Maximum number of open connections; further ones get a message and are closed.
    pub connections: usize,
    /// Maximum time to wait for the next byte.
    pub idle: Duration,
    /// Maximum duration of a connection, even an active one: it ends a peer that sends one byte per second.
    pub total: Duration,
    /// How long open connections may continue after the server is asked to stop.
    pub grace: Duration,
    /// Maximum length of a message in bytes that a connection can make the server hold.
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
