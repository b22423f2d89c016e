//! An exhaustive search, by the appropriate method.

use serde::{Deserialize, Serialize};

use super::Strategy;
use super::{dfs::Dfs, dpor::Dpor};

/// A search of every schedule, or of one schedule per class. It can be serialized to continue later.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exhaustive {
    /// Depth first, with or without sleep sets.
    Dfs(Dfs),
    /// Source sets and wakeup trees.
    Dpor(Dpor),
}

impl Exhaustive {
    /// Creates a search of every schedule or, with `reduce`, of one per class, with up to `kills` kills in each.
    pub fn new(reduce: bool, kills: usize) -> Self {
        match reduce {
            // Kills are planned without an attempt, so source sets would need to know which steps are enabled.
            true if kills == 0 => Self::Dpor(Dpor::new()),
            reduce => Self::Dfs(Dfs::new(reduce)),
        }
    }

    /// The search as a strategy.
    pub fn strategy(&mut self) -> &mut (dyn Strategy + 'static) {
        match self {
            Self::Dfs(dfs) => dfs,
            Self::Dpor(dpor) => dpor,
        }
    }

    /// Whether everything has been explored.
    pub fn is_exhausted(&self) -> bool {
        match self {
            Self::Dfs(dfs) => dfs.is_exhausted(),
            Self::Dpor(dpor) => dpor.is_exhausted(),
        }
    }
}
