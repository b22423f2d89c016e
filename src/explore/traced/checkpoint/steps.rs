//! The steps that a copy has taken as its template: they are reported in order, and nothing is executed.

use super::Checkpoints;
use crate::explore::step::{Effect, Step};
use crate::explore::traced::machine::Machine;

impl Checkpoints {
    /// Allows checkpoints after steps, unless a schedule may kill a process at one of them.
    pub(in crate::explore::traced) fn replay_steps(&mut self, kills: usize) {
        self.may_replay_steps = kills == 0;
    }

    /// Forgets the steps that were not reported.
    pub(in crate::explore::traced) fn end_steps(&mut self) {
        self.taken_steps = None;
    }

    fn next(&self) -> Option<&(Step, Effect)> {
        self.taken.as_ref()?.steps.get(self.taken_steps?)
    }

    /// The step of the template that is to be reported next.
    pub(in crate::explore::traced) fn next_step(&self) -> Option<&Step> {
        self.next().map(|(step, _)| step)
    }
}

impl Machine {
    /// Reports the effect of the next step of the template; `None` if all have been reported.
    pub(in crate::explore::traced) fn replay_step(&mut self) -> Option<Effect> {
        let mut effect = self.checkpoints.next()?.1.clone();
        self.checkpoints.taken_steps = self.checkpoints.taken_steps.map(|taken| taken + 1);
        if self.checkpoints.next().is_none() {
            // The copy has run on to its next step, and may have created others on the way.
            let created = self.created.iter().filter(|task| **task != 0);
            effect.created = created.map(|task| self.world.tasks[*task].number as u32).collect();
        }
        Some(effect)
    }
}
