//! Which processes are alive, which are zombies, and which were reaped: what the present costs does not depend on how
//! many processes there have ever been.

use std::collections::{BTreeSet, VecDeque};

use super::ids::ById;
use super::process::Process;
use crate::sys::pid::Pid;

/// The IDs of the processes of a timeline, by what has become of them.
#[derive(Debug, Default)]
pub(super) struct Index {
    living: BTreeSet<u64>,
    zombies: BTreeSet<u64>,
    /// Reaped ones, in the order of reaping.
    reaped: VecDeque<u64>,
    /// Those of them that were reaped before all others, by the length of their lives.
    long_ago: BTreeSet<(u64, u64)>,
    /// Living processes by their parent.
    children: ById<Pid, BTreeSet<u64>>,
}

impl Index {
    /// Files a process under its present state, for the first time or after a change.
    pub(super) fn file(&mut self, id: u64, process: &Process) {
        self.living.remove(&id);
        self.zombies.remove(&id);
        self.leave(id, process.ppid);
        match (process.reaping, process.ended_ns) {
            (None, None) => {
                self.living.insert(id);
                self.children.entry(process.ppid).or_default().insert(id);
            }
            (None, Some(_)) => drop(self.zombies.insert(id)),
            (Some(_), _) => self.reaped.push_back(id),
        }
    }

    /// A process has another parent.
    pub(super) fn adopt(&mut self, id: u64, old: Pid, new: Pid) {
        self.leave(id, old);
        if self.living.contains(&id) {
            self.children.entry(new).or_default().insert(id);
        }
    }

    fn leave(&mut self, id: u64, parent: Pid) {
        if let Some(children) = self.children.get_mut(&parent) {
            children.remove(&id);
            if children.is_empty() {
                self.children.remove(&parent);
            }
        }
    }

    /// Removes and returns the process to be forgotten first: of the older half of `kept` that of the shortest life, so
    /// that what lasted is kept. `None` if none was reaped.
    pub(super) fn least(&mut self, kept: usize, life_ns: impl Fn(u64) -> u64) -> Option<u64> {
        while self.reaped.len() > kept / 2
            && let Some(id) = self.reaped.pop_front()
        {
            // What the first one did is what the report begins with.
            let rank = if id == 0 { u64::MAX } else { life_ns(id) };
            self.long_ago.insert((rank, id));
        }
        self.long_ago.pop_first().map(|(_, id)| id).or_else(|| self.reaped.pop_front())
    }

    pub(super) fn living(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator {
        self.living.iter().copied()
    }

    pub(super) fn zombies(&self) -> impl Iterator<Item = u64> {
        self.zombies.iter().copied()
    }

    /// Those that were reaped last, the latest first.
    pub(super) fn reaped(&self) -> impl Iterator<Item = u64> {
        self.reaped.iter().rev().copied()
    }

    /// The living children of a process.
    pub(super) fn children(&self, pid: Pid) -> Vec<u64> {
        self.children.get(&pid).map_or_else(Vec::new, |children| children.iter().copied().collect())
    }
}
