//! An execution that begins as a copy of the template.

use std::os::unix::fs::MetadataExt;

use nix::libc;

use crate::explore::traced::machine::{Done, Machine, failed};
use crate::explore::traced::numbers::number_of;
use crate::explore::traced::waiting::Came;
use crate::sys::pid::Pid;
use crate::sys::ptrace::arch::{CLONE_CHILD_TID, Registers};
use crate::sys::ptrace::stops::Stop;

impl Machine {
    /// Begins an execution as a copy of the template, at the checkpoint; returns whether there is one.
    pub(in crate::explore::traced) fn begin_as_copy(&mut self) -> Done<bool> {
        let Some(checkpoint) = &self.checkpoints.taken else { return Ok(false) };
        if self.lines.is_some() && !checkpoint.steps.is_empty() {
            // The source lines of the template's steps are not known.
            return Ok(false);
        }
        let Some(objects) = checkpoint.objects.anew(&self.world.root) else { return Ok(false) };
        let kept = checkpoint.executable.as_ref();
        let kept = kept.and_then(|name| std::fs::metadata(self.world.root.join(name)).ok());
        self.world.kept = kept.map(|meta| (meta.dev(), meta.ino()));
        let (registers, mut task) = (checkpoint.registers, checkpoint.task.clone());
        let (clears, robust, stops) = (checkpoint.clears, checkpoint.robust, checkpoint.stops);
        self.world.objects = objects;
        self.world.times.clone_from(&checkpoint.times);
        self.world.steps = checkpoint.steps.len();
        self.world.uncontrolled.clone_from(&checkpoint.uncontrolled);
        let template = task.tid;
        task.number = self.number(&task.name);
        self.world.tasks.push(task);
        self.world.by_tid.insert(template, 0);
        self.world.number_next("root");
        // The copy is a child of the tracer, as the template is.
        let mut args = [0; 5];
        args[0] = (libc::CLONE_PARENT | libc::SIGCHLD) as u64;
        if let Some(word) = clears {
            args[0] |= libc::CLONE_CHILD_CLEARTID as u64;
            args[CLONE_CHILD_TID] = word;
        }
        let copy = self.inject(0, libc::SYS_clone, &args)?;
        self.world.by_tid.remove(&template);
        if copy > 0 {
            let copy = Pid::from_raw(copy as i32);
            self.world.tasks[0].tid = copy;
            self.world.by_tid.insert(copy, 0);
        }
        let is_right = copy == i64::from(number_of("root")) && self.complete_copy(&registers, robust)?;
        if !is_right {
            self.checkpoints.discard();
            self.checkpoints.is_impossible = true;
            self.end_all()?;
            self.reset();
            return Ok(false);
        }
        self.created.push(0);
        self.checkpoints.stops = stops;
        self.checkpoints.taken_steps = Some(0);
        Ok(true)
    }

    /// Gives a new copy what it has not inherited; returns whether it has everything.
    fn complete_copy(&mut self, registers: &Registers, robust: u64) -> Done<bool> {
        loop {
            match self.next_of(0)? {
                Came::Stop(Stop::Group(_)) => break,
                Came::Stop(Stop::Ended(_)) | Came::Asleep | Came::Spins => return Ok(false),
                Came::Stop(_) => {}
            }
        }
        registers.set(self.world.tid(0)).map_err(failed("registers"))?;
        /// The size of `struct robust_list_head`.
        const HEAD: u64 = 24;
        let parent_dies = [libc::PR_SET_PDEATHSIG as u64, libc::SIGKILL as u64];
        let mut is_complete = self.inject(0, libc::SYS_setsid, &[])? > 0;
        is_complete &= self.inject(0, libc::SYS_prctl, &parent_dies)? == 0;
        if robust != 0 {
            is_complete &= self.inject(0, libc::SYS_set_robust_list, &[robust, HEAD])? == 0;
        }
        Ok(is_complete)
    }
}
