//! The result of a watch, as plain data: reports are made from it alone.

use super::hangs::Hang;
use crate::observe::notes::Note;
use crate::observe::tier::{Refusal, Tier};
use crate::observe::timeline::{Process, Timeline};
use crate::observe::waits::Described;
use crate::process::Exit;
use crate::sys::pid::Pid;

/// All open descriptors at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When.
    pub at_ns: u64,
    /// The descriptors, by process.
    pub open: Vec<Described>,
}

/// The result of a watch.
#[derive(Debug)]
pub struct Observed {
    /// The source.
    pub tier: Tier,
    /// Why it is not a better one.
    pub refusals: Vec<Refusal>,
    /// The PID of the command or process.
    pub root: Pid,
    /// How the command ended.
    pub exit: Option<Exit>,
    /// The machine's CPUs.
    pub n_cpus: u64,
    /// Records read from the kernel.
    pub n_records: u64,
    /// Records that the kernel could not write.
    pub n_lost: u64,
    /// Every process, its states and its sums.
    pub timeline: Timeline,
    /// The deadlocks.
    pub hangs: Vec<Hang>,
    /// The open descriptors at the requested time, if the watch lasted that long.
    pub descriptors: Option<Snapshot>,
    /// The longest time between two reads of `/proc`: rounds of reads beside records, or samples without them.
    pub longest_gap_ns: u64,
    /// What the program reported about itself.
    pub notes: Vec<Note>,
}

impl Observed {
    /// What was observed of process `root` if there is only a timeline.
    #[cfg(test)]
    pub(crate) fn of(root: Pid, timeline: Timeline) -> Self {
        Self {
            tier: Tier::Exact,
            refusals: Vec::new(),
            root,
            exit: None,
            n_cpus: 1,
            n_records: 0,
            n_lost: 0,
            timeline,
            hangs: Vec::new(),
            descriptors: None,
            longest_gap_ns: 0,
            notes: Vec::new(),
        }
    }

    /// The start of the first process, from which a run counts.
    pub fn origin_ns(&self) -> u64 {
        origin_ns(&self.timeline)
    }

    /// When the last process was reaped, or the time of the last event if one was not. A live view may stay open for long
    /// after that.
    pub fn end_ns(&self) -> u64 {
        let reaped_ns = |process: &Process| process.reaping.map(|reaping| reaping.not_after_ns);
        let ends: Option<Vec<u64>> =
            self.timeline.processes().map(|(_, process)| reaped_ns(process)).collect();
        ends.and_then(|ends| ends.into_iter().max()).unwrap_or(self.timeline.now_ns())
    }
}

/// The start of a timeline's first process, from which a run counts.
pub fn origin_ns(timeline: &Timeline) -> u64 {
    timeline.origin_ns()
}
