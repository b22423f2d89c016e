//! Termination is asynchronous: the child is alive just after the call, and dead after the join.

use super::lesson::{Lesson, LessonContext, proof};
use crate::process::{Exit, Process, Signal};
use crate::scenario::run::record::Proof;
use crate::scenario::run::stage::RunError;
use std::time::Duration;

/// The signal may take effect before the check, so more than one child may be needed to see one alive.
const CHILDREN: u32 = 50;

pub(super) const LESSON: Lesson = Lesson {
    name: "terminate",
    title: "Asking a child to end",
    question: "Is a child dead as soon as terminate has returned?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        OnlySignals =>
            "terminate only sends a signal: it returned while the child was alive; join then reported SIGTERM",
            "terminate 只发送信号：它返回时子进程还活着；之后 join 报告了 SIGTERM";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    for nth in 1..=CHILDREN {
        let child = context.process(Process::new(run_forever), "child");
        let child = context.stage.supervisor.start(child)?;
        child.terminate().map_err(RunError::os("kill"))?;
        let alive = child.is_alive();
        context.stage.say(
            "terminate",
            format!("I call terminate on {}; right afterwards it is alive: {alive}", child.pid()),
        );
        context.stage.join(&[child.handle()])?;
        let exit = child.join()?;
        let after = child.is_alive();
        let python = exit.python().map_or_else(|| "none".to_owned(), |code| code.to_string());
        context
            .stage
            .say("joined", format!("it ended by {exit} (Python's exitcode {python}); alive: {after}"));
        if after || exit != (Exit::Signal { signal: Signal::TERM, core_dumped: false }) {
            return Ok(proof(
                Claim::OnlySignals,
                false,
                format!("after the join: ended by {exit}, alive {after}"),
            ));
        }
        if alive {
            return Ok(proof(Claim::OnlySignals, true, ""));
        }
        context.stage.say("again", format!("the child died before I could check ({nth} times); I try again"));
    }
    Ok(proof(Claim::OnlySignals, false, format!("{CHILDREN} children died before they could be checked")))
}

fn run_forever() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
