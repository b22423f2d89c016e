//! A template: a process that is run to the checkpoint, and stays there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use nix::libc;

use super::{Checkpoint, is_unchanged};
use crate::explore::traced::calls;
use crate::explore::traced::machine::{Done, Machine, failed};
use crate::explore::traced::numbers::{TEMPLATE, number_of};
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
}

impl Machine {
    /// Starts a template and runs it to the checkpoint.
    pub(in crate::explore::traced) fn take_checkpoint(&mut self) -> Done {
        self.checkpoints.is_impossible = true;
        let mut prelude = self.run_template(None)?;
        if let Some(clear) = prelude.clear.filter(|clear| prelude.is_reached && *clear != prelude.calls) {
            // It stopped with a file open: a second one stops earlier.
            self.end_all()?;
            self.reset();
            prelude = self.run_template(Some(clear))?;
        }
        let is_clear = prelude.is_reached && prelude.clear == Some(prelude.calls);
        match if is_clear { self.seal(&prelude)? } else { None } {
            Some(checkpoint) => {
                self.world.tasks.clear();
                self.world.by_tid.clear();
                self.checkpoints.taken = Some(Box::new(checkpoint));
                self.checkpoints.is_impossible = false;
            }
            None => self.end_all()?,
        }
        self.reset();
        Ok(())
    }

    fn run_template(&mut self, until: Option<u64>) -> Done<Prelude> {
        if let Some(numbers) = &self.world.numbers {
            let _ = numbers.next(TEMPLATE);
        }
        if self.start()? {
            self.prelude = Some(Prelude { until, ..Prelude::default() });
            let done = self.advance(0);
            let prelude = self.prelude.take();
            done?;
            return Ok(prelude.unwrap_or_default());
        }
        Ok(Prelude::default())
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
        let is_repeatable = calls::leaves_nothing(&self.world, index);
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
    fn seal(&mut self, prelude: &Prelude) -> Done<Option<Checkpoint>> {
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
        let has_written = !self.world.output.is_empty() || !self.world.times.is_empty();
        let names_files = !self.world.objects.are_only(".");
        if has_learned || !is_plain || has_written || names_files || self.world.cut.is_some() {
            return Ok(None);
        }
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
