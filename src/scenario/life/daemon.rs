//! A daemon ends with its supervisor.

use super::lesson::{Class, Lesson, proof, say};
use crate::process::{Exit, Process, Signal, StartMethod};
use crate::scenario::run::record::{Event, ProcessRecord, Proof};
use crate::scenario::run::stage::{Reason, RunError};
use crate::supervisor::Supervisor;
use crate::sys::pid::Pid;
use crate::sys::pidfd;
use crate::sys::poll::Deadline;
use crate::wire::control;
use std::time::Duration;

/// How long the kernel may take to pass a death on; it takes microseconds.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) const LESSON: Lesson = Lesson {
    name: "daemon",
    title: "A daemon ends with its supervisor",
    question: "What becomes of a background process when its parent's code ends, or is killed?",
    teach,
};

fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    let exit = end_of_a_daemon(class)?;
    let followed = death_of_a_supervisor(class)?;
    let holds = exit == Exit::Signal { signal: Signal::TERM, core_dumped: false } && followed;
    Ok(proof(
        "a daemon is terminated when its supervisor's code ends, and dies with it even when it is killed",
        holds,
        format!("it ended by {exit}; it followed a killed supervisor: {followed}"),
    ))
}

/// A daemon that says that it is alive, for ever, until the parent's code ends.
fn end_of_a_daemon(class: &mut Class<'_, '_>) -> Result<Exit, RunError> {
    let (events, incoming) = control::channel::<Event>().map_err(RunError::os("socketpair"))?;
    let supervisor = class.stage.another_supervisor()?;
    let daemon = class.process(Process::new(say_alive).args(events).daemon(true), "daemon");
    let daemon = supervisor.start(daemon)?;
    for _ in 0..3 {
        class.stage.await_readable(&incoming, Deadline::NEVER)?;
        if let Ok(event) = incoming.try_recv() {
            class.stage.tell(event);
        }
    }
    class.stage.say("end", "my supervisor's code ends here");
    drop(supervisor);
    class.stage.listen(&incoming)?;
    class.stage.processes.push(ProcessRecord::of(&daemon, 0));
    let exit = daemon.join()?;
    class.stage.say("ended", format!("the daemon ended by {exit}"));
    Ok(exit)
}

/// Whether a daemon dies with a supervisor that has no chance to terminate it.
fn death_of_a_supervisor(class: &mut Class<'_, '_>) -> Result<bool, RunError> {
    let (pids, incoming) = control::channel::<Result<Pid, Reason>>().map_err(RunError::os("socketpair"))?;
    let other = class.process(Process::new(supervise).args((class.method, pids)), "supervisor");
    let other = class.stage.supervisor.start(other)?;
    let silent = || Err(Reason::from("it ended before its daemon began".to_owned()));
    let told = class.stage.await_word(&incoming)?.unwrap_or_else(silent);
    let pid = told.map_err(|reason| RunError::Child { name: "supervisor".to_owned(), reason })?;
    // Its parent, which alone could reap it, sleeps, so the number is still its own.
    let daemon = pidfd::open(pid).map_err(RunError::os("pidfd_open"))?;
    class.stage.say(
        "kill",
        format!("another supervisor, {}, has a daemon, {pid}; I kill the supervisor", other.pid()),
    );
    other.kill().map_err(RunError::os("kill"))?;
    class.stage.join(&[other.handle()])?;
    let followed = class.stage.await_readable(&daemon, Deadline::after(PATIENCE))?;
    class.stage.say("ended", format!("its daemon, {pid}, has died with it: {followed}"));
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
