//! Processes without records, for which `/proc` is read every few milliseconds: those of the sampled tier, and those
//! whose records the kernel has ended.

use crate::sys::pid::Pid;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::budget::Budget;
use super::event::{Event, State, What};
use super::sampler::scene_with;
use super::timeline::{Process, Timeline};
use super::waits::{Actor, Scene, Wait, probe};
use crate::sys::clock::monotonic_ns;
use crate::sys::procfs::stat::{SchedStat, Stat};
use crate::sys::procfs::{stat, tree};
use crate::sys::signal::process_exists;

/// Time between two looks, if the budget permits.
pub(super) const PERIOD_NS: u64 = 5_000_000;
/// What a thread waits for is read again after this long, even if it had no CPU since: a lock may have a new holder.
const AGAIN_NS: u64 = 100_000_000;
/// Threads of one process that are read.
const MOST_THREADS: usize = 256;
/// Between two reads of the time that the hypervisor has stolen.
const STOLEN_NS: u64 = 100_000_000;

/// Looks at processes and their descendants.
#[derive(Debug)]
pub(super) struct Poller {
    /// The processes whose descendants are read.
    roots: Vec<Pid>,
    watcher: Pid,
    seen: HashMap<Pid, Seen>,
    /// All other processes have records.
    beside_records: bool,
    budget: Budget,
    /// When the watch began: what is found has begun since.
    since_ns: u64,
    stolen_read_ns: u64,
}

#[derive(Debug, Default)]
struct Seen {
    start_ticks: u64,
    name: String,
    /// Its executable, if that is readable.
    program: Option<PathBuf>,
    line: String,
    threads: HashMap<Pid, SeenThread>,
    /// When it was last read.
    looked_ns: u64,
    /// When it or its present program began, at the earliest: its threads have begun since.
    began_ns: u64,
    ended: bool,
    hidden: bool,
}

#[derive(Debug, Default)]
struct SeenThread {
    name: String,
    booked: SchedStat,
    wait: Option<Wait>,
    /// When its wait was last read, and in which of its turns.
    asked: (u64, u64),
    ended: bool,
}

impl Poller {
    /// Reads `roots` and their descendants, without `watcher` itself. Without roots it waits for processes whose records
    /// end.
    pub(super) fn new(roots: Vec<Pid>, watcher: Pid, budget: Budget) -> Self {
        let beside_records = roots.is_empty();
        Self {
            roots,
            watcher,
            seen: HashMap::new(),
            beside_records,
            budget,
            since_ns: monotonic_ns(),
            stolen_read_ns: 0,
        }
    }

    /// When the next look is due; never while there are no processes.
    pub(super) fn due_ns(&self) -> u64 {
        if self.roots.is_empty() { u64::MAX } else { self.budget.due_ns() }
    }

    /// The longest time between two looks so far.
    pub(super) fn longest_gap_ns(&self) -> u64 {
        self.budget.longest_gap_ns()
    }

    /// Marks a process as known: it is in the timeline, and its past does not count.
    pub(super) fn know(&mut self, pid: Pid) {
        let Some(stat) = stat::of_process(pid) else { return };
        let threads = tree::threads(pid).into_iter().take(MOST_THREADS);
        let threads = threads.map(|tid| (tid, SeenThread::default())).collect();
        let line = stat::command_line(pid, 4096).unwrap_or_default();
        let (start_ticks, name, program) = (stat.start_ticks, stat.name, stat::program(pid));
        self.seen.insert(
            pid,
            Seen {
                start_ticks,
                name,
                program,
                line,
                threads,
                looked_ns: monotonic_ns(),
                began_ns: monotonic_ns(),
                ..Seen::default()
            },
        );
    }

    /// Marks a known process as read at this time: what it did before is not its own.
    pub(super) fn looked(&mut self, pid: Pid, at_ns: u64) {
        if let Some(seen) = self.seen.get_mut(&pid) {
            seen.looked_ns = at_ns;
            seen.began_ns = at_ns;
        }
        self.since_ns = self.since_ns.max(at_ns);
    }

    /// Reads a process whose records have ended, from now on.
    pub(super) fn take_over(&mut self, process: &Process) {
        self.roots.push(process.pid);
        let threads = process.threads.iter().filter(|thread| thread.is_alive());
        let threads = threads.map(|thread| (thread.tid, SeenThread::default())).collect();
        let start_ticks = stat::of_process(process.pid).map_or(0, |stat| stat.start_ticks);
        let (name, program) = (process.name.clone(), stat::program(process.pid));
        self.seen.insert(
            process.pid,
            Seen {
                start_ticks,
                name,
                program,
                threads,
                looked_ns: monotonic_ns(),
                began_ns: process.started_ns,
                ..Seen::default()
            },
        );
    }

    /// One look, which appends what changed to `events`.
    pub(super) fn look(&mut self, timeline: &Timeline, events: &mut Vec<Event>) {
        let timer = self.budget.begin();
        let begin_ns = monotonic_ns();
        if begin_ns - self.stolen_read_ns >= STOLEN_NS
            && let Some(ns) = stat::stolen_ns()
        {
            self.stolen_read_ns = begin_ns;
            let (pid, tid) = (Pid::UNKNOWN, Pid::UNKNOWN);
            events.push(Event { at_ns: begin_ns, pid, tid, what: What::Stolen(ns) });
        }
        // Parents first: a child of a process that the timeline does not have is none of the watch.
        let mut pids: Vec<Pid> = self.roots.iter().flat_map(|root| tree::with_descendants(*root)).collect();
        // A process whose parent ended is found by its PID: it has another parent now.
        pids.extend(self.seen.keys().copied());
        let mut known = HashSet::new();
        pids.retain(|pid| known.insert(*pid));
        pids.retain(|pid| *pid != self.watcher);
        // Waits for a process that this look finds name it, too.
        let new =
            pids.iter().filter(|pid| !self.seen.contains_key(pid)).filter_map(|pid| stat::of_process(*pid));
        let new = new.map(|stat| Actor { pid: stat.pid, ppid: stat.ppid, name: stat.name });
        let scene = scene_with(timeline, self.watcher, new.collect());
        for pid in pids {
            self.process(pid, timeline, &scene, events);
        }
        let seen = &self.seen;
        let watcher = self.watcher;
        self.roots.retain(|root| *root == watcher || seen.contains_key(root));
        self.budget.end(timer);
    }

    fn process(&mut self, pid: Pid, timeline: &Timeline, scene: &Scene, events: &mut Vec<Event>) {
        let at_ns = monotonic_ns();
        let mut tell = |what| events.push(Event { at_ns, pid, tid: pid, what });
        let Some(stat) = stat::of_process(pid) else {
            // /proc may hide the processes of others (hidepid).
            match self.seen.get_mut(&pid) {
                Some(seen) if process_exists(pid) => {
                    if !std::mem::replace(&mut seen.hidden, true) {
                        tell(What::Hidden);
                    }
                }
                _ => drop(self.seen.remove(&pid)),
            }
            return;
        };
        if self.seen.get(&pid).is_some_and(|seen| seen.start_ticks != stat.start_ticks) {
            self.seen.remove(&pid);
        }
        if !self.seen.contains_key(&pid) {
            let is_recorded = |process: &Process| process.is_alive() && process.unrecorded_since_ns.is_none();
            if self.beside_records && timeline.by_pid(pid).is_some_and(is_recorded) {
                // It was forked before its parent's records ended, and has records of its own.
                return;
            }
            // The end of a former owner of the PID is reported by its pidfd, and first.
            let former = timeline.by_pid(pid).filter(|_| !self.beside_records);
            let since_ns = match former.map(|process| process.reaping) {
                None => self.since_ns,
                Some(Some(reaping)) => reaping.not_before_ns,
                Some(None) => return,
            };
            let began_ns = began_ns(&stat, since_ns, at_ns);
            let mut begin = |what| events.push(Event { at_ns: began_ns, pid, tid: pid, what });
            // The watcher has no children but the command and what it adopts.
            let adopted = stat.ppid == self.watcher;
            begin(if adopted { What::Orphaned { by: stat.ppid } } else { What::Forked { ppid: stat.ppid } });
            begin(What::Named { name: stat.name.clone(), exec: false });
            if timeline.by_pid(stat.ppid).is_some_and(|parent| parent.unrecorded_since_ns.is_some()) {
                // A fork inherits the perf events of the parent, which has none left.
                begin(What::Unrecorded { since_ns: began_ns });
            }
            let mut seen = Seen {
                start_ticks: stat.start_ticks,
                name: stat.name.clone(),
                program: stat::program(pid),
                looked_ns: began_ns,
                began_ns,
                ..Seen::default()
            };
            seen.threads.insert(pid, SeenThread::default());
            self.seen.insert(pid, seen);
        }
        let Some(seen) = self.seen.get_mut(&pid).filter(|seen| !seen.ended) else { return };
        seen.hidden = false;
        let mut tell = |what| events.push(Event { at_ns, pid, tid: pid, what });
        if timeline.by_pid(pid).is_some_and(|process| process.ppid != stat.ppid) {
            tell(What::Adopted { by: stat.ppid });
        }
        let group = (Some(stat.pgid), Some(stat.session));
        if timeline.by_pid(pid).is_none_or(|process| (process.pgid, process.session) != group) {
            tell(What::Group { pgid: stat.pgid, session: stat.session });
        }
        if seen.name != stat.name {
            seen.name.clone_from(&stat.name);
            let program = stat::program(pid);
            // A program may also change its name. If its executable is not readable, a process with threads keeps them.
            let exec = if program.is_some() { program != seen.program } else { stat.n_threads <= 1 };
            seen.program = program;
            if exec {
                seen.threads.retain(|tid, _| *tid == pid);
                // A leader that has ended is replaced by the thread that called `execve`.
                seen.threads.values_mut().for_each(|thread| thread.ended = false);
                seen.began_ns = seen.looked_ns;
            }
            // Before everything that was read of the threads that it has created since.
            let at_ns = if exec { seen.looked_ns } else { at_ns };
            events.push(Event { at_ns, pid, tid: pid, what: What::Named { name: stat.name.clone(), exec } });
        }
        seen.look_at_threads(pid, &stat, scene, events);
        // An exec that the next look finds comes after all that this one has read.
        seen.looked_ns = monotonic_ns();
        // A main thread that has ended before the others has this letter too.
        if stat.letter == 'Z' && stat.n_threads <= 1 {
            seen.ended = true;
            return;
        }
        if let Some(line) =
            stat::command_line(pid, 4096).filter(|line| *line != seen.line && !line.is_empty())
        {
            seen.line.clone_from(&line);
            events.push(Event { at_ns, pid, tid: pid, what: What::CommandLine(line) });
        }
    }
}

impl Seen {
    fn look_at_threads(&mut self, pid: Pid, process: &Stat, scene: &Scene, events: &mut Vec<Event>) {
        let tids = match process.n_threads {
            0 | 1 => vec![pid],
            _ => tree::threads(pid),
        };
        let begin_ns = monotonic_ns();
        let living: HashSet<Pid> = tids.iter().copied().collect();
        let gone: Vec<Pid> = self.threads.keys().filter(|tid| !living.contains(tid)).copied().collect();
        for tid in gone {
            self.threads.remove(&tid);
            events.push(Event { at_ns: monotonic_ns(), pid, tid, what: What::Exited { ppid: Pid::UNKNOWN } });
        }
        for tid in tids.into_iter().take(MOST_THREADS) {
            let before = self.threads.get(&tid).map(|seen| seen.booked);
            let Some(read) = read(pid, tid, before) else { continue };
            let seen = self.threads.entry(tid).or_insert_with(|| {
                // Before a leader that has already ended: the process has not.
                let at_ns = began_ns(&read.stat, self.began_ns, begin_ns);
                events.push(Event { at_ns, pid, tid, what: What::Forked { ppid: pid } });
                SeenThread::default()
            });
            if !seen.ended {
                seen.look(pid, tid, &read, scene, events);
            }
        }
    }
}

impl SeenThread {
    fn look(&mut self, pid: Pid, tid: Pid, read: &Read, scene: &Scene, events: &mut Vec<Event>) {
        let Read { at_ns, stat, sums: now } = read;
        let mut tell = |what| events.push(Event { at_ns: *at_ns, pid, tid, what });
        if tid != pid && self.name != stat.name {
            self.name.clone_from(&stat.name);
            tell(What::Named { name: stat.name.clone(), exec: false });
        }
        let before = std::mem::replace(&mut self.booked, *now);
        let ran_ns = now.running_ns.saturating_sub(before.running_ns);
        let waited_ns = now.ready_ns.saturating_sub(before.ready_ns);
        let state = match stat.letter {
            'R' if waited_ns > ran_ns => State::Ready,
            'R' => State::Running,
            'T' | 't' => State::Stopped,
            'Z' | 'X' => State::Zombie,
            _ => State::Blocked,
        };
        let wait = (state == State::Blocked).then(|| self.wait(pid, tid, *at_ns, now.turns, scene)).flatten();
        tell(What::Sampled { state, sums: *now, wait });
        if state == State::Zombie {
            self.ended = true;
            tell(What::Exited { ppid: if tid == pid { stat.ppid } else { Pid::UNKNOWN } });
        }
    }

    fn wait(&mut self, pid: Pid, tid: Pid, at_ns: u64, turns: u64, scene: &Scene) -> Option<Wait> {
        let (asked_ns, asked_turns) = self.asked;
        if asked_ns == 0 || asked_turns != turns || at_ns.saturating_sub(asked_ns) >= AGAIN_NS {
            let wait = probe(pid, tid, scene);
            // A thread that was woken meanwhile is on its way out of the call, and its wait is over.
            let asleep = stat::of_thread(pid, tid).is_some_and(|stat| stat.letter != 'R');
            self.wait = wait.filter(|_| asleep);
            self.asked = (at_ns, turns);
        }
        self.wait.clone()
    }
}

/// The earliest possible start of a process or thread that has begun since `since_ns` and exists at `at_ns`. That a look
/// has not found it proves nothing: the kernel's list of children may leave some out while others end.
fn began_ns(stat: &Stat, since_ns: u64, at_ns: u64) -> u64 {
    stat::started_ns(stat.start_ticks).max(since_ns).min(at_ns)
}

/// A thread's state and the kernel's sums of it that belong together.
struct Read {
    at_ns: u64,
    stat: Stat,
    sums: SchedStat,
}

/// Reads a thread. The sums of a sleeping thread are complete as of `at_ns`: it had no turn between that and the read.
/// If that is not seen in a few attempts, it counts as a thread that can run.
fn read(pid: Pid, tid: Pid, before: Option<SchedStat>) -> Option<Read> {
    /// If this process was delayed for longer, it may have missed a wake-up.
    const TOGETHER_NS: u64 = 500_000;
    const ATTEMPTS: u32 = 3;
    let mut turns = before.map(|sums| sums.turns);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let begin_ns = monotonic_ns();
        let mut stat = stat::of_thread(pid, tid)?;
        let sums = booked(pid, tid)?;
        let end_ns = monotonic_ns();
        if matches!(stat.letter, 'R' | 'Z' | 'X') {
            return Some(Read { at_ns: end_ns, stat, sums });
        }
        if turns == Some(sums.turns) && end_ns - begin_ns < TOGETHER_NS {
            return Some(Read { at_ns: begin_ns, stat, sums });
        }
        turns = Some(sums.turns);
        if attempt == ATTEMPTS {
            stat.letter = 'R';
            return Some(Read { at_ns: end_ns, stat, sums });
        }
    }
}

/// The kernel's sums of a thread or, if it keeps none, the time on a CPU in clock ticks.
fn booked(pid: Pid, tid: Pid) -> Option<SchedStat> {
    stat::schedstat(pid, tid).or_else(|| {
        let stat = stat::of_thread(pid, tid)?;
        Some(SchedStat { running_ns: stat::ticks_to_ns(stat.cpu_ticks), ready_ns: 0, turns: stat.cpu_ticks })
    })
}
