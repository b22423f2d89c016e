//! A worker's messages to the server, and its errors.

use serde::{Deserialize, Serialize};

use crate::serve::protocol::Message;

/// A [`Message`] as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::serve) struct Update {
    /// Whether it replaces all messages before it.
    pub(in crate::serve) whole: bool,
    pub(in crate::serve) text: String,
}

impl Update {
    /// A message that adds to those before it.
    pub(in crate::serve) fn new(message: &Message) -> Self {
        Self { whole: false, text: serde_json::to_string(message).unwrap_or_default() }
    }

    /// A message that replaces all before it.
    pub(in crate::serve) fn whole(message: &Message) -> Self {
        Self { whole: true, ..Self::new(message) }
    }
}

/// Why a worker cannot continue.
pub(super) type WorkerError = Box<dyn std::error::Error>;
