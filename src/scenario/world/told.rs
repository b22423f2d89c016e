//! The free world with reports: operations happen immediately, and each is reported to the parent.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::free::poll;
use super::{Lock, News, Payload, Received, RecvEnd, Seen, SendEnd, Sent, Step, World};
use crate::explore::step::Observation;
use crate::observe::notes::Fact;
use crate::scenario::run::record::Event;
use crate::sys::clock::monotonic_ns;
use crate::wire::control;

/// A process's report to its parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What happened.
    pub event: Event,
    /// What a step observed, for the judge.
    pub observation: Observation,
    /// How long the process has waited since its previous report, in nanoseconds.
    pub waited_ns: u64,
}

/// The world of a process that reports to its parent.
#[derive(Debug)]
pub struct Told {
    process: String,
    reports: control::Sender<Report>,
    waited_ns: u64,
}

impl Told {
    /// A world for the calling process.
    pub fn new(reports: control::Sender<Report>) -> Told {
        Told { process: crate::process::current().name().to_owned(), reports, waited_ns: 0 }
    }

    fn report(&mut self, what: &str, text: impl Into<String>, fact: Option<Fact>) {
        let event = Event { fact, ..Event::now(&self.process, what, text) };
        self.send_report(event, Observation::default());
    }

    fn report_step(&mut self, step: Step, result: &impl Seen) {
        let text = format!("{}: {}", verb(step.name), result.seen());
        self.send_report(Event::now(&self.process, step.name, text), result.observation());
    }

    fn send_report(&mut self, event: Event, observation: Observation) {
        let waited_ns = std::mem::take(&mut self.waited_ns);
        // If the parent no longer listens, the kernel is about to end this process with its parent.
        let _ = self.reports.send(Report { event, observation, waited_ns });
    }

    /// Runs `operation` and adds its duration to the waiting time.
    fn waiting<R>(&mut self, operation: impl FnOnce() -> R) -> R {
        let begin = monotonic_ns();
        let result = operation();
        self.waited_ns += monotonic_ns() - begin;
        result
    }
}

impl World for Told {
    fn step<R: Seen>(&mut self, step: Step, operation: impl FnOnce() -> R) -> R {
        let result = operation();
        self.report_step(step, &result);
        result
    }

    fn wait<R: Seen>(&mut self, step: Step, attempt: impl FnMut() -> io::Result<Option<R>>) -> io::Result<R> {
        let result = self.waiting(|| poll(attempt))?;
        self.report_step(step, &result);
        Ok(result)
    }

    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        let name = lock.resource().to_owned();
        if lock.try_acquire()? {
            self.report("lock", "acquires the lock", Some(Fact::Locked(name)));
            return Ok(());
        }
        self.report("wait", "waits for the lock", Some(Fact::LockAwaited(name.clone())));
        self.waiting(|| lock.acquire())?;
        let text = format!("acquires the lock after {:.1} ms", self.waited_ns as f64 / 1e6);
        self.report("lock", text, Some(Fact::Locked(name)));
        Ok(())
    }

    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        // Reported before the release, or the next holder's report could arrive first.
        let fact = Fact::Unlocked(lock.resource().to_owned());
        self.report("unlock", "releases the lock", Some(fact));
        lock.release()
    }

    fn send<M: Payload>(&mut self, end: &mut dyn SendEnd<M>, message: M) -> io::Result<bool> {
        let id = message.id();
        let mut sent = end.try_send(&message)?;
        if sent == Sent::Full {
            self.report("wait", "waits: the queue is full", Some(Fact::RoomAwaited(id.queue.clone())));
            sent = self.waiting(|| end.send(&message))?;
        }
        if sent == Sent::Done {
            self.report("put", message.put(), Some(Fact::Put(id)));
        }
        Ok(sent == Sent::Done)
    }

    fn recv<M: Payload>(&mut self, end: &mut dyn RecvEnd<M>) -> io::Result<Option<M>> {
        let mut received = end.try_recv()?;
        if matches!(received, Received::Empty) {
            let fact = Fact::MessageAwaited(end.queue().to_owned());
            self.report("wait", "waits: the queue is empty", Some(fact));
            received = self.waiting(|| end.recv())?;
        }
        let Received::Message(message) = received else { return Ok(None) };
        self.report("get", format!("takes {}", message.name()), Some(Fact::Taken(message.id())));
        Ok(Some(message))
    }

    fn think(&mut self, duration: Duration) {
        if !duration.is_zero() {
            std::thread::sleep(duration);
        }
    }

    fn tell(&mut self, news: impl FnOnce() -> News) {
        let News { what, text, fact } = news();
        self.report(what, text, fact);
    }
}

/// The third-person form of a step's name.
fn verb(step: &str) -> &str {
    match step {
        "search" => "searches",
        "read" => "reads",
        "truncate" => "opens it for writing",
        "write" => "writes",
        other => other,
    }
}
