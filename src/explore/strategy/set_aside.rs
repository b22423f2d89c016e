//! Sets a process aside when it has taken a lock, and now and then when it has changed something: the others run until they
//! wait for it.
//!
//! A deadlock needs several processes that each hold one lock and want another, and a torn read one that has begun to write.
//! Where little lies between the two steps and much around them, random switches rarely come in time, and these come there.

use super::random::Sampler;
use super::{Decision, Strategy};
use crate::explore::point::{Divergence, Point};
use crate::explore::step::{Access, Event};

/// A process that has taken a lock goes on with a probability of one in `LOCKS`.
const LOCKS: usize = 4;
/// One that has changed something is set aside with a probability of one in `CHANGES`.
const CHANGES: usize = 4;

/// The scheduler: random priorities, of which that of a process that is set aside becomes the lowest.
#[derive(Clone, Debug)]
pub struct SetAside {
    sampler: Sampler,
    priorities: Vec<i64>,
}

impl SetAside {
    /// Creates a scheduler. `seed` determines its decisions.
    pub fn new(seed: u64) -> Self {
        Self { sampler: Sampler::new(seed), priorities: Vec::new() }
    }

    fn below_all(&self) -> i64 {
        self.priorities.iter().copied().min().unwrap_or(0) - 1
    }
}

impl Strategy for SetAside {
    fn begin(&mut self) -> bool {
        self.sampler.begin();
        self.priorities.clear();
        true
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        while self.priorities.len() < point.pending.len() {
            let priority = self.sampler.below(1 << 20);
            self.priorities.push(i64::try_from(priority).unwrap_or(0));
        }
        let choices = self.sampler.candidates(point).into_iter().filter(|choice| !choice.kill);
        let highest = choices.max_by_key(|choice| self.priorities[choice.index()]);
        Ok(highest.map_or(Decision::GiveUp, Decision::Take))
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.sampler.record(event);
        let does = |access| event.touches().any(|touch| touch.access == access);
        let is_set_aside = if does(Access::Acquire) {
            self.sampler.below(LOCKS) > 0
        } else {
            does(Access::Write) && self.sampler.below(CHANGES) == 0
        };
        if is_set_aside {
            self.priorities[event.choice.index()] = self.below_all();
        }
        Ok(())
    }
}
