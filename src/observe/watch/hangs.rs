//! Deadlocks while they last: suspected from what is known, confirmed by asking again.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet};

use crate::observe::event::State;
use crate::observe::sampler::scene;
use crate::observe::timeline::{Process, Thread, Timeline};
use crate::observe::waits::{Deadlock, Ends, deadlocks, probe};

/// A deadlock, from its beginning to its end or to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hang {
    /// When the last of the circle went to sleep.
    pub from_ns: u64,
    /// When it was over: somebody was killed, or it was none after all.
    pub to_ns: Option<u64>,
    /// Who waits for whom.
    pub deadlock: Deadlock,
    /// What each one of the circle waits for, in words.
    pub waits: Vec<(Pid, String)>,
}

/// The deadlocks of a run.
#[derive(Debug, Default)]
pub(super) struct Hangs {
    pub(super) all: Vec<Hang>,
    /// Seen once: the deadlock and how often its members had had a CPU.
    suspects: Vec<(Deadlock, Vec<u64>)>,
}

/// Deadlocks of one run that are listed.
const MOST: usize = 64;

impl Hangs {
    /// Looks for deadlocks. One is told when it is found twice in a row, nobody in it having had a CPU
    /// between, and every wait of it asked anew.
    pub(super) fn look(&mut self, timeline: &Timeline, watcher: Pid, now_ns: u64) {
        let found = deadlocks(&known_waits(timeline));
        for hang in self.all.iter_mut().filter(|hang| hang.to_ns.is_none()) {
            if !found.contains(&hang.deadlock) {
                hang.to_ns = Some(now_ns);
            }
        }
        let found: Vec<(Deadlock, Vec<u64>)> = found
            .into_iter()
            .filter(|deadlock| {
                !self.all.iter().any(|hang| hang.to_ns.is_none() && hang.deadlock == *deadlock)
            })
            .map(|deadlock| {
                let turns =
                    members(&deadlock).filter_map(|pid| Some(timeline.by_pid(pid)?.turns())).collect();
                (deadlock, turns)
            })
            .collect();
        for (deadlock, _) in found.iter().filter(|suspect| self.suspects.contains(suspect)) {
            if self.all.len() < MOST && confirmed(deadlock, timeline, watcher) {
                self.all.push(hang(deadlock, timeline));
            }
        }
        self.suspects = found;
    }
}

fn members(deadlock: &Deadlock) -> impl Iterator<Item = Pid> {
    deadlock.circle.iter().chain(&deadlock.behind).copied()
}

/// For each process that is blocked for good: those that could end the wait of any of its threads.
fn known_waits(timeline: &Timeline) -> BTreeMap<Pid, BTreeSet<Pid>> {
    let living = timeline.processes().map(|(_, process)| process).filter(|process| process.is_alive());
    living.filter_map(|process| Some((process.pid, ends_of(process, timeline)?))).collect()
}

fn ends_of(process: &Process, timeline: &Timeline) -> Option<BTreeSet<Pid>> {
    let mut all = BTreeSet::new();
    for thread in process.threads.iter().filter(|thread| thread.is_alive()) {
        match &timeline.wait(thread.wait)?.ends {
            Ends::Only(pids) if thread.state == State::Blocked => all.extend(pids),
            _ => return None,
        }
    }
    Some(all)
}

fn confirmed(deadlock: &Deadlock, timeline: &Timeline, watcher: Pid) -> bool {
    let scene = scene(timeline, watcher);
    let inside: BTreeSet<Pid> = members(deadlock).collect();
    members(deadlock).all(|pid| {
        let Some(process) = timeline.by_pid(pid) else { return false };
        let living = |thread: &&Thread| thread.is_alive();
        process.threads.iter().filter(living).all(|thread| match probe(pid, thread.tid, &scene) {
            Some(wait) => {
                matches!(wait.ends, Ends::Only(pids) if pids.iter().all(|pid| inside.contains(pid)))
            }
            None => false,
        })
    })
}

fn hang(deadlock: &Deadlock, timeline: &Timeline) -> Hang {
    let circle = deadlock.circle.iter().filter_map(|pid| timeline.by_pid(*pid));
    Hang {
        from_ns: circle.clone().map(|process| process.since_ns).max().unwrap_or(0),
        to_ns: None,
        deadlock: deadlock.clone(),
        waits: circle
            .map(|process| (process.pid, timeline.wait_name(process.waits_now()).to_owned()))
            .collect(),
    }
}
