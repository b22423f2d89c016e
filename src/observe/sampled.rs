//! Where nothing is recorded of a process, `/proc` is read every few milliseconds: the sampled tier, and
//! processes whose records the kernel has ended.

use crate::sys::pid::Pid;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::budget::Budget;
use super::event::{Event, State, What};
use super::sampler::scene;
use super::timeline::{Process, Timeline};
use super::waits::{Scene, Wait, probe};
use crate::sys::clock::monotonic_ns;
use crate::sys::procfs::stat::{SchedStat, Stat};
use crate::sys::procfs::{stat, tree};
use crate::sys::signal::process_exists;

/// Time between two looks, where the budget allows.
pub(super) const PERIOD_NS: u64 = 5_000_000;
/// What a thread waits for is asked again after this long, though it had no CPU since: a lock may have a new
/// holder.
const AGAIN_NS: u64 = 100_000_000;
/// Threads of one process that are looked at.
const MOST_THREADS: usize = 256;

/// Looks at processes and their descendants.
#[derive(Debug)]
pub(super) struct Poller {
    /// Those whose descendants are looked at.
    roots: Vec<Pid>,
    watcher: Pid,
    seen: HashMap<Pid, Seen>,
    /// There are records, which tell of all processes but these.
    beside_records: bool,
    budget: Budget,
}

#[derive(Debug, Default)]
struct Seen {
    start_ticks: u64,
    name: String,
    /// The file that it runs, where that is told.
    program: Option<PathBuf>,
    line: String,
    threads: HashMap<Pid, SeenThread>,
    /// When it was looked at last.
    looked_ns: u64,
    ended: bool,
    hidden: bool,
}

#[derive(Debug, Default)]
struct SeenThread {
    booked: SchedStat,
    wait: Option<Wait>,
    /// When it was asked what it waits for, and in which of its turns.
    asked: (u64, u64),
    ended: bool,
}

impl Poller {
    /// Looks at `roots` and their descendants; `watcher` itself is left out. Without roots it waits for those
    /// whose records end.
    pub(super) fn new(roots: Vec<Pid>, watcher: Pid, budget: Budget) -> Self {
        let beside_records = roots.is_empty();
        Self { roots, watcher, seen: HashMap::new(), beside_records, budget }
    }

    /// When the next look is due; never while there is nothing to look at.
    pub(super) fn due_ns(&self) -> u64 {
        if self.roots.is_empty() { u64::MAX } else { self.budget.due_ns() }
    }

    /// The longest time between two looks so far.
    pub(super) fn longest_period_ns(&self) -> u64 {
        self.budget.longest_period_ns()
    }

    /// Takes a process as seen already: the timeline has it, and what it did before now does not count.
    pub(super) fn know(&mut self, pid: Pid) {
        let Some(stat) = stat::of_process(pid) else { return };
        let threads = tree::threads(pid).into_iter().take(MOST_THREADS);
        let threads = threads.map(|tid| (tid, SeenThread::default())).collect();
        let line = stat::command_line(pid, 4096).unwrap_or_default();
        let (start_ticks, name, program) = (stat.start_ticks, stat.name, stat::program(pid));
        self.seen.insert(
            pid,
            Seen { start_ticks, name, program, line, threads, looked_ns: monotonic_ns(), ..Seen::default() },
        );
    }

    /// Takes a known process as looked at at this moment: what it did before is not its own.
    pub(super) fn looked(&mut self, pid: Pid, at_ns: u64) {
        if let Some(seen) = self.seen.get_mut(&pid) {
            seen.looked_ns = at_ns;
        }
    }

    /// Looks at a process from now on whose records have ended.
    pub(super) fn take_over(&mut self, process: &Process) {
        self.roots.push(process.pid);
        let threads = process.threads.iter().filter(|thread| thread.is_alive());
        let threads = threads.map(|thread| (thread.tid, SeenThread::default())).collect();
        let start_ticks = stat::of_process(process.pid).map_or(0, |stat| stat.start_ticks);
        let (name, program) = (process.name.clone(), stat::program(process.pid));
        self.seen.insert(
            process.pid,
            Seen { start_ticks, name, program, threads, looked_ns: monotonic_ns(), ..Seen::default() },
        );
    }

    /// One look; what changed goes to `events`.
    pub(super) fn look(&mut self, timeline: &Timeline, events: &mut Vec<Event>) {
        let timer = self.budget.begin();
        let mut pids: Vec<Pid> = self.roots.iter().flat_map(|root| tree::with_descendants(*root)).collect();
        // A process whose parent died is found by its number: it has another parent now.
        pids.extend(self.seen.keys().copied());
        pids.sort_unstable();
        pids.dedup();
        let scene = scene(timeline, self.watcher);
        pids.retain(|pid| *pid != self.watcher);
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
                // It was forked before its parent's records ended, and has its own.
                return;
            }
            // It is no older than the time that the kernel has booked for it.
            let booked = booked(pid, pid).unwrap_or_default();
            let began_ns = at_ns.saturating_sub(booked.running_ns + booked.ready_ns).min(at_ns);
            let mut begin = |what| events.push(Event { at_ns: began_ns, pid, tid: pid, what });
            begin(What::Forked { ppid: stat.ppid });
            begin(What::Named { name: stat.name.clone(), exec: false });
            if timeline.by_pid(stat.ppid).is_some_and(|parent| parent.unrecorded_since_ns.is_some()) {
                // The events of a process are inherited with the fork, and this one's parent has none left.
                begin(What::Unrecorded { since_ns: began_ns });
            }
            let mut seen = Seen {
                start_ticks: stat.start_ticks,
                name: stat.name.clone(),
                program: stat::program(pid),
                looked_ns: began_ns,
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
            // A program may take another name too; where its file is not told, one with threads is left them.
            let exec = if program.is_some() { program != seen.program } else { stat.n_threads <= 1 };
            seen.program = program;
            if exec {
                seen.threads.retain(|tid, _| *tid == pid);
            }
            // Before all that was seen of the threads that it has made since.
            let at_ns = if exec { seen.looked_ns } else { at_ns };
            events.push(Event { at_ns, pid, tid: pid, what: What::Named { name: stat.name.clone(), exec } });
        }
        seen.looked_ns = at_ns;
        seen.look_at_threads(pid, &stat, scene, events);
        // A main thread that has ended before the others is a zombie too.
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
            let at_ns = monotonic_ns();
            let stat = if tid == pid { Some(process.clone()) } else { stat::of_thread(pid, tid) };
            let (Some(stat), Some(now)) = (stat, booked(pid, tid)) else { continue };
            let seen = self.threads.entry(tid).or_insert_with(|| {
                // Before a leader that has ended already: the process has not.
                let began_ns = at_ns.saturating_sub(now.running_ns + now.ready_ns).min(begin_ns);
                events.push(Event { at_ns: began_ns, pid, tid, what: What::Forked { ppid: pid } });
                SeenThread::default()
            });
            if !seen.ended {
                seen.look(pid, tid, at_ns, &stat, now, scene, events);
            }
        }
    }
}

impl SeenThread {
    #[expect(clippy::too_many_arguments, reason = "what was read of one thread at one moment")]
    fn look(
        &mut self,
        pid: Pid,
        tid: Pid,
        at_ns: u64,
        stat: &Stat,
        now: SchedStat,
        scene: &Scene,
        events: &mut Vec<Event>,
    ) {
        let mut tell = |what| events.push(Event { at_ns, pid, tid, what });
        if tid != pid {
            tell(What::Named { name: stat.name.clone(), exec: false });
        }
        let before = std::mem::replace(&mut self.booked, now);
        let ran_ns = now.running_ns.saturating_sub(before.running_ns);
        let waited_ns = now.ready_ns.saturating_sub(before.ready_ns);
        let state = match stat.letter {
            'R' if waited_ns > ran_ns => State::Ready,
            'R' => State::Running,
            'T' | 't' => State::Stopped,
            // The last moments of one that has ended were some of the above; the sums say which.
            _ => State::Blocked,
        };
        let ended = matches!(stat.letter, 'Z' | 'X');
        let wait = (state == State::Blocked && !ended)
            .then(|| self.wait(pid, tid, at_ns, now.turns, scene))
            .flatten();
        tell(What::Sampled { state, sums: now, wait });
        if ended {
            self.ended = true;
            tell(What::Exited { ppid: if tid == pid { stat.ppid } else { Pid::UNKNOWN } });
        }
    }

    fn wait(&mut self, pid: Pid, tid: Pid, at_ns: u64, turns: u64, scene: &Scene) -> Option<Wait> {
        let (asked_ns, asked_turns) = self.asked;
        if asked_ns == 0 || asked_turns != turns || at_ns.saturating_sub(asked_ns) >= AGAIN_NS {
            self.wait = probe(pid, tid, scene);
            self.asked = (at_ns, turns);
        }
        self.wait.clone()
    }
}

/// The kernel's sums of a thread; where it keeps none, the time on a CPU in clock ticks.
fn booked(pid: Pid, tid: Pid) -> Option<SchedStat> {
    stat::schedstat(pid, tid).or_else(|| {
        let stat = stat::of_thread(pid, tid)?;
        Some(SchedStat { running_ns: stat::ticks_to_ns(stat.cpu_ticks), ready_ns: 0, turns: stat.cpu_ticks })
    })
}
