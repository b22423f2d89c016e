//! A child's variables are its own.

use super::lesson::{Class, Lesson, proof, say};
use crate::process::{Process, StartMethod};
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::RunError;
use crate::wire::control;
use std::sync::atomic::{AtomicI32, Ordering};

/// The variable: what every copy of the executable begins with.
static VARIABLE: AtomicI32 = AtomicI32::new(1);

pub(super) const LESSON: Lesson = Lesson {
    name: "isolation",
    title: "A child's variables are its own",
    question: "Does a parent see what its child writes into a variable?",
    teach,
};

fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    VARIABLE.store(100, Ordering::Relaxed);
    class.stage.say("set", "my variable was 1, and is 100 now");
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let child = class.process(Process::new(change).args(events), "child");
    let child = class.stage.supervisor.start(child)?;
    class.stage.listen(&incoming)?;
    class.stage.join(&[child.handle()])?;
    let (found, left) = child.result()?;
    let own = VARIABLE.load(Ordering::Relaxed);
    class.stage.say("look", format!("my variable is {own}"));
    let copied = if class.method == StartMethod::Fork { 100 } else { 1 };
    let whence = if copied == 100 { "my memory, copied" } else { "clean memory" };
    let holds = own == 100 && found == copied && left == -1;
    let claim =
        format!("the child began with {whence} ({found}), wrote {left}, and the parent's stays {own}");
    Ok(proof(claim, holds, format!("found {found}, left {left}, own {own}")))
}

/// What it found and what it left behind.
fn change(events: control::Sender<Event>) -> (i32, i32) {
    let found = VARIABLE.load(Ordering::Relaxed);
    say(&events, "look", format!("I find {found} in the variable"));
    VARIABLE.store(-1, Ordering::Relaxed);
    let left = VARIABLE.load(Ordering::Relaxed);
    say(&events, "set", format!("I have set it to {left}"));
    (found, left)
}
