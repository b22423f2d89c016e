//! The sampled tier: where no records can be had, `/proc` is looked at every few milliseconds.

use crate::sys::pid::Pid;
use std::collections::HashMap;

use super::event::{Event, State, What};
use super::sampler::scene;
use super::timeline::Timeline;
use super::waits::probe;
use crate::sys::clock::monotonic_ns;
use crate::sys::procfs::{stat, tree};

/// Time between two looks.
pub(super) const PERIOD_NS: u64 = 5_000_000;
/// Threads of one process whose sums are read.
const MOST_THREADS: usize = 256;

/// Looks at a process and its descendants.
#[derive(Debug)]
pub(super) struct Poller {
    /// Those whose descendants are watched: the command, or the PID asked for, and this process as the one that
    /// adopts orphans.
    roots: Vec<Pid>,
    watcher: Pid,
    seen: HashMap<Pid, Seen>,
}

#[derive(Debug)]
struct Seen {
    start_ticks: u64,
    running_ns: u64,
    ready_ns: u64,
    name: String,
    line: String,
    zombie: bool,
}

impl Poller {
    /// Watches `roots` and their descendants; `watcher` itself is left out.
    pub(super) fn new(roots: Vec<Pid>, watcher: Pid) -> Self {
        Self { roots, watcher, seen: HashMap::new() }
    }

    /// Takes a process as seen already: the timeline has it.
    pub(super) fn know(&mut self, pid: Pid) {
        let Some(stat) = stat::of_process(pid) else { return };
        let (running_ns, ready_ns) = sums(pid);
        let line = stat::command_line(pid, 4096).unwrap_or_default();
        let seen = Seen {
            start_ticks: stat.start_ticks,
            running_ns,
            ready_ns,
            name: stat.name,
            line,
            zombie: false,
        };
        self.seen.insert(pid, seen);
    }

    /// One look; what changed goes to `events`.
    pub(super) fn look(&mut self, timeline: &Timeline, events: &mut Vec<Event>) {
        let mut pids: Vec<Pid> = self.roots.iter().flat_map(|root| tree::with_descendants(*root)).collect();
        // A process whose parent died is found by its number: it has another parent now.
        pids.extend(self.seen.keys().copied());
        pids.sort_unstable();
        pids.dedup();
        let scene = scene(timeline, self.watcher);
        for pid in pids.into_iter().filter(|pid| *pid != self.watcher) {
            let at_ns = monotonic_ns();
            let Some(stat) = stat::of_process(pid) else {
                self.seen.remove(&pid);
                continue;
            };
            let mut tell = |what| events.push(Event { at_ns, pid, tid: pid, what });
            if self.seen.get(&pid).is_some_and(|seen| seen.start_ticks != stat.start_ticks) {
                self.seen.remove(&pid);
            }
            let (running_ns, ready_ns) = sums(pid);
            let seen = self.seen.entry(pid).or_insert_with(|| {
                tell(What::Forked { ppid: stat.ppid });
                tell(What::Named { name: stat.name.clone(), exec: false });
                Seen {
                    start_ticks: stat.start_ticks,
                    running_ns: 0,
                    ready_ns: 0,
                    name: stat.name.clone(),
                    line: String::new(),
                    zombie: false,
                }
            });
            if seen.zombie {
                continue;
            }
            if timeline.by_pid(pid).is_some_and(|process| process.ppid != stat.ppid) {
                tell(What::Adopted { by: stat.ppid });
            }
            let ran = running_ns.saturating_sub(seen.running_ns);
            let waited = ready_ns.saturating_sub(seen.ready_ns);
            (seen.running_ns, seen.ready_ns) = (running_ns.max(seen.running_ns), ready_ns.max(seen.ready_ns));
            let state = match stat.letter {
                'R' if waited > ran => State::Ready,
                'R' => State::Running,
                'T' | 't' => State::Stopped,
                // Its last moments were some of the above; the sums say which.
                _ => State::Blocked,
            };
            if state == State::Blocked
                && stat.letter != 'Z'
                && let Some(wait) = probe(pid, pid, &scene)
            {
                tell(What::Blocked(wait));
            }
            tell(What::Sampled { state, running_ns: ran, ready_ns: waited });
            if stat.letter == 'Z' {
                seen.zombie = true;
                tell(What::Exited { ppid: stat.ppid });
                continue;
            }
            if seen.name != stat.name {
                seen.name.clone_from(&stat.name);
                tell(What::Named { name: stat.name, exec: true });
            }
            if let Some(line) =
                stat::command_line(pid, 4096).filter(|line| *line != seen.line && !line.is_empty())
            {
                seen.line.clone_from(&line);
                tell(What::CommandLine(line));
            }
        }
    }
}

/// Time on and in line for a CPU of all threads that live.
fn sums(pid: Pid) -> (u64, u64) {
    let threads = tree::threads(pid).into_iter().take(MOST_THREADS);
    let each = threads.filter_map(|tid| stat::schedstat(pid, tid));
    each.fold((0, 0), |(running, ready), stat| (running + stat.running_ns, ready + stat.ready_ns))
}
