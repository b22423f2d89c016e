//! The four combinations of synchronous or asynchronous and blocking or non-blocking.

use super::busy::burn;
use super::lesson::{Lesson, LessonContext, proof};
use crate::process::{Child, Process};
use crate::scenario::run::record::Proof;
use crate::scenario::run::stage::RunError;
use crate::sys::clock::{cpu_ns, monotonic_ns};
use crate::sys::poll::Deadline;
use crate::wire::control;
use std::time::Duration;

const BLOCKED_TIME: Duration = Duration::from_millis(150);
const WORK_NS: u64 = 50_000_000;

pub(super) const LESSON: Lesson = Lesson {
    name: "blocking",
    title: "Synchronous or asynchronous, blocking or non-blocking",
    question: "Which kind of call uses the processor, and which lets its caller continue?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        UsesNoTime =>
            "a blocked process uses no processor time; an asynchronous caller continues while others work",
            "阻塞的进程不占用处理器；异步的调用者在别人工作时继续做自己的事";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let each = [
        synchronous_blocking(context)?,
        asynchronous_blocking(context)?,
        synchronous_non_blocking(context)?,
        asynchronous_non_blocking(context)?,
    ];
    let broken: Vec<&str> = each.iter().filter_map(|(name, holds)| (!holds).then_some(*name)).collect();
    Ok(proof(Claim::UsesNoTime, broken.is_empty(), format!("not seen: {}", broken.join(", "))))
}

/// `conn.recv`: the caller is blocked, off the processor, until the answer arrives.
fn synchronous_blocking(context: &mut LessonContext<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (answers, answer) = control::channel::<()>().map_err(RunError::os("socketpair"))?;
    let child = context.process(Process::new(answer_later).args(answers), "answerer");
    let child = context.stage.supervisor.start(child)?;
    let (wall, cpu) = (monotonic_ns(), cpu_ns());
    context.stage.await_readable(&answer, Deadline::NEVER)?;
    let (wall, cpu) = (monotonic_ns() - wall, cpu_ns() - cpu);
    context.stage.join(&[child.handle()])?;
    tell(context, "synchronous, blocking", "I wait in recv until the answer arrives", wall, cpu);
    Ok(("synchronous, blocking", cpu < wall / 4))
}

/// Several processes are blocked at the same time, while their parent continues.
fn asynchronous_blocking(context: &mut LessonContext<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (begin, cpu) = (monotonic_ns(), cpu_ns());
    let mut sleepers: Vec<Child<(u64, u64)>> = Vec::new();
    for nth in 1..=3 {
        let sleeper = context.process(Process::new(sleep_briefly), &format!("sleeper-{nth}"));
        sleepers.push(context.stage.supervisor.start(sleeper)?);
    }
    let continued = sleepers.iter().any(|sleeper| sleeper.is_alive());
    context.stage.join(&sleepers.iter().map(Child::handle).collect::<Vec<_>>())?;
    let (wall, cpu) = (monotonic_ns() - begin, cpu_ns() - cpu);
    let spans = sleepers.iter().map(Child::result).collect::<Result<Vec<_>, _>>()?;
    let last_begin = spans.iter().map(|span| span.0).max();
    let first_end = spans.iter().map(|span| span.1).min();
    let together = last_begin < first_end;
    let text = format!(
        "three children are blocked for 150 ms each, at the same time: {together}; meanwhile I continued"
    );
    tell(context, "asynchronous, blocking", &text, wall, cpu);
    Ok(("asynchronous, blocking", together && continued))
}

/// `func()` without input or output: the caller uses the processor until it returns.
fn synchronous_non_blocking(context: &mut LessonContext<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (wall, cpu) = (monotonic_ns(), cpu_ns());
    burn(WORK_NS);
    let (wall, cpu) = (monotonic_ns() - wall, cpu_ns() - cpu);
    tell(context, "synchronous, non-blocking", "I call a function that only computes", wall, cpu);
    Ok(("synchronous, non-blocking", cpu >= WORK_NS))
}

/// Another process runs the function, and neither of the two processes waits.
fn asynchronous_non_blocking(context: &mut LessonContext<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (wall, cpu) = (monotonic_ns(), cpu_ns());
    let child = context.process(Process::new(compute), "computer");
    let child = context.stage.supervisor.start(child)?;
    let continued = child.is_alive();
    burn(WORK_NS);
    let (wall, cpu) = (monotonic_ns() - wall, cpu_ns() - cpu);
    context.stage.join(&[child.handle()])?;
    let theirs = child.result()?;
    let text = format!("another process computes for {:.0} ms while I compute too", theirs as f64 / 1e6);
    tell(context, "asynchronous, non-blocking", &text, wall, cpu);
    Ok(("asynchronous, non-blocking", continued && theirs >= 4 * WORK_NS && cpu >= WORK_NS))
}

fn tell(context: &mut LessonContext<'_, '_>, kind: &str, text: &str, wall: u64, cpu: u64) {
    let (wall, cpu) = (wall as f64 / 1e6, cpu as f64 / 1e6);
    let text = format!("{kind}: {text}: {wall:.0} ms elapsed, {cpu:.0} ms on the processor");
    context.stage.say("kind", text);
}

fn answer_later(answers: control::Sender<()>) {
    std::thread::sleep(BLOCKED_TIME);
    let _ = answers.send(());
}

fn sleep_briefly() -> (u64, u64) {
    let begin = monotonic_ns();
    std::thread::sleep(BLOCKED_TIME);
    (begin, monotonic_ns())
}

/// Computes for longer than a start takes; returns the processor time used.
fn compute() -> u64 {
    burn(4 * WORK_NS);
    cpu_ns()
}
