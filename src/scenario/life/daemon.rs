//! A daemon ends with its supervisor.

use super::lesson::{Lesson, LessonContext, proof, say};
use crate::process::{Exit, Process, Signal, StartMethod};
use crate::scenario::run::record::{Event, ProcessRecord, Proof};
use crate::scenario::run::stage::{Reason, RunError};
use crate::supervisor::Supervisor;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::poll::Deadline;
use crate::wire::control;
use std::time::Duration;

/// The limit for the kernel to kill the daemon, which takes microseconds.
const DEATH_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const LESSON: Lesson = Lesson {
    name: "daemon",
    title: "A daemon ends with its supervisor",
    question: "What happens to a background process when its parent ends or is killed?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        DiesWithIt =>
            "a daemon is terminated when its supervisor ends, and dies with it even if that is killed",
            "监督者结束时守护进程被终止；即使监督者被杀死，它也随之而死";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let exit = end_of_a_daemon(context)?;
    let followed = death_of_a_supervisor(context)?;
    let holds = exit == Exit::Signal { signal: Signal::TERM, core_dumped: false } && followed;
    Ok(proof(
        Claim::DiesWithIt,
        holds,
        format!("it ended by {exit}; it died with a killed supervisor: {followed}"),
    ))
}

/// A daemon that reports that it is alive until its supervisor ends.
fn end_of_a_daemon(context: &mut LessonContext<'_, '_>) -> Result<Exit, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let supervisor = context.stage.another_supervisor()?;
    let daemon = context.process(Process::new(say_alive).args(events).daemon(true), "daemon");
    let daemon = supervisor.start(daemon)?;
    for _ in 0..3 {
        context.stage.await_readable(&incoming, Deadline::NEVER)?;
        if let Ok(event) = incoming.try_recv() {
            context.stage.tell(event);
        }
    }
    context.stage.say("end", "my supervisor ends here");
    drop(supervisor);
    context.stage.listen(&incoming)?;
    context.stage.processes.push(ProcessRecord::of(&daemon, 0));
    let exit = daemon.join()?;
    context.stage.say("ended", format!("the daemon ended by {exit}"));
    Ok(exit)
}

/// Whether a daemon dies with a supervisor that is killed and so cannot terminate it.
fn death_of_a_supervisor(context: &mut LessonContext<'_, '_>) -> Result<bool, RunError> {
    let (pids, incoming) = control::channel::<Result<Pid, Reason>>().map_err(RunError::os("socketpair"))?;
    let other = context.process(Process::new(supervise).args((context.method, pids)), "supervisor");
    let other = context.stage.supervisor.start(other)?;
    let missing = || Err(Reason::from("it ended before its daemon began".to_owned()));
    let reported = context.stage.await_message(&incoming)?.unwrap_or_else(missing);
    let pid = reported.map_err(|reason| RunError::Child { name: "supervisor".to_owned(), reason })?;
    // The PID cannot have been reused: only its parent could reap it, and the parent sleeps.
    let daemon = pidfd::open(pid).map_err(RunError::os("pidfd_open"))?;
    context.stage.say(
        "kill",
        format!("another supervisor, {}, has the daemon {pid}; I kill the supervisor", other.pid()),
    );
    other.kill().map_err(RunError::os("kill"))?;
    context.stage.join(&[other.handle()])?;
    let followed = context.stage.await_readable(&daemon, Deadline::after(DEATH_TIMEOUT))?;
    context.stage.say("ended", format!("its daemon {pid} has died with it: {followed}"));
    Ok(followed)
}

fn say_alive(events: control::Sender<Event>) {
    loop {
        say(&events, "alive", "I am alive");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn supervise(method: StartMethod, pids: control::Sender<Result<Pid, Reason>>) {
    let daemon = Process::new(sleep).name("daemon-2").start_method(method).daemon(true);
    let started = Supervisor::new().map_err(|error| Reason::of(&error)).and_then(|supervisor| {
        let daemon = supervisor.start(daemon).map_err(|error| Reason::of(&error))?;
        Ok((supervisor, daemon))
    });
    let _ = pids.send(started.as_ref().map(|(_, daemon)| daemon.pid()).map_err(Clone::clone));
    if started.is_ok() {
        sleep();
    }
}

fn sleep() {
    std::thread::sleep(Duration::from_secs(3600));
}
