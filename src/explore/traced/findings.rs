//! The parameters and the results of a search.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::outcome::Outcome;
use super::search::Position;
use super::verdict::Checked;
use crate::explore::engine::System;
use crate::explore::step::Choice;

/// The parameters of a search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Search {
    /// The number of random executions before the search.
    pub random: u64,
    /// The seed of random decisions.
    pub seed: u64,
    /// How random schedules are drawn.
    pub sampler: Sampler,
    /// Whether to continue until each class has been executed.
    pub exhaustive: bool,
    /// Whether to execute every schedule instead of one of each class.
    pub naive: bool,
    /// Whether progress includes the graph of the executions.
    pub graph: bool,
    /// The maximum number of kills in a schedule.
    pub kills: usize,
    /// The maximum number of preemptions in a schedule; `None` for no bound.
    pub preemptions: Option<usize>,
    /// The maximum number of executions.
    pub executions: Option<u64>,
    /// The number of further executions after the first wrong outcome; `None` to continue. Witnesses of correct outcomes are
    /// then left out.
    pub after_wrong: Option<u64>,
    /// The maximum duration.
    pub time: Option<Duration>,
    /// The number of engines that execute at the same time once the search is long; 0 and 1 mean one.
    pub jobs: usize,
    /// Whether the findings include the position, with which the search can continue later.
    pub keep: bool,
}

/// How random schedules are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sampler {
    /// Any task that can continue, with equal probability.
    #[default]
    Random,
    /// Every interleaving with nearly equal probability.
    Uniform,
    /// Random priorities, changed at a few points.
    Pct,
    /// `Random`, `Pct` and one that switches where locks are taken, in turn: mistakes differ in what they need.
    InTurn,
}

impl Sampler {
    /// The part of a search with a bound, one in so many executions, that is drawn at random at most.
    pub(super) fn share(self) -> u64 {
        match self {
            Self::InTurn => 2,
            Self::Random | Self::Uniform | Self::Pct => 4,
        }
    }
}

/// A step of a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStep {
    /// The task's place in the tree.
    pub task: String,
    /// The call in words.
    pub words: String,
    /// The object of the call.
    pub object: String,
    /// Whether the task was killed there instead.
    #[serde(default)]
    pub kill: bool,
    /// The source line, as `program.c:12`, if the program has debugging information.
    #[serde(default)]
    pub line: Option<String>,
    /// Whether it only passed a place between two calls, where a signal handler could have run.
    #[serde(default)]
    pub between_calls: bool,
}

impl WitnessStep {
    /// The step as a schedule names it: the task, with `!` if it is killed.
    pub fn choice(&self) -> String {
        format!("{}{}", self.task, if self.kill { KILL } else { "" })
    }
}

/// What follows the name of a task that is killed.
pub const KILL: &str = "!";

/// The choices that a schedule names.
pub(super) fn choices(machine: &mut Machine, schedule: &[String]) -> Vec<Choice> {
    let plain = |name: &String| name.strip_suffix(KILL).unwrap_or(name).to_owned();
    let mut names: Vec<String> = schedule.iter().map(plain).collect();
    names.sort_unstable();
    names.dedup();
    machine.restore(&names);
    let choice = |name: &String| {
        let number = names.binary_search(&plain(name)).unwrap_or_default();
        if name.ends_with(KILL) { Choice::kill(number) } else { Choice::step(number) }
    };
    schedule.iter().map(choice).collect()
}

/// An outcome, and a schedule that leads to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The outcome.
    pub outcome: Outcome,
    /// The number of executions with this outcome.
    pub executions: u64,
    /// The number of classes with this outcome.
    pub classes: u64,
    /// The number of schedules in these classes; `None` if there are too many to count.
    pub schedules: Option<u64>,
    /// The schedule with the fewest switches that leads to it.
    pub witness: Vec<WitnessStep>,
    /// The number of switches from one task to another in the witness.
    pub switches: usize,
    /// The result of the check, if there is one.
    pub checked: Option<Checked>,
    /// The facts on which its steps depend.
    #[serde(default)]
    pub facts: BTreeSet<String>,
}

impl Found {
    /// What one execution of a schedule found.
    pub(super) fn once(
        outcome: Outcome,
        witness: Vec<WitnessStep>,
        choices: &[Choice],
        facts: BTreeSet<String>,
    ) -> Self {
        Self {
            outcome,
            executions: 1,
            classes: 1,
            schedules: None,
            witness,
            switches: choices.windows(2).filter(|pair| pair[0] != pair[1]).count(),
            checked: None,
            facts,
        }
    }
}

/// The step at which a schedule could not be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The index of the step, from 0.
    pub step: usize,
    /// The task that was to take the step.
    pub task: String,
    /// The expected call, as far as it is known.
    pub expected: String,
    /// What happened instead.
    pub found: String,
    /// The uncontrolled actions of this execution.
    pub uncontrolled: Vec<String>,
}

/// The results of a search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Whether each class was executed and everything was controlled.
    pub complete: bool,
    /// Whether each class was executed, controlled or not.
    pub ended: bool,
    /// Random executions before the search.
    #[serde(default)]
    pub sampled: u64,
    /// Complete executions of the search.
    pub executions: u64,
    /// Executions that were given up because everything left had been executed elsewhere.
    pub given_up: u64,
    /// Classes of equivalent schedules.
    pub classes: u64,
    /// The uncontrolled actions, and how often each occurred.
    pub uncontrolled: BTreeMap<String, u64>,
    /// The outcomes.
    pub outcomes: Vec<Found>,
    /// How far the search has come, if it was to be kept.
    #[serde(default)]
    pub position: Option<Box<Position>>,
}
