//! Grants and kills: a task takes a step, and all tasks run to their next decision.

use super::{Done, Machine, failed};
use crate::explore::step::{Effect, Observation, Seen, Touch};
use crate::explore::traced::plan::Act;
use crate::explore::traced::waiting::Came;
use crate::explore::traced::world::{State, Task};
use crate::explore::traced::{calls, words};
use crate::sys::ptrace::arch::{ABSENT, Registers};
use crate::sys::ptrace::stops::{self, Stop};

impl Machine {
    /// Kills the process of a task that waits at a step; the step is not executed.
    pub(in crate::explore::traced) fn kill_process(&mut self, index: usize) -> Done<Effect> {
        self.created.clear();
        self.world.steps += 1;
        self.record_line(index);
        let process = self.world.tasks[index].process;
        let touches = calls::ending(&mut self.world, process).touches;
        self.world.pass_time(process, &touches, false);
        self.open_for_end(process)?;
        let text = words::before(&mut self.world, index);
        if self.world.tasks[process].is_dying() {
            // It does not wake for a further signal, and dies as it would have.
            self.die(process)?;
            return self.effect_of_kill(text, touches);
        }
        let text = format!("killed at {text}");
        self.world.killed.insert(self.world.tasks[process].name.clone());
        self.world.tasks[process].is_ending = true;
        let tid = self.world.tid(process);
        stops::kill(tid);
        loop {
            match self.next_of(process)? {
                Came::Stop(Stop::Ended(status)) => {
                    self.ended(process, status);
                    break;
                }
                Came::Stop(_) => stops::resume(tid, 0).map_err(failed("resume"))?,
                // It may be on its way.
                Came::Asleep => {}
                Came::Spins => break,
            }
        }
        self.effect_of_kill(text, touches)
    }

    /// Runs all tasks to their next decision, and returns the effect of the kill.
    fn effect_of_kill(&mut self, text: String, touches: Vec<Touch>) -> Done<Effect> {
        self.settle()?;
        let created = self.created.iter().map(|task| self.world.tasks[*task].number as u32).collect();
        Ok(Effect { seen: text.into(), touched: Some(touches), created, ..Effect::default() })
    }

    /// Executes the call at which the task waits, and runs all tasks to their next decision.
    ///
    /// `after_all`: the step happens only because no other step can.
    pub(in crate::explore::traced) fn go(&mut self, index: usize, after_all: bool) -> Done<Effect> {
        self.created.clear();
        self.world.steps += 1;
        self.record_line(index);
        self.look_at_the_clock();
        let task = &mut self.world.tasks[index];
        task.steps += 1;
        let announced = task.announced.take();
        let touches = task.plan.as_ref().map(|plan| plan.touches.clone()).unwrap_or_default();
        let is_access = self.world.tasks[index].fault.is_some();
        if !is_access {
            self.world.pass_time(index, &touches, after_all);
        }
        let touched =
            (!announced.is_some_and(|step| step.touches().eq(touches.iter().copied()))).then_some(touches);
        let between_calls = self.world.tasks[index].is_held;
        let mut effect = Effect { touched, between_calls, ..Effect::default() };
        if self.world.steps > self.world.limits.steps {
            self.world.cut = Some(format!("more than {} steps", self.world.limits.steps));
        }
        if self.world.cut.is_some() {
            return Ok(effect);
        }
        if self.world.tasks[index].state == State::Asleep {
            self.expire(index)?;
            if !self.world.tasks[index].is_alive() {
                return Ok(effect);
            }
        }
        let is_woken = self.world.tasks[index].state == State::Woken;
        let is_held = self.world.tasks[index].is_held;
        let row = self.world.tasks[index].row;
        self.world.tasks[index].enters_again = false;
        let was_interrupted = std::mem::take(&mut self.world.tasks[index].was_interrupted);
        if let Some(plan) = self.world.tasks[index].entered.take() {
            self.world.tasks[index].plan = Some(plan);
            self.settle_between_calls(index)?;
            effect.seen = format!("enters {}", row.map_or("", |row| row.name)).into();
            effect.between_calls = true;
            return Ok(effect);
        }
        if !is_held && !is_woken {
            self.world.tasks[index].left = row.map_or("", |row| row.name);
        }
        let mut text = match row {
            _ if !is_held => words::before(&mut self.world, index),
            Some(row) if row.number == ABSENT => "has accessed a variable of its signal handler".to_owned(),
            Some(row) => format!("returns from {}", row.name),
            None => "begins".to_owned(),
        };
        if self.is_interrupted(index) {
            text.push_str(" = ? (a signal)");
            self.interrupt(index)?;
            self.settle()?;
            effect.seen = text.into();
            effect.created = self.created.iter().map(|task| self.world.tasks[*task].number as u32).collect();
            return Ok(effect);
        }
        let is_cut_short = row.is_some_and(|row| row.number != ABSENT && !row.name.starts_with("wait"));
        if is_cut_short && !is_held && !is_woken && std::mem::take(&mut self.world.tasks[index].has_ignored) {
            self.discard_ignored(index)?;
        }
        let went = match row.filter(|_| !is_woken) {
            Some(row) if calls::is_death(row) => {
                self.die(index)?;
                false
            }
            Some(row) => {
                self.world.tasks[index].state = State::Running;
                self.carry_out(index, row)?
            }
            None => true,
        };
        if let Some(touches) = self.world.tasks[index].narrowed.take() {
            self.world.pass_time(index, &touches, after_all);
            effect.touched = Some(touches);
        }
        let mut observation = Observation::default();
        if went && is_held {
            // A signal that interrupted a call has changed what it does.
            let commutes = self.world.is_simple(index) && !was_interrupted;
            self.advance(index)?;
            if commutes && !self.world.tasks[index].has_met {
                // What it did commutes with its handlers.
                effect.touched = Some(Vec::new());
            }
        } else if went && self.world.tasks[index].is_alive() {
            words::after(&mut self.world, index, &mut text);
            if let Some(said) = self.world.tasks[index].said.take() {
                text = said;
            }
            // A wait returns a PID, which the kernel chose; the words name the child instead.
            let is_wait = row.is_some_and(|row| matches!(row.name, "wait" | "waitid"));
            if let Ok(registers) = Registers::of(self.world.tid(index))
                && !is_wait
                && !is_access
            {
                observation = Observation::new(registers.result().to_string());
            }
            if self.world.holds_at_return(index) && !is_woken {
                self.world.hold(index);
            } else {
                self.advance(index)?;
            }
        }
        if is_held && self.created.is_empty() && self.world.tasks[index].is_alive() {
            self.settle_between_calls(index)?;
        } else {
            self.settle()?;
        }
        effect.seen = Seen { text, observation };
        effect.created = self.created.iter().map(|task| self.world.tasks[*task].number as u32).collect();
        Ok(effect)
    }

    /// Runs every task that is not at a decision to its next one, and plans the pending calls, one after another.
    pub(in crate::explore::traced) fn settle(&mut self) -> Done {
        self.run_to_decisions()?;
        for index in 0..self.world.tasks.len() {
            self.plan_anew(index);
        }
        Ok(())
    }

    /// The same, after a step in which a task made no call, so that the plans of others are as they were.
    fn settle_between_calls(&mut self, index: usize) -> Done {
        if self.run_to_decisions()? {
            return self.settle();
        }
        self.plan_anew(index);
        Ok(())
    }

    /// Runs every task that is not at a decision to its next one; returns whether there was any.
    fn run_to_decisions(&mut self) -> Done<bool> {
        let mut has_run = false;
        while self.world.cut.is_none() {
            self.look_at_the_clock();
            // What the call did to other tasks has been reported by now.
            while let Some((tid, stop)) = stops::next(false).ok().flatten() {
                has_run = true;
                self.absorb(tid, stop)?;
            }
            let asleep = |task: &Task| task.state == State::Asleep;
            let before = self.world.tasks.iter().filter(|task| asleep(task)).count();
            self.await_woken()?;
            has_run |= before != self.world.tasks.iter().filter(|task| asleep(task)).count();
            has_run |= !self.world.told.is_empty();
            self.take_told()?;
            if self.handle_at_once()? {
                has_run = true;
                continue;
            }
            let next = self
                .world
                .tasks
                .iter()
                .position(|task| matches!(task.state, State::Newborn(true) | State::Returned));
            has_run |= next.is_some();
            match next {
                Some(index) if self.world.tasks[index].state == State::Newborn(true) => {
                    if self.world.holds_at_return(index) {
                        self.world.hold(index);
                    } else {
                        self.advance(index)?;
                    }
                }
                Some(index) => self.advance(index)?,
                None => {
                    let awaited =
                        self.world.tasks.iter().position(|task| task.state == State::Newborn(false));
                    match awaited {
                        // Its first stop will be reported soon.
                        Some(_) => {
                            has_run = true;
                            if let Some((tid, stop)) = stops::next(true).map_err(failed("waitpid"))? {
                                self.absorb(tid, stop)?;
                            }
                        }
                        None => break,
                    }
                }
            }
        }
        Ok(has_run)
    }

    /// Plans the call at whose entry the task is again, because the state may have changed.
    pub(in crate::explore::traced) fn plan_anew(&mut self, index: usize) {
        let task = &self.world.tasks[index];
        let Some(row) = task.row.filter(|_| task.state == State::Entry && !task.is_entering()) else {
            return;
        };
        if task.sleeps {
            // Its time has passed already.
            let is_left_alone = task.on_the_way.is_empty();
            if let Some(plan) = &mut self.world.tasks[index].plan {
                plan.ready = is_left_alone;
            }
            return;
        }
        let plan = (row.plan)(&mut self.world, index);
        let plan = self.world.with_buffers(index, plan);
        let plan = self.world.with_signals(index, plan);
        // A step remains a step while its task waits, even if no other task could observe it any more.
        if plan.is_visible() || plan.act != Act::Pass {
            self.world.tasks[index].plan = Some(plan);
        }
    }
}
