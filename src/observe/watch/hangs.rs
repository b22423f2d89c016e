//! Deadlocks while they last: suspected from what is known, confirmed by reading it again.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet};

use super::breakers::{can_break_a_circle, can_end_its_own_wait};
use crate::observe::event::State;
use crate::observe::sampler::scene;
use crate::observe::timeline::{Process, Thread, Timeline};
use crate::observe::waits::{Deadlock, Ends, deadlocks, probe};

/// A deadlock, from its beginning to its end or to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hang {
    /// When the last of the circle went to sleep.
    pub from_ns: u64,
    /// When it ended: a thread of it was killed, or it was no deadlock after all.
    pub to_ns: Option<u64>,
    /// Which thread waits for which.
    pub deadlock: Deadlock,
    /// What each thread of the circle waits for.
    pub waits: Vec<HeldUp>,
}

/// One thread of a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldUp {
    /// Its process.
    pub pid: Pid,
    /// The thread.
    pub tid: Pid,
    /// Its process's name.
    pub name: String,
    /// What it waits for, in words.
    pub on: String,
}

/// The deadlocks of a run.
#[derive(Debug, Default)]
pub(super) struct Hangs {
    pub(super) all: Vec<Hang>,
    /// Deadlocks found once, with the turns of their members.
    suspects: Vec<(Deadlock, Vec<u64>)>,
}

/// Deadlocks of one run that are listed.
const MOST: usize = 64;

impl Hangs {
    /// Looks for deadlocks. A deadlock is reported when it is found twice in a row, if no thread of it had a CPU in between
    /// and every wait of it has been read again.
    pub(super) fn look(&mut self, timeline: &Timeline, watcher: Pid, now_ns: u64) {
        let found = deadlocks(&known_waits(timeline));
        for hang in self.all.iter_mut().filter(|hang| hang.to_ns.is_none()) {
            if !found.contains(&hang.deadlock) {
                hang.to_ns = Some(broken_ns(hang, timeline).unwrap_or(now_ns));
            }
        }
        let is_told = |deadlock: &Deadlock| {
            self.all.iter().any(|hang| hang.to_ns.is_none() && hang.deadlock == *deadlock)
        };
        let turns = |deadlock: &Deadlock| {
            members(deadlock).filter_map(|tid| Some(timeline.thread(tid)?.1.turns)).collect()
        };
        let found: Vec<(Deadlock, Vec<u64>)> = found
            .into_iter()
            .filter(|deadlock| !is_told(deadlock))
            .map(|deadlock| (deadlock.clone(), turns(&deadlock)))
            .collect();
        for (deadlock, _) in found.iter().filter(|suspect| self.suspects.contains(suspect)) {
            if self.all.len() < MOST && confirmed(deadlock, timeline, watcher) {
                self.all.push(hang(deadlock, timeline));
            }
        }
        self.suspects = found;
    }
}

/// When the first thread of a circle left its wait: it ended, or has had a CPU since.
fn broken_ns(hang: &Hang, timeline: &Timeline) -> Option<u64> {
    let left_ns = |one: &HeldUp| {
        let threads = &timeline.by_pid(one.pid)?.threads;
        let thread = threads.iter().find(|thread| thread.tid == one.tid)?;
        Some(thread.ended_ns.unwrap_or(thread.since_ns)).filter(|at_ns| *at_ns > hang.from_ns)
    };
    hang.waits.iter().filter_map(left_ns).min()
}

fn members(deadlock: &Deadlock) -> impl Iterator<Item = Pid> {
    deadlock.circle.iter().chain(&deadlock.behind).copied()
}

/// The threads that could end the wait of each thread that cannot be released from outside.
fn known_waits(timeline: &Timeline) -> BTreeMap<Pid, BTreeSet<Pid>> {
    let threads = timeline
        .living()
        .flat_map(|(_, process)| process.threads.iter().map(move |thread| (process, thread)));
    threads
        .filter(|(_, thread)| thread.is_alive())
        .filter_map(|(process, thread)| Some((thread.tid, enders(process, thread, timeline)?)))
        .collect()
}

/// The threads that could end a thread's wait; the thread itself, if none could. `None` if it may be ended from outside.
fn enders(process: &Process, thread: &Thread, timeline: &Timeline) -> Option<BTreeSet<Pid>> {
    if thread.state != State::Blocked || process.unrecorded_since_ns.is_some() {
        return None;
    }
    expand(&timeline.wait(thread.wait)?.ends, thread.tid, timeline)
}

fn expand(ends: &Ends, tid: Pid, timeline: &Timeline) -> Option<BTreeSet<Pid>> {
    let mut all = BTreeSet::new();
    match ends {
        Ends::Outside => return None,
        Ends::Threads(tids) => all.extend(tids),
        Ends::Only(pids) => {
            for pid in pids {
                // A process that is not in the timeline, or that has ended, is not considered.
                let process = timeline.by_pid(*pid).filter(|process| process.is_alive())?;
                let living = process.threads.iter().filter(|thread| thread.is_alive());
                all.extend(living.map(|thread| thread.tid).filter(|other| *other != tid));
            }
        }
    }
    if all.is_empty() {
        all.insert(tid);
    }
    Some(all)
}

fn confirmed(deadlock: &Deadlock, timeline: &Timeline, watcher: Pid) -> bool {
    let scene = scene(timeline, watcher);
    let inside: BTreeSet<Pid> = members(deadlock).collect();
    let still_waits = |tid: Pid| {
        let (process, thread) = timeline.thread(tid)?;
        let ends = expand(&probe(process.pid, thread.tid, &scene)?.ends, tid, timeline)?;
        Some(ends.iter().all(|tid| inside.contains(tid)))
    };
    if !members(deadlock).all(|tid| still_waits(tid) == Some(true)) {
        return false;
    }
    let pids: BTreeSet<Pid> = members(deadlock).filter_map(|tid| Some(timeline.thread(tid)?.0.pid)).collect();
    let circle: BTreeSet<Pid> =
        deadlock.circle.iter().filter_map(|tid| Some(timeline.thread(*tid)?.0.pid)).collect();
    let alone = circle.len() == 1;
    let ends_itself = alone && circle.iter().any(|pid| can_end_its_own_wait(*pid));
    let broken = ends_itself || pids.iter().any(|pid| can_break_a_circle(*pid));
    !broken
}

fn hang(deadlock: &Deadlock, timeline: &Timeline) -> Hang {
    let circle: Vec<(&Process, &Thread)> =
        deadlock.circle.iter().filter_map(|tid| timeline.thread(*tid)).collect();
    Hang {
        from_ns: circle.iter().map(|(_, thread)| thread.since_ns).max().unwrap_or(0),
        to_ns: None,
        deadlock: deadlock.clone(),
        waits: circle
            .iter()
            .map(|(process, thread)| HeldUp {
                pid: process.pid,
                tid: thread.tid,
                name: process.name.clone(),
                on: timeline.wait_name(thread.wait).to_owned(),
            })
            .collect(),
    }
}
