//! Deaths by a signal: of a crash, of a write to a pipe without readers, of a signal that a process sends to itself.
//!
//! The kernel announces a death before it closes descriptors and releases locks. The process is held there, so that its end
//! is a step of its own, as a call of `exit` is, and others may come between it and the call before.

use nix::libc;

use super::{Done, Machine};
use crate::explore::traced::calls;
use crate::explore::traced::waiting::Came;
use crate::explore::traced::world::State;
use crate::sys::ptrace::stops::{self, Stop};

impl Machine {
    /// Holds a task whose process is about to die of a signal; returns whether it is held.
    pub(super) fn holds_at_death(&mut self, index: usize, status: i32) -> bool {
        let process = self.world.tasks[index].process;
        let is_alone = process == index && self.world.threads(process).count() == 1;
        if !libc::WIFSIGNALED(status) || !is_alone || self.prelude.is_some() {
            return false;
        }
        let plan = calls::ending(&mut self.world, index);
        if self.world.process(index).is_protected && !calls::robust_words(&self.world, index).is_empty() {
            self.world.note("a lock in shared memory whose holder died of a signal");
        }
        if !plan.is_visible() {
            return false;
        }
        let task = &mut self.world.tasks[index];
        task.on_the_way.clear();
        task.is_ending = true;
        (task.row, task.state, task.plan) = (Some(calls::DEATH), State::Entry, Some(plan));
        true
    }

    /// Lets a task die that was held before, or is not stopped any more.
    pub(super) fn die(&mut self, index: usize) -> Done {
        let tid = self.world.tid(index);
        loop {
            let _ = stops::resume(tid, 0);
            match self.next_of(index)? {
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(index, status);
                    return Ok(());
                }
                Came::Stop(_) => {}
                Came::Asleep | Came::Spins => return Ok(()),
            }
        }
    }
}
