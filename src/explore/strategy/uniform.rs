//! Chooses every interleaving with (nearly) equal probability: the uniform random walk.
//!
//! If process `i` has `r_i` steps left, the share of the interleavings that begin with it is `r_i / Σ r` (called URW in
//! H. Zhao et al., "Selectively Uniform Concurrency Testing", ASPLOS 2025). This is exact while no process is disabled
//! and none ends early. The numbers of steps are those of the longest execution so far, so the first execution is simply
//! random.

use super::random::Sampler;
use super::{Decision, Strategy};
use crate::explore::point::{Divergence, Point};
use crate::explore::step::Event;

/// The scheduler, which also records the largest number of steps of each process so far.
#[derive(Clone, Debug)]
pub struct Uniform {
    sampler: Sampler,
    longest: Vec<usize>,
    done: Vec<usize>,
}

impl Uniform {
    /// Creates a scheduler. `seed` determines its decisions.
    pub fn new(seed: u64) -> Self {
        Self { sampler: Sampler::new(seed), longest: Vec::new(), done: Vec::new() }
    }
}

impl Strategy for Uniform {
    fn begin(&mut self) -> bool {
        self.sampler.begin();
        self.done.iter_mut().for_each(|done| *done = 0);
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        self.longest.resize(point.pending.len(), 1);
        self.done.resize(point.pending.len(), 0);
        let choices = self.sampler.candidates(point);
        let weight = |process: usize| self.longest[process].saturating_sub(self.done[process]).max(1);
        let total: usize = choices.iter().map(|choice| weight(choice.index())).sum();
        let mut ticket = self.sampler.below(total);
        for choice in choices {
            let weight = weight(choice.index());
            if ticket < weight {
                return Ok(Decision::Take(choice));
            }
            ticket -= weight;
        }
        Ok(Decision::GiveUp)
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.sampler.record(event);
        let process = event.choice.index();
        self.done[process] += 1;
        self.longest[process] = self.longest[process].max(self.done[process]);
        Ok(())
    }
}
