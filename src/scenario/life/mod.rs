//! Lessons about the life of processes: short, on real processes, each with a claim that it proves.

mod blocking;
mod busy;
mod daemon;
mod isolation;
mod join;
mod orphan;
mod parallel;
mod states;
mod terminate;
mod tree;
mod zombie;

use crate::process::{Process, StartMethod};
use crate::scenario::run::record::{Detail, Event, Proof, Record};
use crate::scenario::run::stage::{RunError, Stage};
use crate::scenario::run::verdict::Verdict;
use crate::wire::endpoint::Message;
use ipc_channel::ipc::IpcSender;

/// A lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// PID and PPID.
    Tree,
    /// Memory is not shared.
    Isolation,
    /// Waiting for a child.
    Join,
    /// Asking a child to end.
    Terminate,
    /// Ending with the supervisor.
    Daemon,
    /// Being waited for.
    NonDaemon,
    /// Ended and not reaped.
    Zombie,
    /// Outliving the parent.
    Orphan,
    /// The states.
    States,
    /// Parallel and concurrent.
    Parallel,
    /// The four of synchronous or not, and blocking or not.
    Blocking,
}

impl Lesson {
    /// All of them, in the order in which they are best taken.
    pub const ALL: [Lesson; 11] = [
        Lesson::Tree,
        Lesson::Isolation,
        Lesson::Join,
        Lesson::Terminate,
        Lesson::Daemon,
        Lesson::NonDaemon,
        Lesson::Zombie,
        Lesson::Orphan,
        Lesson::States,
        Lesson::Parallel,
        Lesson::Blocking,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.name_and_subject().0
    }

    /// What it is about.
    pub fn subject(self) -> &'static str {
        self.name_and_subject().1
    }

    fn name_and_subject(self) -> (&'static str, &'static str) {
        match self {
            Lesson::Tree => ("tree", "PID and PPID: a chain of three generations"),
            Lesson::Isolation => ("isolation", "A child's variables are its own"),
            Lesson::Join => ("join", "The parent waits for its child, and reaps it"),
            Lesson::Terminate => {
                ("terminate", "Terminating is asynchronous: alive just after, dead after the join")
            }
            Lesson::Daemon => ("daemon", "A daemon ends with its supervisor"),
            Lesson::NonDaemon => ("non-daemon", "Others are waited for"),
            Lesson::Zombie => ("zombie", "Ended, but not reaped"),
            Lesson::Orphan => ("orphan", "A child that outlives its parent gets another"),
            Lesson::States => ("states", "Running, ready, blocked, stopped, zombie: one child each"),
            Lesson::Parallel => ("parallel", "Two busy children on two processors, and on one"),
            Lesson::Blocking => ("blocking", "Synchronous or not, blocking or not"),
        }
    }
}

/// Gives a lesson, with processes that are started by `method`.
///
/// # Errors
/// [`RunError`]; what was started is ended when the stage's supervisor ends.
pub fn teach(lesson: Lesson, method: StartMethod, mut stage: Stage<'_>) -> Result<Record, RunError> {
    let class = &mut Class { stage: &mut stage, method };
    let proof = match lesson {
        Lesson::Tree => tree::teach(class),
        Lesson::Isolation => isolation::teach(class),
        Lesson::Join => join::teach(class),
        Lesson::Terminate => terminate::teach(class),
        Lesson::Daemon => daemon::teach_daemon(class),
        Lesson::NonDaemon => daemon::teach_non_daemon(class),
        Lesson::Zombie => zombie::teach(class),
        Lesson::Orphan => orphan::teach(class),
        Lesson::States => states::teach(class),
        Lesson::Parallel => parallel::teach(class),
        Lesson::Blocking => blocking::teach(class),
    }?;
    Ok(Record {
        scenario: "life".to_owned(),
        parameters: serde_json::json!({ "lesson": lesson.name(), "start_method": method }),
        processes: stage.processes,
        events: stage.events,
        verdict: if proof.holds { Verdict::Ok } else { Verdict::Unproven },
        detail: Detail::Life { proof },
    })
}

/// Where a lesson is given, and how its processes are started.
struct Class<'c, 's> {
    stage: &'c mut Stage<'s>,
    method: StartMethod,
}

impl Class<'_, '_> {
    /// A process for this lesson: whatever happens, it does not outlive us.
    fn process<A: Message + 'static, T: Message + Send + 'static>(
        &self,
        process: Process<A, T>,
        name: &str,
    ) -> Process<A, T> {
        process.name(name).start_method(self.method).die_with_parent(true)
    }
}

/// Says something in the name of a child of the lesson; once nobody listens, the child is about to end.
fn say(events: &IpcSender<Event>, what: &str, text: impl Into<String>) {
    let _ = events.send(Event::now(crate::process::current().name(), what, text));
}

/// A claim, and what was seen if it did not hold.
fn proof(claim: impl Into<String>, holds: bool, seen: impl Into<String>) -> Proof {
    Proof { claim: claim.into(), holds, seen: (!holds).then(|| seen.into()) }
}
