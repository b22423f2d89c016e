//! The free world with an audience: operations happen at once, and each is told as it happens.

use crate::observe::notes::Fact;
use crate::scenario::run::record::Event;
use crate::scenario::world::{Lock, Seen, Step, World};
use crate::sys::clock::monotonic_ns;
use ipc_channel::ipc::IpcSender;
use std::io;
use std::time::Duration;

/// The world of one process, which tells its parent what it does.
#[derive(Debug)]
pub struct Told {
    process: String,
    events: IpcSender<Event>,
    waited_ns: u64,
}

impl Told {
    /// A world in the name of this process.
    pub fn new(events: IpcSender<Event>) -> Told {
        Told { process: crate::process::current().name().to_owned(), events, waited_ns: 0 }
    }

    /// Tells of something that is no step.
    pub fn tell(&mut self, (what, text): (&str, &str)) {
        self.send(what, text.to_owned(), None);
    }

    /// How long it has waited for locks, in nanoseconds.
    pub fn waited_ns(&self) -> u64 {
        self.waited_ns
    }

    fn send(&mut self, what: &str, text: String, fact: Option<Fact>) {
        // If nobody listens any more, the kernel is about to end this process with its parent.
        let _ = self.events.send(Event { fact, ..Event::now(&self.process, what, text) });
    }
}

impl World for Told {
    fn step<R: Seen>(&mut self, step: Step, operation: impl FnOnce() -> R) -> R {
        let result = operation();
        self.send(step.name, format!("{}: {}", done(step.name), result.seen()), None);
        result
    }

    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        let name = lock.resource().to_owned();
        if lock.try_acquire()? {
            self.send("lock", "has the lock".to_owned(), Some(Fact::Locked(name)));
            return Ok(());
        }
        self.send("wait", "waits for the lock".to_owned(), Some(Fact::LockAwaited(name.clone())));
        let begin = monotonic_ns();
        lock.acquire()?;
        let waited = monotonic_ns() - begin;
        self.waited_ns += waited;
        let text = format!("has the lock, after {:.1} ms", waited as f64 / 1e6);
        self.send("lock", text, Some(Fact::Locked(name)));
        Ok(())
    }

    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()> {
        // Told before it is done, or the next holder's word could come first.
        let fact = Fact::Unlocked(lock.resource().to_owned());
        self.send("unlock", "gives the lock back".to_owned(), Some(fact));
        lock.release()
    }

    fn think(&mut self, duration: Duration) {
        if !duration.is_zero() {
            std::thread::sleep(duration);
        }
    }
}

/// A step's name as one says it of somebody.
fn done(step: &str) -> &str {
    match step {
        "search" => "searches",
        "read" => "reads",
        "truncate" => "opens it for writing",
        "write" => "writes",
        other => other,
    }
}
