//! A watched run as plain data; its JSON form is the schema `watch`.

use crate::sys::pid::Pid;
use schemars::JsonSchema;
use serde::Serialize;

use super::compare::Comparison;
use super::lanes::Drawing;
use crate::observe::event::State;
use crate::observe::tier::Tier;

/// A watched run. All times are nanoseconds; moments count from the run's beginning.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WatchReport {
    /// Three sentences: where the time went and why, how many CPUs were in use, what was amiss.
    pub summary: Vec<String>,
    /// Where the knowledge comes from.
    pub tier: Tier,
    /// What that source can tell and what it cannot.
    pub resolution: String,
    /// Why no better source was available.
    pub why_not_better: Vec<TierRefusal>,
    /// The command, or nothing for a process that ran already.
    pub command: Option<Vec<String>>,
    /// The PID of the command or process.
    pub pid: Pid,
    /// How the command ended, as Python's `exitcode`: its code, or a signal's number made negative.
    pub exit: Option<i32>,
    /// The run's beginning on `CLOCK_MONOTONIC`.
    pub origin_ns: u64,
    /// From the beginning to the end of the watch.
    pub wall_ns: u64,
    /// Records read from the kernel.
    pub records: u64,
    /// Records that the kernel could not write: with any of these, times may be wrong.
    pub lost_records: u64,
    /// Spans of time shorter than this may have been joined to bound memory; sums stay exact. 0: none were.
    pub joined_below_ns: u64,
    /// The check of the records' times against the kernel's own sums.
    pub conservation: Conservation,
    /// How the processes were scheduled.
    pub scheduling: Scheduling,
    /// The schedule beside those of other policies, where that was asked for.
    pub comparison: Option<Comparison>,
    /// All open descriptors at one moment, where that was asked for and the watch lasted so long.
    pub descriptors: Option<DescriptorsReport>,
    /// Signals that were sent to the processes; only the root tier sees them.
    pub signals: Vec<SignalReport>,
    /// Every process of the run, in the order of their starts.
    pub processes: Vec<ProcessReport>,
    /// Processes beyond the number that is kept: only counted.
    pub folded_processes: u64,
    /// Sets of processes that could only wait for each other.
    pub deadlocks: Vec<DeadlockReport>,
    /// The states of each process over time, to be drawn.
    pub timeline: Option<Drawing>,
}

/// Why a better tier is unavailable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TierRefusal {
    /// That tier.
    pub tier: Tier,
    /// Why not.
    pub why: String,
}

/// Whether run + ready + blocked = wall holds by two independent sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conservation {
    /// Processes whose threads could be compared with `schedstat` at some moment of their life.
    pub checked: usize,
    /// Those of them within their tolerance.
    pub holding: usize,
    /// The largest difference; of those that are not within it, if there are any.
    pub largest_difference_ns: u64,
    /// The tolerance of the process with the largest difference: see the check of each process.
    pub tolerance_ns: u64,
    /// How long the process with the largest difference had lived when it was compared.
    pub of_ns: u64,
}

/// One process's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProcessReport {
    /// Its PID.
    pub pid: Pid,
    /// Its parent when it was last seen.
    pub ppid: Pid,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its command line, where it was seen.
    pub command: Option<String>,
    /// Its process group, where it was seen.
    pub pgid: Option<Pid>,
    /// Its session, where it was seen.
    pub session: Option<Pid>,
    /// Its state when the watch ended.
    pub state: State,
    /// How it ended, as Python's `exitcode`: its code, or a signal's number made negative; nothing while it
    /// lives, or when it was reaped before its status was read.
    pub exit: Option<i32>,
    /// It ran before the watch began: its times count from there.
    pub found: bool,
    /// From here on the kernel recorded nothing of it, as after an exec that gains privileges: its times after
    /// this come from `/proc`, where they are sums between two looks; `unknown_ns` where that shows nothing.
    pub unrecorded_since_ns: Option<u64>,
    /// When it was forked.
    pub started_ns: u64,
    /// When its last thread ended.
    pub ended_ns: Option<u64>,
    /// When it was reaped, at the latest.
    pub reaped_ns: Option<u64>,
    /// Who reaped it: its parent at that time; nothing if that ignored SIGCHLD, for then no process does.
    pub reaped_by: Option<Pid>,
    /// How long it lived, or has lived.
    pub life_ns: u64,
    /// Its threads had a CPU, all threads added up as in the next four: for a process with one thread these five
    /// add up to its life.
    pub running_ns: u64,
    /// They could run and waited for a CPU. The part between being woken and running is included, where
    /// `ready_is_lower_bound` does not say otherwise.
    pub ready_ns: u64,
    /// They waited for something else.
    pub blocked_ns: u64,
    /// They were stopped.
    pub stopped_ns: u64,
    /// In an unknown state.
    pub unknown_ns: u64,
    /// The delay of some wake-ups is in `blocked_ns`, for the kernel's sums of a thread could not be read.
    pub ready_is_lower_bound: bool,
    /// From its beginning until it first had a CPU, where that was recorded.
    pub response_ns: Option<u64>,
    /// Ended and not reaped, at the longest.
    pub zombie_ns: u64,
    /// Ended and not reaped, at the shortest: the two are one where the reaping was seen to the moment.
    pub zombie_at_least_ns: u64,
    /// CPU time of all threads together: `running_ns` under another name.
    pub cpu_ns: u64,
    /// The part of ready that records do not show and the kernel's own sums do. Nothing where no sum could be
    /// read.
    pub wake_delay_ns: Option<u64>,
    /// Times that a thread got a CPU.
    pub turns: u64,
    /// Times that the CPU was taken away from a thread that could have gone on.
    pub preempted: u64,
    /// The number of threads that it has had in all.
    pub n_threads: u32,
    /// Its threads that are listed.
    pub threads: Vec<ThreadReport>,
    /// Programs that it became.
    pub execs: Vec<ExecReport>,
    /// It lost its parent.
    pub orphan: Option<OrphanReport>,
    /// What its main thread was blocked on, the longest first; the others' waits are theirs.
    pub waits: Vec<WaitReport>,
    /// The comparison with the kernel's sums, of the thread that differs most.
    pub check: Option<CheckReport>,
}

/// One thread. Its states add up to its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ThreadReport {
    /// Its TID; the main thread's is the PID.
    pub tid: Pid,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its state when the watch ended.
    pub state: State,
    /// When it began, or was found.
    pub started_ns: u64,
    /// When it ended.
    pub ended_ns: Option<u64>,
    /// On a CPU.
    pub running_ns: u64,
    /// In line for one.
    pub ready_ns: u64,
    /// Waiting for something else.
    pub blocked_ns: u64,
    /// Stopped.
    pub stopped_ns: u64,
    /// In an unknown state.
    pub unknown_ns: u64,
    /// As of a process.
    pub ready_is_lower_bound: bool,
    /// Times that it got a CPU.
    pub turns: u64,
    /// Times that the CPU was taken away while it could have gone on.
    pub preempted: u64,
    /// What it was blocked on, the longest first.
    pub waits: Vec<WaitReport>,
}

/// All open descriptors at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DescriptorsReport {
    /// When.
    pub at_ns: u64,
    /// The descriptors, process by process.
    pub open: Vec<DescriptorReport>,
}

/// An open descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DescriptorReport {
    /// Whose.
    pub pid: Pid,
    /// The process's name.
    pub name: String,
    /// Its number.
    pub fd: u32,
    /// It can be read from.
    pub reads: bool,
    /// It can be written to.
    pub writes: bool,
    /// What it stands for.
    pub what: String,
    /// Who holds the other end of a pipe or socket; nothing for what has none, or where it is not known.
    pub others: Option<Vec<Pid>>,
    /// The same in words.
    pub other_end: String,
}

/// A signal was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SignalReport {
    /// When.
    pub at_ns: u64,
    /// Its name.
    pub signal: String,
    /// The thread that sent it, or on whose CPU the kernel did.
    pub from: Pid,
    /// The thread or process that it was sent to.
    pub to: Pid,
}

/// A process became another program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExecReport {
    /// When.
    pub at_ns: u64,
    /// The program's name.
    pub name: String,
}

/// A process lost its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OrphanReport {
    /// When.
    pub at_ns: u64,
    /// The parent that ended.
    pub old_parent: Pid,
    /// The process that adopted it.
    pub new_parent: Option<Pid>,
}

/// What a process was blocked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitReport {
    /// In words; `not seen` for times too short to ask.
    pub on: String,
    /// How often.
    pub times: u64,
    /// How long in all.
    pub ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

/// Two sources of one thread's times, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckReport {
    /// When.
    pub at_ns: u64,
    /// On a CPU by the records.
    pub recorded_running_ns: u64,
    /// On a CPU by the kernel's sums.
    pub kernel_running_ns: u64,
    /// In line for a CPU by the records.
    pub recorded_ready_ns: u64,
    /// In line for a CPU by the kernel's sums.
    pub kernel_ready_ns: u64,
    /// Times that it got a CPU by the records.
    pub recorded_turns: u64,
    /// Times that it got a CPU by the kernel.
    pub kernel_turns: u64,
    /// How far the two are apart, but for the delay from being woken to running, which records do not show.
    pub difference_ns: u64,
    /// How long it had lived then.
    pub wall_ns: u64,
    /// What is allowed, at most 1 ms and 2 % of the life: 20 µs for each turn (the switch itself), 0.05 % of the life so far (two clocks), what
    /// was not recorded of its end, 0.1 ms, and if the records have more, what the hypervisor took away.
    pub tolerance_ns: u64,
    /// Whether it is kept, and the turns are the same.
    pub holds: bool,
}

/// A set of threads that could only wait for each other, or one that no other could let go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadlockReport {
    /// When the last one of the circle went to sleep.
    pub from_ns: u64,
    /// When it ended; nothing if it lasted to the end of the watch.
    pub to_ns: Option<u64>,
    /// The threads that wait for each other, by TID; a main thread's is its process's PID.
    pub circle: Vec<Pid>,
    /// Those that wait for the circle.
    pub behind: Vec<Pid>,
    /// What each one of the circle waits for.
    pub waits: Vec<HeldUp>,
}

/// One thread of a deadlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldUp {
    /// Its process.
    pub pid: Pid,
    /// The thread.
    pub tid: Pid,
    /// What it waits for.
    pub on: String,
}

/// How the processes of a run were scheduled. Averages are over those that began and ended while they were
/// watched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Scheduling {
    /// Processes that began and ended while they were watched.
    pub processes: u64,
    /// Average time from a process's beginning to its end.
    pub turnaround_ns: u64,
    /// Average time from a process's beginning until it first had a CPU; nothing where that is not recorded.
    pub response_ns: Option<u64>,
    /// Average time in line for a CPU.
    pub waiting_ns: u64,
    /// Average time on a CPU.
    pub cpu_ns: u64,
    /// Average time blocked or stopped.
    pub io_ns: u64,
    /// The part of the machine's CPUs that the processes used, from 0 to 1.
    pub utilisation: f64,
    /// CPUs of the machine.
    pub cpus: u64,
    /// Processes that ended, per second.
    pub throughput: f64,
    /// Jain's index over the part that each process got of the CPU time that it wanted (running / (running +
    /// ready)): 1 when all got the same part, 1/n when one got everything.
    pub fairness: f64,
}
