//! A watched run as plain data; its JSON form is the schema `watch`.

use crate::said::Said;
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
    /// Three sentences: where the time went and why, how many CPUs were used, which problems there were.
    pub summary: Vec<Said>,
    /// The source of information.
    pub tier: Tier,
    /// What that source shows and what it does not.
    pub resolution: String,
    /// Why no better source was available.
    pub why_not_better: Vec<TierRefusal>,
    /// The command; absent for a process that was already running.
    pub command: Option<Vec<String>>,
    /// The PID of the command or process.
    pub pid: Pid,
    /// How the command ended, as Python's `exitcode`: its code, or a signal's number made negative.
    pub exit: Option<i32>,
    /// The start of the run on `CLOCK_MONOTONIC`.
    pub origin_ns: u64,
    /// From the start to the end of the watch.
    pub wall_ns: u64,
    /// Records read from the kernel.
    pub records: u64,
    /// Records that the kernel could not write: if there are any, times may be wrong.
    pub lost_records: u64,
    /// The longest time between two reads of `/proc`: a wait or stop that is over sooner may be missed. 0: there were none.
    pub longest_gap_ns: u64,
    /// Spans shorter than this may have been joined to bound memory; sums stay exact. 0: none were.
    pub joined_below_ns: u64,
    /// The check of the records' times against the kernel's own sums.
    pub conservation: Conservation,
    /// How the processes were scheduled.
    pub scheduling: Scheduling,
    /// The schedule beside those of other policies, if requested.
    pub comparison: Option<Comparison>,
    /// All open descriptors at one time, if requested and the watch lasted that long.
    pub descriptors: Option<DescriptorsReport>,
    /// Signals that were sent to the processes; root tier only.
    pub signals: Vec<SignalReport>,
    /// Every process of the run, in the order of start.
    pub processes: Vec<ProcessReport>,
    /// Processes beyond the number that is kept: only counted.
    pub folded_processes: u64,
    /// The sums of these, if there are any; all other sums and averages include them.
    pub folded: Option<FoldedReport>,
    /// Reasons for waits beyond the number that is kept: the waits are listed under their kinds, as `a child`.
    pub forgotten_waits: u64,
    /// Sets of threads that could only wait for each other.
    pub deadlocks: Vec<DeadlockReport>,
    /// For which part of the blocked time the reason is known; absent if for all of it.
    pub known_reasons: Option<KnownReasons>,
    /// The states of each process over time.
    pub timeline: Option<Drawing>,
}

/// Sums over processes that are only counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoldedReport {
    /// How many.
    pub processes: u64,
    /// Time on a CPU.
    pub running_ns: u64,
    /// Time in the run queue.
    pub ready_ns: u64,
    /// Time blocked.
    pub blocked_ns: u64,
    /// Time stopped.
    pub stopped_ns: u64,
    /// Time alive in an unknown state.
    pub unknown_ns: u64,
    /// Time as zombies, at most.
    pub zombie_ns: u64,
    /// How often they got a CPU.
    pub turns: u64,
    /// How many lost their parents.
    pub orphans: u64,
}

/// For which part of the blocked time the reason is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KnownReasons {
    /// The blocked time of all threads.
    pub blocked_ns: u64,
    /// The part of it whose reason was not seen.
    pub not_seen_ns: u64,
    /// The longest wait whose reason was not seen.
    pub longest_ns: u64,
    /// The thread that waited.
    pub tid: Pid,
    /// The name of its process.
    pub name: String,
}

/// Why a better tier is unavailable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TierRefusal {
    /// The tier.
    pub tier: Tier,
    /// The reason.
    pub why: String,
}

/// Whether run + ready + blocked = wall holds by two independent sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conservation {
    /// Processes whose threads could be compared with `schedstat`.
    pub checked: usize,
    /// Those of them within their tolerance.
    pub holding: usize,
    /// The largest difference, among those outside of their tolerance if there are any.
    pub largest_difference_ns: u64,
    /// The tolerance of the process with the largest difference: see the check of each process.
    pub tolerance_ns: u64,
    /// The lifetime of the process with the largest difference when it was compared.
    pub of_ns: u64,
}

/// The life of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProcessReport {
    /// Its PID.
    pub pid: Pid,
    /// Its last known parent.
    pub ppid: Pid,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Its command line, if it was read.
    pub command: Option<String>,
    /// Its process group, if it was read.
    pub pgid: Option<Pid>,
    /// Its session, if it was read.
    pub session: Option<Pid>,
    /// Its state when the watch ended.
    pub state: State,
    /// How it ended, as Python's `exitcode`: its code, or a signal's number made negative; absent while it is alive, or if
    /// it was reaped before its status was read.
    pub exit: Option<i32>,
    /// It was already running when the watch began: its times count from there.
    pub found: bool,
    /// From this time on the kernel recorded nothing of it, as after an exec that gains privileges: later times come from
    /// samples, or are `unknown_ns` where `/proc` shows nothing.
    pub unrecorded_since_ns: Option<u64>,
    /// When it was forked.
    pub started_ns: u64,
    /// When its last thread ended.
    pub ended_ns: Option<u64>,
    /// When it was reaped, at the latest.
    pub reaped_ns: Option<u64>,
    /// The process that reaped it: its parent at that time; absent if the parent ignored SIGCHLD, as no process reaped it
    /// then.
    pub reaped_by: Option<Pid>,
    /// Its lifetime, so far or to its end.
    pub life_ns: u64,
    /// Its threads had a CPU. This and the next four are sums over all threads; for a process with one thread they add up
    /// to its lifetime.
    pub running_ns: u64,
    /// They could run and waited for a CPU, wake-up delays included unless `ready_is_lower_bound`.
    pub ready_ns: u64,
    /// They waited for something else.
    pub blocked_ns: u64,
    /// They were stopped.
    pub stopped_ns: u64,
    /// They were in an unknown state.
    pub unknown_ns: u64,
    /// Some wake-up delays are in `blocked_ns`, because the kernel's sums of a thread could not be read.
    pub ready_is_lower_bound: bool,
    /// From its start until it first had a CPU, if that was recorded.
    pub response_ns: Option<u64>,
    /// Ended and not reaped, at most.
    pub zombie_ns: u64,
    /// Ended and not reaped, at least: equal to `zombie_ns` if the time of the reaping is known.
    pub zombie_at_least_ns: u64,
    /// CPU time of all threads together: `running_ns` under another name.
    pub cpu_ns: u64,
    /// The part of ready that records do not show and the kernel's own sums do. Absent if the sums could not be read.
    pub wake_delay_ns: Option<u64>,
    /// How often a thread got a CPU.
    pub turns: u64,
    /// How often a thread lost the CPU while it could have continued.
    pub preempted: u64,
    /// The total number of threads that it has had.
    pub n_threads: u32,
    /// Its threads that are listed.
    pub threads: Vec<ThreadReport>,
    /// Programs that it executed.
    pub execs: Vec<ExecReport>,
    /// It lost its parent.
    pub orphan: Option<OrphanReport>,
    /// What its main thread was blocked on, the longest first; other threads have their own waits.
    pub waits: Vec<WaitReport>,
    /// The comparison with the kernel's sums, of the thread that differs most.
    pub check: Option<CheckReport>,
}

/// One thread. Its states add up to its lifetime.
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
    /// In the run queue.
    pub ready_ns: u64,
    /// Waiting for something else.
    pub blocked_ns: u64,
    /// Stopped.
    pub stopped_ns: u64,
    /// They were in an unknown state.
    pub unknown_ns: u64,
    /// As for a process.
    pub ready_is_lower_bound: bool,
    /// How often it got a CPU.
    pub turns: u64,
    /// How often it lost the CPU while it could have continued.
    pub preempted: u64,
    /// What it was blocked on, the longest first.
    pub waits: Vec<WaitReport>,
}

/// All open descriptors at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DescriptorsReport {
    /// When.
    pub at_ns: u64,
    /// The descriptors, by process.
    pub open: Vec<DescriptorReport>,
}

/// An open descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DescriptorReport {
    /// The process.
    pub pid: Pid,
    /// The process's name.
    pub name: String,
    /// Its number.
    pub fd: u32,
    /// It can be read from.
    pub reads: bool,
    /// It can be written to.
    pub writes: bool,
    /// What it refers to.
    pub what: String,
    /// The processes that hold the other end of a pipe or socket; absent if there is none, or it is not known.
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
    /// The thread that sent it; 0 for the kernel itself (a timer, a fault, a terminal).
    pub from: Pid,
    /// The thread or process that it was sent to.
    pub to: Pid,
}

/// A process executed another program.
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
    /// The parent that ended; 0 if the process was found after that (sampled tier).
    pub old_parent: Pid,
    /// The process that adopted it.
    pub new_parent: Option<Pid>,
}

/// What a thread was blocked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitReport {
    /// In words; `not seen` for waits that were over before they were read.
    pub on: String,
    /// How often.
    pub times: u64,
    /// The total, at most: in the exact tier it includes the wake-up delays.
    pub ns: u64,
    /// The total, at least: without all wake-up delays of the thread. 0 if these are not known (`ready_is_lower_bound`).
    pub at_least_ns: u64,
    /// The longest, at most.
    pub longest_ns: u64,
}

/// Two sources of one thread's times, at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckReport {
    /// When.
    pub at_ns: u64,
    /// On a CPU by the records.
    pub recorded_running_ns: u64,
    /// On a CPU by the kernel's sums.
    pub kernel_running_ns: u64,
    /// In the run queue by the records.
    pub recorded_ready_ns: u64,
    /// In the run queue by the kernel's sums.
    pub kernel_ready_ns: u64,
    /// How often it got a CPU by the records.
    pub recorded_turns: u64,
    /// How often it got a CPU by the kernel.
    pub kernel_turns: u64,
    /// The difference, without wake-up delays, which records do not show.
    pub difference_ns: u64,
    /// Its lifetime at that time.
    pub wall_ns: u64,
    /// The permitted difference, at most 1 ms plus 2 % of the lifetime: 20 µs per turn (the switch itself), 0.05 % of the
    /// lifetime (two clocks), the unrecorded part of its end, 0.1 ms and, if the records have more, stolen time.
    pub tolerance_ns: u64,
    /// Whether the difference is within it, and the turns are the same.
    pub holds: bool,
}

/// A set of threads that could only wait for each other, or a thread whose wait no other thread could end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadlockReport {
    /// When the last one of the circle went to sleep.
    pub from_ns: u64,
    /// When it ended; absent if it lasted to the end of the watch.
    pub to_ns: Option<u64>,
    /// The threads that wait for each other, by TID; a main thread's is its process's PID.
    pub circle: Vec<Pid>,
    /// Threads that wait for the circle.
    pub behind: Vec<Pid>,
    /// What each thread of the circle waits for.
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

/// How the processes of a run were scheduled. Averages are over processes that began and ended under the watch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Scheduling {
    /// Processes that began and ended under the watch.
    pub processes: u64,
    /// Average time from the start of a process to its end.
    pub turnaround_ns: u64,
    /// Average time from the start of a process until it first had a CPU; absent if that is not recorded.
    pub response_ns: Option<u64>,
    /// Average time in the run queue.
    pub waiting_ns: u64,
    /// Average time on a CPU.
    pub cpu_ns: u64,
    /// Average time blocked or stopped.
    pub io_ns: u64,
    /// The share of the machine's CPUs that the processes used, from 0 to 1.
    pub utilisation: f64,
    /// CPUs of the machine.
    pub cpus: u64,
    /// Processes that ended, per second.
    pub throughput: f64,
    /// Jain's index of the share that each process got of the CPU time that it wanted (running / (running + ready)): 1 if
    /// all got the same share, 1/n if one got everything.
    pub fairness: f64,
}
