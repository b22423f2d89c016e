//! Two busy children on two processors, and on one.

use super::busy::{Span, burn_in_slices};
use super::lesson::{Lesson, LessonContext, proof, say};
use crate::process::{Child, Process};
use crate::scenario::run::record::{Event, Proof};
use crate::scenario::run::stage::RunError;
use crate::sys::task;
use crate::wire::control;

/// The processor time that each child needs, in nanoseconds.
const WORK_NS: u64 = 300_000_000;

/// Other programs may use the processors, so one attempt may not show two children running at once.
const ATTEMPTS: usize = 5;

pub(super) const LESSON: Lesson = Lesson {
    name: "parallel",
    title: "Two busy children on two processors, and on one",
    question: "When do two processes run at the same time?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        OneProcessor =>
            "on one processor two children take turns (only one is available here, so two were not tried)",
            "在一个处理器上两个子进程轮流运行（这里只有一个处理器，没有试两个）";
        TwoProcessors =>
            "on one processor two children take turns and never run at once; on two processors they do",
            "在一个处理器上两个子进程轮流运行，从不同时；在两个处理器上则会同时运行";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let cpus = task::allowed_cpus().map_err(RunError::os("sched_getaffinity"))?;
    let one = race(context, [cpus[0]; 2])?;
    // The children measure their own slices, so the ends are a few microseconds off.
    let takes_turns = one < WORK_NS / 50;
    let [first, second, ..] = cpus[..] else {
        return Ok(proof(Claim::OneProcessor, takes_turns, format!("both ran at once for {one} ns")));
    };
    let mut two = 0;
    for _ in 0..ATTEMPTS {
        two = race(context, [first, second])?;
        if two > WORK_NS / 10 {
            break;
        }
    }
    let holds = takes_turns && two > WORK_NS / 10;
    Ok(proof(
        Claim::TwoProcessors,
        holds,
        format!("both ran at once for {one} ns on one processor, and for {two} ns on two"),
    ))
}

/// Runs two children on the given processors. Returns for how long both were running at once, in nanoseconds.
fn race(context: &mut LessonContext<'_, '_>, cpus: [usize; 2]) -> Result<u64, RunError> {
    let place = if cpus[0] == cpus[1] { "one processor" } else { "two processors" };
    context
        .stage
        .say("begin", format!("two children with {} ms of work each, on {place}", WORK_NS / 1_000_000));
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let mut releases = Vec::new();
    let mut children: Vec<Child<Vec<Span>>> = Vec::new();
    for (name, cpu) in ["busy-1", "busy-2"].into_iter().zip(cpus) {
        let (release, released) = control::channel().map_err(RunError::os("socketpair"))?;
        let child = context.process(Process::new(work).args((cpu, released, events.clone())), name);
        children.push(context.stage.supervisor.start(child)?);
        releases.push(release);
    }
    drop(events);
    for release in releases {
        let _ = release.send(());
    }
    context.stage.listen(&incoming)?;
    context.stage.join(&children.iter().map(Child::handle).collect::<Vec<_>>())?;
    let slices = children.iter().map(Child::result).collect::<Result<Vec<_>, _>>()?;
    let begin = slices.iter().flatten().map(|slice| slice.0).min().unwrap_or(0);
    let end = slices.iter().flatten().map(|slice| slice.1).max().unwrap_or(0);
    let both = overlap(&slices[0], &slices[1]);
    context.stage.say(
        "end",
        format!(
            "{place}: {:.0} ms elapsed; both were running for {:.0} ms of them",
            ms(end - begin),
            ms(both)
        ),
    );
    Ok(both)
}

fn work(cpu: usize, released: control::Receiver<()>, events: control::Sender<Event>) -> Vec<Span> {
    task::pin_to_cpu(cpu).unwrap_or_else(|error| panic!("{error}"));
    if released.recv().is_err() {
        std::process::exit(1);
    }
    let slices = burn_in_slices(WORK_NS);
    let wall = slices.last().map_or(0, |last| last.1) - slices.first().map_or(0, |first| first.0);
    let ran: u64 = slices.iter().map(|slice| slice.1 - slice.0).sum();
    let text = format!(
        "processor {cpu}: {:.0} ms elapsed, {:.0} ms of processor time in {} slices",
        ms(wall),
        ms(ran),
        slices.len()
    );
    say(&events, "done", text);
    slices
}

/// The total overlap of two ordered series of spans, in nanoseconds.
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
    fn the_overlap_is_the_time_that_both_series_cover() {
        assert_eq!(overlap(&[(0, 10), (20, 30)], &[(5, 25)]), 10);
        assert_eq!(overlap(&[(0, 10)], &[(10, 20)]), 0);
        assert_eq!(overlap(&[], &[(1, 2)]), 0);
    }
}
