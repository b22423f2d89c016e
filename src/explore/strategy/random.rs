//! Chooses among the enabled processes with equal probability.

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::{Decision, Strategy};
use crate::explore::holders::Holders;
use crate::explore::point::{Divergence, Point};
use crate::explore::step::{Access, Choice, Event};

/// The naive random scheduler, which finds most bugs as early as more elaborate ones do (P. Thomson,
/// A. Donaldson, A. Betts, "Concurrency Testing Using Controlled Schedulers", TOPC 2(4), 2016).
#[derive(Clone, Debug)]
pub struct Random {
    sampler: Sampler,
}

impl Random {
    /// Creates a scheduler. `seed` determines its decisions.
    pub fn new(seed: u64) -> Self {
        Self { sampler: Sampler::new(seed) }
    }
}

impl Strategy for Random {
    fn begin(&mut self) -> bool {
        self.sampler.begin();
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        let choices = self.sampler.candidates(point);
        Ok(Decision::Take(choices[self.sampler.below(choices.len())]))
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.sampler.record(event);
        Ok(())
    }
}

/// What the sampling strategies share: reproducible random numbers, and which tasks can be killed.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    random: Xoshiro256PlusPlus,
    held: Holders,
}

impl Sampler {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), held: Holders::default() }
    }

    pub(super) fn begin(&mut self) {
        self.held = Holders::default();
    }

    pub(super) fn record(&mut self, event: &Event) {
        self.held.record(event);
    }

    /// The choices, without kills of tasks that wait for a held lock: only a task that could continue is killed, and a
    /// lock is not tried merely to find that out.
    pub(super) fn candidates(&self, point: &Point<'_>) -> Vec<Choice> {
        let waits = |choice: &Choice| {
            point.step(*choice).is_some_and(|step| {
                step.touches().any(|its| match its.access {
                    Access::Await => true,
                    Access::Acquire => self.held.is_held(its.object),
                    _ => false,
                })
            })
        };
        point.choices.iter().copied().filter(|choice| !choice.kill || !waits(choice)).collect()
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound.max(1))
    }
}
