//! The verdict on a run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The verdict on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every invariant held.
    Ok,
    /// More was sold than was in stock.
    Oversold,
    /// The stock left does not account for the sales.
    LostUpdate,
    /// A half-written file was read or left behind.
    TornRead,
    /// A process waits forever.
    Deadlock,
    /// A process failed.
    Crashed,
    /// A lesson did not show what it claims.
    Unproven,
}

impl Verdict {
    /// All verdicts on a race, best first.
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
