//! Two busy children on two processors, and on one.

use super::busy::{Span, burn_in_slices};
use super::lesson::{Class, Lesson, proof, say};
use crate::process::{Child, Process};
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::RunError;
use crate::sys::task;
use crate::wire::control;

/// How much processor time each child needs.
const WORK_NS: u64 = 300_000_000;

/// Other programs may take a processor away, so one try may not be enough to see two at work.
const TRIES: usize = 5;

pub(super) const LESSON: Lesson = Lesson {
    name: "parallel",
    title: "Two busy children on two processors, and on one",
    question: "When do two processes run at the same time?",
    teach,
};

fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    let cpus = task::allowed_cpus().map_err(RunError::os("sched_getaffinity"))?;
    let one = race(class, [cpus[0]; 2])?;
    // The slices are seen from inside, so their ends are a few microseconds off.
    let takes_turns = one < WORK_NS / 50;
    let [first, second, ..] = cpus[..] else {
        let claim = "on one processor two children take turns (this machine lets us use only one, so nothing is said of two)";
        return Ok(proof(claim, takes_turns, format!("both ran at once for {one} ns")));
    };
    let claim =
        "on one processor two children take turns, never both running; on two they run at the same time";
    let mut two = 0;
    for _ in 0..TRIES {
        two = race(class, [first, second])?;
        if two > WORK_NS / 10 {
            break;
        }
    }
    let holds = takes_turns && two > WORK_NS / 10;
    Ok(proof(claim, holds, format!("both ran at once for {one} ns on one, and for {two} ns on two")))
}

/// Lets two children work on the given processors; for how long both were running at once, in nanoseconds.
fn race(class: &mut Class<'_, '_>, cpus: [usize; 2]) -> Result<u64, RunError> {
    let where_to = if cpus[0] == cpus[1] { "one processor" } else { "two processors" };
    class
        .stage
        .say("begin", format!("two children, each with {} ms of work, on {where_to}", WORK_NS / 1_000_000));
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let mut doors = Vec::new();
    let mut children: Vec<Child<Vec<Span>>> = Vec::new();
    for (name, cpu) in ["busy-1", "busy-2"].into_iter().zip(cpus) {
        let (door, entrance) = control::channel().map_err(RunError::os("socketpair"))?;
        let child = class.process(Process::new(work).args((cpu, entrance, events.clone())), name);
        children.push(class.stage.supervisor.start(child)?);
        doors.push(door);
    }
    drop(events);
    for door in doors {
        let _ = door.send(());
    }
    class.stage.listen(&incoming)?;
    class.stage.join(&children.iter().map(Child::handle).collect::<Vec<_>>())?;
    let slices = children.iter().map(Child::result).collect::<Result<Vec<_>, _>>()?;
    let begin = slices.iter().flatten().map(|slice| slice.0).min().unwrap_or(0);
    let end = slices.iter().flatten().map(|slice| slice.1).max().unwrap_or(0);
    let both = overlap(&slices[0], &slices[1]);
    class.stage.say(
        "end",
        format!(
            "{where_to}: {:.0} ms on the clock, and for {:.0} ms of them both were running",
            ms(end - begin),
            ms(both)
        ),
    );
    Ok(both)
}

fn work(cpu: usize, entrance: control::Receiver<()>, events: control::Sender<Event>) -> Vec<Span> {
    task::pin_to_cpu(cpu).unwrap_or_else(|error| panic!("{error}"));
    if entrance.recv().is_err() {
        std::process::exit(1);
    }
    let slices = burn_in_slices(WORK_NS);
    let wall = slices.last().map_or(0, |last| last.1) - slices.first().map_or(0, |first| first.0);
    let ran: u64 = slices.iter().map(|slice| slice.1 - slice.0).sum();
    let text = format!(
        "processor {cpu}: {:.0} ms on the clock, {:.0} ms of processor time, in {} slices",
        ms(wall),
        ms(ran),
        slices.len()
    );
    say(&events, "done", text);
    slices
}

/// How long two series of spans, each in order, have in common.
fn overlap(a: &[Span], b: &[Span]) -> u64 {
    let (mut a, mut b, mut common) = (a.iter().peekable(), b.iter().peekable(), 0);
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        common += x.1.min(y.1).saturating_sub(x.0.max(y.0));
        if x.1 < y.1 {
            a.next()
        } else {
            b.next()
        };
    }
    common
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_is_what_both_have() {
        assert_eq!(overlap(&[(0, 10), (20, 30)], &[(5, 25)]), 10);
        assert_eq!(overlap(&[(0, 10)], &[(10, 20)]), 0);
        assert_eq!(overlap(&[], &[(1, 2)]), 0);
    }
}
