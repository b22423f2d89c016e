//! The world in which a scenario's body acts: free, or one granted step at a time.

/// Real time, without reports: for trials.
pub mod free;
/// Each step waits until the scheduler grants it.
pub mod gated;
/// Real time, with a report of each operation to the parent.
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
    /// The name shown in schedules and tables.
    pub name: &'static str,
    /// The resource that it touches.
    pub resource: &'static str,
    /// How it touches it.
    pub access: Access,
}

/// The result of an operation, as others see it.
pub trait Seen {
    /// In a few words, for people.
    fn seen(&self) -> String;

    /// As typed data, for the judge; empty if no verdict depends on it.
    fn observation(&self) -> Observation {
        Observation::default()
    }

    /// Both of them.
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

/// A text on which no verdict depends.
impl Seen for &str {
    fn seen(&self) -> String {
        (*self).to_owned()
    }
}

/// Encodes a fact for a scenario's judge.
pub fn encode(fact: &impl Serialize) -> Observation {
    Observation::new(serde_json::to_string(fact).unwrap_or_default())
}

/// Decodes a fact that [`encode`] encoded; `None` if it has another type.
pub fn decode<T: DeserializeOwned>(observation: &Observation) -> Option<T> {
    serde_json::from_str(observation.as_str()).ok()
}

/// A noteworthy event that is not a step.
#[derive(Clone, Debug)]
pub struct News {
    /// The event in one word.
    pub what: &'static str,
    /// The event in words.
    pub text: String,
    /// The event as typed data, for programs.
    pub fact: Option<Fact>,
}

impl News {
    /// News without typed data.
    pub fn new(what: &'static str, text: impl Into<String>) -> News {
        News { what, text: text.into(), fact: None }
    }
}

/// The operations by which a body acts on shared resources.
pub trait World {
    /// Performs one visible operation.
    fn step<R: Seen>(&mut self, step: Step, operation: impl FnOnce() -> R) -> R;

    /// Waits at `step` until `attempt` returns a value. An attempt that returns none must not change anything.
    ///
    /// # Errors
    /// The error of `attempt`.
    fn wait<R: Seen>(&mut self, step: Step, attempt: impl FnMut() -> io::Result<Option<R>>) -> io::Result<R>;

    /// Acquires the lock.
    ///
    /// # Errors
    /// The lock's error.
    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()>;

    /// Releases the lock.
    ///
    /// # Errors
    /// The lock's error.
    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()>;

    /// Sends a message, waiting for room if necessary; `false` if no receiver is left.
    ///
    /// # Errors
    /// The queue's error.
    fn send<M: Payload>(&mut self, end: &mut dyn SendEnd<M>, message: M) -> io::Result<bool>;

    /// Receives a message, waiting for one if necessary; `None` if no more can arrive.
    ///
    /// # Errors
    /// The queue's error.
    fn recv<M: Payload>(&mut self, end: &mut dyn RecvEnd<M>) -> io::Result<Option<M>>;

    /// Spends time, as a slow computation would.
    fn think(&mut self, duration: Duration);

    /// Reports an event that is not a step. The text is built only in a world that reports.
    fn tell(&mut self, news: impl FnOnce() -> News);
}

/// A lock that only one process at a time should hold.
pub trait Lock {
    /// The resource that it stands for: steps that touch the same resource depend on each other.
    fn resource(&self) -> &str {
        "lock"
    }

    /// Acquires it, waiting until it is free.
    ///
    /// # Errors
    /// The system's error.
    fn acquire(&mut self) -> io::Result<()>;

    /// Acquires it if it is free; otherwise changes nothing.
    ///
    /// # Errors
    /// The system's error.
    fn try_acquire(&mut self) -> io::Result<bool>;

    /// Releases it.
    ///
    /// # Errors
    /// The system's error.
    fn release(&mut self) -> io::Result<()>;
}

/// A message of a scenario.
pub trait Payload: Clone {
    /// Its name, in a few words.
    fn name(&self) -> String;

    /// The sender's report, in words.
    fn put(&self) -> String {
        format!("puts {}", self.name())
    }

    /// Its identity, by which the receiving side recognizes it.
    fn id(&self) -> Message;

    /// The message as typed data, for the judge.
    fn observation(&self) -> Observation;
}

/// The sending end of a queue.
pub trait SendEnd<M> {
    /// Sends without waiting.
    ///
    /// # Errors
    /// The queue's error.
    fn try_send(&mut self, message: &M) -> io::Result<Sent>;

    /// Sends, waiting for room.
    ///
    /// # Errors
    /// The queue's error.
    fn send(&mut self, message: &M) -> io::Result<Sent>;
}

/// The result of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The message is in the queue.
    Done,
    /// The queue has no room.
    Full,
    /// No receiver is left.
    Closed,
}

/// The receiving end of a queue.
pub trait RecvEnd<M> {
    /// The queue's name.
    fn queue(&self) -> &str;

    /// Receives without waiting.
    ///
    /// # Errors
    /// The queue's error.
    fn try_recv(&mut self) -> io::Result<Received<M>>;

    /// Receives, waiting for a message.
    ///
    /// # Errors
    /// The queue's error.
    fn recv(&mut self) -> io::Result<Received<M>>;
}

/// The result of a receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// The queue is empty.
    Empty,
    /// The queue is empty, and no sender is left.
    Closed,
}
