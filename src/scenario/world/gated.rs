//! The gated world: every visible operation waits until the scheduler grants it.

use std::io;
use std::time::Duration;

use super::{Access, Lock, Seen, Step, World};
use crate::explore::gate::Desk;
use crate::explore::step;

/// A body's world at the gate. Time does not pass in it.
#[derive(Debug)]
pub struct Gated<'d, 'a>(pub &'d mut Desk<'a>);

impl World for Gated<'_, '_> {
    fn step<R: Seen>(&mut self, step: Step, operation: impl FnOnce() -> R) -> R {
        let access = match step.access {
            Access::Read => step::Access::Read,
            Access::Write => step::Access::Write,
        };
        self.0.step(step::Step::new(step.name, step.resource, access), operation, Seen::both)
    }

    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        let step = step::Step::new("lock", lock.resource(), step::Access::Acquire);
        self.0.acquire(step, || lock.try_acquire())
    }

    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        let step = step::Step::new("unlock", lock.resource(), step::Access::Release);
        self.0.step(
            step,
            || lock.release(),
            |result| match result {
                Ok(()) => "given back".to_owned().into(),
                Err(error) => error.to_string().into(),
            },
        )
    }

    fn think(&mut self, _: Duration) {}
}
