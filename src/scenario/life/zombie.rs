//! Ended, but not reaped.

use super::lesson::{Lesson, LessonContext, proof};
use crate::process::Process;
use crate::scenario::run::record::Proof;
use crate::scenario::run::stage::RunError;
use crate::sys::procfs::stat::of_process;

pub(super) const LESSON: Lesson = Lesson {
    name: "zombie",
    title: "Ended, but not reaped",
    question: "What is a zombie, and what removes it?",
    teach,
};

sentences! {
    /// What the lesson claims.
    enum Claim {
        UntilReaped => "a child that has ended is a zombie (Z) until its parent reaps it", "已结束的子进程在被父进程回收之前是僵尸（Z）";
    }
}

fn teach(context: &mut LessonContext<'_, '_>) -> Result<Proof, RunError> {
    let child = context.process(Process::new(|| 7_i32).leave_zombie(true), "child");
    let child = context.stage.supervisor.start(child)?;
    let pid = child.pid();
    context.stage.say("wait", format!("my child {pid} ends at once; I learn of it but do not reap it"));
    let exit = child.join()?;
    let zombie = of_process(pid);
    let state = zombie.as_ref().map_or('?', |zombie| zombie.letter);
    context.stage.say(
        "zombie",
        format!("/proc/{pid}/stat says {state}: it has ended ({exit}); PID and exit status remain"),
    );
    let killed = child.kill().is_ok() && of_process(pid).is_some_and(|zombie| zombie.letter == 'Z');
    context.stage.say(
        "kill",
        format!("I kill it, and it is still a zombie ({killed}): a dead process cannot be killed"),
    );
    child.reap()?;
    let gone = of_process(pid).is_none();
    context.stage.say("reap", format!("I reap it, and /proc/{pid} is gone: {gone}"));
    context.stage.join(&[child.handle()])?;
    Ok(proof(
        Claim::UntilReaped,
        state == 'Z' && killed && gone,
        format!("state {state}, killed {killed}, gone {gone}"),
    ))
}
