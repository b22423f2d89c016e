//! Probabilistic concurrency testing: random priorities, lowered at a few random points.
//!
//! S. Burckhardt, P. Kothari, M. Musuvathi, S. Nagarakatte, "A Randomized Scheduler with
//! Probabilistic Guarantees of Finding Bugs", ASPLOS 2010: with `n` processes and `k` steps a bug
//! of depth `d` is found with probability at least `1 / (n k^(d-1))` in each execution.

use super::random::Sampler;
use super::{Decision, Strategy};
use crate::explore::point::{Divergence, Point};
use crate::explore::step::Event;

/// After so many steps in a row a process makes way for all others: it may be waiting by looking again.
const PATIENCE: usize = 200;

/// The scheduler, which also records the length of the longest execution so far.
#[derive(Clone, Debug)]
pub struct Pct {
    sampler: Sampler,
    depth: usize,
    longest: usize,
    priorities: Vec<usize>,
    changes: Vec<usize>,
    steps: usize,
    last: Option<usize>,
    in_a_row: usize,
}

impl Pct {
    /// Creates a scheduler that searches for bugs with `depth` ordering constraints. `seed` determines its decisions.
    pub fn new(seed: u64, depth: usize) -> Self {
        let sampler = Sampler::new(seed);
        Self {
            sampler,
            depth,
            longest: 1,
            priorities: Vec::new(),
            changes: Vec::new(),
            steps: 0,
            last: None,
            in_a_row: 0,
        }
    }
}

impl Strategy for Pct {
    fn begin(&mut self) -> bool {
        self.sampler.begin();
        self.priorities.clear();
        self.changes = (1..self.depth).map(|_| self.sampler.below(self.longest)).collect();
        self.steps = 0;
        (self.last, self.in_a_row) = (None, 0);
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        // The priorities are a random permutation above the `depth` priorities that are reserved for lowering. Each new
        // task is inserted at a random place.
        while self.priorities.len() < point.pending.len() {
            let place = self.depth + self.sampler.below(self.priorities.len() + 1);
            self.priorities.iter_mut().filter(|other| **other >= place).for_each(|other| *other += 1);
            self.priorities.push(place);
        }
        let choices = self.sampler.candidates(point);
        let highest = choices.iter().map(|choice| choice.index()).max_by_key(|p| self.priorities[*p]);
        let Some(highest) = highest else { return Ok(Decision::GiveUp) };
        // Rarely, the chosen process is killed instead.
        let kill = choices.iter().any(|choice| choice.kill && choice.index() == highest)
            && self.sampler.below(self.longest.max(2)) == 0;
        let choice = choices.into_iter().find(|choice| choice.index() == highest && choice.kill == kill);
        Ok(choice.map_or(Decision::GiveUp, Decision::Take))
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.sampler.record(event);
        let position = self.count_step();
        if self.changes.contains(&position) {
            // Each change has its own priority, below all initial ones.
            let rank = self.changes.iter().position(|at| *at == position).unwrap_or(0);
            self.priorities[event.choice.index()] = self.depth.saturating_sub(rank + 2);
        }
        self.longest = self.longest.max(self.steps);
        self.make_way(event.choice.index());
        Ok(())
    }
}

impl Pct {
    /// Moves a task that has taken too many steps in a row below all others.
    fn make_way(&mut self, task: usize) {
        self.in_a_row = if self.last == Some(task) { self.in_a_row + 1 } else { 1 };
        self.last = Some(task);
        if self.in_a_row >= PATIENCE {
            self.priorities.iter_mut().for_each(|other| *other += 1);
            self.priorities[task] = 0;
            self.in_a_row = 0;
        }
    }

    /// Counts a step of this execution, and returns its index.
    fn count_step(&mut self) -> usize {
        self.steps += 1;
        self.steps - 1
    }
}
