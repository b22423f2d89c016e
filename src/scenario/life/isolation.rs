//! A child's variables are its own.

use super::lesson::{Lesson, LessonContext, proof, say};
use crate::process::{Process, StartMethod};
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::RunError;
use crate::wire::control;
use std::sync::atomic::{AtomicI32, Ordering};

/// The variable, with the initial value in every fresh copy of the executable.
static VARIABLE: AtomicI32 = AtomicI32::new(1);

pub(super) const LESSON: Lesson = Lesson {
    name: "isolation",
    title: "A child's variables are its own",
    question: "Does a parent see what its child writes into a variable?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        Copy { found: i32, left: i32, own: i32 } =>
            "the child began with a copy of my memory ({found}) and wrote {left}; the parent's variable is still {own}",
            "子进程从父进程内存的副本开始（{found}），写入 {left}；父进程的变量仍是 {own}";
        Fresh { found: i32, left: i32, own: i32 } =>
            "the child began with fresh memory ({found}) and wrote {left}; the parent's variable is still {own}",
            "子进程从全新的内存开始（{found}），写入 {left}；父进程的变量仍是 {own}";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    VARIABLE.store(100, Ordering::Relaxed);
    context.stage.say("set", "my variable was 1 and is now 100");
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let child = context.process(Process::new(change).args(events), "child");
    let child = context.stage.supervisor.start(child)?;
    context.stage.listen(&incoming)?;
    context.stage.join(&[child.handle()])?;
    let (found, left) = child.result()?;
    let own = VARIABLE.load(Ordering::Relaxed);
    context.stage.say("look", format!("my variable is still {own}"));
    let copied = if context.method == StartMethod::Fork { 100 } else { 1 };
    let holds = own == 100 && found == copied && left == -1;
    let claim = match copied {
        100 => Claim::Copy { found, left, own },
        _ => Claim::Fresh { found, left, own },
    };
    Ok(proof(claim, holds, format!("found {found}, left {left}, own {own}")))
}

/// Changes the variable; returns its value before and after.
fn change(events: control::Sender<Event>) -> (i32, i32) {
    let found = VARIABLE.load(Ordering::Relaxed);
    say(&events, "look", format!("the variable is {found}"));
    VARIABLE.store(-1, Ordering::Relaxed);
    let left = VARIABLE.load(Ordering::Relaxed);
    say(&events, "set", format!("I set it to {left}"));
    (found, left)
}
