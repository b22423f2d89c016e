//! The watched processes at one moment, with the tables that several probes share.

use crate::sys::pid::Pid;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use crate::sys::procfs::descriptors::{self, Target};
use crate::sys::procfs::locks::{self, Lock};

/// A watched process, as far as waits name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Its PID.
    pub pid: Pid,
    /// Its parent.
    pub ppid: Pid,
    /// Its name.
    pub name: String,
}

/// Who holds which end of what, and all file locks; read when first asked for, so that a moment without
/// anybody blocked costs nothing.
#[derive(Debug)]
pub struct Scene {
    actors: Vec<Actor>,
    watcher: Pid,
    locks: OnceCell<Vec<Lock>>,
    holders: OnceCell<Holders>,
}

#[derive(Debug, Default)]
struct Holders {
    pipe_readers: HashMap<u64, Vec<Pid>>,
    pipe_writers: HashMap<u64, Vec<Pid>>,
    sockets: HashMap<u64, Vec<Pid>>,
    /// What the watcher itself holds came from outside: strangers may hold the other end.
    outside: HashSet<u64>,
}

impl Scene {
    /// A scene of these living processes, watched by process `watcher`.
    pub fn new(actors: Vec<Actor>, watcher: Pid) -> Self {
        Self { actors, watcher, locks: OnceCell::new(), holders: OnceCell::new() }
    }

    /// `4240 buyer-1`, or the bare number of a process that is not watched.
    pub fn label(&self, pid: Pid) -> String {
        match self.actors.iter().find(|actor| actor.pid == pid) {
            Some(actor) => format!("{pid} {}", actor.name),
            None => pid.to_string(),
        }
    }

    /// Several labels, the first three in full.
    pub fn labels(&self, pids: &[Pid]) -> String {
        const SHOWN: usize = 3;
        let mut text = pids.iter().take(SHOWN).map(|pid| self.label(*pid)).collect::<Vec<_>>().join(", ");
        if pids.len() > SHOWN {
            text.push_str(&format!(" and {} more", pids.len() - SHOWN));
        }
        text
    }

    /// Whether the process is watched and alive.
    pub fn is_actor(&self, pid: Pid) -> bool {
        self.actors.iter().any(|actor| actor.pid == pid)
    }

    /// The living children of a process.
    pub fn children(&self, pid: Pid) -> Vec<Pid> {
        self.actors.iter().filter(|actor| actor.ppid == pid).map(|actor| actor.pid).collect()
    }

    /// The watched processes.
    pub fn actors(&self) -> &[Actor] {
        &self.actors
    }

    pub(super) fn locks(&self) -> &[Lock] {
        self.locks.get_or_init(locks::all)
    }

    /// The processes that can write to (or read from) a pipe; `None` when strangers may as well.
    pub(super) fn pipe_ends(&self, inode: u64, writers: bool) -> Option<Vec<Pid>> {
        let holders = self.holders();
        if holders.outside.contains(&inode) {
            return None;
        }
        let ends = if writers { &holders.pipe_writers } else { &holders.pipe_readers };
        Some(ends.get(&inode).cloned().unwrap_or_default())
    }

    /// The processes that hold a socket.
    pub(super) fn socket_holders(&self, inode: u64) -> Vec<Pid> {
        self.holders().sockets.get(&inode).cloned().unwrap_or_default()
    }

    fn holders(&self) -> &Holders {
        self.holders.get_or_init(|| {
            let mut holders = Holders::default();
            for pid in self.actors.iter().map(|actor| actor.pid) {
                for open in descriptors::all(pid) {
                    let hold = |map: &mut HashMap<u64, Vec<Pid>>, inode| {
                        let pids = map.entry(inode).or_default();
                        if pids.last() != Some(&pid) {
                            pids.push(pid);
                        }
                    };
                    match open.target {
                        Target::Pipe(inode) => {
                            if open.reads {
                                hold(&mut holders.pipe_readers, inode);
                            }
                            if open.writes {
                                hold(&mut holders.pipe_writers, inode);
                            }
                        }
                        Target::Socket(inode) => hold(&mut holders.sockets, inode),
                        Target::Anonymous(_) | Target::Path(_) => {}
                    }
                }
            }
            for open in descriptors::all(self.watcher) {
                if let Target::Pipe(inode) | Target::Socket(inode) = open.target {
                    holders.outside.insert(inode);
                }
            }
            holders
        })
    }
}
