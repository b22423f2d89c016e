//! Runs one task to its next visible call, its end, or its sleep.

use super::{Done, Machine, failed};
use crate::explore::traced::calls::{self, Row};
use crate::explore::traced::plan::{Act, Plan};
use crate::explore::traced::signals;
use crate::explore::traced::waiting::{Came, is_job_control};
use crate::explore::traced::world::{Call, State};
use crate::sys::pid::Pid;
use crate::sys::ptrace::arch::{ENTRY_LENGTH, Registers};
use crate::sys::ptrace::stops::{self, Stop};
use nix::libc;
use std::io;

impl Machine {
    /// Runs a task to its next visible call, its end, or its sleep.
    pub(in crate::explore::traced) fn advance(&mut self, index: usize) -> Done {
        if std::mem::take(&mut self.world.tasks[index].sleeps_on) {
            return self.sleep_on(index);
        }
        let task = &mut self.world.tasks[index];
        // Where it was held, it depended on signals.
        task.is_exposed = !task.is_held && task.state != State::Woken;
        (task.state, task.is_held, task.announced) = (State::Running, false, None);
        (task.entered, task.has_met) = (None, false);
        self.world.open = None;
        let tid = self.world.tid(index);
        if self.world.process(index).protect_due {
            self.protect_all(index, true)?;
            if !self.world.tasks[index].is_alive() {
                return Ok(());
            }
        }
        // One that slept in a call that is not controlled is at its next call already.
        if !self.strangers.iter().any(|(stranger, _)| *stranger == tid) {
            let signal = self.world.tasks[index].signals.pop().unwrap_or(0);
            self.run(index, signal)?;
        }
        // A copy has made the calls of its template.
        let made = std::mem::take(&mut self.checkpoints.stops);
        let mut calls_left = self.world.limits.calls.saturating_sub(made);
        loop {
            match self.next_in_program(index)? {
                Came::Stop(Stop::Entry) => {
                    calls_left = calls_left.saturating_sub(1);
                    if let Some(prelude) = &mut self.prelude {
                        prelude.stops += 1;
                    }
                    if calls_left == 0 {
                        let name = self.world.tasks[index].name.clone();
                        self.world.cut =
                            Some(format!("{name} spins: it makes calls that no other process sees"));
                        return Ok(());
                    }
                    let registers = Registers::of(tid).map_err(failed("registers"))?;
                    let call = Call { number: registers.number(), args: registers.arguments() };
                    let row = calls::find(call.number);
                    self.world.tasks[index].call = call;
                    self.world.tasks[index].sleeps = false;
                    // A handler interrupted the access, if there was one; it is made again after the handler.
                    self.world.tasks[index].fault = None;
                    self.world.tasks[index].enters_at = registers.instruction() - ENTRY_LENGTH;
                    self.world.tasks[index].row = row;
                    let Some(row) = row else {
                        self.world.note(format!("the system call {}", calls::name_of(call.number)));
                        self.run(index, 0)?;
                        continue;
                    };
                    if self.world.tasks[index].handler.is_some() && call.number != libc::SYS_rt_sigreturn {
                        let name = self.world.process(index).name.clone();
                        self.world.learn(signals::handlers_call(&name));
                    }
                    let plan = (row.plan)(&mut self.world, index);
                    let plan = self.world.with_buffers(index, plan);
                    let plan = self.world.with_signals(index, plan);
                    let is_visible = plan.is_visible();
                    self.world.tasks[index].plan = Some(plan);
                    if self.world.cut.is_some() {
                        return Ok(());
                    }
                    if is_visible {
                        self.has_made_step(registers.instruction());
                        self.world.tasks[index].state = State::Entry;
                        self.world.hold_before(index);
                        return Ok(());
                    }
                    if !self.carry_out(index, row)? || self.world.cut.is_some() {
                        return Ok(());
                    }
                    if row.number == libc::SYS_rt_sigreturn && self.world.is_receiver(index) {
                        self.handler_ends(index);
                        if !std::mem::take(&mut self.world.tasks[index].enters_again) {
                            self.world.hold(index);
                            return Ok(());
                        }
                    }
                    self.run(index, 0)?;
                }
                Came::Stop(Stop::Exit) if self.prelude.is_some() => {
                    if self.is_at_checkpoint(index)? {
                        return Ok(());
                    }
                    self.run(index, 0)?;
                }
                Came::Stop(stop) => {
                    if stop == Stop::Signal(libc::SIGTRAP)
                        && let Some(holds) = self.has_accessed(index)?
                    {
                        if holds {
                            return Ok(());
                        }
                        self.run(index, 0)?;
                        continue;
                    }
                    if !self.follow(index, stop, self.prelude.is_some())? {
                        return Ok(());
                    }
                }
                Came::Asleep => {
                    self.world.note("a task that slept in a call that is not controlled");
                    self.world.tasks[index].state = State::Asleep;
                    return Ok(());
                }
                Came::Spins => {
                    let name = self.world.tasks[index].name.clone();
                    let spins = || format!("{name} spins: it uses the processor and makes no call");
                    self.world.cut.get_or_insert_with(spins);
                    return Ok(());
                }
            }
        }
    }

    /// Executes the pending call of the task; returns whether the task is at the return of the call.
    pub(super) fn carry_out(&mut self, index: usize, row: &'static Row) -> Done<bool> {
        self.world.open = None;
        if self.world.tasks[index].fault.is_some() {
            return self.access(index);
        }
        let tid = self.world.tid(index);
        let opened = self.open_for_call(index)?;
        if opened {
            // When the call returns or another thread of the process continues.
            let process = self.world.tasks[index].process;
            self.world.tasks[process].protect_due = true;
        }
        let act = self.world.tasks[index].plan.as_ref().map_or(Act::Pass, |plan| plan.act);
        if row.number == libc::SYS_exit_group {
            self.world.process_mut(index).is_ending = true;
        }
        if calls::is_fork(row) {
            calls::number_child(&mut self.world, index);
        }
        let kills_itself = act == Act::Send && calls::kills_itself(&self.world, index);
        let answer = match act {
            Act::Skip(result) => Some(result),
            Act::Output(stream) => Some(calls::keep_output(&mut self.world, index, stream)),
            Act::Send => calls::send(&mut self.world, index),
            _ => None,
        };
        if kills_itself {
            // Whether its registers can still be accessed depends on when it wakes up.
            self.die(index)?;
            return Ok(false);
        }
        if let Some(result) = answer {
            let mut registers = Registers::of(tid).map_err(failed("registers"))?;
            registers.skip(result);
            registers.set(tid).map_err(failed("registers"))?;
            return Ok(true);
        }
        let plan = self.world.tasks[index].plan.as_ref();
        let is_quiet = plan.is_some_and(|plan| plan.is_quiet) || row.after.is_none();
        let holds = row.number == libc::SYS_rt_sigreturn && self.world.is_receiver(index);
        if !holds && act == Act::Pass && !opened && !plan.is_some_and(Plan::is_visible) {
            if row.number == libc::SYS_close
                && let Some(after) = row.after
            {
                // It closes the descriptor whatever it returns, and nobody else does anything before it returns.
                after(&mut self.world, index, 0);
                return Ok(true);
            }
            if is_quiet {
                // Its return need not be observed; new and ending tasks stop anyway.
                return Ok(true);
            }
        }
        if act == Act::MaySleep {
            self.hide_limit(index)?;
        }
        stops::resume_to_exit(tid, 0).map_err(failed("resume"))?;
        loop {
            match self.next_of(index)? {
                Came::Stop(Stop::Exit) => {
                    self.restore_limit(index)?;
                    let result = Registers::of(tid).map_err(failed("registers"))?.result();
                    if result > 0 && calls::is_write(row) {
                        self.world.count_written(result.cast_unsigned());
                    }
                    if let Some(after) = row.after.filter(|_| !(-516..=-512).contains(&result)) {
                        after(&mut self.world, index, result);
                    }
                    return Ok(true);
                }
                Came::Stop(stop) => {
                    if !self.follow(index, stop, true)? {
                        return Ok(false);
                    }
                }
                Came::Asleep => {
                    self.world.tasks[index].state = State::Asleep;
                    if calls::writes_in_pieces(&mut self.world, index) {
                        self.world.note(
                            "a write of more than the pipe holds, which the kernel carries out in pieces",
                        );
                    }
                    return Ok(false);
                }
                Came::Spins => return Ok(false),
            }
        }
    }

    /// Handles a stop that is not the entry of a call; returns whether the task runs again.
    pub(super) fn follow(&mut self, index: usize, stop: Stop, to_exit: bool) -> Done<bool> {
        let tid = self.world.tid(index);
        let go = if to_exit { stops::resume_to_exit } else { stops::resume };
        match stop {
            Stop::Born { tid: child, vfork } => {
                self.born(index, child)?;
                // What it now shares is protected when the call returns.
                let go = if self.world.process(index).protect_due { stops::resume_to_exit } else { go };
                go(tid, 0).map_err(failed("resume"))?;
                if vfork {
                    self.world.tasks[index].state = State::Frozen;
                    return Ok(false);
                }
            }
            Stop::Exec(former) => {
                // The other threads have ended, and the calling thread has taken the PID of its process.
                if former != tid
                    && let Some(caller) = self.world.by_tid.get(&former).copied()
                {
                    self.world.tasks[caller].state = State::Gone;
                }
                self.became(index);
                go(tid, 0).map_err(failed("resume"))?;
            }
            Stop::Ended(status) => {
                self.ended(index, status);
                return Ok(false);
            }
            Stop::Ending(status) => {
                self.world.tasks[index].status = Some(status);
                if self.holds_at_death(index, status) {
                    return Ok(false);
                }
                go(tid, 0).map_err(failed("resume"))?;
            }
            Stop::Signal(libc::SIGSEGV) if self.faulted(index)? => return Ok(false),
            Stop::Exit if self.world.process(index).protect_due => {
                self.protect_all(index, true)?;
                go(tid, 0).map_err(failed("resume"))?;
            }
            Stop::Signal(signal) => {
                let signal = self.deliver(index, signal);
                if to_exit {
                    go(tid, signal).map_err(failed("resume"))?;
                } else {
                    self.run(index, signal)?;
                }
            }
            Stop::Group(signal) if is_job_control(signal) => {
                self.world.note("a process that a signal stopped");
                self.world.tasks[index].state = State::Stopped;
                stops::listen(tid).map_err(failed("listen"))?;
                return Ok(false);
            }
            Stop::Group(_) | Stop::VforkDone | Stop::Exit | Stop::Entry => {
                go(tid, 0).map_err(failed("resume"))?;
            }
        }
        Ok(true)
    }

    /// The signal to deliver instead of one that the kernel delivers: its own fault, one that it sent to itself, or one that
    /// it has just unblocked.
    pub(super) fn deliver(&mut self, index: usize, signal: i32) -> i32 {
        if signal == libc::SIGSEGV && self.answer_counter(index).is_ok_and(|answered| answered) {
            return 0;
        }
        signal
    }

    /// Emulates an instruction that reads the time stamp counter, which traps: it reads the virtual time.
    pub(super) fn answer_counter(&mut self, index: usize) -> io::Result<bool> {
        let tid = self.world.tid(index);
        let mut registers = Registers::of(tid)?;
        let code = crate::sys::ptrace::memory::read(tid, registers.instruction(), 3)?;
        let Some(length) = crate::sys::ptrace::arch::reads_counter(&code) else { return Ok(false) };
        if self.measures_loading(registers.instruction(), &code) {
            registers.pass_over(length);
        } else {
            self.world.tasks[index].clock += 1;
            registers.answer_counter(self.world.tasks[index].clock, length);
        }
        registers.set(tid)?;
        Ok(true)
    }

    pub(super) fn born(&mut self, maker: usize, tid: Pid) -> Done {
        // A thread is in the process of its maker, a child is in its own.
        let is_thread =
            std::path::Path::new(&format!("/proc/{}/task/{tid}", self.world.process(maker).tid)).exists();
        let process = self.world.tasks[maker].process;
        let name = self.world.next_name(maker, is_thread);
        self.world.tasks[if is_thread { process } else { maker }].born[usize::from(is_thread)] += 1;
        if is_thread {
            self.world.shares_variables(process);
        }
        if self.world.numbers.is_some() && tid.as_raw() != crate::explore::traced::numbers::number_of(&name) {
            self.world.note("two processes that came to have the same number");
        }
        let index = self.adopt(tid, name, Some(maker), is_thread.then_some(process));
        let call = self.world.call(maker);
        if is_thread {
            let clears = call.args[0] & libc::CLONE_CHILD_CLEARTID as u64 != 0;
            self.world.tasks[index].clears =
                clears.then(|| call.args[crate::sys::ptrace::arch::CLONE_CHILD_TID]);
        } else {
            let same_memory = call.number == crate::sys::ptrace::arch::VFORK
                || call.number == libc::SYS_clone && call.args[0] & libc::CLONE_VM as u64 != 0;
            self.world.inherited(maker, index, same_memory);
            if self.world.tasks[process].catches_children {
                self.world.received(process);
            }
        }
        if let Some(at) = self.strangers.iter().position(|(stranger, _)| *stranger == tid) {
            self.strangers.remove(at);
            self.world.tasks[index].state = State::Newborn(true);
        }
        Ok(())
    }
}
