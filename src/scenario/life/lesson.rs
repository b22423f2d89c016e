//! What a lesson is, and what each needs to be given.

use crate::process::{Process, StartMethod};
use crate::scenario::run::record::{Event, Proof, Record};
use crate::scenario::run::stage::{RunError, Stage};
use crate::wire::control::{self, Message};

/// A lesson.
pub(super) struct Lesson {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What it is about.
    pub(super) title: &'static str,
    /// What it answers.
    pub(super) question: &'static str,
    /// Gives it.
    pub(super) teach: fn(&mut Class<'_, '_>) -> Result<Proof, RunError>,
}

impl Lesson {
    /// Gives the lesson, with processes that are started by `method`. What was started is ended when the stage's
    /// supervisor ends.
    pub(super) fn give(&self, method: StartMethod, mut stage: Stage<'_>) -> Result<Record, RunError> {
        let proof = (self.teach)(&mut Class { stage: &mut stage, method })?;
        let parameters = serde_json::json!({ "lesson": self.name, "start_method": method });
        Ok(stage.prove("life", parameters, proof))
    }
}

/// Where a lesson is given, and how its processes are started.
pub(super) struct Class<'c, 's> {
    pub(super) stage: &'c mut Stage<'s>,
    pub(super) method: StartMethod,
}

impl Class<'_, '_> {
    /// A process for this lesson: whatever happens, it does not outlive this one.
    pub(super) fn process<A: Message + 'static, T: Message + Send + 'static>(
        &self,
        process: Process<A, T>,
        name: &str,
    ) -> Process<A, T> {
        process.name(name).start_method(self.method).die_with_parent(true)
    }
}

/// Says something in the name of a child of the lesson; once the parent no longer listens, the child is about to end.
pub(super) fn say(events: &control::Sender<Event>, what: &str, text: impl Into<String>) {
    let _ = events.send(Event::now(crate::process::current().name(), what, text));
}

/// A claim, and what was seen if it did not hold.
pub(super) fn proof(claim: impl Into<String>, holds: bool, seen: impl Into<String>) -> Proof {
    Proof { claim: claim.into(), holds, seen: (!holds).then(|| seen.into()) }
}
