//! Further engines that carry out executions of the same search at the same time, each on a processor of its own.
//!
//! The first engine keeps the tree of the search and hands out assignments; it starts to do so when the search turns out to
//! be long. What is carried out does not depend on which engine does it: a task has the same number everywhere, and every
//! engine knows the same facts. A report that contradicts this is dropped, and its assignment is handed out again.

mod engines;
mod serve;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub(super) use engines::{Engines, News};
pub(super) use serve::serve;

use super::outcome::Outcome;
use crate::explore::search::{Class, Measure};
use crate::explore::strategy::dpor::{Assignment, Report};
use crate::wire::control::{Receiver, Sender};

/// The ends that an engine has which carries out assignments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hired {
    pub(super) jobs: Receiver<Job>,
    pub(super) done: Sender<Done>,
    /// Which of the processors that it may use is its own.
    pub(super) processor: usize,
}

/// The ends that the first engine has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Further {
    pub(super) jobs: Sender<Job>,
    pub(super) done: Receiver<Done>,
}

/// An assignment, with what the engines have in common.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    assignment: Assignment,
    kills: usize,
    /// The names of the tasks by number.
    names: Vec<String>,
    facts: BTreeSet<String>,
    /// Whether earlier reports do not count, so that outcomes and witnesses are reported again.
    anew: bool,
}

/// What became of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    end: End,
    report: Report,
    /// The names of all tasks now.
    names: Vec<String>,
    facts: BTreeSet<String>,
    candidates: BTreeSet<String>,
    divergences: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum End {
    Complete(Box<Complete>),
    GivenUp,
    /// At this decision, in each attempt.
    Diverged(usize),
    Failed(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Complete {
    /// The number of the outcome, and the outcome if it is new.
    outcome: (usize, Option<Outcome>),
    class: Class,
    measure: Box<Measure>,
    uncontrolled: Vec<(String, u64)>,
}
