//! A child that outlives its parent gets another.

use super::lesson::{Class, Lesson, proof, say};
use crate::process::{Process, StartMethod, parent};
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::{Reason, RunError};
use crate::supervisor::Supervisor;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::of_process;
use crate::wire::control;
use std::time::Duration;

/// Of an orphan: its PID, its first parent, its second.
type Fate = (Pid, Pid, Pid);

/// What became of it, or why there is no orphan.
type Told = Result<Fate, Reason>;

pub(super) const LESSON: Lesson = Lesson {
    name: "orphan",
    title: "A child that outlives its parent",
    question: "Who is the parent of a process whose parent has died?",
    teach,
};

fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    let (_, first, adopted_by) = make_an_orphan(class)?;
    let whose = of_process(adopted_by).map_or_else(|| "gone".to_owned(), |stat| stat.name);
    class.stage.say("adopted", format!("the orphan's new parent is {adopted_by} ({whose})"));

    let subreaper = Supervisor::new().and_then(Supervisor::subreaper).map_err(RunError::os("prctl"))?;
    class.stage.say("subreaper", "now I ask to be the parent of orphans below me (PR_SET_CHILD_SUBREAPER)");
    let (orphan, _, mine) = make_an_orphan(class)?;
    class.stage.say("adopted", format!("the orphan's new parent is {mine}: I am {}", Pid::this()));
    drop(subreaper);
    let reaped = of_process(orphan).is_none();
    class.stage.say("reaped", format!("I have reaped {orphan}, which I never started: {reaped}"));
    Ok(proof(
        "when a parent dies its child's PPID changes: to the system's reaper, or to a subreaper above it",
        adopted_by != first && mine == Pid::this() && reaped,
        format!("{first} became {adopted_by}; as subreaper {mine}, reaped {reaped}"),
    ))
}

/// Has a child that has a child and ends; what became of the latter.
fn make_an_orphan(class: &mut Class<'_, '_>) -> Result<Fate, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let (fates, fate) = control::channel::<Told>().map_err(RunError::os("socketpair"))?;
    let child = class.process(Process::new(leave_a_child).args((class.method, events, fates)), "parent");
    let child = class.stage.supervisor.start(child)?;
    class.stage.listen(&incoming)?;
    class.stage.join(&[child.handle()])?;
    let silent = || Err(Reason::from("it ended before its child began".to_owned()));
    let told = class.stage.await_word(&fate)?.unwrap_or_else(silent);
    told.map_err(|reason| RunError::Child { name: "parent".to_owned(), reason })
}

fn leave_a_child(method: StartMethod, events: control::Sender<Event>, fates: control::Sender<Told>) {
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
    say(&events, "leave", format!("I have a child, {}, and end without waiting for it", child.pid()));
    // `exit` runs no destructors: the supervisor, which would join the child, is left behind.
    std::process::exit(0);
}

/// Waits for the end of its parent, however that comes about, so it is never left behind.
fn outlive(events: control::Sender<Event>, fates: control::Sender<Told>) {
    let Some(parent) = parent() else { return };
    say(&events, "born", format!("my parent is {}", parent.pid()));
    while !parent.wait_timeout(Duration::from_secs(3600)) {}
    // The parent has ended, but the kernel makes its children others' a moment later.
    while Pid::parent() == parent.pid() {
        std::thread::yield_now();
    }
    say(&events, "orphan", format!("my parent {} is dead; my parent is {} now", parent.pid(), Pid::parent()));
    let _ = fates.send(Ok((Pid::this(), parent.pid(), Pid::parent())));
}
