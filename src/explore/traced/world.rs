//! The processes of one execution, as the tracer knows them: who they are, where they wait, what they share.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use super::calls::{Ends, Row};
use super::limits::Limits;
use super::noise::NoiseRules;
use super::objects::{Objects, Opened};
use super::plan::Plan;
use super::shared::Map;
use super::signals::OnTheWay;
use super::stamps::Times;
use crate::explore::step::{Step, Touch};
use crate::sys::ptrace::namespace::Numbers;

/// A call at whose entry a task is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call {
    /// Its number on this architecture.
    pub(super) number: i64,
    /// Its arguments.
    pub(super) args: [u64; 6],
}

impl Call {
    /// An argument that is a descriptor or another `int`.
    pub(super) fn int(&self, index: usize) -> i32 {
        self.args[index] as i32
    }
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It was made, and has not run yet; whether its first stop was seen.
    Newborn(bool),
    /// It runs: at most one does.
    Running,
    /// It waits at the entry of a visible call.
    Entry,
    /// It sleeps in the kernel, in a call that it was let into.
    Asleep,
    /// It slept, and was woken: it is held at the return.
    Woken,
    /// It made a child by `vfork`, and is frozen until that is another program or ended.
    Frozen,
    /// It is held at the return of a call that needed no decision.
    Returned,
    /// It was stopped by a job-control signal.
    Stopped,
    /// It has ended, and its parent has not waited for it.
    Zombie,
    /// It has ended, and was waited for.
    Gone,
}

/// A process or a thread of the program.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) tid: Pid,
    /// Its place in the tree: `root`, `root.1`, `root.1.t1`.
    pub(super) name: String,
    /// Its number: the same for the same name in every execution.
    pub(super) number: usize,
    /// The task that made it.
    pub(super) maker: Option<usize>,
    /// The index of its process: its own, unless it is a thread.
    pub(super) process: usize,
    pub(super) state: State,
    pub(super) call: Call,
    pub(super) row: Option<&'static Row>,
    pub(super) plan: Option<Plan>,
    /// What the explorer was told of the step at which it waits.
    pub(super) announced: Option<Step>,
    /// The wait status with which it ended.
    pub(super) status: Option<i32>,
    /// Its parent has waited for it.
    pub(super) reaped: bool,
    /// How many children and threads it has made.
    pub(super) born: [usize; 2],
    /// Virtual time since the beginning, in nanoseconds: it passes with its steps and sleeps, and reaches that
    /// of what it depends on.
    pub(super) clock: u64,
    /// How often it asked for the processor time that it has used.
    pub(super) used: u64,
    /// How many random bytes it got.
    pub(super) random: u64,
    /// Of the process: descriptors whose open file description no other process has.
    pub(super) own: BTreeSet<i32>,
    /// Of the process: objects on which it has a lock.
    pub(super) locks: BTreeSet<String>,
    /// The lock that the call at which it is gives up.
    pub(super) gives_up: Option<String>,
    /// Of the process: the shared memory that it can write.
    pub(super) maps: Vec<Map>,
    /// Of the process: how much nameless shared memory it has made.
    pub(super) shared_memories: usize,
    /// Of the process: whether that is protected.
    pub(super) is_protected: bool,
    /// Of the process: whether that is to be protected before it goes on.
    pub(super) protect_due: bool,
    /// The address of protected memory at whose access it waits.
    pub(super) fault: Option<u64>,
    /// What its last step touched, if that is less than was planned.
    pub(super) narrowed: Option<Vec<Touch>>,
    /// What its last step did, in words, if it was no call.
    pub(super) said: Option<String>,
    /// Of a thread: where the kernel clears its number when it ends.
    pub(super) clears: Option<u64>,
    /// Of the process: one of its threads has ended all of them.
    pub(super) is_ending: bool,
    /// It has become another program.
    pub(super) has_executed: bool,
    /// Where it has an instruction that enters the kernel.
    pub(super) enters_at: u64,
    /// Of the process: descriptors that are open on what is not the program's own.
    pub(super) elsewhere: HashMap<i32, Opened>,
    /// Signals to be delivered when it goes on.
    pub(super) signals: Vec<i32>,
    /// Of the process: signals that were sent and have not arrived.
    pub(super) on_the_way: OnTheWay,
    /// It holds still at the return of a call, for a signal may arrive there.
    pub(super) is_held: bool,
    /// The number of its visible steps so far.
    pub(super) steps: usize,
    /// The step count of all others when it last slept: a sleeper that sees no progress waits for some.
    pub(super) slept_at: Option<usize>,
}

impl Task {
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.state, State::Zombie | State::Gone)
    }
}

/// Everything that is known of the execution.
#[derive(Debug)]
pub(super) struct World {
    /// The folder of the execution, without links in its path.
    pub(super) root: PathBuf,
    pub(super) tasks: Vec<Task>,
    pub(super) by_tid: HashMap<Pid, usize>,
    pub(super) objects: Objects,
    /// The device and inode of standard output and error, as the program was given them.
    pub(super) streams: [(u64, u64); 2],
    /// What each process wrote to them, by its name.
    pub(super) output: BTreeMap<String, [Vec<u8>; 2]>,
    /// What was not under control: what, and how often.
    pub(super) uncontrolled: BTreeMap<String, u64>,
    pub(super) limits: Limits,
    pub(super) timeouts: bool,
    pub(super) strict: bool,
    pub(super) noise: NoiseRules,
    /// Visible steps of all tasks.
    pub(super) steps: usize,
    /// Why the execution was cut short.
    pub(super) cut: Option<String>,
    /// What was found out, in this execution or before, that makes further calls visible. It must be the
    /// same in all executions of a search, which therefore begins anew when it grows.
    pub(super) learned: BTreeSet<String>,
    /// Whether it has grown.
    pub(super) has_learned: bool,
    /// What a search in which signals are decisions has to know from the beginning.
    pub(super) candidates: BTreeSet<String>,
    /// Processes that a signal of the kernel tells of the end of a child, by the child's name.
    pub(super) told: Vec<(usize, String)>,
    /// When each object was last accessed, in virtual time.
    pub(super) times: Times,
    /// Files that were made in this execution.
    pub(super) made: BTreeSet<String>,
    /// The times that the program itself gave files: since when, and which.
    pub(super) given_times: HashMap<String, (u64, u64)>,
    /// Where numbers of processes are chosen, if that is allowed.
    pub(super) numbers: Option<Numbers>,
    /// The ends of pipes that processes have, while none of them has run since they were looked up.
    pub(super) ends: Option<Ends>,
}

impl World {
    /// Notes something that is not under control.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        *self.uncontrolled.entry(what.into()).or_insert(0) += 1;
    }

    /// Remembers a fact that makes further calls visible.
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

    /// The processes that `process` has made and that are alive or zombies.
    pub(super) fn children(&self, process: usize) -> impl Iterator<Item = usize> + '_ {
        self.tasks.iter().enumerate().filter_map(move |(index, task)| {
            let is_child = task.process == index
                && task.maker.is_some_and(|maker| self.tasks[maker].process == process)
                && task.state != State::Gone;
            is_child.then_some(index)
        })
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
