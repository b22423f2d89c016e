//! The parent's part in a free run: it is the main process of the pipeline, and listens all the while.

use std::io;
use std::time::Duration;

use super::body;
use super::books::{Books, LossRecord};
use super::item::Item;
use super::lost_wakeup::Memory;
use super::params::{EndBy, FreePipeline, QueueKind, Role};
use super::parts::{Resources, Tools};
use crate::process::Child;
use crate::queue::Receiver;
use crate::queue::error::JoinQueueError;
use crate::scenario::run::stage::{Reason, RunError, Stage};
use crate::scenario::world::told::Report;
use crate::scenario::world::{Inlet, Lock, News, Outlet, Parcel, Received, Seen, Sent, Step, World};
use crate::sys::poll::Deadline;
use crate::wire::control;

/// How often the parent looks after its processes when nothing is told.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A process of the pipeline, from its parent's side.
pub(super) type Worker = Child<Result<u64, Reason>>;

/// The parent while its processes work.
pub(super) struct Overseer<'a, 's> {
    pipeline: &'a FreePipeline,
    stage: &'a mut Stage<'s>,
    incoming: &'a control::Receiver<Report>,
    producers: &'a [Worker],
    consumers: &'a [Worker],
    /// What the main process works with. With `close` it must hold no end that could send.
    tools: Tools,
    receiver: Option<Receiver<Item>>,
    books: Books,
    losses: Vec<LossRecord>,
    stuck: Vec<String>,
    /// How many sentinels are in the queue or taken.
    sentinels_put: u64,
    /// Nobody will report any more.
    is_over: bool,
    /// Why the parent cannot go on; carried past the bodies, which know errors of the system only.
    failure: Option<RunError>,
}

impl<'a, 's> Overseer<'a, 's> {
    pub(super) fn new(
        pipeline: &'a FreePipeline,
        stage: &'a mut Stage<'s>,
        resources: Resources,
        incoming: &'a control::Receiver<Report>,
        producers: &'a [Worker],
        consumers: &'a [Worker],
    ) -> Result<Self, RunError> {
        let share = resources.share(Role::Main, &pipeline.plan).map_err(RunError::os("dup"))?;
        let mut tools = share.unpack().map_err(RunError::os("mmap"))?;
        if pipeline.end == EndBy::Close {
            tools.sender = None;
        }
        Ok(Overseer {
            pipeline,
            stage,
            incoming,
            producers,
            consumers,
            tools,
            receiver: Some(resources.receiver),
            books: Books::new(producers.len()),
            losses: Vec::new(),
            stuck: Vec::new(),
            sentinels_put: 0,
            is_over: false,
            failure: None,
        })
    }

    /// Does the main process's part, and listens until all have gone.
    pub(super) fn oversee(&mut self) -> Result<(), RunError> {
        match self.pipeline.end {
            EndBy::Close => {}
            EndBy::None => self.put_sentinels()?,
            EndBy::Joinable => self.join_and_close()?,
        }
        while !self.is_over {
            self.listen()?;
        }
        Ok(())
    }

    /// What was seen: the books, the losses, and which processes waited for ever.
    pub(super) fn close(self) -> (Books, Vec<LossRecord>, Vec<String>) {
        (self.books, self.losses, self.stuck)
    }

    fn put_sentinels(&mut self) -> Result<(), RunError> {
        let tools = self.main_tools()?;
        let done = body::close(self, &self.pipeline.params.clone(), &tools);
        if self.is_over {
            return Ok(());
        }
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => done.map(drop).map_err(RunError::os("putting the sentinels")),
        }
    }

    /// Tools of its own for the body, which borrows the overseer as its world.
    fn main_tools(&self) -> Result<Tools, RunError> {
        let memory = self.tools.memory.file().map_err(RunError::os("dup"))?;
        let memory = Memory::open(memory.into()).map_err(RunError::os("mmap"))?;
        let plan = self.pipeline.plan.clone();
        Ok(Tools { memory, sender: self.tools.sender.clone(), receiver: None, plan })
    }

    fn join_and_close(&mut self) -> Result<(), RunError> {
        while !self.is_over {
            self.listen()?;
            let Some(sender) = &self.tools.sender else { break };
            if self.producers.iter().any(|worker| worker.is_alive()) {
                continue;
            }
            match sender.join_timeout(Duration::ZERO) {
                Ok(()) | Err(JoinQueueError::Disconnected) => {
                    if let Some(receiver) = &self.receiver {
                        receiver.close().map_err(RunError::os("closing the queue"))?;
                    }
                    self.tools.sender = None;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Hears what was told, looks after the processes, and waits a moment for more.
    fn listen(&mut self) -> Result<(), RunError> {
        loop {
            match self.incoming.try_recv() {
                Ok(report) => self.hear(report),
                Err(control::TryRecvError::Empty) => break,
                Err(_) => {
                    self.look_for_losses();
                    self.is_over = true;
                    return Ok(());
                }
            }
        }
        let ended = |workers: &[Worker]| workers.iter().all(|worker| !worker.is_alive());
        if ended(self.producers) {
            // One that was killed will put nothing more, either.
            while self.tools.memory.finished() < self.pipeline.params.producers {
                self.tools.memory.finish();
            }
        }
        if ended(self.consumers) {
            // Producers that wait for room must hear of it.
            self.look_for_losses();
            self.receiver = None;
        }
        if self.is_stuck() {
            self.end_the_stuck();
        }
        self.stage.await_readable(self.incoming, Deadline::after(POLL_INTERVAL)).map(drop)
    }

    fn hear(&mut self, report: Report) {
        let queued = match self.pipeline.params.queue {
            QueueKind::Ours => self.receiver.as_ref().map_or(0, Receiver::len),
            QueueKind::LostWakeup => self.tools.memory.len(),
        };
        self.books.enter(&report, queued);
        if let Some((index, nth)) = self.pipeline.plan.kill
            && let Some(consumer) = self.consumers.get(index)
            && consumer.name() == report.event.process
            && self.books.taken_by(consumer.name()) == nth
            && report.event.fact.is_none()
        {
            // It has said so, and waits to be killed; if it is dead already, so much the better.
            let _ = consumer.kill();
        }
        self.stage.tell(report.event);
    }

    /// Whether those that live can never go on: each waits, and nothing is left that could come.
    fn is_stuck(&self) -> bool {
        let params = &self.pipeline.params;
        let waits = |worker: &&Worker| self.books.waits(worker.name());
        let mut living =
            self.producers.iter().chain(self.consumers).filter(|worker| worker.is_alive()).peekable();
        if self.pipeline.end != EndBy::None || living.peek().is_none() || !living.all(|worker| waits(&worker))
        {
            return false;
        }
        match params.queue {
            // Asleep by its own word, and awake only if a process that does something wakes it.
            QueueKind::LostWakeup => {
                let first = params.producers as usize;
                let mut living =
                    (0..self.consumers.len()).filter(|index| self.consumers[*index].is_alive()).peekable();
                let main_waits = self.sentinels_put == params.sentinels
                    || self.tools.memory.len() as u64 >= params.capacity
                    || self.tools.memory.finished() < params.producers;
                living.peek().is_some()
                    && main_waits
                    && living.all(|index| self.tools.memory.sleeps(first + index))
            }
            QueueKind::Ours => {
                let killed = self
                    .pipeline
                    .plan
                    .kill
                    .is_some_and(|(index, nth)| self.books.taken_by(self.consumers[index].name()) >= nth);
                let lost = usize::from(killed && !self.pipeline.plan.leases);
                self.producers.iter().all(|worker| !worker.is_alive())
                    && self.sentinels_put == params.sentinels
                    && self.books.sentinels() == params.sentinels
                    && self.books.is_accounted(lost)
                    && self.receiver.as_ref().is_some_and(Receiver::is_empty)
            }
        }
    }

    fn end_the_stuck(&mut self) {
        let on = match self.pipeline.params.queue {
            QueueKind::Ours => {
                "waits on the empty queue for an item or a None, and no process is left to put one"
            }
            QueueKind::LostWakeup => "sleeps, and the wake-up that it waits for was lost",
        };
        for worker in self.consumers.iter().filter(|worker| worker.is_alive()) {
            self.stuck.push(format!("{} (PID {}) {on}", worker.name(), worker.pid()));
        }
        for worker in self.producers.iter().chain(self.consumers) {
            // It would never go by itself.
            let _ = worker.kill();
        }
    }

    fn look_for_losses(&mut self) {
        let losses =
            self.receiver.as_ref().and_then(|receiver| receiver.take_losses().ok()).unwrap_or_default();
        self.losses.extend(losses.iter().map(|loss| LossRecord { pid: loss.pid, message: loss.first }));
    }

    /// Listens once more, for a body that waits.
    fn pump(&mut self) -> io::Result<()> {
        if self.is_over {
            return Err(io::Error::other("all other processes have ended"));
        }
        self.listen().map_err(|error| {
            self.failure = Some(error);
            io::Error::other("interrupted")
        })
    }
}

/// The world of the main process: it waits by listening.
impl World for Overseer<'_, '_> {
    fn step<R: Seen>(&mut self, _: Step, operation: impl FnOnce() -> R) -> R {
        operation()
    }

    fn wait<R: Seen>(
        &mut self,
        _: Step,
        mut attempt: impl FnMut() -> io::Result<Option<R>>,
    ) -> io::Result<R> {
        loop {
            if let Some(result) = attempt()? {
                return Ok(result);
            }
            self.pump()?;
        }
    }

    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        while !lock.try_acquire()? {
            self.pump()?;
        }
        Ok(())
    }

    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        lock.release()
    }

    fn send<M: Parcel>(&mut self, outlet: &mut dyn Outlet<M>, message: M) -> io::Result<bool> {
        loop {
            match outlet.try_send(&message)? {
                Sent::Done => {
                    self.sentinels_put += 1;
                    return Ok(true);
                }
                Sent::Closed => return Ok(false),
                // All others may end before there is room: then nothing is left to be told.
                Sent::Full if self.is_over => return Ok(false),
                Sent::Full => self.pump()?,
            }
        }
    }

    fn recv<M: Parcel>(&mut self, inlet: &mut dyn Inlet<M>) -> io::Result<Option<M>> {
        loop {
            match inlet.try_recv()? {
                Received::Message(message) => return Ok(Some(message)),
                Received::Closed => return Ok(None),
                Received::Empty => self.pump()?,
            }
        }
    }

    fn think(&mut self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn tell(&mut self, news: impl FnOnce() -> News) {
        let News { what, text, .. } = news();
        self.stage.say(what, text);
    }
}
