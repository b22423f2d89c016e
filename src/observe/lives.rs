//! Ends and reapings of watched processes, by a pidfd per process.

use crate::sys::pid::Pid;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::libc;

use super::event::{Event, What};
use crate::sys::clock::monotonic_ns;
use crate::sys::deaths::{Deaths, Edge};
use crate::sys::pidfd;
use crate::sys::procfs::signals::Signals;
use crate::sys::procfs::stat;
use crate::sys::signal::process_exists;
use crate::sys::wait::{How, Whose, Zombie, try_wait};

/// The watched processes that are not reaped yet.
#[derive(Debug)]
pub(super) struct Lives {
    deaths: Deaths,
    lives: HashMap<Pid, Life>,
    /// PIDs by the token under which their pidfd is polled; a PID may be reused, a token is not.
    tokens: HashMap<u64, Pid>,
    next_token: u64,
    /// The command, which its owner reaps.
    command: Option<Pid>,
    looked_ns: u64,
    /// Records of processes that are not followed, but may be once all rings have been read again.
    early: Vec<Event>,
    /// Processes that are gone, but whose last records may not have been read.
    departed: HashSet<Pid>,
    /// Processes that were reaped before a pidfd was opened, and until when they were alive at least.
    missed: Vec<(Pid, u64)>,
    ignores: Ignores,
    /// This kernel's pidfds report reaping: one has.
    tells_reaping: bool,
}

#[derive(Debug)]
struct Life {
    pidfd: Option<OwnedFd>,
    token: u64,
    /// When the end of its main thread was recorded.
    exited_ns: Option<u64>,
    told: bool,
    /// It was found alive long after its exit was recorded, and the records since then were not read yet.
    suspected: bool,
    /// It was found alive after its exit was recorded, and no later record explains that.
    unrecorded: bool,
    /// Its parent at the fork.
    parent: Option<Pid>,
}

/// Whether a parent ignores SIGCHLD, and when that was read.
type Ignores = HashMap<Pid, (u64, bool)>;

impl Lives {
    /// Without processes.
    ///
    /// # Errors
    /// `EMFILE` when the limit of descriptors is reached.
    pub(super) fn new(command: Option<Pid>) -> io::Result<Self> {
        Ok(Self {
            deaths: Deaths::new()?,
            lives: HashMap::new(),
            tokens: HashMap::new(),
            next_token: 0,
            command,
            looked_ns: monotonic_ns(),
            early: Vec::new(),
            departed: HashSet::new(),
            missed: Vec::new(),
            ignores: Ignores::new(),
            tells_reaping: false,
        })
    }

    /// Follows a process that was alive at the last look or later.
    pub(super) fn follow(&mut self, pid: Pid) {
        self.follow_since(pid, self.looked_ns);
    }

    /// Follows a process of which is known only that it was alive at `alive_ns`: it may have come and gone between the last
    /// records and the last look.
    fn follow_since(&mut self, pid: Pid, alive_ns: u64) {
        if self.lives.contains_key(&pid) {
            return;
        }
        let token = self.next_token;
        self.next_token += 1;
        let pidfd = match pidfd::open(pid) {
            Ok(pidfd) => Some(pidfd),
            Err(error) => {
                if pidfd::is_gone(&error) {
                    self.missed.push((pid, alive_ns));
                }
                None
            }
        };
        let pidfd = pidfd.filter(|pidfd| self.deaths.add(pidfd, token).is_ok());
        if pidfd.is_some() {
            self.tokens.insert(token, pid);
        }
        self.lives.insert(
            pid,
            Life {
                pidfd,
                token,
                exited_ns: None,
                told: false,
                suspected: false,
                unrecorded: false,
                parent: None,
            },
        );
    }

    /// Sends a signal to a followed process, never to another one that has its PID by now.
    ///
    /// # Errors
    /// `ESRCH` when it is gone or there is no pidfd of it, `EPERM` when it belongs to another user.
    pub(super) fn signal(&self, pid: Pid, signal: i32) -> io::Result<()> {
        let pidfd = self.lives.get(&pid).and_then(|life| life.pidfd.as_ref()).ok_or_else(pidfd::gone)?;
        pidfd::send_signal(pidfd.as_fd(), signal)
    }

    /// Whether a process is followed.
    pub(super) fn follows(&self, pid: Pid) -> bool {
        self.lives.contains_key(&pid)
    }

    /// Handles new records, all that have been written so far, before the timeline does: of a child that lives for a
    /// millisecond, a pidfd must be opened at once.
    ///
    /// The rings of the CPUs are read one after the other, and processes go on meanwhile. So the fork of a grandchild may be
    /// read before that of its parent, and a process may be seen to be gone before its last forks are read. The next call
    /// has what was missing: a process's fork is recorded before it runs, and its own forks before it ends.
    pub(super) fn note(&mut self, new: &[Event]) {
        let early = std::mem::take(&mut self.early);
        let mut all: Vec<(bool, &Event)> =
            early.iter().map(|event| (false, event)).chain(new.iter().map(|event| (true, event))).collect();
        if !early.is_empty() {
            all.sort_by_key(|(_, event)| event.at_ns);
        }
        for (is_new, event) in all {
            if !self.note_one(event) && is_new {
                self.early.push(event.clone());
            }
        }
        self.have_read();
    }

    /// All that processes which are gone have left was read: in records, or by a look at all descendants.
    pub(super) fn have_read(&mut self) {
        self.departed.clear();
    }

    /// Whether processes are gone that may have left others, which the next records or the next look will show.
    pub(super) fn await_records(&self) -> bool {
        !self.departed.is_empty()
    }

    /// Handles one record; returns whether it is known what it is about.
    fn note_one(&mut self, event: &Event) -> bool {
        let pid = event.pid;
        let (about, is_fork) = match event.what {
            What::Forked { ppid } if ppid != pid => (ppid, true),
            What::Named { exec: true, .. } => (pid, false),
            What::Exited { .. } if event.tid == pid => (pid, false),
            _ => return true,
        };
        if !(self.follows(about) || is_fork && self.departed.contains(&about)) {
            return false;
        }
        match event.what {
            What::Forked { ppid } => {
                if self.lives.get(&pid).is_some_and(|life| life.exited_ns.is_some()) {
                    // The PID was reused before the reaping of its former owner was noticed.
                    self.forget(pid);
                }
                self.follow_since(pid, event.at_ns);
                if let Some(life) = self.lives.get_mut(&pid) {
                    life.parent = Some(ppid);
                }
                self.ignores_children(ppid);
            }
            // A leader ends in an exec by another thread, which then has its TID.
            What::Named { .. } => {
                if let Some(life) = self.lives.get_mut(&pid) {
                    life.exited_ns = None;
                    life.suspected = false;
                }
            }
            _ => {
                if let Some(life) = self.lives.get_mut(&pid) {
                    life.exited_ns.get_or_insert(event.at_ns);
                }
            }
        }
        true
    }

    /// Reports what has ended or been reaped since the last call, and reaps orphans that this process has adopted.
    pub(super) fn look(&mut self, events: &mut Vec<Event>) {
        let not_before_ns = std::mem::replace(&mut self.looked_ns, monotonic_ns());
        for (token, edge) in self.deaths.edges().unwrap_or_default() {
            let Some(&pid) = self.tokens.get(&token) else { continue };
            match edge {
                Edge::Ended => self.ended(pid, events),
                Edge::Reaped => {
                    self.tells_reaping = true;
                    self.reaped(pid, not_before_ns, events);
                }
            }
        }
        for (pid, alive_ns) in std::mem::take(&mut self.missed) {
            self.reaped(pid, alive_ns, events);
        }
        self.find_unrecorded(events);
        // Processes without a pidfd, and all of them on a kernel whose pidfds do not report reaping.
        let ended = |life: &Life| life.told || life.exited_ns.is_some();
        let gone: Vec<Pid> = self
            .lives
            .iter()
            .filter(|(_, life)| life.pidfd.is_none() || (ended(life) && !self.tells_reaping))
            .filter(|(pid, _)| Some(**pid) != self.command)
            .filter(|(pid, _)| !process_exists(**pid))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in gone {
            self.reaped(pid, not_before_ns, events);
        }
    }

    /// Reports as reaped each process that does not exist any more. For the end of a watch, at which the last pidfds may
    /// not have reported yet.
    pub(super) fn settle(&mut self, events: &mut Vec<Event>) {
        let gone: Vec<Pid> = self.pids().filter(|pid| !process_exists(*pid)).collect();
        for pid in gone {
            self.reaped(pid, self.looked_ns, events);
        }
    }

    /// Reports processes that are alive long after the record of their exit.
    fn find_unrecorded(&mut self, events: &mut Vec<Event>) {
        // Freeing a large memory takes milliseconds between the record and the end.
        const LONG_NS: u64 = 50_000_000;
        let at_ns = monotonic_ns();
        for (&pid, life) in &mut self.lives {
            let Some(since_ns) = life.exited_ns.filter(|since_ns| at_ns - (*since_ns).min(at_ns) > LONG_NS)
            else {
                continue;
            };
            // A main thread that has ended before the others is a zombie here; an exiting one has the flag.
            let hidden = || stat::of_process(pid).is_none() && process_exists(pid);
            if !life.unrecorded && !life.told && (stat::is_alive(pid) || (life.pidfd.is_some() && hidden())) {
                // An exec by another thread, which is recorded by now, has not been read if this process was delayed.
                if !std::mem::replace(&mut life.suspected, true) {
                    continue;
                }
                life.unrecorded = true;
                events.push(Event { at_ns, pid, tid: pid, what: What::Unrecorded { since_ns } });
            }
        }
    }

    fn ended(&mut self, pid: Pid, events: &mut Vec<Event>) {
        let Some(life) = self.lives.get_mut(&pid) else { return };
        life.told = true;
        let at_ns = monotonic_ns();
        events.push(Event { at_ns, pid, tid: pid, what: What::Ended });
        let status = match child_status(pid, Zombie::Leave) {
            Some(how) => Some(how),
            None => stat::status_of_zombie(pid),
        };
        // Sums first: for a sampled process the status marks its end.
        if let Some(sums) = stat::schedstat(pid, pid) {
            events.push(Event { at_ns, pid, tid: pid, what: What::Sums(sums) });
        }
        if let Some(how) = status {
            events.push(Event { at_ns, pid, tid: pid, what: What::Status(how.into()) });
        }
        if Some(pid) != self.command && child_status(pid, Zombie::Reap).is_some() {
            // An orphan of the watched tree, or a zombie whose parent has ended, that this process has adopted: no other
            // process will reap it.
            events.push(Event { at_ns, pid, tid: pid, what: What::Collected { by: Pid::this() } });
            self.reaped(pid, at_ns, events);
        }
    }

    /// Reports that a process is gone, which it was not yet at `not_before_ns`.
    pub(super) fn reaped(&mut self, pid: Pid, not_before_ns: u64, events: &mut Vec<Event>) {
        let Some(life) = self.lives.get(&pid) else { return };
        let at_ns = monotonic_ns();
        let status = life.pidfd.as_ref().and_then(|pidfd| pidfd::status_after_reaping(pidfd.as_fd()));
        if let Some(status) = status {
            let what = What::Status(How::from_status(status).into());
            events.push(Event { at_ns, pid, tid: pid, what });
        }
        let by_itself = life.parent.is_some_and(|parent| self.ignores_children(parent));
        events.push(Event { at_ns, pid, tid: pid, what: What::Reaped { not_before_ns, by_itself } });
        self.forget(pid);
    }

    /// Whether a process ignores SIGCHLD, so that its children leave no zombies. Read when it forks and when a child of
    /// it is gone, at a limited rate; a process that has ended keeps its last answer.
    fn ignores_children(&mut self, parent: Pid) -> bool {
        const AGAIN_NS: u64 = 20_000_000;
        const MOST: usize = 4096;
        let now_ns = monotonic_ns();
        match self.ignores.get(&parent) {
            Some((at_ns, ignores)) if now_ns - at_ns < AGAIN_NS => *ignores,
            known => {
                let now = Signals::of(parent).map(|signals| signals.ignores(libc::SIGCHLD));
                let ignores = now.or(known.map(|(_, ignores)| *ignores)).unwrap_or(false);
                if self.ignores.len() >= MOST {
                    self.ignores.clear();
                }
                self.ignores.insert(parent, (now_ns, ignores));
                ignores
            }
        }
    }

    fn forget(&mut self, pid: Pid) {
        if let Some(life) = self.lives.remove(&pid) {
            self.tokens.remove(&life.token);
            self.departed.insert(pid);
        }
    }

    /// The PIDs that are followed.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.lives.keys().copied()
    }
}

/// The status of an ended child of this process.
fn child_status(pid: Pid, zombie: Zombie) -> Option<How> {
    Some(try_wait(Whose::Pid(pid), zombie).ok()??.how)
}

impl AsFd for Lives {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.deaths.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PIDs that no process has.
    const ROOT: Pid = Pid::from_raw(1 << 30);
    const CHILD: Pid = Pid::from_raw((1 << 30) + 1);
    const GRANDCHILD: Pid = Pid::from_raw((1 << 30) + 2);

    fn forked(at_ns: u64, pid: Pid, ppid: Pid) -> Event {
        Event { at_ns, pid, tid: pid, what: What::Forked { ppid } }
    }

    fn lives_of_root() -> Lives {
        let mut lives = Lives::new(None).unwrap();
        lives.follow(ROOT);
        lives
    }

    fn reaped(lives: &mut Lives) -> HashSet<Pid> {
        let mut events = Vec::new();
        lives.look(&mut events);
        events.retain(|event| matches!(event.what, What::Reaped { .. }));
        events.iter().map(|event| event.pid).collect()
    }

    #[test]
    fn a_fork_that_is_read_before_that_of_its_parent_is_followed() {
        let mut lives = lives_of_root();
        lives.note(&[forked(20, GRANDCHILD, CHILD)]);
        assert!(!lives.follows(GRANDCHILD));
        lives.note(&[forked(10, CHILD, ROOT)]);
        assert!(lives.follows(CHILD) && lives.follows(GRANDCHILD));
        assert!(reaped(&mut lives).is_superset(&[CHILD, GRANDCHILD].into()));
    }

    #[test]
    fn a_fork_that_is_read_after_its_parent_is_gone_is_followed() {
        let mut lives = lives_of_root();
        lives.note(&[forked(10, CHILD, ROOT)]);
        assert!(reaped(&mut lives).contains(&CHILD) && lives.await_records());
        lives.note(&[forked(20, GRANDCHILD, CHILD)]);
        assert!(reaped(&mut lives).contains(&GRANDCHILD));
    }

    #[test]
    fn one_that_came_and_went_before_its_records_were_read_is_not_said_to_have_outlasted_a_look() {
        let mut lives = lives_of_root();
        lives.look(&mut Vec::new());
        lives.note(&[forked(10, CHILD, ROOT)]);
        let mut events = Vec::new();
        lives.look(&mut events);
        let reaped = |event: &Event| match event.what {
            What::Reaped { not_before_ns, .. } if event.pid == CHILD => Some(not_before_ns),
            _ => None,
        };
        assert_eq!(events.iter().find_map(reaped), Some(10));
    }

    #[test]
    fn a_fork_by_a_process_that_is_not_watched_is_forgotten() {
        let mut lives = lives_of_root();
        lives.note(&[forked(20, GRANDCHILD, CHILD)]);
        lives.note(&[]);
        lives.note(&[forked(30, CHILD, ROOT)]);
        assert!(lives.early.is_empty() && !lives.follows(GRANDCHILD));
    }
}
