//! The watched processes at one time, with the tables that several probes share.

use crate::sys::pid::Pid;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::{fifo, words};

use crate::sys::procfs::descriptors::{self, Target};
use crate::sys::procfs::locks::{self, Lock};
use crate::sys::procfs::sockets::Sockets;
use crate::sys::procfs::stat;
use crate::sys::procfs::syscall::current;
use crate::sys::procfs::tree::threads;
use crate::sys::unix_peers::unix_peers;

/// A watched process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Its PID.
    pub pid: Pid,
    /// Its parent.
    pub ppid: Pid,
    /// Its name.
    pub name: String,
}

/// Which process holds which end, and all file locks. Each table is read when it is first needed, so a round without a
/// blocked thread costs nothing.
#[derive(Debug)]
pub struct Scene {
    actors: Vec<Actor>,
    watcher: Pid,
    locks: OnceCell<Vec<Lock>>,
    holders: OnceCell<Holders>,
    peers: OnceCell<HashMap<u64, u64>>,
    sockets: Sockets,
    /// Processes that wait for the other end of a FIFO to be opened, and which FIFO.
    openers: OnceCell<Vec<(Pid, PathBuf)>>,
    /// Whether a process has ended, which its records or the next look may not have told yet.
    has_ended: fn(Pid) -> bool,
}

#[derive(Debug, Default)]
struct Holders {
    pipe_readers: HashMap<u64, Vec<Pid>>,
    pipe_writers: HashMap<u64, Vec<Pid>>,
    sockets: HashMap<u64, Vec<Pid>>,
    /// What the watcher itself holds came from outside: unwatched processes may hold the other end.
    outside: HashSet<u64>,
}

impl Scene {
    /// A scene of these living processes, watched by process `watcher`.
    pub fn new(actors: Vec<Actor>, watcher: Pid) -> Self {
        Self {
            actors,
            watcher,
            locks: OnceCell::new(),
            holders: OnceCell::new(),
            peers: OnceCell::new(),
            sockets: Sockets::default(),
            openers: OnceCell::new(),
            has_ended: stat::has_ended,
        }
    }

    /// A scene of processes that do not exist, for tests.
    #[cfg(test)]
    pub(super) fn imagined(actors: Vec<Actor>, has_ended: fn(Pid) -> bool) -> Self {
        Self { has_ended, ..Self::new(actors, Pid::from_raw(1)) }
    }

    /// Words for a wait with the present names: `pipe from 4240 buyer-1`, or the PID alone for a process that is not watched.
    pub fn shown(&self, words: &str) -> String {
        let actor = |pid| self.actors.iter().find(|actor| actor.pid == pid);
        words::shown(words, |pid| Some(actor(pid)?.name.clone()))
    }

    /// `thread 4243 of 4240 buyer-1`, or the process for a main thread; in [`words`].
    pub fn thread_label(&self, tid: Pid) -> String {
        match self.process_of(tid) {
            Some(pid) if pid != tid => format!("thread {tid} of {}", words::process(pid)),
            _ => words::process(tid),
        }
    }

    /// The watched process that a thread belongs to.
    pub fn process_of(&self, tid: Pid) -> Option<Pid> {
        let mut pids = self.actors.iter().map(|actor| actor.pid);
        pids.find(|&pid| tid != Pid::UNKNOWN && (pid == tid || threads(pid).contains(&tid)))
    }

    /// Several processes in [`words`], the first three one by one.
    pub fn labels(&self, pids: &[Pid]) -> String {
        const SHOWN: usize = 3;
        let mut text = pids.iter().take(SHOWN).map(|pid| words::process(*pid)).collect::<Vec<_>>().join(", ");
        if pids.len() > SHOWN {
            text.push_str(&format!(" and {} more", pids.len() - SHOWN));
        }
        text
    }

    /// Whether the process is watched and alive.
    pub fn is_actor(&self, pid: Pid) -> bool {
        self.actors.iter().any(|actor| actor.pid == pid)
    }

    /// The children of a process for whose end it can wait: one that has ended would have ended the wait.
    pub fn children(&self, pid: Pid) -> Vec<Pid> {
        /// To read more of them would take long.
        const MOST: usize = 64;
        let mut children: Vec<Pid> =
            self.actors.iter().filter(|actor| actor.ppid == pid).map(|actor| actor.pid).collect();
        if children.len() <= MOST {
            children.retain(|child| !(self.has_ended)(*child));
        }
        children
    }

    /// The watched processes.
    pub fn actors(&self) -> &[Actor] {
        &self.actors
    }

    pub(super) fn locks(&self) -> &[Lock] {
        self.locks.get_or_init(locks::all)
    }

    /// The processes that can write to (or read from) a pipe; `None` if unwatched processes may too.
    pub(super) fn pipe_ends(&self, inode: u64, writers: bool) -> Option<Vec<Pid>> {
        let holders = self.holders();
        if holders.outside.contains(&inode) {
            return None;
        }
        let ends = if writers { &holders.pipe_writers } else { &holders.pipe_readers };
        Some(ends.get(&inode).cloned().unwrap_or_default())
    }

    /// The processes that hold a socket, and whether unwatched processes may too.
    pub(super) fn socket_holders(&self, inode: u64) -> (Vec<Pid>, bool) {
        let holders = self.holders();
        let pids = holders.sockets.get(&inode).cloned().unwrap_or_default();
        let strangers = pids.is_empty() || holders.outside.contains(&inode);
        (pids, strangers)
    }

    pub(super) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// The socket at the other end of a Unix domain socket.
    pub(super) fn unix_peer(&self, inode: u64) -> Option<u64> {
        self.peers.get_or_init(unix_peers).get(&inode).copied()
    }

    /// Processes that wait for the other end of a FIFO to be opened, and which.
    pub(super) fn fifo_openers(&self) -> &[(Pid, PathBuf)] {
        self.openers.get_or_init(|| {
            let opening = |actor: &Actor| {
                let call = current(actor.pid, actor.pid)?;
                Some((actor.pid, fifo::opened(actor.pid, call)?.path))
            };
            self.actors.iter().filter_map(opening).collect()
        })
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
