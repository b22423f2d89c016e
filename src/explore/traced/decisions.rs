//! What a search asks of the tracer: who can go on, with which step, and what came of granting it.

use super::machine::{Done, Machine};
use super::order::Event;
use super::plan::Act;
use super::world::{State, Task};

impl Machine {
    /// The numbers of the tasks that can go on, in order; and whether they can only because nothing else can:
    /// then time passes for those that wait for it.
    pub(super) fn enabled(&self) -> (Vec<usize>, bool) {
        if self.world.cut.is_some() {
            return (Vec::new(), false);
        }
        let numbers = |can: &dyn Fn(&Task) -> bool| {
            let mut numbers: Vec<usize> =
                self.world.tasks.iter().filter(|task| can(task)).map(|task| task.number).collect();
            numbers.sort_unstable();
            numbers
        };
        let plan = |task: &Task| {
            task.plan.as_ref().filter(|_| task.state == State::Entry).map(|plan| (plan.ready, plan.act))
        };
        let ready = numbers(&|task| task.state == State::Woken || plan(task).is_some_and(|(ready, _)| ready));
        if !ready.is_empty() {
            return (ready, false);
        }
        (numbers(&|task| matches!(plan(task), Some((false, Act::Skip(_))))), true)
    }

    /// The step at which a task waits.
    pub(super) fn announce(&mut self, number: usize) -> Event {
        let index = self.by_number(number).unwrap_or(0);
        let task = &self.world.tasks[index];
        let touches = task.plan.as_ref().map(|plan| plan.touches.clone()).unwrap_or_default();
        let structural = task.row.is_some_and(|row| matches!(row.name, "exit" | "wait" | "waitid"));
        Event { task: number, touches, created: Vec::new(), words: String::new(), barrier: false, structural }
    }

    /// Lets the task do its step, and completes what is known of it.
    pub(super) fn grant(&mut self, number: usize, event: &mut Event) -> Done {
        let index = self.by_number(number).unwrap_or(0);
        if !event.barrier && !self.world.timeouts {
            let is_late = |task: &Task| {
                task.state == State::Entry
                    && task.plan.as_ref().is_some_and(|plan| !plan.ready && matches!(plan.act, Act::Skip(_)))
            };
            if self.world.tasks.iter().any(is_late) {
                self.world.note(
                    "a time limit or a second sleep that waited for others (--timeouts lets it end first)",
                );
            }
        }
        event.words = self.go(index)?;
        event.created = self.created.iter().map(|task| self.world.tasks[*task].number).collect();
        self.taken.push(event.clone());
        Ok(())
    }

    /// The step that was taken at this point of the last execution.
    pub(super) fn taken_at(&self, depth: usize) -> Option<Event> {
        self.taken.get(depth).cloned()
    }

    /// The steps at which tasks are left waiting.
    pub(super) fn stuck(&mut self) -> Vec<Event> {
        let waits = |task: &Task| matches!(task.state, State::Entry | State::Asleep);
        let numbers: Vec<usize> =
            self.world.tasks.iter().filter(|task| waits(task)).map(|task| task.number).collect();
        numbers.into_iter().map(|number| self.announce(number)).collect()
    }

    /// What the execution left behind.
    pub(super) fn observe(&mut self) -> super::outcome::Outcome {
        let limits = self.world.limits.folder;
        super::outcome::observe(&mut self.world, limits)
    }
}
