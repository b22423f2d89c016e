//! A step: one visible operation of a process, and when the order of two of them matters.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A short name that lives inside a step, so that steps can be copied and compared at no cost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    len: u8,
    bytes: [u8; Label::MAX],
}

impl Label {
    /// The longest label, in bytes.
    pub const MAX: usize = 15;

    /// The first [`Label::MAX`] bytes of `name`, cut at a character.
    pub fn new(name: &str) -> Self {
        let mut len = name.len().min(Self::MAX);
        while !name.is_char_boundary(len) {
            len -= 1;
        }
        let mut bytes = [0; Self::MAX];
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Self { len: len as u8, bytes }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or("?")
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// What a step does to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Looks at it: two reads may change places.
    Read,
    /// Changes it.
    Write,
    /// Takes it, if it is free; otherwise the process is disabled until somebody releases it.
    Acquire,
    /// Gives it back.
    Release,
    /// Changes it once it is as it must be; until then the process is disabled. Nobody holds it.
    Await,
}

impl Access {
    /// Whether it may be refused.
    pub fn may_wait(self) -> bool {
        matches!(self, Self::Acquire | Self::Await)
    }
}

/// One visible operation, as a process announces it on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    /// What the scenario calls it: `read`, `write`, `lock`.
    pub name: Label,
    /// What it touches.
    pub resource: Label,
    /// How.
    pub access: Access,
}

impl Step {
    /// A step called `name` that does `access` to `resource`.
    pub fn new(name: &str, resource: &str, access: Access) -> Self {
        Self { name: Label::new(name), resource: Label::new(resource), access }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// The decision at one point of a schedule: who goes on, or who dies there.
///
/// Ordered by process, a step before a kill: the order in which schedules are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Choice {
    /// The process, counted from 0.
    pub process: u8,
    /// Killed at its step, before the operation, instead of being granted it.
    pub kill: bool,
}

impl Choice {
    /// `process` is granted its step.
    pub fn step(process: usize) -> Self {
        Self { process: process as u8, kill: false }
    }

    /// `process` is killed at its step.
    pub fn kill(process: usize) -> Self {
        Self { process: process as u8, kill: true }
    }

    /// The process as an index.
    pub fn index(self) -> usize {
        usize::from(self.process)
    }
}

/// What a step observed, as the scenario encodes it for its own judge; empty if there is nothing to judge.
///
/// The explorer passes it on and compares it, and never looks inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Observation(String);

impl Observation {
    /// The longest observation, in bytes: it travels in a slot of fixed size.
    pub const MAX: usize = 120;

    /// An observation encoded as `text`.
    ///
    /// # Panics
    /// When it is longer than [`Observation::MAX`]: cut, it would be another.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        assert!(text.len() <= Self::MAX, "an observation of {} bytes is too long", text.len());
        Self(text)
    }

    /// The encoding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a step has seen: in words for people, and typed for its scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// In words.
    pub text: String,
    /// For the judge.
    pub observation: Observation,
}

impl From<String> for Seen {
    fn from(text: String) -> Self {
        Self { text, observation: Observation::default() }
    }
}

/// What happened at one point of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who, and whether it was killed.
    pub choice: Choice,
    /// The step that was granted, or at which the process died.
    pub step: Step,
    /// What the operation read or wrote, in the scenario's words.
    pub seen: String,
    /// The same for the scenario's judge.
    #[serde(default, skip_serializing_if = "Observation::is_empty")]
    pub observation: Observation,
    /// The locks that the process lost by ending here: early, or killed.
    pub released: Vec<Label>,
    /// The process has no further steps.
    pub ended: bool,
}

impl Event {
    /// Whether the order of the two matters; if not, swapping neighbours leads to the same state.
    ///
    /// Steps of one process are in order. Two steps depend if they touch the same resource and one
    /// of them writes. A kill depends on every other kill, on the locks that it frees, and on the
    /// lock at which the process died, for a process is killed only where it could have gone on.
    pub fn depends(&self, other: &Self) -> bool {
        if self.choice.process == other.choice.process || (self.choice.kill && other.choice.kill) {
            return true;
        }
        self.touches()
            .any(|(mine, writes)| other.touches().any(|(its, also)| mine == its && (writes || also)))
    }

    fn touches(&self) -> impl Iterator<Item = (Label, bool)> + '_ {
        let own = (!self.choice.kill || self.step.access.may_wait())
            .then_some((self.step.resource, self.step.access != Access::Read));
        own.into_iter().chain(self.released.iter().map(|lock| (*lock, true)))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = letter(self.choice.index());
        let end = if self.ended { ", and ends" } else { "" };
        if self.choice.kill {
            write!(f, "{who} killed at `{}`", self.step)
        } else {
            write!(f, "{who} `{}`: {}{end}", self.step, self.seen)
        }
    }
}

/// How a process is called in schedules and tables: A, B, C, …
pub fn letter(process: usize) -> char {
    u8::try_from(process).ok().filter(|process| *process < 26).map_or('?', |process| (b'A' + process) as char)
}

pub(crate) fn waiting(choice: Choice, step: Option<Step>) -> String {
    match step {
        Some(step) => format!("{} at `{step}`", letter(choice.index())),
        None => format!("{} has ended", letter(choice.index())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(process: usize, name: &str, resource: &str, access: Access) -> Event {
        Event {
            choice: Choice::step(process),
            step: Step::new(name, resource, access),
            seen: String::new(),
            observation: Observation::default(),
            released: Vec::new(),
            ended: false,
        }
    }

    #[test]
    fn two_steps_depend_if_they_touch_the_same_resource_and_one_writes() {
        let read = event(0, "read", "stock", Access::Read);
        let write = event(1, "write", "stock", Access::Write);
        assert!(!read.depends(&event(1, "read", "stock", Access::Read)));
        assert!(read.depends(&write) && write.depends(&read));
        assert!(!read.depends(&event(1, "write", "other", Access::Write)));
        assert!(read.depends(&event(0, "read", "other", Access::Read)));
    }

    #[test]
    fn a_kill_depends_on_the_locks_that_it_frees() {
        let mut kill = event(0, "write", "stock", Access::Write);
        kill.choice.kill = true;
        let lock = event(1, "lock", "lock", Access::Acquire);
        assert!(!kill.depends(&lock));
        assert!(!kill.depends(&event(1, "read", "stock", Access::Read)), "a dead process writes nothing");
        kill.released = vec![Label::new("lock")];
        assert!(kill.depends(&lock));
    }

    #[test]
    fn a_label_is_cut_at_a_character() {
        assert_eq!(Label::new("火锅火锅火锅").as_str(), "火锅火锅火");
        assert_eq!(Label::new("read").as_str(), "read");
    }
}
