//! The position of a search, with which it can continue in another process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Searcher;
use super::method::Method;
use crate::explore::search::Tally;
use crate::explore::traced::findings::Found;
use crate::explore::traced::outcome::Outcome;

/// The first of two searches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Earlier<O: Ord> {
    /// Its counts.
    pub(super) tally: Tally<O>,
    /// The number of random executions before it.
    pub(super) sampled: u64,
    /// Its outcomes.
    pub(super) outcomes: Vec<Found>,
}

/// How far a search has come, and what it has found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Position {
    method: Method,
    /// The names of the tasks by number.
    names: Vec<String>,
    facts: BTreeSet<String>,
    candidates: BTreeSet<String>,
    /// The outcomes, to which the tallies refer by index.
    outcomes: Vec<Outcome>,
    tally: Tally<usize>,
    sampled: u64,
    before: u64,
    divergences: u64,
    earlier: Option<Earlier<usize>>,
}

impl Searcher<'_> {
    /// The present position, if it was asked for.
    pub(super) fn position(&self) -> Option<Box<Position>> {
        let mut method = self.method.clone().filter(|_| self.how.keep)?;
        // An execution that was cut short is carried out again.
        if let Method::Classes(dpor) = &mut method {
            dpor.tree().take_back_all();
        }
        let mut numbers: BTreeMap<Arc<Outcome>, usize> = BTreeMap::new();
        let mut number = |outcome: &Arc<Outcome>| {
            let next = numbers.len();
            *numbers.entry(outcome.clone()).or_insert(next)
        };
        let tally = self.tally.map(&mut number);
        let earlier = self.earlier.as_ref().map(|earlier| Earlier {
            tally: earlier.tally.map(&mut number),
            sampled: earlier.sampled,
            outcomes: earlier.outcomes.clone(),
        });
        let mut outcomes: Vec<_> = numbers.into_iter().collect();
        outcomes.sort_by_key(|(_, number)| *number);
        Some(Box::new(Position {
            method,
            names: self.machine.names.clone(),
            facts: self.machine.world.learned.clone(),
            candidates: self.machine.world.candidates.clone(),
            outcomes: outcomes.into_iter().map(|(outcome, _)| (*outcome).clone()).collect(),
            tally,
            sampled: self.sampled,
            before: self.before,
            divergences: self.divergences,
            earlier,
        }))
    }

    /// Continues from a position.
    pub(super) fn restore(&mut self, position: Position) {
        let outcomes: Vec<Arc<Outcome>> = position.outcomes.into_iter().map(Arc::new).collect();
        self.machine.outcomes.extend(outcomes.iter().cloned());
        self.machine.rename(position.names);
        self.machine.world.learned = position.facts;
        self.machine.world.candidates = position.candidates;
        let outcome = |number: &usize| outcomes.get(*number).cloned().unwrap_or_default();
        self.tally = position.tally.map(outcome);
        self.earlier = position.earlier.map(|earlier| Earlier {
            tally: earlier.tally.map(outcome),
            sampled: earlier.sampled,
            outcomes: earlier.outcomes,
        });
        (self.method, self.sampled) = (Some(position.method), position.sampled);
        (self.before, self.divergences) = (position.before, position.divergences);
        // The budget is one of this search alone.
        let done = self.carried_out();
        self.how.executions = self.how.executions.map(|most| most.saturating_add(done));
    }
}
