//! Every interleaving of a scenario, as a graph.

use schemars::JsonSchema;
use serde::Serialize;

use super::schedule::Shortest;
use crate::scenario::run::verdict::Verdict;

/// What an exploration has found.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Growth {
    /// What is explored.
    pub scenario: String,
    /// The parameters as command-line options.
    pub options: String,
    /// The parameters in the form in which a token begins.
    pub code: String,
    /// States.
    pub nodes: Vec<NodeView>,
    /// Steps from one state to another: from, to, the letter of the process, the step's name, whether it was killed.
    pub edges: Vec<(usize, usize, char, String, bool)>,
    /// States that are not drawn, for there are too many.
    pub hidden: u64,
    /// Schedules that were executed to their end.
    pub schedules: u64,
    /// Classes of equivalent schedules.
    pub classes: u64,
    /// How many schedules these classes hold together.
    pub represented: u64,
    /// Executions that were given up, for they would have repeated a class.
    pub given_up: u64,
    /// The part of the search that is done, from 0 to 1, as far as it can be estimated.
    pub explored: Option<f64>,
    /// How long it has searched.
    pub seconds: f64,
    /// Whether it searches, is stopped, or is done.
    pub status: SearchStatus,
    /// The outcomes, the worst first.
    pub outcomes: Vec<OutcomeCount>,
}

/// How a search stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SearchStatus {
    /// It searches.
    #[default]
    Searching,
    /// It was stopped, and can go on.
    Stopped,
    /// Everything has been explored: what is said of these parameters is proved.
    Complete,
}

/// A state: what the processes share, and where each stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NodeView {
    /// Its number.
    pub id: usize,
    /// How many steps lead to it.
    pub depth: usize,
    /// A schedule that leads to it.
    pub schedule: String,
    /// The step at which each process stands; null for one that has ended.
    pub at: Vec<Option<String>>,
    /// What the processes share.
    pub shared: Vec<(String, String)>,
    /// The outcome, once no process can continue.
    pub outcome: Option<Verdict>,
}

/// One outcome of an exploration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OutcomeCount {
    /// The outcome.
    pub verdict: Verdict,
    /// How many of the executed schedules ended so.
    pub count: u64,
    /// How many classes.
    pub classes: u64,
    /// How many schedules these classes hold.
    pub represented: u64,
    /// The shortest schedule that ends so.
    pub shortest: Shortest,
    /// Its last state, if that is drawn.
    pub node: Option<usize>,
}
