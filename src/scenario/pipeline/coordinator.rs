//! The parent of a free run. It is the main process of the pipeline, and handles the reports of the others.

use std::io;
use std::time::Duration;

use super::body;
use super::item::Item;
use super::ledger::{Ledger, LossRecord};
use super::lost_wakeup::Memory;
use super::params::{EndBy, FreePipeline, QueueKind, Role};
use super::resources::{Resources, Tools};
use crate::process::Child;
use crate::queue::Receiver;
use crate::queue::error::JoinQueueError;
use crate::said::Said;
use crate::scenario::run::stage::{Reason, RunError, Stage};
use crate::scenario::world::told::Report;
use crate::scenario::world::{Lock, News, Payload, Received, RecvEnd, Seen, SendEnd, Sent, Step, World};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::wire::control;

sentences! {
    /// Why a consumer would never end.
    enum Stuck {
        Waits { name: String, pid: Pid } =>
            "{name} (PID {pid}) waits on the empty queue for an item or a None, and no process is left to put one",
            "{name}（PID {pid}）在空队列上等待物品或 None，而没有进程会再放入";
        Asleep { name: String, pid: Pid } =>
            "{name} (PID {pid}) is asleep, and the wake-up that it waits for was lost",
            "{name}（PID {pid}）睡着了，它等待的唤醒已经丢失";
    }
}

/// How often the parent checks its processes when no report arrives.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A process of the pipeline, from its parent's side.
pub(super) type Worker = Child<Result<u64, Reason>>;

/// The parent while its processes work.
pub(super) struct Coordinator<'a, 's> {
    pipeline: &'a FreePipeline,
    stage: &'a mut Stage<'s>,
    incoming: &'a control::Receiver<Report>,
    producers: &'a [Worker],
    consumers: &'a [Worker],
    /// The main process's tools. With `--end close` it must not hold a sender.
    tools: Tools,
    receiver: Option<Receiver<Item>>,
    ledger: Ledger,
    losses: Vec<LossRecord>,
    stuck: Vec<Said>,
    /// How many sentinels are in the queue or taken.
    sentinels_put: u64,
    /// Whether all processes have ended and no more reports can arrive.
    is_over: bool,
    /// Why the parent cannot continue. Kept here because a body can only return a system error.
    failure: Option<RunError>,
}

impl<'a, 's> Coordinator<'a, 's> {
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
        Ok(Coordinator {
            pipeline,
            stage,
            incoming,
            producers,
            consumers,
            tools,
            receiver: Some(resources.receiver),
            ledger: Ledger::new(producers.len()),
            losses: Vec::new(),
            stuck: Vec::new(),
            sentinels_put: 0,
            is_over: false,
            failure: None,
        })
    }

    /// Does the main process's work, then handles reports until all processes have ended.
    pub(super) fn run(&mut self) -> Result<(), RunError> {
        match self.pipeline.end {
            EndBy::Close => {}
            EndBy::None => self.put_sentinels()?,
            EndBy::Joinable => self.join_and_close()?,
        }
        while !self.is_over {
            self.poll()?;
        }
        Ok(())
    }

    /// The results: the records, the losses, and the processes that waited forever.
    pub(super) fn close(self) -> (Ledger, Vec<LossRecord>, Vec<Said>) {
        (self.ledger, self.losses, self.stuck)
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

    /// Separate tools for the body, which borrows the coordinator as its world.
    fn main_tools(&self) -> Result<Tools, RunError> {
        let memory = self.tools.memory.file().map_err(RunError::os("dup"))?;
        let memory = Memory::open(memory.into()).map_err(RunError::os("mmap"))?;
        let plan = self.pipeline.plan.clone();
        Ok(Tools { memory, sender: self.tools.sender.clone(), receiver: None, plan })
    }

    fn join_and_close(&mut self) -> Result<(), RunError> {
        while !self.is_over {
            self.poll()?;
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

    /// Handles all reports, checks the processes, and waits briefly for more.
    fn poll(&mut self) -> Result<(), RunError> {
        loop {
            match self.incoming.try_recv() {
                Ok(report) => self.handle(report),
                Err(control::TryRecvError::Empty) => break,
                Err(_) => {
                    self.collect_losses();
                    self.is_over = true;
                    return Ok(());
                }
            }
        }
        let ended = |workers: &[Worker]| workers.iter().all(|worker| !worker.is_alive());
        if ended(self.producers) {
            // A killed producer will not put anything more either.
            while self.tools.memory.finished() < self.pipeline.params.producers {
                self.tools.memory.finish();
            }
        }
        if ended(self.consumers) {
            // Producers that wait for room must see that no receiver is left.
            self.collect_losses();
            self.receiver = None;
        }
        // Once: a killed process may look alive for a moment.
        if self.stuck.is_empty() && self.is_stuck() {
            self.kill_stuck();
        }
        self.stage.await_readable(self.incoming, Deadline::after(POLL_INTERVAL)).map(drop)
    }

    fn handle(&mut self, report: Report) {
        let queued = match self.pipeline.params.queue {
            QueueKind::Ours => self.receiver.as_ref().map_or(0, Receiver::len),
            QueueKind::LostWakeup => self.tools.memory.len(),
        };
        self.ledger.record(&report, queued);
        if let Some((index, nth)) = self.pipeline.plan.kill
            && let Some(consumer) = self.consumers.get(index)
            && consumer.name() == report.event.process
            && self.ledger.taken_by(consumer.name()) == nth
            && report.event.fact.is_none()
        {
            // It has reported that it waits to be killed. An error means that it is already dead.
            let _ = consumer.kill();
        }
        self.stage.tell(report.event);
    }

    /// Whether the living processes can never continue: each of them waits, and nothing more can arrive.
    fn is_stuck(&self) -> bool {
        let params = &self.pipeline.params;
        let waits = |worker: &&Worker| self.ledger.waits(worker.name());
        let mut living =
            self.producers.iter().chain(self.consumers).filter(|worker| worker.is_alive()).peekable();
        if self.pipeline.end != EndBy::None || living.peek().is_none() || !living.all(|worker| waits(&worker))
        {
            return false;
        }
        match params.queue {
            // A consumer in the state ASLEEP wakes only if a process that is still active wakes it.
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
                let killed =
                    self.pipeline.plan.kill.is_some_and(|(index, nth)| {
                        self.ledger.taken_by(self.consumers[index].name()) >= nth
                    });
                let lost = usize::from(killed && !self.pipeline.plan.leases);
                self.producers.iter().all(|worker| !worker.is_alive())
                    && self.sentinels_put == params.sentinels
                    && self.ledger.sentinels() == params.sentinels
                    && self.ledger.is_accounted(lost)
                    && self.receiver.as_ref().is_some_and(Receiver::is_empty)
            }
        }
    }

    fn kill_stuck(&mut self) {
        for worker in self.consumers.iter().filter(|worker| worker.is_alive()) {
            let (name, pid) = (worker.name().to_owned(), worker.pid());
            self.stuck.push(match self.pipeline.params.queue {
                QueueKind::Ours => Stuck::Waits { name, pid }.into(),
                QueueKind::LostWakeup => Stuck::Asleep { name, pid }.into(),
            });
        }
        for worker in self.producers.iter().chain(self.consumers) {
            // It would never end by itself.
            let _ = worker.kill();
        }
    }

    fn collect_losses(&mut self) {
        let losses =
            self.receiver.as_ref().and_then(|receiver| receiver.take_losses().ok()).unwrap_or_default();
        self.losses.extend(losses.iter().map(|loss| LossRecord { pid: loss.pid, message: loss.first }));
    }

    /// Handles reports once, for a body that waits.
    fn poll_once(&mut self) -> io::Result<()> {
        if self.is_over {
            return Err(io::Error::other("all other processes have ended"));
        }
        self.poll().map_err(|error| {
            self.failure = Some(error);
            io::Error::other("interrupted")
        })
    }
}

/// The world of the main process: while it waits, it handles reports.
impl World for Coordinator<'_, '_> {
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
            self.poll_once()?;
        }
    }

    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        while !lock.try_acquire()? {
            self.poll_once()?;
        }
        Ok(())
    }

    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        lock.release()
    }

    fn send<M: Payload>(&mut self, end: &mut dyn SendEnd<M>, message: M) -> io::Result<bool> {
        loop {
            match end.try_send(&message)? {
                Sent::Done => {
                    self.sentinels_put += 1;
                    return Ok(true);
                }
                Sent::Closed => return Ok(false),
                // All others may end before there is room; then no one is left to receive a sentinel.
                Sent::Full if self.is_over => return Ok(false),
                Sent::Full => self.poll_once()?,
            }
        }
    }

    fn recv<M: Payload>(&mut self, end: &mut dyn RecvEnd<M>) -> io::Result<Option<M>> {
        loop {
            match end.try_recv()? {
                Received::Message(message) => return Ok(Some(message)),
                Received::Closed => return Ok(None),
                Received::Empty => self.poll_once()?,
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
