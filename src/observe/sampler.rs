//! What the records do not show, read from `/proc`: what a thread is blocked on, the kernel's own sums, stops,
//! new parents, command lines.

use crate::sys::pid::Pid;
use std::collections::HashMap;

use super::budget::Budget;
use super::event::{Event, State, What};
use super::timeline::{Process, Thread, Timeline};
use super::waits::{Actor, Kind, Scene, Wait, probe_call};
use crate::sys::clock::monotonic_ns;
use crate::sys::procfs::syscall::current;
use crate::sys::procfs::{stat, tree};

/// A thread that has been blocked for less is likely to run again before it is read.
const YOUNGEST_NS: u64 = 1_000_000;
/// A blocked thread is read again after this long, because a lock may have a new holder.
const AGAIN_NS: u64 = 100_000_000;
/// Between the starts of two rounds.
const PERIOD_NS: u64 = 20_000_000;
/// The CPU time of one round, whatever the number of processes: records wait in the rings meanwhile.
const MOST_CPU_NS: u64 = 4_000_000;
/// The length of one round, which is longer if other processes get the CPU in between.
const LONGEST_NS: u64 = 50_000_000;
/// Threads of one process that are read in a round.
const MOST_THREADS: usize = 64;

/// Reads what `/proc` says of the processes of a timeline, a few at a time.
#[derive(Debug)]
pub(super) struct Sampler {
    /// When a thread was last read, and in which of its turns.
    asked: HashMap<Pid, (u64, u64)>,
    /// The process at which the last round ended.
    cursor: u64,
    budget: Budget,
}

impl Sampler {
    /// Rounds that together take at most `percent` of one CPU.
    pub(super) fn new(percent: f64) -> Self {
        Self { asked: HashMap::new(), cursor: 0, budget: Budget::new(percent, PERIOD_NS) }
    }

    /// When the next round is due.
    pub(super) fn due_ns(&self) -> u64 {
        self.budget.due_ns()
    }

    /// The longest time between two rounds so far.
    pub(super) fn longest_gap_ns(&self) -> u64 {
        self.budget.longest_gap_ns()
    }

    /// One round, which appends what it reads to `events`.
    pub(super) fn round(&mut self, timeline: &Timeline, watcher: Pid, events: &mut Vec<Event>) {
        let timer = self.budget.begin();
        let begin_ns = monotonic_ns();
        if let Some(ns) = stat::stolen_ns() {
            events.push(Event {
                at_ns: begin_ns,
                pid: Pid::UNKNOWN,
                tid: Pid::UNKNOWN,
                what: What::Stolen(ns),
            });
        }
        let scene = scene_with(timeline, watcher, unrecorded(timeline));
        self.asked.retain(|tid, _| timeline.knows_thread(*tid));
        let living = || timeline.living().filter(|(_, process)| process.unrecorded_since_ns.is_none());
        let (after, before): (Vec<_>, Vec<_>) = living().partition(|(id, _)| *id > self.cursor);
        for (id, process) in after.into_iter().chain(before) {
            self.process(process, &scene, events);
            self.cursor = id;
            if timer.cost_ns() > MOST_CPU_NS || monotonic_ns() - begin_ns > LONGEST_NS {
                break;
            }
        }
        self.budget.end(timer);
    }

    fn process(&mut self, process: &Process, scene: &Scene, events: &mut Vec<Event>) {
        let pid = process.pid;
        let mut tell = |at_ns, tid, what| events.push(Event { at_ns, pid, tid, what });
        let at_ns = monotonic_ns();
        let Some(now) = stat::of_process(pid) else { return };
        if now.ppid != process.ppid && now.ppid != Pid::UNKNOWN {
            tell(at_ns, pid, What::Adopted { by: now.ppid });
        }
        if process.pgid != Some(now.pgid) || process.session != Some(now.session) {
            tell(at_ns, pid, What::Group { pgid: now.pgid, session: now.session });
        }
        if process.command.is_none()
            && let Some(line) = stat::command_line(pid, 4096).filter(|line| !line.is_empty())
        {
            tell(at_ns, pid, What::CommandLine(line));
        }
        let off_cpu = |thread: &&Thread| thread.is_alive() && thread.state != State::Running;
        for thread in process.threads.iter().filter(off_cpu).take(MOST_THREADS) {
            self.thread(pid, thread, scene, &mut tell);
        }
        // By now it may be off the CPU; the turns show it.
        let on_cpu = |thread: &&Thread| thread.is_alive() && thread.state == State::Running;
        for thread in process.threads.iter().filter(on_cpu).take(MOST_THREADS) {
            read_in_passing(pid, thread.tid, &mut tell);
        }
    }

    fn thread(&mut self, pid: Pid, thread: &Thread, scene: &Scene, tell: &mut impl FnMut(u64, Pid, What)) {
        let tid = thread.tid;
        let begin_ns = monotonic_ns();
        let same_stretch = |turns| self.asked.get(&tid).is_some_and(|(_, asked)| *asked == turns);
        let young = begin_ns.saturating_sub(thread.since_ns) < YOUNGEST_NS;
        let recently = self.asked.get(&tid).is_some_and(|(at, _)| begin_ns - at < AGAIN_NS);
        if young {
            // One that never sleeps for longer has wake-up delays, too.
            return read_in_passing(pid, tid, tell);
        }
        if same_stretch(thread.turns) && recently {
            return;
        }
        // The values belong together only if the thread got no CPU between the first and the last read.
        let Some(before) = stat::schedstat(pid, tid) else { return };
        let in_passing = |tell: &mut dyn FnMut(u64, Pid, What), at_once: bool| {
            if at_once {
                tell(begin_ns, tid, What::SumsInPassing(before));
            }
        };
        let at_once = is_at_once(begin_ns);
        let letter = stat::of_thread(pid, tid).map(|stat| stat.letter);
        let at_ns = monotonic_ns();
        let is_asleep = matches!(letter, Some('S' | 'D' | 'I'));
        let call = if is_asleep { current(pid, tid) } else { None };
        let Some(after) = stat::schedstat(pid, tid).filter(|after| after.turns == before.turns) else {
            return in_passing(tell, at_once);
        };
        if let Some(letter) = letter {
            tell(at_ns, tid, What::Letter(letter));
        }
        // It sleeps and has had no CPU since. An awake thread may have got a turn that the kernel has counted already
        // and the records have not.
        if letter == Some('R') {
            in_passing(tell, at_once);
        } else {
            tell(at_ns, tid, What::Sums(after));
        }
        let wait = if is_asleep { probe_call(pid, tid, call, scene) } else { None };
        if let Some(wait) = wait {
            // To find out what the call is for takes long, on a loaded machine longer than some threads sleep.
            let is_same_sleep = || stat::schedstat(pid, tid).is_some_and(|now| now.turns == after.turns);
            let is_same_call = || is_of_descriptors(&wait) && call.is_some() && current(pid, tid) == call;
            // A thread that was woken meanwhile is on its way out of the call, and its wait is over.
            let is_awake = stat::of_thread(pid, tid).is_none_or(|stat| stat.letter == 'R');
            if is_awake || !(is_same_sleep() || is_same_call()) {
                return;
            }
            tell(at_ns, tid, What::Blocked(wait));
        }
        self.asked.insert(tid, (at_ns, thread.turns));
    }
}

/// Reads the kernel's sums of a thread that may have the CPU, or get it any moment. If this process was delayed meanwhile
/// they are of another time: the thread may have had a turn since, which its number of turns does not show if the kernel
/// has left out another one.
fn read_in_passing(pid: Pid, tid: Pid, tell: &mut impl FnMut(u64, Pid, What)) {
    let at_ns = monotonic_ns();
    if let Some(sums) = stat::schedstat(pid, tid).filter(|_| is_at_once(at_ns)) {
        tell(at_ns, tid, What::SumsInPassing(sums));
    }
}

/// Whether what was read since `begin_ns` is of that time, because this process has not lost its CPU for long.
fn is_at_once(begin_ns: u64) -> bool {
    const AT_ONCE_NS: u64 = 100_000;
    monotonic_ns() - begin_ns < AT_ONCE_NS
}

/// Whether the same wait for the same arguments is for the same things: locks have changing holders, and processes
/// changing children.
fn is_of_descriptors(wait: &Wait) -> bool {
    matches!(wait.kind, Kind::Several | Kind::Socket | Kind::Pipe | Kind::Timer | Kind::Terminal)
}

/// The children of recorded processes that the records do not tell of yet: those of each CPU come a moment later, and a
/// wait for such a child would be taken for another one.
fn unrecorded(timeline: &Timeline) -> Vec<Actor> {
    /// A look at more of them would take long.
    const MOST: usize = 32;
    let children = timeline.living().take(MOST).flat_map(|(_, process)| {
        let children = tree::children(process.pid).unwrap_or_default();
        children.into_iter().map(move |child| (child, process.pid))
    });
    children
        .filter(|(child, _)| !timeline.knows_thread(*child))
        .filter_map(|(pid, ppid)| Some(Actor { pid, ppid, name: stat::of_process(pid)?.name }))
        .collect()
}

/// The living processes of a timeline as a scene for probes.
pub(super) fn scene(timeline: &Timeline, watcher: Pid) -> Scene {
    scene_with(timeline, watcher, Vec::new())
}

/// The same, with processes that the timeline does not have yet.
pub(super) fn scene_with(timeline: &Timeline, watcher: Pid, mut new: Vec<Actor>) -> Scene {
    let actor =
        |process: &Process| Actor { pid: process.pid, ppid: process.ppid, name: process.name.clone() };
    let mut actors: Vec<Actor> = timeline.living().map(|(_, process)| actor(process)).collect();
    new.retain(|actor| actors.iter().all(|known| known.pid != actor.pid));
    actors.append(&mut new);
    Scene::new(actors, watcher)
}

/// The first events of a thread that is already running.
pub(super) fn found(pid: Pid, tid: Pid, events: &mut Vec<Event>) -> Option<()> {
    let at_ns = monotonic_ns();
    let stat = stat::of_thread(pid, tid)?;
    let state = match stat.letter {
        'R' => State::Running,
        'T' | 't' => State::Stopped,
        _ => State::Blocked,
    };
    let mut tell = |what| events.push(Event { at_ns, pid, tid, what });
    tell(What::Found { ppid: stat.ppid, state });
    tell(What::Named { name: stat.name, exec: false });
    if tid == pid {
        tell(What::Group { pgid: stat.pgid, session: stat.session });
    }
    if let Some(sums) = stat::schedstat(pid, tid) {
        tell(What::Sums(sums));
    }
    Some(())
}
