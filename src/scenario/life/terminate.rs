//! Terminating is asynchronous: alive just after, dead after the join.

use super::lesson::{Class, Lesson, proof};
use crate::process::{Exit, Process, Signal};
use crate::scenario::run::record::Proof;
use crate::scenario::run::stage::RunError;
use std::time::Duration;

/// A signal may arrive before we have looked, so one child may not be enough to see it alive.
const CHILDREN: u32 = 50;

pub(super) const LESSON: Lesson = Lesson {
    name: "terminate",
    title: "Asking a child to end",
    question: "Is a child dead as soon as terminate has returned?",
    teach,
};

fn teach(class: &mut Class<'_, '_>) -> Result<Proof, RunError> {
    let claim = "terminate only asks: it returned while the child was alive, and join then reported −SIGTERM";
    for nth in 1..=CHILDREN {
        let child = class.process(Process::new(run_for_ever), "child");
        let child = class.stage.supervisor.start(child)?;
        child.terminate().map_err(RunError::os("kill"))?;
        let alive = child.is_alive();
        class
            .stage
            .say("terminate", format!("I have terminated {}; just after, it is alive: {alive}", child.pid()));
        class.stage.join(&[child.handle()])?;
        let exit = child.join()?;
        let after = child.is_alive();
        let python = exit.python().map_or_else(|| "none".to_owned(), |code| code.to_string());
        class.stage.say("joined", format!("it ended by {exit} (Python's exitcode {python}); alive: {after}"));
        if after || exit != (Exit::Signal { signal: Signal::TERM, core_dumped: false }) {
            return Ok(proof(claim, false, format!("after the join it ended by {exit}, alive {after}")));
        }
        if alive {
            return Ok(proof(claim, true, ""));
        }
        class.stage.say("again", format!("the signal was faster than my look ({nth} times): once more"));
    }
    Ok(proof(claim, false, format!("{CHILDREN} children were dead before they could be looked at")))
}

fn run_for_ever() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
