//! Schedules of the command that was given, and a search through all of them.

use schemars::JsonSchema;
use serde::Serialize;

use super::explore::SearchStatus;
use super::refusal::Reason;
use super::schedule::Card;
use crate::report::traced::TracedExploration;
use crate::report::traced::TracedOutcome;
use crate::said::Said;

/// A schedule of the command that was given, under way or at its end.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramScene {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// What the schedule belongs to, as a token begins.
    pub code: String,
    /// The steps so far, as the token goes on: `r,r.1x2` is the root once, then its first child twice.
    pub schedule: String,
    /// The processes and threads, in the order of their letters.
    pub cards: Vec<Card>,
    /// How many more there are, for which there is no letter.
    pub more: usize,
    /// The short files that steps are about, as they are now.
    pub shared: Vec<(String, String)>,
    /// What was done, in order.
    pub done: Vec<ProgramStep>,
    /// Why the schedule is shorter than it was to be.
    pub refused: Option<Reason>,
    /// How it ended; absent while a process can go on.
    pub ending: Option<ProgramEnding>,
}

/// A step of a program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramStep {
    /// The letter of the process or thread.
    pub process: char,
    /// The call with its result.
    pub name: String,
    /// What it is about.
    pub resource: String,
    /// Whether the process was killed there instead.
    pub killed: bool,
}

/// How a schedule of a program ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramEnding {
    /// What it left, as `proclab replay --format json` prints it.
    pub outcome: TracedOutcome,
    /// The command line that executes this schedule again.
    pub replay: String,
    /// The shortest schedule of each outcome; absent while they are searched for.
    pub shortest: Option<Vec<ProgramShortest>>,
    /// Whether the search for these has seen every class of schedules, and everything was under control.
    pub complete: bool,
}

/// The shortest schedule of an outcome of a program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramShortest {
    /// Its verdict.
    pub verdict: String,
    /// Whether nothing is wrong with it.
    pub is_right: bool,
    /// What is wrong with it.
    pub why: Option<Said>,
    /// How many steps it has.
    pub steps: usize,
    /// Its switches.
    pub switches: usize,
    /// The token.
    pub schedule: String,
}

/// A search through the schedules of the command that was given.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct ProgramSearch {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Executions so far.
    pub executions: u64,
    /// Classes of equivalent schedules so far.
    pub classes: u64,
    /// Different outcomes so far.
    pub outcomes: u64,
    /// The part of the search that is done, from 0 to 1, as far as it can be estimated.
    pub explored: Option<f64>,
    /// How long it has searched.
    pub seconds: f64,
    /// Whether it searches, was stopped, or is at its end.
    pub status: SearchStatus,
    /// The graph of the executions: nodes that are new or have changed.
    pub nodes: Vec<ProgramNode>,
    /// New steps from one node to another: from, to, the process or thread (with `!` if it is killed), the call.
    pub edges: Vec<(usize, usize, String, String)>,
    /// Nodes that are left out, for there are too many.
    pub hidden: u64,
    /// The outcomes so far, in the order in which they were found.
    pub ends: Vec<ProgramEnd>,
    /// New outcomes in a few words, as they were seen first.
    pub news: Vec<String>,
    /// Whether every outcome is right, once the search is over.
    pub is_right: bool,
    /// What it found, as `proclab explore --format json` prints it, once it is over.
    pub found: Option<TracedExploration>,
}

/// A node of the graph of a program: beginnings of schedules that are equal but for the order of independent steps.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramNode {
    /// Its number; 0 is the beginning.
    pub id: usize,
    /// How many steps lead to it.
    pub depth: usize,
    /// The token of the schedule that reached it first.
    pub schedule: String,
    /// The processes and threads that have not ended, and the next call of each.
    pub at: Vec<(String, String)>,
    /// The short text files of the folder.
    pub shared: Vec<(String, String)>,
    /// The index of the outcome, once no process can continue.
    pub outcome: Option<usize>,
}

/// An outcome that a search of a program has found so far.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProgramEnd {
    /// Its verdict.
    pub verdict: String,
    /// Whether nothing is wrong with it.
    pub is_right: bool,
    /// What is wrong with it.
    pub why: Option<Said>,
    /// In a few words, how it differs from the first.
    pub headline: Said,
    /// Executions that ended so.
    pub executions: u64,
    /// Classes that end so.
    pub classes: u64,
    /// The switches of the shortest schedule.
    pub switches: usize,
    /// The token of that schedule.
    pub schedule: String,
    /// Its last node, if that is drawn.
    pub node: Option<usize>,
}
