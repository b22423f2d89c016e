//! The world in which a scenario's body acts: free, or one granted step at a time.

/// Real time, without an audience: for trials.
pub mod free;
/// Each step waits until the scheduler grants it.
pub mod gated;
/// Real time, and the parent is told of each operation.
pub mod told;

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::explore::step::{self, Observation};
use crate::observe::notes::{Fact, Message};

/// What a step does to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Changes it.
    Write,
}

/// One visible operation, named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name that schedules and tables show.
    pub name: &'static str,
    /// What it touches.
    pub resource: &'static str,
    /// How.
    pub access: Access,
}

/// What an operation tells of itself.
pub trait Seen {
    /// In a few words, for people.
    fn seen(&self) -> String;

    /// Typed, for the judge; empty if no verdict depends on it.
    fn observation(&self) -> Observation {
        Observation::default()
    }

    /// Both.
    fn both(&self) -> step::Seen {
        step::Seen { text: self.seen(), observation: self.observation() }
    }
}

impl<T: Seen> Seen for io::Result<T> {
    fn seen(&self) -> String {
        match self {
            Ok(value) => value.seen(),
            Err(error) => error.to_string(),
        }
    }

    fn observation(&self) -> Observation {
        self.as_ref().map_or_else(|_| Observation::default(), Seen::observation)
    }
}

/// A text that no verdict depends on.
impl Seen for &str {
    fn seen(&self) -> String {
        (*self).to_owned()
    }
}

/// Encodes what a scenario's judge has to know.
pub fn encode(fact: &impl Serialize) -> Observation {
    Observation::new(serde_json::to_string(fact).unwrap_or_default())
}

/// What [`encode`] has encoded; `None` if it is something else.
pub fn decode<T: DeserializeOwned>(observation: &Observation) -> Option<T> {
    serde_json::from_str(observation.as_str()).ok()
}

/// Something worth telling that is not a step.
#[derive(Clone, Debug)]
pub struct News {
    /// What, in one word.
    pub what: &'static str,
    /// What, in words.
    pub text: String,
    /// What, for programs.
    pub fact: Option<Fact>,
}

impl News {
    /// News for people only.
    pub fn new(what: &'static str, text: impl Into<String>) -> News {
        News { what, text: text.into(), fact: None }
    }
}

/// How a body acts on what other processes see.
pub trait World {
    /// Does one visible operation.
    fn step<R: Seen>(&mut self, step: Step, operation: impl FnOnce() -> R) -> R;

    /// Waits at `step` until `attempt` gives a value. An attempt that gives none must have changed nothing.
    ///
    /// # Errors
    /// What `attempt` fails with.
    fn wait<R: Seen>(&mut self, step: Step, attempt: impl FnMut() -> io::Result<Option<R>>) -> io::Result<R>;

    /// Acquires the lock.
    ///
    /// # Errors
    /// What the lock fails with.
    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()>;

    /// Releases the lock.
    ///
    /// # Errors
    /// What the lock fails with.
    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()>;

    /// Sends a message, and waits for room; `false` if no receiver is left.
    ///
    /// # Errors
    /// What the queue fails with.
    fn send<M: Parcel>(&mut self, outlet: &mut dyn Outlet<M>, message: M) -> io::Result<bool>;

    /// Receives a message, and waits for one; `None` if nothing more can come.
    ///
    /// # Errors
    /// What the queue fails with.
    fn recv<M: Parcel>(&mut self, inlet: &mut dyn Inlet<M>) -> io::Result<Option<M>>;

    /// Spends time, as a slow computation would.
    fn think(&mut self, duration: Duration);

    /// Tells of something that is not a step. Only an audience pays for the words.
    fn tell(&mut self, news: impl FnOnce() -> News);
}

/// Something that only one process at a time should hold.
pub trait Lock {
    /// What it is to others: steps that touch the same resource depend on each other.
    fn resource(&self) -> &str {
        "lock"
    }

    /// Acquires it, and waits until it is free.
    ///
    /// # Errors
    /// What the system says.
    fn acquire(&mut self) -> io::Result<()>;

    /// Acquires it if it is free; if not, nothing has happened.
    ///
    /// # Errors
    /// What the system says.
    fn try_acquire(&mut self) -> io::Result<bool>;

    /// Releases it.
    ///
    /// # Errors
    /// What the system says.
    fn release(&mut self) -> io::Result<()>;
}

/// A message that can be told of.
pub trait Parcel: Clone {
    /// In a few words.
    fn name(&self) -> String;

    /// What its sender says of having put it.
    fn put(&self) -> String {
        format!("puts {}", self.name())
    }

    /// Which message it is, to be recognized on the other side.
    fn id(&self) -> Message;

    /// As a judge has to know it.
    fn observation(&self) -> Observation;
}

/// The sending end of a queue.
pub trait Outlet<M> {
    /// Sends at once, or not at all.
    ///
    /// # Errors
    /// What the queue fails with.
    fn try_send(&mut self, message: &M) -> io::Result<Sent>;

    /// Sends, and waits for room.
    ///
    /// # Errors
    /// What the queue fails with.
    fn send(&mut self, message: &M) -> io::Result<Sent>;
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in the queue.
    Done,
    /// There is no room.
    Full,
    /// Nobody is left who could receive it.
    Closed,
}

/// The receiving end of a queue.
pub trait Inlet<M> {
    /// The queue's name.
    fn queue(&self) -> &str;

    /// Receives at once, or not at all.
    ///
    /// # Errors
    /// What the queue fails with.
    fn try_recv(&mut self) -> io::Result<Received<M>>;

    /// Receives, and waits for a message.
    ///
    /// # Errors
    /// What the queue fails with.
    fn recv(&mut self) -> io::Result<Received<M>>;
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// Nothing is there.
    Empty,
    /// Nothing is there, and nothing more can come.
    Closed,
}
