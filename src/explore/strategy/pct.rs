//! Probabilistic concurrency testing: random priorities, lowered at a few random points.
//!
//! S. Burckhardt, P. Kothari, M. Musuvathi, S. Nagarakatte, "A Randomized Scheduler with
//! Probabilistic Guarantees of Finding Bugs", ASPLOS 2010: with `n` processes and `k` steps a bug
//! of depth `d` is found with probability at least `1 / (n k^(d-1))` in each execution.

use super::random::Dice;
use super::{Decision, Strategy};
use crate::explore::point::{Divergence, Point};
use crate::explore::step::Event;

/// The scheduler, and the length of the longest execution so far.
#[derive(Clone, Debug)]
pub struct Pct {
    dice: Dice,
    depth: usize,
    longest: usize,
    priorities: Vec<usize>,
    changes: Vec<usize>,
    lowered: usize,
}

impl Pct {
    /// Looks for bugs that need `depth` ordering constraints; decisions follow from `seed` alone.
    pub fn new(seed: u64, depth: usize) -> Self {
        let dice = Dice::new(seed);
        Self { dice, depth, longest: 1, priorities: Vec::new(), changes: Vec::new(), lowered: 0 }
    }
}

impl Strategy for Pct {
    fn begin(&mut self) -> bool {
        self.dice.begin();
        self.priorities.clear();
        self.changes = (1..self.depth).map(|_| self.dice.below(self.longest)).collect();
        self.lowered = 0;
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        // A random permutation above the `depth` priorities that are reserved for lowering: each new task
        // is inserted at a random place.
        while self.priorities.len() < point.pending.len() {
            let place = self.depth + self.dice.below(self.priorities.len() + 1);
            self.priorities.iter_mut().filter(|other| **other >= place).for_each(|other| *other += 1);
            self.priorities.push(place);
        }
        let choices = self.dice.open(point);
        let highest = choices.iter().map(|choice| choice.index()).max_by_key(|p| self.priorities[*p]);
        let Some(highest) = highest else { return Ok(Decision::GiveUp) };
        // Rarely, the chosen process is killed instead.
        let kill = choices.iter().any(|choice| choice.kill && choice.index() == highest)
            && self.dice.below(self.longest.max(2)) == 0;
        let choice = choices.into_iter().find(|choice| choice.index() == highest && choice.kill == kill);
        Ok(choice.map_or(Decision::GiveUp, Decision::Take))
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.dice.note(event);
        let position = self.lowered_at();
        if self.changes.contains(&position) {
            // Each change has its own priority, below all initial ones.
            let rank = self.changes.iter().position(|at| *at == position).unwrap_or(0);
            self.priorities[event.choice.index()] = self.depth.saturating_sub(rank + 2);
        }
        self.longest = self.longest.max(self.lowered);
        Ok(())
    }
}

impl Pct {
    /// Counts the steps of this execution; returns the number of the one just done.
    fn lowered_at(&mut self) -> usize {
        self.lowered += 1;
        self.lowered - 1
    }
}
