//! Steps, the visible operations of a task (a process or a thread), and what they access.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// An interned name. Labels are as cheap to copy and compare as integers, and live as long as the process.
///
/// A label is identified by its text, which is the same in all executions and all runs of the program.
#[derive(Clone, Copy)]
pub struct Label(&'static str);

impl Label {
    /// The label with this text.
    pub fn new(text: &str) -> Self {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = known.get(text) {
            return Self(label);
        }
        let label: &'static str = Box::leak(text.to_owned().into_boxed_str());
        known.insert(label);
        Self(label)
    }

    /// The text.
    pub fn as_str(&self) -> &'static str {
        self.0
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        // Labels are interned, so equal texts have the same address.
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Label {}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::hash(self.0, state);
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(other.0)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

/// What a step does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Reads it: two reads commute.
    Read,
    /// Changes it.
    Write,
    /// Changes it in a way that commutes with other additions: posting a semaphore, adding a name to a directory,
    /// recording an exit.
    Add,
    /// Acquires it if it is free; otherwise the task is disabled until another task releases it.
    Acquire,
    /// Releases it.
    Release,
    /// Changes it once it is in the required state; until then the task is disabled. It has no holder.
    Await,
}

impl Access {
    /// Whether the step may be disabled.
    pub fn may_wait(self) -> bool {
        matches!(self, Self::Acquire | Self::Await)
    }

    /// Whether two accesses to one object lead to the same state in either order.
    pub fn commutes(self, other: Self) -> bool {
        matches!((self, other), (Self::Read, Self::Read) | (Self::Add, Self::Add))
    }
}

/// One object that a step accesses, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Touch {
    /// The object, which has the same name in every execution.
    pub object: Label,
    /// How it is accessed.
    pub access: Access,
}

impl Touch {
    /// Creates an access to the object called `object`.
    pub fn new(object: &str, access: Access) -> Self {
        Self { object: Label::new(object), access }
    }

    /// Whether the order of the two matters.
    pub fn conflicts(&self, other: &Self) -> bool {
        self.object == other.object && !self.access.commutes(other.access)
    }
}

/// One visible operation, as a task announces it on arrival.
///
/// Its accesses are an over-approximation: they include each object that the operation may access, and each object that
/// determines whether it is enabled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    /// The name of the operation: `read`, `write`, `lock`.
    pub name: Label,
    /// The principal object.
    pub resource: Label,
    /// How it accesses that object.
    pub access: Access,
    /// Further objects.
    #[serde(default)]
    pub also: Vec<Touch>,
    /// Whether it only reflects the process tree (an exit, or waiting for one) and is ignored in the number of
    /// schedules.
    #[serde(default)]
    pub structural: bool,
}

impl Step {
    /// Creates a step called `name` with this access to `resource`.
    pub fn new(name: &str, resource: &str, access: Access) -> Self {
        Self {
            name: Label::new(name),
            resource: Label::new(resource),
            access,
            also: Vec::new(),
            structural: false,
        }
    }

    /// The same step with further accesses.
    pub fn with(mut self, also: impl IntoIterator<Item = Touch>) -> Self {
        self.also.extend(also);
        self
    }

    /// All accesses, beginning with that to the principal object.
    pub fn touches(&self) -> impl Iterator<Item = Touch> + '_ {
        let principal = Touch { object: self.resource, access: self.access };
        std::iter::once(principal).chain(self.also.iter().copied())
    }

    /// Whether the step may be disabled.
    pub fn may_wait(&self) -> bool {
        self.touches().any(|touch| touch.access.may_wait())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// The decision at one point of a schedule: which task continues, or is killed.
///
/// Choices are ordered by task, and a step before a kill. Schedules are compared in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Choice {
    /// The task, counted from 0: the same task in every execution.
    pub process: u32,
    /// Whether the task is killed at its step, before the operation, instead of being granted the step.
    pub kill: bool,
}

impl Choice {
    /// `task` is granted its step.
    pub fn step(task: usize) -> Self {
        Self { process: task as u32, kill: false }
    }

    /// `task` is killed at its step.
    pub fn kill(task: usize) -> Self {
        Self { process: task as u32, kill: true }
    }

    /// The task as an index.
    pub fn index(self) -> usize {
        self.process as usize
    }
}

/// The observation of a step, in an encoding that only the scenario interprets; empty if there is nothing to judge.
///
/// The explorer forwards and compares it without interpreting it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Observation(String);

impl Observation {
    /// The maximum length of an observation in bytes, because it is passed in a slot of fixed size.
    pub const MAX: usize = 120;

    /// An observation encoded as `text`.
    ///
    /// # Panics
    /// When it is longer than [`Observation::MAX`], because truncating it would change its meaning.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        assert!(text.len() <= Self::MAX, "an observation of {} bytes is too long", text.len());
        Self(text)
    }

    /// The encoding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a step observed: as text for people, and encoded for its scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The text.
    pub text: String,
    /// The encoding for the scenario's judge.
    pub observation: Observation,
}

impl From<String> for Seen {
    fn from(text: String) -> Self {
        Self { text, observation: Observation::default() }
    }
}

/// The effect of a granted step or of a kill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// What the operation read or wrote.
    pub seen: Seen,
    /// The actual accesses, if they are fewer than announced. They must still include each object whose change could
    /// have changed the result, or whether the step was enabled.
    pub touched: Option<Vec<Touch>>,
    /// The tasks that it created.
    pub created: Vec<u32>,
    /// Whether it happened only because nothing else could. It is then ordered after all earlier events and before all
    /// later ones.
    pub barrier: bool,
    /// Whether nothing happened but that the task passed a place between two calls, where others could have interrupted it.
    pub between_calls: bool,
}

impl From<Seen> for Effect {
    fn from(seen: Seen) -> Self {
        Self { seen, ..Self::default() }
    }
}

/// What happened at one point of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The task, and whether it was killed.
    pub choice: Choice,
    /// The step that was granted, or at which the task was killed.
    pub step: Step,
    /// What the operation read or wrote, as text.
    pub seen: String,
    /// The same, encoded for the scenario's judge.
    #[serde(default)]
    pub observation: Observation,
    /// The locks that were released because the task ended here, early or killed.
    pub released: Vec<Label>,
    /// Whether the task has no further steps.
    pub ended: bool,
    /// As [`Effect::touched`].
    #[serde(default)]
    pub touched: Option<Vec<Touch>>,
    /// As [`Effect::created`].
    #[serde(default)]
    pub created: Vec<u32>,
    /// In a search with kills: what a kill of the task at this step would have accessed, as
    /// [`System::ending`](super::engine::System::ending).
    #[serde(default)]
    pub if_killed: Vec<Touch>,
    /// As [`Effect::barrier`].
    #[serde(default)]
    pub barrier: bool,
    /// As [`Effect::between_calls`].
    #[serde(default)]
    pub between_calls: bool,
}

impl Event {
    /// Creates the event of `choice` at `step`, with this effect.
    pub fn new(choice: Choice, step: Step, effect: Effect) -> Self {
        let Effect { seen: Seen { text, observation }, touched, created, barrier, between_calls } = effect;
        Self {
            choice,
            step,
            seen: text,
            observation,
            released: Vec::new(),
            ended: false,
            touched,
            created,
            if_killed: Vec::new(),
            barrier,
            between_calls,
        }
    }

    /// The accesses of the event.
    pub fn touches(&self) -> impl Iterator<Item = Touch> + '_ {
        // A killed task does nothing at its step; only whether it could have continued matters.
        let announced = self.step.touches().filter(|touch| !self.choice.kill || touch.access.may_wait());
        let announced = (self.touched.is_none() || self.choice.kill).then_some(announced);
        let released = self.released.iter().map(|lock| Touch { object: *lock, access: Access::Write });
        announced.into_iter().flatten().chain(self.touched.iter().flatten().copied()).chain(released)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = task_name(self.choice.index());
        let end = if self.ended { ", and ends" } else { "" };
        if self.choice.kill {
            write!(f, "{who} killed at `{}`", self.step)
        } else {
            write!(f, "{who} `{}`: {}{end}", self.step, self.seen)
        }
    }
}

/// The letter of one of the first 26 tasks: A, B, C, …
pub fn letter(task: usize) -> char {
    u8::try_from(task).ok().filter(|task| *task < 26).map_or('?', |task| (b'A' + task) as char)
}

/// The default name of a task: A to Z, then AA, AB, …
pub fn task_name(task: usize) -> String {
    let mut name = Vec::new();
    let mut rest = task + 1;
    while rest > 0 {
        rest -= 1;
        name.insert(0, b'A' + (rest % 26) as u8);
        rest /= 26;
    }
    name.into_iter().map(char::from).collect()
}

pub(crate) fn waiting(choice: Choice, step: Option<&Step>) -> String {
    let who = task_name(choice.index());
    match step {
        Some(step) => format!("{who} at `{step}`"),
        None => format!("{who} has ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(process: usize, name: &str, resource: &str, access: Access) -> Event {
        Event::new(Choice::step(process), Step::new(name, resource, access), Effect::default())
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
    fn a_kill_depends_on_the_locks_that_it_releases() {
        let mut kill = event(0, "write", "stock", Access::Write);
        kill.choice.kill = true;
        let lock = event(1, "lock", "lock", Access::Acquire);
        assert!(!kill.depends(&lock));
        assert!(!kill.depends(&event(1, "read", "stock", Access::Read)), "a dead process writes nothing");
        kill.released = vec![Label::new("lock")];
        assert!(kill.depends(&lock));
    }

    #[test]
    fn a_kill_depends_on_what_its_task_was_about_to_wait_for() {
        let mut kill = event(0, "lock", "lock", Access::Acquire);
        kill.choice.kill = true;
        assert!(kill.depends(&event(1, "unlock", "lock", Access::Release)));
        assert!(!kill.depends(&event(1, "write", "stock", Access::Write)));
    }

    #[test]
    fn additions_commute_and_every_access_of_a_step_counts() {
        let post = event(0, "post", "semaphore", Access::Add);
        assert!(!post.depends(&event(1, "post", "semaphore", Access::Add)));
        assert!(post.depends(&event(1, "wait", "semaphore", Access::Await)));
        let mut rename = event(0, "rename", "a", Access::Write);
        rename.step = rename.step.with([Touch::new("b", Access::Write)]);
        let read = event(1, "read", "b", Access::Read);
        assert!(rename.depends(&read) && read.depends(&rename));
        rename.touched = Some(vec![Touch::new("a", Access::Read)]);
        assert!(!rename.depends(&read), "the actual accesses replace the announced ones");
    }

    #[test]
    fn a_task_depends_on_the_step_that_created_it() {
        let mut fork = event(0, "fork", "root", Access::Read);
        fork.created = vec![7];
        let child = event(7, "write", "stock", Access::Write);
        assert!(fork.depends(&child) && child.depends(&fork));
    }

    #[test]
    fn labels_with_the_same_text_are_equal() {
        assert_eq!(Label::new("火锅"), Label::new(&["火", "锅"].concat()));
        assert_ne!(Label::new("a"), Label::new("b"));
        assert!(Label::new("a") < Label::new("b"));
        assert_eq!(Label::new("read").as_str(), "read");
    }

    #[test]
    fn tasks_have_names_beyond_z() {
        assert_eq!([0, 25, 26, 27, 701, 702].map(task_name), ["A", "Z", "AA", "AB", "ZZ", "AAA"]);
    }
}
