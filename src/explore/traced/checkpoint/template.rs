//! A template: a process that is run to the checkpoint, and stays there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use nix::libc;

use super::{Checkpoint, is_unchanged};
use crate::explore::step::{Effect, Step};
use crate::explore::traced::calls;
use crate::explore::traced::machine::{Done, Machine, failed};
use crate::explore::traced::numbers::{TEMPLATE, number_of};
use crate::explore::traced::table::DescriptorTable;
use crate::explore::traced::waiting::Came;
use crate::explore::traced::world::{Call, State};
use crate::sys::pid::Pid;
use crate::sys::ptrace::arch::{ENTRY_LENGTH, Registers};
use crate::sys::ptrace::probe;
use crate::sys::ptrace::stops::{self, Stop};

/// The way of a template to the checkpoint.
#[derive(Debug, Default)]
pub(in crate::explore::traced) struct Prelude {
    /// The call before which it stops at the latest.
    until: Option<u64>,
    /// The calls so far.
    calls: u64,
    /// The last of them before which nothing but the standard streams was open.
    clear: Option<u64>,
    is_reached: bool,
    clears: Option<u64>,
    pub(in crate::explore::traced) stops: u64,
    /// Whether it may read files of the folder, which are steps.
    reads_folder: bool,
    /// Those steps, and the effect of each.
    steps: Vec<(Step, Effect)>,
}

impl Machine {
    /// Starts a template and runs it to the checkpoint.
    pub(in crate::explore::traced) fn take_checkpoint(&mut self) -> Done {
        let has_taken = self.checkpoints.may_replay_steps && self.take_checkpoint_at(true)?
            || self.take_checkpoint_at(false)?;
        self.checkpoints.is_impossible = !has_taken;
        Ok(())
    }

    /// The same, after steps that read the folder or before the first step; returns whether there is a checkpoint.
    fn take_checkpoint_at(&mut self, reads_folder: bool) -> Done<bool> {
        let mut prelude = self.run_template(None, reads_folder)?;
        if let Some(clear) = prelude.clear.filter(|clear| prelude.is_reached && *clear != prelude.calls) {
            // It stopped with a file open: a second one stops earlier.
            self.end_all()?;
            self.reset();
            prelude = self.run_template(Some(clear), reads_folder)?;
        }
        let is_clear = prelude.is_reached && prelude.clear == Some(prelude.calls);
        self.checkpoints.taken = if is_clear { self.seal(prelude)?.map(Box::new) } else { None };
        if self.checkpoints.is_taken() {
            self.world.tasks.clear();
            self.world.by_tid.clear();
        } else {
            self.end_all()?;
        }
        self.reset();
        Ok(self.checkpoints.is_taken())
    }

    fn run_template(&mut self, until: Option<u64>, reads_folder: bool) -> Done<Prelude> {
        if let Some(numbers) = &self.world.numbers {
            let _ = numbers.next(TEMPLATE);
        }
        if !self.start()? {
            return Ok(Prelude::default());
        }
        self.prelude = Some(Prelude { until, reads_folder, ..Prelude::default() });
        let done = self.advance(0).and_then(|()| self.record_steps());
        let prelude = self.prelude.take();
        done.map(|()| prelude.unwrap_or_default())
    }

    /// Lets the template take its steps up to the checkpoint, which executions that begin there have taken, too.
    fn record_steps(&mut self) -> Done {
        while self.prelude.as_ref().is_some_and(|prelude| prelude.reads_folder && !prelude.is_reached) {
            self.announce();
            let task = &self.world.tasks[0];
            let waits = task.state == State::Entry && !task.is_held && !task.is_entering();
            let Some(step) = task.announced.clone().filter(|_| waits && self.world.cut.is_none()) else {
                break;
            };
            let effect = self.go(0, false)?;
            if let Some(prelude) = &mut self.prelude {
                prelude.steps.push((step, effect));
                prelude.stops = 0;
            }
        }
        Ok(())
    }

    /// Whether the template, which is at the entry or at the return of a call, has reached the checkpoint.
    pub(in crate::explore::traced) fn is_at_checkpoint(&mut self, index: usize) -> Done<bool> {
        let tid = self.world.tid(index);
        let mut registers = Registers::of(tid).map_err(failed("registers"))?;
        if !stops::is_at_entry(tid).map_err(failed("call"))? {
            if calls::tells_number(registers.number()) && registers.result() > 0 {
                registers.set_result(number_of("root").into());
                registers.set(tid).map_err(failed("registers"))?;
            }
            return Ok(false);
        }
        let call = Call { number: registers.number(), args: registers.arguments() };
        self.world.tasks[index].call = call;
        let reads_folder = self.prelude.as_ref().is_some_and(|prelude| prelude.reads_folder);
        let is_repeatable = calls::leaves_nothing(&mut self.world, index, reads_folder);
        if call.number == libc::SYS_close {
            // The question above may have looked it up, and the loader closes without a further stop.
            self.world.forget(index, call.int(0));
        }
        let Some(prelude) = &mut self.prelude else { return Ok(false) };
        prelude.calls += 1;
        if has_only_streams(tid) {
            prelude.clear = Some(prelude.calls);
        }
        match call.number {
            libc::SYS_set_tid_address => prelude.clears = Some(call.args[0]),
            libc::SYS_execve => prelude.clears = None,
            _ => {}
        }
        prelude.is_reached = !is_repeatable || prelude.until == Some(prelude.calls);
        Ok(prelude.is_reached)
    }

    /// Makes a checkpoint of the template, which is at the entry of a call; `None` if a copy would differ from it.
    fn seal(&mut self, prelude: Prelude) -> Done<Option<Checkpoint>> {
        let tid = self.world.tid(0);
        let saved = Registers::of(tid).map_err(failed("registers"))?;
        // It leaves the call, to enter it again whenever it is copied.
        let mut registers = saved;
        registers.skip(0);
        registers.set(tid).map_err(failed("registers"))?;
        stops::resume_to_exit(tid, 0).map_err(failed("resume"))?;
        if !matches!(self.next_of(0)?, Came::Stop(Stop::Exit)) {
            return Ok(None);
        }
        let mut registers = saved;
        registers.enter_again(saved.number());
        registers.set(tid).map_err(failed("registers"))?;
        let mut task = self.world.tasks[0].clone();
        let has_learned = self.checkpoints.facts != self.world.learned;
        let is_plain = task.maps.is_empty() && task.signals.is_empty() && task.on_the_way.is_empty();
        let has_written = !self.world.output.is_empty() || !self.world.made.is_empty();
        // Each execution has files of its own, which are known by their paths.
        let is_found_again = self.world.objects.anew(&self.world.root).as_ref() == Some(&self.world.objects);
        if has_learned || !is_plain || has_written || !is_found_again || self.world.cut.is_some() {
            return Ok(None);
        }
        task.descriptors = DescriptorTable::default();
        (task.row, task.plan, task.state, task.is_watched) = (None, None, State::Running, false);
        task.enters_at = saved.instruction() - ENTRY_LENGTH;
        task.masks.set(None);
        let executable = std::fs::read_link(format!("/proc/{tid}/exe")).unwrap_or_default();
        let executable = executable.strip_prefix(&self.world.root).ok().map(PathBuf::from);
        if executable.as_ref().is_some_and(|name| !is_unchanged(&self.world, tid, name, &self.template)) {
            return Ok(None);
        }
        Ok(Some(Checkpoint {
            registers,
            task,
            objects: self.world.objects.clone(),
            times: self.world.times.clone(),
            steps: prelude.steps,
            uncontrolled: self.world.uncontrolled.clone(),
            clears: prelude.clears,
            robust: probe::robust_list(tid).unwrap_or(0),
            executable,
            stops: prelude.stops,
        }))
    }
}

/// Whether a process has no descriptors but its standard input, output and error.
fn has_only_streams(tid: Pid) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{tid}/fd")).into_iter().flatten().filter_map(Result::ok);
    let fds = fds.filter_map(|fd| fd.file_name().to_str()?.parse().ok());
    fds.collect::<BTreeSet<i32>>() == BTreeSet::from([0, 1, 2])
}
