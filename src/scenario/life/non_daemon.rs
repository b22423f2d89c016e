//! A child that is not a daemon is waited for.

use std::time::Duration;

use super::lesson::{Class, Lesson, proof, say};
use crate::process::Process;
use crate::scenario::run::record::{Event, ProcessRecord, Proof};
use crate::scenario::run::stage::RunError;
use crate::sys::clock::monotonic_ns;
use crate::wire::control;

pub(super) const LESSON: Lesson = Lesson {
    name: "non-daemon",
    title: "A child that is no daemon is waited for",
    question: "Can a parent end before its child has done its work?",
    teach,
};

fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let supervisor = class.stage.another_supervisor()?;
    let child = class.process(Process::new(work).args(events).daemon(false), "child");
    let child = supervisor.start(child)?;
    class.stage.say("end", "my code ends here, but my child works still");
    drop(supervisor);
    let end = monotonic_ns();
    class.stage.listen(&incoming)?;
    class.stage.processes.push(ProcessRecord::of(&child, 0));
    class.stage.say("ended", "the end of my code has waited for it");
    let done = child.result()?;
    Ok(proof(
        "the end of the parent's code waits for a child that is no daemon",
        done <= end,
        format!("the child was done {} ns after that", done.saturating_sub(end)),
    ))
}

fn work(events: control::Sender<Event>) -> u64 {
    say(&events, "work", "I work for 200 ms");
    std::thread::sleep(Duration::from_millis(200));
    say(&events, "done", "I am done");
    monotonic_ns()
}
