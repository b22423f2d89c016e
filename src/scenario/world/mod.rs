//! The world in which a scenario's body acts: free, or a granted step at a time.

/// The world of free runs that nobody listens to.
pub mod free;
/// The world at the gate.
pub mod gated;
/// The free world with an audience.
pub mod told;

use crate::explore::step::{self, Observation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io;
use std::time::Duration;

/// What a step does to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looks at it.
    Read,
    /// Changes it.
    Write,
}

/// One visible operation, named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is called.
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

    /// Typed, for the judge; empty if it need not know.
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

/// Encodes what a scenario's judge shall know.
pub fn encode(fact: &impl Serialize) -> Observation {
    Observation::new(serde_json::to_string(fact).unwrap_or_default())
}

/// What [`encode`] has encoded; `None` if it is something else.
pub fn decode<T: DeserializeOwned>(observation: &Observation) -> Option<T> {
    serde_json::from_str(observation.as_str()).ok()
}

impl Seen for File {
    fn seen(&self) -> String {
        "the file is empty now".to_owned()
    }
}

/// How a body acts on what others see.
pub trait World {
    /// Does one visible operation.
    fn step<R: Seen>(&mut self, step: Step, operation: impl FnOnce() -> R) -> R;

    /// Takes the lock.
    ///
    /// # Errors
    /// What the lock fails with.
    fn lock(&mut self, lock: &mut dyn Lock) -> io::Result<()>;

    /// Gives the lock back.
    ///
    /// # Errors
    /// What the lock fails with.
    fn unlock(&mut self, lock: &mut dyn Lock) -> io::Result<()>;

    /// Spends time, as a slow computation would.
    fn think(&mut self, duration: Duration);
}

/// Something that only one process at a time should hold.
pub trait Lock {
    /// What others see of it: whoever touches the same depends on it.
    fn resource(&self) -> &str {
        "lock"
    }

    /// Takes it, and waits until it is free.
    ///
    /// # Errors
    /// What the system says.
    fn acquire(&mut self) -> io::Result<()>;

    /// Takes it if it is free; if not, nothing has happened.
    ///
    /// # Errors
    /// What the system says.
    fn try_acquire(&mut self) -> io::Result<bool>;

    /// Gives it back.
    ///
    /// # Errors
    /// What the system says.
    fn release(&mut self) -> io::Result<()>;
}
