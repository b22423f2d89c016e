//! How an exhaustive search decides.

use serde::{Deserialize, Serialize};

use crate::explore::strategy::{Strategy, dfs::Dfs, dpor::Dpor, preemptions::Preemptions};
use crate::explore::traced::findings::Search;

/// A method, and how far the search has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Method {
    /// One execution of each class. Any engine can carry it out.
    Classes(Dpor),
    /// Every schedule.
    All(Dfs),
    /// Every schedule with a bounded number of preemptions.
    Bounded(Preemptions<Dfs>),
}

impl Method {
    /// The method of a search, at its beginning.
    pub(super) fn new(how: &Search) -> Self {
        match how.preemptions {
            Some(most) => Self::Bounded(Preemptions::new(Dfs::new(false), most)),
            None if how.naive => Self::All(Dfs::new(false)),
            None => Self::Classes(Dpor::new()),
        }
    }

    /// The method as a strategy.
    pub(super) fn strategy(&mut self) -> &mut dyn Strategy {
        match self {
            Self::Classes(dpor) => dpor,
            Self::All(dfs) => dfs,
            Self::Bounded(bounded) => bounded,
        }
    }
}
