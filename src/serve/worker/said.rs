//! What a worker says, and why it cannot go on.

use serde::{Deserialize, Serialize};

use crate::serve::protocol::Message;

/// What a worker says: a [`Message`] as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::serve) struct Said {
    /// It says everything that was said before.
    pub(in crate::serve) whole: bool,
    pub(in crate::serve) text: String,
}

impl Said {
    /// A message that adds to those before it.
    pub(in crate::serve) fn of(message: &Message) -> Self {
        Self { whole: false, text: serde_json::to_string(message).unwrap_or_default() }
    }

    /// A message that replaces them.
    pub(in crate::serve) fn whole(message: &Message) -> Self {
        Self { whole: true, ..Self::of(message) }
    }
}

/// Why a worker cannot go on.
pub(super) type Trouble = Box<dyn std::error::Error>;
