//! The description of a lesson, and what every lesson needs.

use crate::process::{Process, StartMethod};
use crate::said::Said;
use crate::scenario::run::record::{Event, Proof, Record};
use crate::scenario::run::stage::{RunError, Stage};
use crate::wire::control::{self, Message};

/// A lesson.
pub(super) struct Lesson {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// The topic.
    pub(super) title: &'static str,
    /// The question that it answers.
    pub(super) question: &'static str,
    /// Runs the lesson.
    pub(super) teach: fn(&mut LessonContext<'_, '_>) -> Result<Proof, RunError>,
}

impl Lesson {
    /// Gives the lesson with processes started by `method`. The stage's supervisor ends any process that is left.
    pub(super) fn give(&self, method: StartMethod, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let proof = (self.teach)(&mut LessonContext { stage: &mut stage, method })?;
        let parameters = serde_json::json!({ "lesson": self.name, "start_method": method });
        Ok(stage.prove("life", parameters, proof))
    }
}

/// The stage of a lesson, and the start method of its processes.
pub(super) struct LessonContext<'c, 's> {
    pub(super) stage: &'c mut Stage<'s>,
    pub(super) method: StartMethod,
}

impl LessonContext<'_, '_> {
    /// A process for this lesson. It never outlives this one.
    pub(super) fn process<A: Message + 'static, T: Message + Send + 'static>(
        &self,
        process: Process<A, T>,
        name: &str,
    ) -> Process<A, T> {
        process.name(name).start_method(self.method).die_with_parent(true)
    }
}

/// Reports an event of the calling child. An error is ignored: a parent that no longer listens ends the child soon.
pub(super) fn say(events: &control::Sender<Event>, what: &str, text: impl Into<String>) {
    let _ = events.send(Event::now(crate::process::current().name(), what, text));
}

/// A claim, and what was observed instead if it did not hold.
pub(super) fn proof(claim: impl Into<Said>, holds: bool, seen: impl Into<String>) -> Proof {
    Proof { claim: claim.into(), holds, seen: (!holds).then(|| seen.into()) }
}
