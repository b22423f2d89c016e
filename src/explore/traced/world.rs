//! The state of one execution: its processes, where they wait, and what they share.

use crate::sys::pid::Pid;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use super::calls::{self, Row};
use super::expiry::TimeLimit;
use super::handlers::Running;
use super::limits::Limits;
use super::noise::NoiseRules;
use super::objects::Objects;
use super::plan::Plan;
use super::shared::{Map, WrittenMap};
use super::signals::{Masks, OnTheWay};
use super::stamps::Times;
use super::table::DescriptorTable;
use crate::explore::step::{Label, Step, Touch};
use crate::sys::ptrace::namespace::Numbers;

/// A system call at whose entry a task is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call {
    /// Its number on this architecture.
    pub(super) number: i64,
    /// Its arguments.
    pub(super) args: [u64; 6],
}

impl Call {
    /// An argument of type `int`, such as a descriptor.
    pub(super) fn int(&self, index: usize) -> i32 {
        self.args[index] as i32
    }
}

/// The owner of a lock on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LockOwner {
    /// The process, of a record lock.
    Process,
    /// An open file description, which children inherit.
    Description,
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It was created and has not run; whether its first stop has been reported.
    Newborn(bool),
    /// It runs. At most one task does.
    Running,
    /// It waits at the entry of a visible call.
    Entry,
    /// It sleeps in the kernel, in a call that was granted.
    Asleep,
    /// It slept and was woken, and is held at the return of the call.
    Woken,
    /// It has a `vfork` child that has neither ended nor executed another program.
    Frozen,
    /// It is held at the return of a call that needed no decision.
    Returned,
    /// It was stopped by a job-control signal.
    Stopped,
    /// It has ended, and its parent has not waited for it.
    Zombie,
    /// It has ended and was reaped.
    Gone,
}

/// A process or a thread of the program.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) tid: Pid,
    /// Its place in the tree: `root`, `root.1`, `root.1.t1`.
    pub(super) name: String,
    /// Its number, which belongs to its name in all executions.
    pub(super) number: usize,
    /// The task that created it.
    pub(super) maker: Option<usize>,
    /// The index of its process: its own, unless it is a thread.
    pub(super) process: usize,
    pub(super) state: State,
    pub(super) call: Call,
    pub(super) row: Option<&'static Row>,
    pub(super) plan: Option<Plan>,
    /// The step at which it waits, as announced to the explorer.
    pub(super) announced: Option<Step>,
    /// The wait status with which it ended.
    pub(super) status: Option<i32>,
    /// Whether its parent has waited for it.
    pub(super) reaped: bool,
    /// How many children and threads it has created.
    pub(super) born: [usize; 2],
    /// Virtual time since the beginning, in nanoseconds. It advances with steps and sleeps, and is never earlier than
    /// that of the steps on which it depends.
    pub(super) clock: u64,
    /// The processor time that it is told it has used, in nanoseconds.
    pub(super) used: u64,
    /// How many random bytes it has received.
    pub(super) random: u64,
    /// Of the process: descriptors whose open file description it shares with no other process.
    pub(super) own: BTreeSet<i32>,
    /// Of the process: the locks that it holds.
    pub(super) locks: BTreeSet<(String, LockOwner)>,
    /// The lock that the pending call releases.
    pub(super) gives_up: Option<String>,
    /// Of the process: its writable shared mappings.
    pub(super) maps: Vec<Map>,
    /// Of the process: how many anonymous shared mappings it has created.
    pub(super) shared_memories: usize,
    /// Of the process: whether its shared mappings are protected.
    pub(super) is_protected: bool,
    /// Of the process: whether they must be protected before it continues.
    pub(super) protect_due: bool,
    /// The protected address that it is about to access.
    pub(super) fault: Option<u64>,
    /// The accesses of its last step, if they are fewer than planned.
    pub(super) narrowed: Option<Vec<Touch>>,
    /// Its last step in words, if it was not a call.
    pub(super) said: Option<String>,
    /// Of a thread: the address at which the kernel clears its TID when it ends.
    pub(super) clears: Option<u64>,
    /// Of the process: whether it is ending as a whole.
    pub(super) is_ending: bool,
    /// Whether it has executed another program.
    pub(super) has_executed: bool,
    /// The address of a system call instruction in its memory.
    pub(super) enters_at: u64,
    /// Of the process: what its descriptors refer to.
    pub(super) descriptors: DescriptorTable,
    /// Its signal masks, as they were in this turn of the task.
    pub(super) masks: Cell<Option<(u64, Masks)>>,
    /// Signals to deliver when it continues.
    pub(super) signals: Vec<i32>,
    /// Of the process: signals that have been sent and not arrived.
    pub(super) on_the_way: OnTheWay,
    /// Whether it is held because a signal may arrive here.
    pub(super) is_held: bool,
    /// While it is held before the call at whose entry it is, which a signal could interrupt: the plan of the call.
    pub(super) entered: Option<Plan>,
    /// Whether a signal could interrupt the call at whose entry it is.
    pub(super) is_interruptible: bool,
    /// The last call that it was granted, or `begin`.
    pub(super) left: &'static str,
    /// Whether it has not been held since.
    pub(super) is_exposed: bool,
    /// Whether a signal has interrupted its last call.
    pub(super) was_interrupted: bool,
    /// Of the process: whether it, or one from which it descends, has left the process group of the command.
    pub(super) has_left_group: bool,
    /// Of the process: whether a signal may be pending that it ignores.
    pub(super) has_ignored: bool,
    /// Whether it has accessed what its handlers share, or depended on it otherwise, since it last continued.
    pub(super) has_met: bool,
    /// Whether the handler that it runs interrupted nothing but the entry of a call, which it enters again.
    pub(super) enters_again: bool,
    /// The signal handler that it runs, while the handler is traced.
    pub(super) handler: Option<Running>,
    /// Whether the words that it shares with its handlers are watched.
    pub(super) is_watched: bool,
    /// Of the process: whether it has a handler for SIGCHLD.
    pub(super) catches_children: bool,
    /// Of the process: whether that handler is told which child has ended.
    pub(super) sees_sender: bool,
    /// The time limit of the call in which it sleeps, of which the kernel does not know.
    pub(super) limit: Option<TimeLimit>,
    /// Whether a signal that it ignores has interrupted the call in which it sleeps.
    pub(super) sleeps_on: bool,
    /// Whether it is at a sleep that a signal may interrupt.
    pub(super) sleeps: bool,
    /// The number of its steps so far.
    pub(super) steps: usize,
    /// The step count of all others when it last slept: a task that sleeps again without progress waits for some.
    pub(super) slept_at: Option<usize>,
}

impl Task {
    /// Whether it is held before the call at whose entry it is.
    pub(super) fn is_entering(&self) -> bool {
        self.entered.is_some()
    }

    /// Whether it is held where it dies of a signal.
    pub(super) fn is_dying(&self) -> bool {
        self.state == State::Entry && self.row.is_some_and(calls::is_death)
    }

    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, State::Zombie | State::Gone)
    }

    /// Whether it has acquired this lock on a file, as a process or for a description, and not released it.
    pub(super) fn holds(&self, lock: &str) -> bool {
        self.locks.iter().any(|(held, _)| held == lock)
    }
}

/// The state of the execution.
#[derive(Debug)]
pub(super) struct World {
    /// The folder of the execution, as a canonical path.
    pub(super) root: PathBuf,
    pub(super) tasks: Vec<Task>,
    pub(super) by_tid: HashMap<Pid, usize>,
    pub(super) objects: Objects,
    /// The device and inode of the program's standard output and error.
    pub(super) streams: [(u64, u64); 2],
    /// What each process wrote to them, by process name.
    pub(super) output: BTreeMap<String, [Vec<u8>; 2]>,
    /// The uncontrolled actions, and how often each occurred.
    pub(super) uncontrolled: BTreeMap<String, u64>,
    pub(super) limits: Limits,
    pub(super) timeouts: bool,
    pub(super) strict: bool,
    pub(super) noise: NoiseRules,
    /// The number of steps of all tasks.
    pub(super) steps: usize,
    /// The number of bytes written to files and pipes.
    pub(super) written: u64,
    /// Why the execution was cut short.
    pub(super) cut: Option<String>,
    /// Facts that make further calls visible, from this execution or earlier ones. They must be the same in all
    /// executions of a search, which therefore starts again when there is a new one.
    pub(super) learned: BTreeSet<String>,
    /// Whether there is a new one.
    pub(super) has_learned: bool,
    /// The facts that a search in which signals are decisions starts with.
    pub(super) candidates: BTreeSet<String>,
    /// Processes that the schedule has killed.
    pub(super) killed: BTreeSet<String>,
    /// Processes to which the kernel has sent SIGCHLD, with the name of the child that ended.
    pub(super) told: Vec<(usize, String)>,
    /// The virtual times at which each object was last accessed.
    pub(super) times: Times,
    /// Files that were created in this execution.
    pub(super) made: BTreeSet<String>,
    /// Files that a process has mapped for reading.
    pub(super) mapped_files: BTreeSet<Label>,
    /// Files that a process has mapped for writing.
    pub(super) written_maps: Vec<WrittenMap>,
    /// The times that the program itself set on files: since when, and which.
    pub(super) given_times: HashMap<String, (u64, u64)>,
    /// Device and inode of the executable of the template, if it lies in the folder: no process can write to it.
    pub(super) kept: Option<(u64, u64)>,
    /// Whether copies are made no more.
    pub(super) forbids_copies: bool,
    /// Chooses PIDs, if the system allows a namespace.
    pub(super) numbers: Option<Numbers>,
    /// The process whose descriptors were listed last, and its descriptors; `None` once a task has run since.
    pub(super) open: Option<(usize, Vec<i32>)>,
    /// The CPUs that a process is told it may use: those of a free run, although all run on one.
    pub(super) cpus: Vec<usize>,
}

impl World {
    /// Records an uncontrolled action.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        *self.uncontrolled.entry(what.into()).or_insert(0) += 1;
    }

    /// Counts bytes written to a file or a pipe.
    pub(super) fn count_written(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
        if self.written > self.limits.written {
            self.cut = Some(format!("more than {} MiB were written", self.limits.written >> 20));
        }
    }

    /// Records a fact that makes further calls visible.
    pub(super) fn learn(&mut self, fact: String) {
        self.has_learned |= self.learned.insert(fact);
    }

    pub(super) fn task(&self, index: usize) -> &Task {
        &self.tasks[index]
    }

    pub(super) fn tid(&self, index: usize) -> Pid {
        self.tasks[index].tid
    }

    pub(super) fn call(&self, index: usize) -> Call {
        self.tasks[index].call
    }

    /// The process of a task.
    pub(super) fn process(&self, index: usize) -> &Task {
        &self.tasks[self.tasks[index].process]
    }

    pub(super) fn process_mut(&mut self, index: usize) -> &mut Task {
        let process = self.tasks[index].process;
        &mut self.tasks[process]
    }

    /// The children of `process` that are alive or zombies.
    pub(super) fn children(&self, process: usize) -> impl Iterator<Item = usize> + '_ {
        self.tasks.iter().enumerate().filter_map(move |(index, task)| {
            let is_child = task.process == index
                && task.maker.is_some_and(|maker| self.tasks[maker].process == process)
                && task.state != State::Gone;
            is_child.then_some(index)
        })
    }

    /// The process that has this PID, or had it.
    pub(super) fn by_number_of_process(&self, number: i32) -> Option<usize> {
        let number = Pid::from_raw(number);
        let known = self.by_tid.get(&number).copied();
        let task = known.or_else(|| self.tasks.iter().rposition(|task| task.tid == number))?;
        Some(self.tasks[task].process)
    }

    /// The name of the next child of a task, or of the next thread of its process.
    pub(super) fn next_name(&self, maker: usize, is_thread: bool) -> String {
        if is_thread {
            let process = self.process(maker);
            return format!("{}.t{}", process.name, process.born[1] + 1);
        }
        let maker = self.task(maker);
        format!("{}.{}", maker.name, maker.born[0] + 1)
    }

    /// The living tasks of a process.
    pub(super) fn threads(&self, process: usize) -> impl Iterator<Item = usize> + '_ {
        self.tasks
            .iter()
            .enumerate()
            .filter(move |(_, task)| task.process == process && task.is_alive())
            .map(|(index, _)| index)
    }
}
