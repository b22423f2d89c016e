//! PID and PPID: a chain of three generations.

use super::lesson::{Lesson, LessonContext, proof, say};
use crate::process::{Process, StartMethod};
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::{Reason, RunError, result_of};
use crate::supervisor::Supervisor;
use crate::sys::pid::Pid;
use crate::wire::control;

/// A process's PID and its parent's.
type Ids = (Pid, Pid);

pub(super) const LESSON: Lesson = Lesson {
    name: "tree",
    title: "A chain of three generations",
    question: "Who started whom, and how does a process know its parent?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        Generations => "the PPID of each generation is the PID of the one before", "每一代的 PPID 就是上一代的 PID";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    context.stage.say(
        "begin",
        format!("I am the first process here; my parent is {}, which started me", Pid::parent()),
    );
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let child = context.process(Process::new(generation).args((1, context.method, events)), "child");
    let child = context.stage.supervisor.start(child)?;
    context.stage.listen(&incoming)?;
    context.stage.join(&[child.handle()])?;
    let mut family = vec![(Pid::this(), Pid::parent())];
    family.extend(result_of(&child)?);
    let holds = family.len() == 3 && family.windows(2).all(|pair| pair[1].1 == pair[0].0);
    Ok(proof(Claim::Generations, holds, format!("{family:?}")))
}

/// One generation: reports its PIDs and starts the next.
fn generation(depth: u32, method: StartMethod, events: control::Sender<Event>) -> Result<Vec<Ids>, Reason> {
    let own = (Pid::this(), Pid::parent());
    say(&events, "born", format!("my PID is {}, my parent's is {}", own.0, own.1));
    let mut family = vec![own];
    if depth > 0 {
        let supervisor = Supervisor::new().map_err(|error| Reason::of(&error))?;
        let child = Process::new(generation)
            .args((depth - 1, method, events.clone()))
            .name("grandchild")
            .start_method(method)
            .die_with_parent(true);
        let child = supervisor.start(child).map_err(|error| Reason::of(&error))?;
        family.extend(result_of(&child).map_err(|error| Reason::of(&error))?);
        say(&events, "reaped", format!("my child {} has ended, and I have reaped it", child.pid()));
    }
    Ok(family)
}
