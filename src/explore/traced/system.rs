//! The tracer as the explorer's `System`: each task of the program is a task, and each visible call is a step.

use std::sync::Arc;

use super::machine::{Done, Machine, TracedError};
use super::outcome::Outcome;
use super::plan::Act;
use super::world::{State, Task};
use crate::explore::engine::{Granted, System, Trace};
use crate::explore::step::{Effect, Event, Label, Step, Touch};

impl System for Machine {
    type Error = TracedError;
    type Outcome = Arc<Outcome>;

    fn tasks(&self) -> usize {
        self.names.len()
    }

    fn reset(&mut self) -> Done {
        self.begin()?;
        self.announce();
        Ok(())
    }

    fn pending(&self, task: usize) -> Option<&Step> {
        self.announced.get(task)?.as_ref()
    }

    /// A task whose time limit could expire is enabled only if no other task is.
    fn enabled(&self, task: usize) -> Option<bool> {
        if self.checkpoints.next_step().is_some() {
            // The first process is alone.
            return Some(self.pending(task).is_some());
        }
        if self.arrivals.contains_key(&task) {
            return Some(self.world.cut.is_none());
        }
        let Some(index) = self.by_number(task).filter(|_| self.world.cut.is_none()) else {
            return Some(false);
        };
        let task = &self.world.tasks[index];
        let is_late_now = is_late(task) && (self.may_expire(index) || !self.world.tasks.iter().any(is_ready));
        Some(is_ready(task) || is_late_now)
    }

    fn grant(&mut self, task: usize) -> Done<Granted> {
        if let Some(effect) = self.replay_step() {
            self.announce();
            return Ok(Granted::Done(effect));
        }
        if self.arrivals.contains_key(&task) {
            let effect = self.arrive(task)?;
            self.announce();
            return Ok(Granted::Done(effect));
        }
        let Some(index) = self.by_number(task) else { return Ok(Granted::Refused) };
        let barrier = !is_ready(&self.world.tasks[index]) && !self.may_expire(index);
        if !barrier && !self.world.timeouts && self.world.tasks.iter().any(is_late) {
            self.world
                .note("a time limit or a second sleep that waited for others (--timeouts lets it end first)");
        }
        let effect = self.go(index, barrier)?;
        self.announce();
        Ok(Granted::Done(Effect { barrier, ..effect }))
    }

    fn kill(&mut self, task: usize) -> Done<Effect> {
        let Some(index) = self.by_number(task) else { return Ok(Effect::default()) };
        let effect = self.kill_process(index)?;
        self.announce();
        Ok(effect)
    }

    fn ending(&mut self, task: usize) -> Vec<Touch> {
        let Some(index) = self.by_number(task) else { return Vec::new() };
        let process = self.world.task(index).process;
        super::calls::ending(&mut self.world, process).touches
    }

    /// Only processes are killed, not threads or arrivals of signals.
    fn killable(&self, task: usize) -> bool {
        let name = self.names.get(task).map_or("", String::as_str);
        let is_thread = name.rsplit('.').next().is_some_and(|last| last.starts_with('t'));
        !is_thread && super::signals::receiver_of(name).is_none()
    }

    fn judge(&mut self, _: &Trace) -> Done<Arc<Outcome>> {
        let limits = self.world.limits.folder;
        let outcome = Arc::new(super::outcome::observe(&mut self.world, limits));
        // Equal outcomes are stored once.
        if let Some(known) = self.outcomes.get(&outcome) {
            return Ok(known.clone());
        }
        self.outcomes.insert(outcome.clone());
        Ok(outcome)
    }

    fn name(&self, task: usize) -> String {
        self.names.get(task).cloned().unwrap_or_default()
    }

    fn restore(&mut self, names: &[String]) {
        for name in names {
            self.number(name);
        }
    }

    fn would_run(&self, task: usize, step: &Step, history: &[&Event]) -> Option<bool> {
        let is_shared = |lock: &str| self.world.learned.contains(&super::calls::shared_lock(lock));
        super::ready::would_run(&self.names, is_shared, task, step, history)
    }

    fn uncontrolled(&self) -> Vec<(String, u64)> {
        self.world.uncontrolled.iter().map(|(what, count)| (what.clone(), *count)).collect()
    }
}

impl Machine {
    /// Whether the limit of the call in which the task sleeps may expire although others can continue.
    fn may_expire(&self, index: usize) -> bool {
        self.world.timeouts && self.world.tasks[index].state == State::Asleep
    }

    /// Announces the step at which each task has newly arrived. The announcement does not change while the task waits,
    /// whatever others do. The actual accesses are reported when the step has been executed.
    pub(super) fn announce(&mut self) {
        if let Some(step) = self.checkpoints.next_step().cloned() {
            self.announced = vec![None; self.names.len()];
            self.announced[self.world.tasks[0].number] = Some(step);
            return;
        }
        self.announce_arrivals();
        let mut announced = vec![None; self.names.len()];
        for task in &mut self.world.tasks {
            let waits = matches!(task.state, State::Entry | State::Asleep | State::Woken);
            if !waits {
                task.announced = None;
            } else if task.announced.is_none() {
                task.announced = Some(step_of(task));
            }
            if let Some(step) = &task.announced {
                announced[task.number] = Some(step.clone());
            }
        }
        for (number, (.., step)) in &self.arrivals {
            announced[*number] = Some(step.clone());
        }
        self.announced = announced;
    }
}

/// The step of a task that waits.
fn step_of(task: &Task) -> Step {
    let name = task.row.map_or("begin", |row| row.name);
    let mut touches = task.plan.iter().flat_map(|plan| &plan.touches).copied();
    let Some(first) = touches.next() else {
        return Step::new(name, &format!("of {}", task.name), crate::explore::step::Access::Read);
    };
    Step {
        name: match task.state {
            State::Entry if task.is_entering() => Label::new(&format!("enters {name}")),
            State::Entry => Label::new(name),
            _ => Label::new(&format!("{name} returns")),
        },
        resource: first.object,
        access: first.access,
        also: touches.collect(),
        structural: matches!(name, "exit" | "wait" | "waitid"),
    }
}

/// Whether the task can continue now.
fn is_ready(task: &Task) -> bool {
    task.state == State::Woken
        || task.state == State::Entry
            && (task.plan.as_ref().is_some_and(|plan| plan.ready) || !task.on_the_way.is_empty())
}

/// Whether the task could continue if its time limit expired.
fn is_late(task: &Task) -> bool {
    let expires = match task.state {
        State::Asleep => task.limit.is_some(),
        State::Entry => {
            task.plan.as_ref().is_some_and(|plan| !plan.ready && matches!(plan.act, Act::Skip(_)))
        }
        _ => false,
    };
    expires && task.on_the_way.is_empty()
}
