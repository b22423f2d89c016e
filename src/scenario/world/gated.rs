//! The gated world: every visible operation waits until the scheduler grants it.

use std::io;
use std::time::Duration;

use super::{Access, Lock, News, Payload, Received, RecvEnd, Seen, SendEnd, Sent, Step, World};
use crate::explore::gate::StepContext;
use crate::explore::step;

/// A body's world at the gate. Time does not pass in it.
#[derive(Debug)]
pub struct Gated<'d, 'a>(pub &'d mut StepContext<'a>);

/// The resource of every queue operation: each one depends on every other.
const QUEUE: &str = "queue";

impl World for Gated<'_, '_> {
    fn step<R: Seen>(&mut self, step: Step, operation: impl FnOnce() -> R) -> R {
        let access = match step.access {
            Access::Read => step::Access::Read,
            Access::Write => step::Access::Write,
        };
        self.0.step(step::Step::new(step.name, step.resource, access), operation, Seen::both)
    }

    fn wait<R: Seen>(
        &mut self,
        step: Step,
        mut attempt: impl FnMut() -> io::Result<Option<R>>,
    ) -> io::Result<R> {
        let step = step::Step::new(step.name, step.resource, step::Access::Await);
        self.0.wait_for(step, || {
            Ok(attempt()?.map(|result| {
                let seen = result.both();
                (result, seen)
            }))
        })
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
                Ok(()) => "released".to_owned().into(),
                Err(error) => error.to_string().into(),
            },
        )
    }

    fn send<M: Payload>(&mut self, end: &mut dyn SendEnd<M>, message: M) -> io::Result<bool> {
        let step = step::Step::new("put", QUEUE, step::Access::Await);
        self.0.wait_for(step, || {
            Ok(match end.try_send(&message)? {
                Sent::Done => Some((true, message.name().into())),
                Sent::Full => None,
                Sent::Closed => Some((false, "the queue is closed".to_owned().into())),
            })
        })
    }

    fn recv<M: Payload>(&mut self, end: &mut dyn RecvEnd<M>) -> io::Result<Option<M>> {
        let step = step::Step::new("take", QUEUE, step::Access::Await);
        self.0.wait_for(step, || {
            Ok(match end.try_recv()? {
                Received::Message(message) => {
                    let seen = step::Seen { text: message.name(), observation: message.observation() };
                    Some((Some(message), seen))
                }
                Received::Empty => None,
                Received::Closed => Some((None, "the queue is closed".to_owned().into())),
            })
        })
    }

    fn think(&mut self, _: Duration) {}

    fn tell(&mut self, _: impl FnOnce() -> News) {}
}
