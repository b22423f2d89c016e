//! A child that outlives its parent gets a new one.

use super::lesson::{Lesson, LessonContext, proof, say};
use crate::process::{Process, StartMethod, parent};
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::{Reason, RunError};
use crate::supervisor::Supervisor;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::of_process;
use crate::wire::control;
use std::time::Duration;

/// The PIDs of an orphan, of its first parent and of its second.
type Fate = (Pid, Pid, Pid);

/// The PIDs, or why there is no orphan.
type Reported = Result<Fate, Reason>;

pub(super) const LESSON: Lesson = Lesson {
    name: "orphan",
    title: "A child that outlives its parent",
    question: "Who is the parent of a process whose parent has died?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        Adopted =>
            "when a parent dies, the nearest subreaper above it, or else init, becomes the parent of its child",
            "父进程死后，它上方最近的 subreaper（没有则是 init）成为其子进程的父进程";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let (_, first, adopted_by) = make_an_orphan(context)?;
    let name = of_process(adopted_by).map_or_else(|| "gone".to_owned(), |stat| stat.name);
    context.stage.say("adopted", format!("the orphan's new parent is {adopted_by} ({name})"));

    let subreaper = Supervisor::new().and_then(Supervisor::subreaper).map_err(RunError::os("prctl"))?;
    context
        .stage
        .say("subreaper", "now I become the reaper of my orphaned descendants (PR_SET_CHILD_SUBREAPER)");
    let (orphan, _, mine) = make_an_orphan(context)?;
    context.stage.say("adopted", format!("the orphan's new parent is {mine}; my PID is {}", Pid::this()));
    drop(subreaper);
    let reaped = of_process(orphan).is_none();
    context.stage.say("reaped", format!("I have reaped {orphan}, which I did not start: {reaped}"));
    Ok(proof(
        Claim::Adopted,
        adopted_by != first && mine == Pid::this() && reaped,
        format!("{first} became {adopted_by}; as subreaper {mine}, reaped {reaped}"),
    ))
}

/// Starts a child that starts a child of its own and ends. Returns the PIDs of the latter.
fn make_an_orphan(context: &mut LessonContext<'_, '_>) -> Result<Fate, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let (fates, fate) = control::channel::<Reported>().map_err(RunError::os("socketpair"))?;
    let child = context.process(Process::new(leave_a_child).args((context.method, events, fates)), "parent");
    let child = context.stage.supervisor.start(child)?;
    context.stage.listen(&incoming)?;
    context.stage.join(&[child.handle()])?;
    let missing = || Err(Reason::from("it ended before its child began".to_owned()));
    let reported = context.stage.await_message(&fate)?.unwrap_or_else(missing);
    reported.map_err(|reason| RunError::Child { name: "parent".to_owned(), reason })
}

fn leave_a_child(method: StartMethod, events: control::Sender<Event>, fates: control::Sender<Reported>) {
    let child = Process::new(outlive)
        .args((events.clone(), fates.clone()))
        .name("orphan")
        .start_method(method)
        .die_with_parent(false);
    let started = Supervisor::new().map_err(|error| Reason::of(&error)).and_then(|supervisor| {
        let child = supervisor.start(child).map_err(|error| Reason::of(&error))?;
        Ok((supervisor, child))
    });
    let (_supervisor, child) = match started {
        Ok(started) => started,
        Err(reason) => {
            let _ = fates.send(Err(reason));
            return;
        }
    };
    say(&events, "leave", format!("I have the child {}, and end without waiting for it", child.pid()));
    // `exit` runs no destructors, so the supervisor does not join the child.
    std::process::exit(0);
}

/// Waits until its parent has ended, for whatever reason, and then ends too.
fn outlive(events: control::Sender<Event>, fates: control::Sender<Reported>) {
    let Some(parent) = parent() else { return };
    say(&events, "born", format!("my parent is {}", parent.pid()));
    while !parent.wait_timeout(Duration::from_secs(3600)) {}
    // The kernel reparents children a moment after their parent has ended.
    while Pid::parent() == parent.pid() {
        std::thread::yield_now();
    }
    say(&events, "orphan", format!("my parent {} is dead; my parent is now {}", parent.pid(), Pid::parent()));
    let _ = fates.send(Ok((Pid::this(), parent.pid(), Pid::parent())));
}
