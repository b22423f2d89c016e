//! What came of a run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All that was promised was kept.
    Ok,
    /// More was sold than there was.
    Oversold,
    /// What was written does not account for what was sold.
    LostUpdate,
    /// Somebody read, or left behind, a half-written file.
    TornRead,
    /// Somebody waits for ever.
    Deadlock,
    /// A process failed.
    Crashed,
    /// A lesson did not show what it claims.
    Unproven,
}

impl Verdict {
    /// All that a race can end in, the better first.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Oversold, Self::LostUpdate, Self::TornRead, Self::Deadlock, Self::Crashed];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Oversold => "oversold",
            Self::LostUpdate => "lost-update",
            Self::TornRead => "torn-read",
            Self::Deadlock => "deadlock",
            Self::Crashed => "crashed",
            Self::Unproven => "unproven",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
