//! Two busy children on two processors, and on one.

use super::busy::burn;
use super::{Class, proof, say};
use crate::process::{Child, Process};
use crate::scenario::record::{Event, Proof};
use crate::scenario::stage::RunError;
use crate::sys::clock::{cpu_ns, monotonic_ns};
use crate::sys::task;
use crate::wire::endpoint::pollable_channel;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};

/// How much processor time each child needs.
const WORK_NS: u64 = 300_000_000;

/// When it began and ended, and the processor time that it used, in nanoseconds.
type Span = (u64, u64, u64);

/// Other programs may take a processor away, so one try may not be enough to see two at work.
const TRIES: usize = 5;

pub(super) fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    let cpus = task::allowed_cpus().map_err(RunError::os("sched_getaffinity"))?;
    let (one_wall, one_cpu) = race(class, [cpus[0]; 2])?;
    // On one processor, there is no way to be faster than all the work together.
    let one_holds = one_wall >= one_cpu / 100 * 99;
    let [first, second, ..] = cpus[..] else {
        let claim = "on one processor two children take as long as their work together (this machine lets us use only one, so nothing is said of two)";
        return Ok(proof(claim, one_holds, format!("{one_wall} ns for {one_cpu} ns of work")));
    };
    let claim = "on one processor two children take turns and need the time of both; on two they run at once";
    let mut seen = String::new();
    for _ in 0..TRIES {
        let (two_wall, two_cpu) = race(class, [first, second])?;
        if one_holds && two_wall < two_cpu / 10 * 9 {
            return Ok(proof(claim, true, ""));
        }
        seen = format!("one: {one_wall} ns for {one_cpu} ns of work; two: {two_wall} ns for {two_cpu} ns");
    }
    Ok(proof(claim, false, seen))
}

/// Lets two children work on the given processors; wall and processor time, in nanoseconds.
fn race(class: &mut Class<'_, '_>, cpus: [usize; 2]) -> Result<(u64, u64), RunError> {
    let where_to = if cpus[0] == cpus[1] { "one processor" } else { "two processors" };
    class
        .stage
        .say("begin", format!("two children, each with {} ms of work, on {where_to}", WORK_NS / 1_000_000));
    let (events, incoming) = pollable_channel::<Event>().map_err(RunError::os("socketpair"))?;
    let mut doors = Vec::new();
    let mut children: Vec<Child<Span>> = Vec::new();
    for (name, cpu) in ["busy-1", "busy-2"].into_iter().zip(cpus) {
        let (door, entrance) = ipc::channel().map_err(RunError::os("socketpair"))?;
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
    let spans = children.iter().map(Child::result).collect::<Result<Vec<Span>, _>>()?;
    let begin = spans.iter().map(|span| span.0).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.1).max().unwrap_or(0);
    let (wall, cpu) = (end - begin, spans.iter().map(|span| span.2).sum());
    class.stage.say(
        "end",
        format!("{where_to}: {:.0} ms on the clock, {:.0} ms of processor time", ms(wall), ms(cpu)),
    );
    Ok((wall, cpu))
}

fn work(cpu: usize, entrance: IpcReceiver<()>, events: IpcSender<Event>) -> Span {
    task::pin_to_cpu(cpu).unwrap_or_else(|error| panic!("{error}"));
    if entrance.recv().is_err() {
        std::process::exit(1);
    }
    let (begin, cpu_before) = (monotonic_ns(), cpu_ns());
    burn(WORK_NS);
    let (end, used) = (monotonic_ns(), cpu_ns() - cpu_before);
    let (wall, used_ms) = (ms(end - begin), ms(used));
    say(
        &events,
        "done",
        format!("processor {cpu}: {wall:.0} ms on the clock, {used_ms:.0} ms of processor time"),
    );
    (begin, end, used)
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}
