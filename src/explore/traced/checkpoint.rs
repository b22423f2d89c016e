//! Checkpoints: executions that begin as copies of a process which has begun already.
//!
//! Until its first call that another process could observe, the program does the same in every execution: it is loaded, and
//! its interpreter starts. A *template* does so once, and each further execution begins as a copy of it (`fork(2)`).
//!
//! The template stops before the first call that is not [known](calls::leaves_nothing) to be repeatable. A copy has all that
//! a fork inherits; what it does not inherit is set again: session, group, list of robust futexes, the word that is cleared
//! at the end, the signal at the death of the parent. The template is told the PID that each copy will have. No copies are
//! made where PIDs cannot be chosen, where namespaces are renewed for each execution, where other processes are known to send
//! signals to the first one, or once the program has looked for other processes in `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::libc;

use super::calls;
use super::limits::Command;
use super::machine::{Done, Machine, failed};
use super::numbers::{TEMPLATE, number_of};
use super::objects::Objects;
use super::scratch::Tree;
use super::waiting::Came;
use super::world::{Call, State, Task, World};
use crate::sys::pid::Pid;
use crate::sys::ptrace::arch::{CLONE_CHILD_TID, ENTRY_LENGTH, Registers};
use crate::sys::ptrace::probe;
use crate::sys::ptrace::stops::{self, Stop};

/// The fact, not of a search but of a command, that every execution starts the program.
const NONE: &str = "every execution starts the program";
/// The fact that copies could have other outcomes.
const SEES_COPIES: &str = "the program looks for other processes";

/// After this many executions with the same facts, a template is worth its start.
const WORTHWHILE: u32 = 2;

/// As many templates may become useless.
const MOST_LOST: u32 = 10;

/// A template that is stopped before a call.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// The registers with which it enters the call.
    registers: Registers,
    /// The first task of an execution, which now is the template.
    task: Task,
    objects: Objects,
    uncontrolled: BTreeMap<String, u64>,
    /// The word that the kernel clears when the process ends.
    clears: Option<u64>,
    /// Where the list of its robust futexes begins, or 0.
    robust: u64,
    /// Its executable, if that lies in the folder of the executions.
    executable: Option<PathBuf>,
    /// How often it has stopped for the tracer.
    stops: u64,
}

/// The checkpoint of a search, and whether there can be one.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    is_ruled_out: bool,
    /// The facts of the last execution, and how many have had the same.
    facts: BTreeSet<String>,
    alike: u32,
    /// Whether none was possible with these facts.
    is_impossible: bool,
    taken: Option<Box<Checkpoint>>,
    /// How many templates were of no use any more, because their executable was replaced.
    lost: u32,
    /// How often the copy that begins has stopped as the template.
    pub(super) stops: u64,
}

/// The way of a template to the checkpoint.
#[derive(Debug, Default)]
pub(super) struct Prelude {
    /// The call before which it stops at the latest.
    until: Option<u64>,
    /// The calls so far.
    calls: u64,
    /// The last of them before which nothing but the standard streams was open.
    clear: Option<u64>,
    is_reached: bool,
    clears: Option<u64>,
    pub(super) stops: u64,
}

impl Checkpoints {
    /// None yet.
    pub(super) fn new(command: &Command) -> Self {
        Self { is_ruled_out: command.facts.contains(NONE), ..Self::default() }
    }

    /// The facts of the command, without those that are for this module.
    pub(super) fn facts(command: &Command) -> BTreeSet<String> {
        command.facts.iter().filter(|fact| *fact != NONE).cloned().collect()
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.is_some()
    }

    /// Kills the template; it is reaped with the tasks.
    pub(super) fn discard(&mut self) {
        if let Some(checkpoint) = self.taken.take() {
            stops::kill(checkpoint.task.tid);
        }
    }
}

impl World {
    /// Records that the program would write to a file: not to one that the template executes.
    pub(super) fn would_write(&mut self, meta: Option<&Metadata>) {
        if self.kept.is_some() && meta.map(|meta| (meta.dev(), meta.ino())) == self.kept {
            self.sees_copies();
        }
    }

    /// Records that the program could tell whether its first process is a copy.
    pub(super) fn sees_copies(&mut self) {
        self.learn(SEES_COPIES.to_owned());
    }
}

impl Machine {
    /// The executable of the template relative to the folder, if it lies there: it stays as it is, because the template runs
    /// it. If the program has changed it, the template is discarded.
    pub(super) fn kept_executable(&mut self) -> Option<PathBuf> {
        let checkpoint = self.checkpoints.taken.as_ref()?;
        let name = checkpoint.executable.clone()?;
        if is_unchanged(&self.world, checkpoint.task.tid, &name, &self.template) {
            return Some(name);
        }
        // It may have been replaced for the sake of a check, or by the program.
        self.checkpoints.lost += 1;
        self.checkpoints.alike = 0;
        self.checkpoints.discard();
        let _ = self.end_all();
        None
    }

    /// Whether a template is worth its start. Discards one that was made with other facts.
    pub(super) fn is_checkpoint_due(&mut self) -> bool {
        let known = &mut self.checkpoints;
        if known.facts != self.world.learned {
            known.facts.clone_from(&self.world.learned);
            (known.alike, known.is_impossible) = (0, false);
            known.discard();
        }
        known.alike = known.alike.saturating_add(1);
        let learned = |fact: &str| self.world.learned.contains(fact);
        let is_renewed = learned(calls::NETWORK) || learned(calls::IPC);
        // Another process could send a signal to it from the beginning.
        let receives = self.world.decides_signals() && learned(&super::signals::is_sent("root"));
        let is_forbidden = known.is_ruled_out
            || known.is_impossible
            || known.lost > MOST_LOST
            || self.world.forbids_copies
            || self.world.numbers.is_none()
            || is_renewed
            || learned(SEES_COPIES)
            || receives;
        if is_forbidden {
            known.discard();
        }
        !is_forbidden && !known.is_taken() && known.alike > WORTHWHILE
    }

    /// Starts a template and runs it to the checkpoint.
    pub(super) fn take_checkpoint(&mut self) -> Done {
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
    pub(super) fn is_at_checkpoint(&mut self, index: usize) -> Done<bool> {
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

    /// Begins an execution as a copy of the template, at the checkpoint; returns whether there is one.
    pub(super) fn begin_as_copy(&mut self) -> Done<bool> {
        let Some(checkpoint) = &self.checkpoints.taken else { return Ok(false) };
        let kept = checkpoint.executable.as_ref();
        let kept = kept.and_then(|name| std::fs::metadata(self.world.root.join(name)).ok());
        self.world.kept = kept.map(|meta| (meta.dev(), meta.ino()));
        let (registers, mut task) = (checkpoint.registers, checkpoint.task.clone());
        let (clears, robust, stops) = (checkpoint.clears, checkpoint.robust, checkpoint.stops);
        self.world.objects = checkpoint.objects.clone();
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

/// Whether a process has no descriptors but its standard input, output and error.
fn has_only_streams(tid: Pid) -> bool {
    let fds = std::fs::read_dir(format!("/proc/{tid}/fd")).into_iter().flatten().filter_map(Result::ok);
    let fds = fds.filter_map(|fd| fd.file_name().to_str()?.parse().ok());
    fds.collect::<BTreeSet<i32>>() == BTreeSet::from([0, 1, 2])
}

/// Whether the file `name` in the folder is the executable of the process, as it was in the beginning. Its content cannot
/// change while a process executes it.
fn is_unchanged(world: &World, tid: Pid, name: &PathBuf, template: &Tree) -> bool {
    let Ok(own) = std::fs::metadata(format!("/proc/{tid}/exe")) else { return false };
    let Ok(there) = std::fs::symlink_metadata(world.root.join(name)) else { return false };
    let is_same = (own.dev(), own.ino()) == (there.dev(), there.ino());
    let mode = template.get(name).map(|entry| entry.mode);
    is_same && there.nlink() == 1 && mode == Some(there.mode() & 0o7777)
}
