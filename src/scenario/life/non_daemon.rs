//! A parent waits for a child that is not a daemon.

use std::time::Duration;

use super::lesson::{Lesson, LessonContext, proof, say};
use crate::process::Process;
use crate::scenario::run::record::{Event, ProcessRecord, Proof};
use crate::scenario::run::stage::RunError;
use crate::sys::clock::monotonic_ns;
use crate::wire::control;

pub(super) const LESSON: Lesson = Lesson {
    name: "non-daemon",
    title: "A parent waits for a child that is not a daemon",
    question: "Can a parent end before its child has finished?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        Waits =>
            "when the parent's code ends, its supervisor waits for a child that is not a daemon",
            "父进程的代码结束时，监督者会等待不是守护进程的子进程";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let supervisor = context.stage.another_supervisor()?;
    let child = context.process(Process::new(work).args(events).daemon(false), "child");
    let child = supervisor.start(child)?;
    context.stage.say("end", "my code ends here, but my child is still working");
    drop(supervisor);
    let end = monotonic_ns();
    context.stage.listen(&incoming)?;
    context.stage.processes.push(ProcessRecord::of(&child, 0));
    context.stage.say("ended", "dropping my supervisor has waited for it");
    let done = child.result()?;
    Ok(proof(Claim::Waits, done <= end, format!("the child finished {} ns later", done.saturating_sub(end))))
}

fn work(events: control::Sender<Event>) -> u64 {
    say(&events, "work", "I work for 200 ms");
    std::thread::sleep(Duration::from_millis(200));
    say(&events, "done", "I am done");
    monotonic_ns()
}
