//! A watch: the processes of a command as they live.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::watch::model::WatchReport;
use crate::sys::pid::Pid;

/// The beginning of a watch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WatchBegin {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Its PID.
    pub root: Pid,
    /// The process that watches it, which adopts its orphans.
    pub watcher: Pid,
    /// The source of the data.
    pub tier: String,
    /// What that source shows and what it does not.
    pub resolution: String,
    /// Why each better source is unavailable, in a sentence.
    pub refusals: Vec<String>,
}

/// What has changed since the last tick. Each item is new or replaces the one with the same number.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Tick {
    /// The moment up to which everything is included.
    pub now_ns: u64,
    /// Processes that are new or have changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneView>,
    /// Pieces of time that have ended: the lane, then `[from, to, state, what it waited for, shares]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<(u64, Vec<PieceView>)>,
    /// Events that the program reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteView>,
    /// What the program wrote to its standard output and error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Who waits for whom now: the waiting process and the one that it waits for. Absent if unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<Vec<(Pid, Pid)>>,
    /// The present deadlocks. Absent if unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadlocks: Option<Vec<DeadlockView>>,
    /// Records that the kernel could not write: times may be wrong.
    pub lost: u64,
    /// Processes so far.
    pub processes: u64,
    /// Those of them that are not shown: of too many, the processes that were reaped first.
    pub left_out: u64,
}

/// One process of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneView {
    /// Its number in this watch: a PID may be used again.
    pub id: u64,
    /// Its PID.
    pub pid: Pid,
    /// Its parent's.
    pub ppid: Pid,
    /// Its name.
    pub name: String,
    /// When it began.
    pub started_ns: u64,
    /// When it ended.
    pub ended_ns: Option<u64>,
    /// When it was reaped, at the latest.
    pub reaped_ns: Option<u64>,
    /// Its state.
    pub state: String,
    /// Since when.
    pub since_ns: u64,
    /// What it is blocked on.
    pub wait: Option<String>,
    /// How it ended, as Python's `exitcode`.
    pub exit: Option<i32>,
    /// The parent that it lost.
    pub orphan_of: Option<Pid>,
}

/// A piece of time: from, to, the letter of the state (`r`unning, read`y`, `b`locked, `s`topped, `z`ombie, `u`nknown),
/// what it waited for, and of joined pieces the shares of running, ready, blocked and stopped in percent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PieceView(pub u64, pub u64, pub char, pub Option<String>, pub Option<[u8; 4]>);

/// An event that a process reported.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NoteView {
    /// When.
    pub at_ns: u64,
    /// Which process.
    pub pid: Pid,
    /// Its name in the scenario.
    pub process: String,
    /// What, in a word.
    pub what: String,
    /// What, in words.
    pub text: String,
    /// The lock that it holds from now on (`true`) or releases (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<(String, bool)>,
    /// The queue that it has put a message into (1) or taken one out of (-1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<(String, i8)>,
}

/// A present deadlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeadlockView {
    /// Since when.
    pub from_ns: u64,
    /// The processes in it.
    pub pids: Vec<Pid>,
    /// What each of the circle waits for.
    pub waits: Vec<WaitView>,
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaitView {
    /// Its process.
    pub pid: Pid,
    /// The thread; the PID for the main thread.
    pub tid: Pid,
    /// What it waits for, as `watch` names it.
    pub on: String,
}

/// The end of a watch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WatchOver {
    /// The report that `proclab watch --format json` prints.
    pub report: WatchReport,
    /// For a scenario, the records that `proclab run --format json` prints.
    pub records: Vec<serde_json::Value>,
    /// The watch was stopped before the program had ended.
    pub stopped: bool,
}
