//! Checkpoints: executions that begin as copies of a process which has begun already.
//!
//! Until its first call that another process could observe, the program does the same in every execution: it is loaded, and
//! its interpreter starts. A *template* does so once, and each further execution begins as a copy of it (`fork(2)`).
//!
//! The template stops before the first call that is not [known](calls::leaves_nothing) to be repeatable. It may have read files
//! of the folder: these are steps, at which nothing can be decided, because the process is alone. They are recorded once, and
//! each copy begins by [reporting them](steps) as its own.
//!
//! A copy has all that
//! a fork inherits; what it does not inherit is set again: session, group, list of robust futexes, the word that is cleared
//! at the end, the signal at the death of the parent. The template is told the PID that each copy will have. No copies are
//! made where PIDs cannot be chosen, where namespaces are renewed for each execution, where other processes are known to send
//! signals to the first one, or once the program has looked for other processes in `/proc`.

mod copy;
mod steps;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) use template::Prelude;

use super::calls;
use super::limits::Command;
use super::machine::Machine;
use super::objects::Objects;
use super::scratch::Tree;
use super::stamps::Times;
use super::world::{Task, World};
use crate::explore::step::{Effect, Step};
use crate::sys::pid::Pid;
use crate::sys::ptrace::arch::Registers;
use crate::sys::ptrace::stops;

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
    times: Times,
    /// The steps that it has taken, and the effect of each.
    steps: Vec<(Step, Effect)>,
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
    /// Whether copies may begin after steps.
    may_replay_steps: bool,
    /// While a copy reports the steps of its template: how many it has reported.
    taken_steps: Option<usize>,
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
}

/// Whether the file `name` in the folder is the executable of the process, as it was in the beginning. Its content cannot
/// change while a process executes it.
fn is_unchanged(world: &World, tid: Pid, name: &Path, template: &Tree) -> bool {
    let Ok(own) = std::fs::metadata(format!("/proc/{tid}/exe")) else { return false };
    let Ok(there) = std::fs::symlink_metadata(world.root.join(name)) else { return false };
    let is_same = (own.dev(), own.ino()) == (there.dev(), there.ino());
    let mode = template.get(name).map(|entry| entry.mode);
    is_same && there.nlink() == 1 && mode == Some(there.mode() & 0o7777)
}
