//! Running, ready, blocked on a timer and on a lock, stopped, zombie: one child each.

use super::busy::burn;
use super::lesson::{Lesson, LessonContext, proof};
use crate::process::Scratch;
use crate::process::{Child, Process, Signal};
use crate::scenario::run::record::Proof;
use crate::scenario::run::stage::RunError;
use crate::sync::file_lock::FileLock;
use crate::sys::clock::monotonic_ns;
use crate::sys::poll::Deadline;
use crate::sys::procfs::stat::{of_process, schedstat};
use crate::sys::procfs::syscall::wchan;
use crate::sys::task;
use crate::wire::control;
use std::path::PathBuf;
use std::time::Duration;

/// How long to observe which child runs and which waits for the processor.
const WATCH: Duration = Duration::from_millis(400);

/// How long a child may take to reach its state.
const STATE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const LESSON: Lesson = Lesson {
    name: "states",
    title: "Running, ready, blocked, stopped, zombie",
    question: "Which states can a process be in, and how does the kernel show them?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        AllSeen =>
            "each state was seen in /proc: running, ready, blocked on a timer, blocked on a lock, stopped, zombie",
            "每种状态都在 /proc 中看到了：运行、就绪、阻塞于定时器、阻塞于锁、暂停、僵尸";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let scratch = Scratch::new()?;
    let lock = scratch.path().join("lock");
    let cpus = task::allowed_cpus().map_err(RunError::os("sched_getaffinity"))?;
    let cpu = *cpus.last().unwrap_or(&0);

    let (held, holding) = control::channel::<()>().map_err(RunError::os("socketpair"))?;
    let first_four = [
        start(context, "running", Process::new(be_busy).args((cpu, false)))?,
        start(context, "ready", Process::new(be_busy).args((cpu, true)))?,
        start(context, "sleeper", Process::new(sleep))?,
        start(context, "holder", Process::new(hold).args((lock.clone(), Some(held))))?,
    ];
    // The lock is held before another process asks for it.
    context.stage.await_message(&holding)?;
    let waiter = start(context, "waiter", Process::new(hold).args((lock, None)))?;
    let stopped = start(context, "stopped", Process::new(sleep))?;
    stopped.signal(Signal::STOP).map_err(RunError::os("kill"))?;
    let zombie = start(context, "zombie", Process::new(|| ()).leave_zombie(true))?;
    let [running, ready, sleeper, holder] = first_four;

    let mut seen = Vec::new();
    let (is_running, is_ready) = watch_two(context, &running, &ready)?;
    seen.push(("running", is_running));
    seen.push(("ready", is_ready));
    let reason = format!("blocked on a lock that {} holds", holder.pid());
    for (name, child, letter, reason) in [
        ("sleeper", &sleeper, 'S', "blocked on a timer"),
        ("waiter", &waiter, 'S', reason.as_str()),
        ("stopped", &stopped, 'T', "stopped by a signal (SIGSTOP)"),
        ("zombie", &zombie, 'Z', "zombie: it has ended and waits to be reaped"),
    ] {
        seen.push((name, await_state(context, child, letter, reason)?));
    }
    for child in [&running, &ready, &sleeper, &holder, &waiter, &stopped] {
        child.kill().map_err(RunError::os("kill"))?;
    }
    zombie.reap()?;
    let all = [&running, &ready, &sleeper, &holder, &waiter, &stopped, &zombie];
    context.stage.join(&all.map(Child::handle))?;
    let missing: Vec<&str> = seen.iter().filter_map(|(name, seen)| (!seen).then_some(*name)).collect();
    Ok(proof(Claim::AllSeen, missing.is_empty(), format!("not seen: {}", missing.join(", "))))
}

fn start<A>(
    context: &LessonContext<'_, '_>,
    name: &str,
    process: Process<A, ()>,
) -> Result<Child<()>, RunError>
where
    A: control::Message + 'static,
{
    Ok(context.stage.supervisor.start(context.process(process, name))?)
}

/// Observes the running and the ready child. The kernel's letter is R for both, so the processor time of each
/// distinguishes them (`/proc/PID/schedstat`). Neither ever blocks: when it is not on the processor, it waits for it.
///
/// The kernel's own figure for that waiting time is useless here, because it grows only when a wait ends.
fn watch_two(
    context: &mut LessonContext<'_, '_>,
    running: &Child<()>,
    ready: &Child<()>,
) -> Result<(bool, bool), RunError> {
    let on_processor = |child: &Child<()>| schedstat(child.pid(), child.pid()).map(|sums| sums.running_ns);
    let letter = |child: &Child<()>| of_process(child.pid()).map_or('?', |stat| stat.letter);
    let deadline = Deadline::after(STATE_TIMEOUT);
    loop {
        let (begin, before) = (monotonic_ns(), (on_processor(running), on_processor(ready)));
        context.stage.pause(Deadline::after(WATCH))?;
        let (elapsed, after) = (monotonic_ns() - begin, (on_processor(running), on_processor(ready)));
        let (Some(before), Some(after)) = (before.0.zip(before.1), after.0.zip(after.1)) else {
            context.stage.say("states", "this kernel does not report processor time (/proc/PID/schedstat)");
            return Ok((false, false));
        };
        let (busy, waits) = (after.0 - before.0, after.1 - before.1);
        let letters = (letter(running), letter(ready));
        // Other programs may use the processor too, so the first child need not get all of it.
        let seen = (letters.0 == 'R' && busy > elapsed / 10, letters.1 == 'R' && waits < busy / 4);
        if seen == (true, true) || deadline.is_over() {
            let two = [(running, "running", busy, letters.0), (ready, "ready", waits, letters.1)];
            for (child, word, on, letter) in two {
                let (on, off) = (on as f64 / 1e6, elapsed.saturating_sub(on) as f64 / 1e6);
                let text = format!(
                    "{} {}: {letter}, {word}: {on:.0} ms on the processor, {off:.0} ms waiting for it",
                    child.name(),
                    child.pid()
                );
                context.stage.say("state", text);
            }
            return Ok(seen);
        }
    }
}

/// Waits until the child is in the state, and reports what it is blocked on.
fn await_state(
    context: &mut LessonContext<'_, '_>,
    child: &Child<()>,
    letter: char,
    reason: &str,
) -> Result<bool, RunError> {
    let deadline = Deadline::after(STATE_TIMEOUT);
    loop {
        let state = of_process(child.pid()).map_or('?', |stat| stat.letter);
        if state == letter || deadline.is_over() {
            let place = wchan(child.pid(), child.pid()).filter(|_| letter == 'S');
            let place = place.map_or_else(String::new, |at| format!(", in the kernel function {at}"));
            let text = format!("{} {}: {state}, {reason}{place}", child.name(), child.pid());
            context.stage.say("state", text);
            return Ok(state == letter);
        }
        context.stage.pause(Deadline::after(Duration::from_millis(2)))?;
    }
}

/// Computes forever on one processor, or only while no other process wants it.
fn be_busy(cpu: usize, only_when_idle: bool) {
    task::pin_to_cpu(cpu).unwrap_or_else(|error| panic!("{error}"));
    if only_when_idle {
        task::run_only_when_idle().unwrap_or_else(|error| panic!("{error}"));
    }
    loop {
        burn(1_000_000_000);
    }
}

fn sleep() {
    std::thread::sleep(Duration::from_secs(3600));
}

/// Takes the lock, reports that, and keeps it.
fn hold(path: PathBuf, report: Option<control::Sender<()>>) {
    let lock = FileLock::open(path).unwrap_or_else(|error| panic!("{error}"));
    let _held = lock.lock().unwrap_or_else(|error| panic!("{error}"));
    if let Some(report) = report {
        let _ = report.send(());
    }
    sleep();
}
