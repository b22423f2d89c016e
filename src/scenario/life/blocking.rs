//! The four combinations: synchronous or not, blocking or not.

use super::busy::burn;
use super::lesson::{Class, Lesson, proof};
use crate::process::{Child, Process};
use crate::scenario::run::record::Proof;
use crate::scenario::run::stage::RunError;
use crate::sys::clock::{cpu_ns, monotonic_ns};
use crate::sys::poll::Deadline;
use crate::wire::control;
use std::time::Duration;

const MOMENT: Duration = Duration::from_millis(150);
const WORK_NS: u64 = 50_000_000;

pub(super) const LESSON: Lesson = Lesson {
    name: "blocking",
    title: "Synchronous or not, blocking or not",
    question: "Which kind of call uses the processor, and which lets its caller go on?",
    teach,
};

fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    let each = [
        synchronous_blocking(class)?,
        asynchronous_blocking(class)?,
        synchronous_non_blocking(class)?,
        asynchronous_non_blocking(class)?,
    ];
    let broken: Vec<&str> = each.iter().filter_map(|(name, holds)| (!holds).then_some(*name)).collect();
    Ok(proof(
        "a blocked process uses no processor; an asynchronous caller goes on while others work",
        broken.is_empty(),
        format!("not seen: {}", broken.join(", ")),
    ))
}

/// `conn.recv`: the caller stands still, off the processor, until the answer is there.
fn synchronous_blocking(class: &mut Class<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (answers, answer) = control::channel::<()>().map_err(RunError::os("socketpair"))?;
    let child = class.process(Process::new(answer_later).args(answers), "answerer");
    let child = class.stage.supervisor.start(child)?;
    let (wall, cpu) = (monotonic_ns(), cpu_ns());
    class.stage.await_readable(&answer, Deadline::NEVER)?;
    let (wall, cpu) = (monotonic_ns() - wall, cpu_ns() - cpu);
    class.stage.join(&[child.handle()])?;
    tell(class, "synchronous, blocking", "I receive, and wait until the answer comes", wall, cpu);
    Ok(("synchronous, blocking", cpu < wall / 4))
}

/// Several processes wait for something at once, while their parent goes on.
fn asynchronous_blocking(class: &mut Class<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (begin, cpu) = (monotonic_ns(), cpu_ns());
    let mut sleepers: Vec<Child<(u64, u64)>> = Vec::new();
    for nth in 1..=3 {
        let sleeper = class.process(Process::new(sleep_a_moment), &format!("sleeper-{nth}"));
        sleepers.push(class.stage.supervisor.start(sleeper)?);
    }
    let going_on = sleepers.iter().any(|sleeper| sleeper.is_alive());
    class.stage.join(&sleepers.iter().map(Child::handle).collect::<Vec<_>>())?;
    let (wall, cpu) = (monotonic_ns() - begin, cpu_ns() - cpu);
    let spans = sleepers.iter().map(Child::result).collect::<Result<Vec<_>, _>>()?;
    let last_begin = spans.iter().map(|span| span.0).max();
    let first_end = spans.iter().map(|span| span.1).min();
    let together = last_begin < first_end;
    let text = format!(
        "three children are blocked for 150 ms each, at the same time: {together}; I went on meanwhile"
    );
    tell(class, "asynchronous, blocking", &text, wall, cpu);
    Ok(("asynchronous, blocking", together && going_on))
}

/// `func()` without input or output: the caller is on the processor until it returns.
fn synchronous_non_blocking(class: &mut Class<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (wall, cpu) = (monotonic_ns(), cpu_ns());
    burn(WORK_NS);
    let (wall, cpu) = (monotonic_ns() - wall, cpu_ns() - cpu);
    tell(class, "synchronous, non-blocking", "I call a function that only computes", wall, cpu);
    Ok(("synchronous, non-blocking", cpu >= WORK_NS))
}

/// The function is thrown to another process, and neither of the two waits for anything.
fn asynchronous_non_blocking(class: &mut Class<'_, '_>) -> Result<(&'static str, bool), RunError> {
    let (wall, cpu) = (monotonic_ns(), cpu_ns());
    let child = class.process(Process::new(compute), "computer");
    let child = class.stage.supervisor.start(child)?;
    let going_on = child.is_alive();
    burn(WORK_NS);
    let (wall, cpu) = (monotonic_ns() - wall, cpu_ns() - cpu);
    class.stage.join(&[child.handle()])?;
    let theirs = child.result()?;
    let text = format!("another process computes for {:.0} ms while I compute, too", theirs as f64 / 1e6);
    tell(class, "asynchronous, non-blocking", &text, wall, cpu);
    Ok(("asynchronous, non-blocking", going_on && theirs >= 4 * WORK_NS && cpu >= WORK_NS))
}

fn tell(class: &mut Class<'_, '_>, kind: &str, text: &str, wall: u64, cpu: u64) {
    let (wall, cpu) = (wall as f64 / 1e6, cpu as f64 / 1e6);
    let text = format!("{kind}: {text}: {wall:.0} ms on the clock, {cpu:.0} ms on the processor");
    class.stage.say("kind", text);
}

fn answer_later(answers: control::Sender<()>) {
    std::thread::sleep(MOMENT);
    let _ = answers.send(());
}

fn sleep_a_moment() -> (u64, u64) {
    let begin = monotonic_ns();
    std::thread::sleep(MOMENT);
    (begin, monotonic_ns())
}

/// Computes, longer than a start takes; the processor time that it used.
fn compute() -> u64 {
    burn(4 * WORK_NS);
    cpu_ns()
}
