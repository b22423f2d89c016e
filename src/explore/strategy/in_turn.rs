//! Samplers of different kinds in turn, one execution each.

use super::pct::Pct;
use super::random::Random;
use super::set_aside::SetAside;
use super::{Decision, Strategy};
use crate::explore::point::{Completed, Divergence, Point};
use crate::explore::step::Event;

/// Every second execution is by [`Random`], which switches often. Between them come, in turn, [`SetAside`], which switches
/// where locks are taken and things are changed, and [`Pct`], which switches rarely and lets one process go far ahead while
/// another stands in the middle of something.
#[derive(Clone, Debug)]
pub struct InTurn {
    random: Random,
    pct: Pct,
    set_aside: SetAside,
    executions: usize,
}

impl InTurn {
    /// Creates all of them. `seed` determines their decisions, and `depth` is that of [`Pct::new`].
    pub fn new(seed: u64, depth: usize) -> Self {
        Self {
            random: Random::new(seed),
            pct: Pct::new(seed, depth),
            set_aside: SetAside::new(seed),
            executions: 0,
        }
    }

    fn present(&mut self) -> &mut dyn Strategy {
        match self.executions % 4 {
            0 => &mut self.pct,
            2 => &mut self.set_aside,
            _ => &mut self.random,
        }
    }
}

impl Strategy for InTurn {
    fn begin(&mut self) -> bool {
        self.executions += 1;
        self.present().begin()
    }

    fn decide(&mut self, point: &Point<'_>) -> Result<Decision, Divergence> {
        self.present().decide(point)
    }

    fn done(&mut self, event: &Event) -> Result<(), Divergence> {
        self.present().done(event)
    }

    fn refused(&mut self, point: &Point<'_>, process: usize) -> Result<(), Divergence> {
        self.present().refused(point, process)
    }

    fn complete(&mut self, execution: &Completed<'_>) {
        self.present().complete(execution);
    }
}
