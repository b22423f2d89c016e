//! The parent waits for its child, and reaps it.

use super::lesson::{Lesson, LessonContext, proof, say};
use crate::process::Process;
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::RunError;
use crate::sys::clock::monotonic_ns;
use crate::sys::procfs::stat::of_process;
use crate::wire::control;
use std::time::Duration;

pub(super) const LESSON: Lesson = Lesson {
    name: "join",
    title: "Waiting for a child",
    question: "What does the parent wait for, and what is left of the child afterwards?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        Joined =>
            "start returns while the child works; join returns when it has ended and leaves no zombie",
            "start 在子进程工作时就返回；join 在它结束时返回，不留下僵尸";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let child = context.process(Process::new(work).args(events), "child");
    let child = context.stage.supervisor.start(child)?;
    let alive = child.is_alive();
    context
        .stage
        .say("go on", format!("start has returned; my child is alive: {alive}; I could do other things"));
    context.stage.say("join", "now I block in join");
    let begin = monotonic_ns();
    context.stage.listen(&incoming)?;
    context.stage.join(&[child.handle()])?;
    let waited = monotonic_ns() - begin;
    let exit = child.join()?;
    let gone = of_process(child.pid()).is_none();
    context.stage.say(
        "joined",
        format!(
            "it has ended with {exit}; I waited {:.0} ms; its PID is free again: {gone}",
            waited as f64 / 1e6
        ),
    );
    let ended = child.result()?;
    let holds = alive && exit.success() && gone && monotonic_ns() >= ended;
    Ok(proof(Claim::Joined, holds, format!("alive {alive}, {exit}, gone {gone}")))
}

/// Works for a while; returns the time when it was done.
fn work(events: control::Sender<Event>) -> u64 {
    say(&events, "work", "I work for 200 ms");
    std::thread::sleep(Duration::from_millis(200));
    say(&events, "done", "I am done");
    monotonic_ns()
}
