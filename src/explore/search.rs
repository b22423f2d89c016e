//! One execution after another, counted by outcome, with the shortest witness of each.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::engine::{ExecuteError, System, Trace, execute};
use super::reduce::Order;
use super::shrink::{Cost, shortest};
use super::strategy::Strategy;

/// What has been found so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tally<O: Ord> {
    /// Complete executions.
    pub schedules: u64,
    /// Executions that were given up because all that was left had been explored elsewhere.
    pub given_up: u64,
    /// Complete executions in which nobody was killed.
    pub unharmed: u64,
    /// Schedules that the classes found so far hold together.
    pub represents: u64,
    /// What came of them.
    pub outcomes: BTreeMap<O, Found>,
    classes: HashSet<u64>,
}

/// One outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// How many executions ended so.
    pub count: u64,
    /// In how many of them nobody was killed.
    pub unharmed: u64,
    /// How many classes end so.
    pub classes: u64,
    /// How many schedules these classes hold together.
    pub represents: u64,
    /// The shortest schedule that ends so, of the classes seen.
    pub cost: Cost,
    /// That schedule. It follows from one that was executed, but may not have been itself.
    pub witness: Trace,
}

impl<O: Ord> Default for Tally<O> {
    fn default() -> Self {
        let (outcomes, classes) = (BTreeMap::new(), HashSet::new());
        Self { schedules: 0, given_up: 0, unharmed: 0, represents: 0, outcomes, classes }
    }
}

impl<O: Ord + Clone> Tally<O> {
    /// How many classes of equivalent schedules have been seen.
    pub fn classes(&self) -> u64 {
        self.classes.len() as u64
    }

    fn count(&mut self, outcome: &O, trace: &Trace) {
        let unharmed = u64::from(!trace.events.iter().any(|event| event.choice.kill));
        self.schedules += 1;
        self.unharmed += unharmed;
        let order = Order::new(&trace.events);
        let mut hasher = DefaultHasher::new();
        order.class().hash(&mut hasher);
        if self.classes.insert(hasher.finish()) {
            let size = order.schedules();
            let witness = shortest(trace);
            let cost = Cost::of(&witness);
            self.represents = self.represents.saturating_add(size);
            match self.outcomes.get_mut(outcome) {
                Some(found) => {
                    found.classes += 1;
                    found.represents = found.represents.saturating_add(size);
                    if cost < found.cost {
                        (found.cost, found.witness) = (cost, witness);
                    }
                }
                None => {
                    let found = Found { count: 0, unharmed: 0, classes: 1, represents: size, cost, witness };
                    self.outcomes.insert(outcome.clone(), found);
                }
            }
        }
        if let Some(found) = self.outcomes.get_mut(outcome) {
            found.count += 1;
            found.unharmed += unharmed;
        }
    }
}

/// Executes until nothing is left (`true`) or until `go_on`, asked after each execution, says no.
///
/// # Errors
/// When an execution cannot be carried out; what was found before it stays in `tally`.
pub fn search<S: System + ?Sized, T: Strategy + ?Sized>(
    system: &mut S,
    strategy: &mut T,
    kills: usize,
    tally: &mut Tally<S::Outcome>,
    mut go_on: impl FnMut(&Tally<S::Outcome>, &T) -> bool,
) -> Result<bool, ExecuteError<S::Error>> {
    while strategy.begin() {
        match execute(system, strategy, kills)? {
            Some(trace) => {
                let outcome = system.judge(&trace).map_err(ExecuteError::System)?;
                tally.count(&outcome, &trace);
            }
            None => tally.given_up += 1,
        }
        strategy.end();
        if !go_on(tally, strategy) {
            return Ok(!strategy.begin());
        }
    }
    Ok(true)
}
