//! One process: the sums of its threads, its parents, its end.

use super::spans::Span;
use super::sums::{Sums, WaitSum};
use super::thread::Thread;
use crate::observe::event::State;
use crate::process::Exit;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

/// How a process lost its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphan {
    /// When its parent ended.
    pub at_ns: u64,
    /// That parent; [`Pid::UNKNOWN`] if the process was found after it had ended.
    pub old: Pid,
    /// The process that adopted it, once that is known.
    pub new: Option<Pid>,
}

impl Orphan {
    /// The lost parent, as a word of a sentence.
    pub fn old_in_words(&self) -> String {
        old_in_words(self.old)
    }
}

/// The lost parent of an orphan, as a word of a sentence.
pub fn old_in_words(old: Pid) -> String {
    if old == Pid::UNKNOWN { "an unseen process".to_owned() } else { old.to_string() }
}

/// When a zombie was reaped, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaping {
    /// The earliest time.
    pub not_before_ns: u64,
    /// The latest time.
    pub not_after_ns: u64,
    /// Its parent at that time; `None` if the parent ignored SIGCHLD, so that no process reaped it.
    pub by: Option<Pid>,
}

/// A switch of a thread that is not known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stray {
    pub(super) at_ns: u64,
    pub(super) switch: Switch,
}

/// A thread got a CPU, or left it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Switch {
    On { cpu: u32 },
    Off { preempted: bool },
}

/// The life of one process. A reused PID is another process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its PID.
    pub pid: Pid,
    /// Its parent now, or when it ended.
    pub ppid: Pid,
    /// Its name now.
    pub name: String,
    /// Its command line, once read.
    pub command: Option<String>,
    /// Its process group, once read; a child begins with its parent's.
    pub pgid: Option<Pid>,
    /// Its session, likewise.
    pub session: Option<Pid>,
    /// When it was forked, or found.
    pub started_ns: u64,
    /// It was already running when the watch began.
    pub found: bool,
    /// The watched command before its exec: what it does there is not its own.
    pub(super) held: bool,
    /// Its kernel sums begin before its records: it was found, or is the watched command, which was this program before
    /// its exec.
    pub(super) older: bool,
    /// Signals from the kernel that it was sent and, as far as is known, has not received: a bit for each number.
    pub(super) pending: u64,
    /// From this time on the kernel recorded nothing of it, although it was alive.
    pub unrecorded_since_ns: Option<u64>,
    /// When its last thread ended; at the latest, if the end was found by a look.
    pub ended_ns: Option<u64>,
    /// When it was last seen alive, if its end was found by a look or is only known to be between two times.
    pub(super) last_alive_ns: Option<u64>,
    /// When it was first seen to have ended.
    pub(super) seen_ended_ns: Option<u64>,
    /// Its last thread was recorded, or announced, to leave its CPU for good.
    pub(super) end_is_recorded: bool,
    /// How it ended, if known.
    pub exit: Option<Exit>,
    /// When and by whom it was reaped.
    pub reaping: Option<Reaping>,
    /// The process that collected its exit status, if that is known to be another one than its parent.
    pub(super) collected_by: Option<Pid>,
    /// It lost its parent.
    pub orphan: Option<Orphan>,
    /// Each program that it executed, and when.
    pub execs: Vec<(u64, String)>,
    /// Its threads, the main one first; threads that ended long ago are only counted.
    pub threads: Vec<Thread>,
    /// The total number of threads that it has had.
    pub n_threads: u32,
    /// Switches of a thread with the main thread's TID, which has ended: perhaps that of a thread that has called `execve`
    /// and takes over the TID before the exec is recorded.
    pub(super) strays: Vec<Stray>,
    /// The sums of threads that are no longer listed.
    pub(super) past_threads: (Sums, u64, u64),
}

impl Process {
    pub(super) fn new(pid: Pid, ppid: Pid, name: String, at_ns: u64, state: State) -> Self {
        Self {
            pid,
            ppid,
            name,
            command: None,
            pgid: None,
            session: None,
            started_ns: at_ns,
            found: false,
            held: false,
            older: false,
            pending: 0,
            unrecorded_since_ns: None,
            ended_ns: None,
            last_alive_ns: None,
            seen_ended_ns: None,
            end_is_recorded: false,
            exit: None,
            reaping: None,
            collected_by: None,
            orphan: None,
            execs: Vec::new(),
            threads: vec![Thread::new(pid, at_ns, state)],
            n_threads: 1,
            strays: Vec::new(),
            past_threads: (Sums::default(), 0, 0),
        }
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        self.ended_ns.is_none()
    }

    pub(super) fn thread(&mut self, tid: Pid) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.tid == tid && thread.is_alive())
    }

    /// The main thread or, once that has ended, the first living one: its state is the state of the process.
    pub fn main(&self) -> &Thread {
        let living = || self.threads.iter().filter(|thread| thread.is_alive());
        let main = living().find(|thread| thread.tid == self.pid).or_else(|| living().next());
        main.unwrap_or(&self.threads[0])
    }

    /// Its state: that of its main thread, until it has ended.
    pub fn state(&self) -> State {
        match (self.reaping, self.ended_ns) {
            (Some(_), _) => State::Reaped,
            (None, Some(_)) => State::Zombie,
            (None, None) => self.main().state,
        }
    }

    /// Since when it is in this state.
    pub fn since_ns(&self) -> u64 {
        let ended_ns = self.reaping.map(|reaping| reaping.not_after_ns).or(self.ended_ns);
        ended_ns.unwrap_or_else(|| self.main().since_ns)
    }

    /// Moves one of its threads to a state; returns whether the list of spans grew.
    pub(super) fn go(&mut self, thread: usize, state: State, at_ns: u64, grain_ns: u64) -> bool {
        let span = self.threads[thread].go(state, at_ns);
        self.threads[thread].spans.push(span, grain_ns)
    }

    /// The number of spans of its threads.
    pub(super) fn n_spans(&self) -> usize {
        self.threads.iter().map(|thread| thread.spans.len()).sum()
    }

    /// Gives back the room for what will not come any more.
    pub(super) fn compact(&mut self) {
        self.strays = Vec::new();
        self.execs.shrink_to_fit();
        self.threads.shrink_to_fit();
        self.threads.iter_mut().for_each(Thread::compact);
    }

    /// Applies the sums of a zombie, which are final. They show what no record does: how long its main thread had a CPU
    /// between the record of its exit and its end.
    pub(super) fn see_final_sums(&mut self, kernel: SchedStat, at_ns: u64, stolen_ns: u64) {
        let single = self.n_threads == 1;
        let Some(main) = self.threads.iter_mut().find(|thread| thread.tid == self.pid) else { return };
        main.compare(at_ns, kernel, stolen_ns, self.older);
        let (Some(check), Some(ended_ns)) = (&mut main.check, self.ended_ns) else { return };
        if !single || self.reaping.is_some() {
            return;
        }
        let rest = check.running_ns.1.saturating_sub(check.running_ns.0);
        if main.sums.unknown_ns > 0 {
            let waited_ns = check.ready_ns.1.saturating_sub(check.ready_ns.0);
            let (ran_ns, waited_ns) = main.spans.settle_the_end(rest, waited_ns, main.cpu);
            main.sums.unknown_ns -= ran_ns + waited_ns;
            main.sums.running_ns += ran_ns;
            main.sums.ready_ns += waited_ns;
            check.running_ns.0 += ran_ns;
            check.ready_ns.0 += waited_ns;
            return;
        }
        // It was recorded as running until its end, and by the kernel's sums it was in the run queue for a part of that.
        let excess_ns = check.running_ns.0.saturating_sub(check.running_ns.1);
        let in_line_ns = check.ready_ns.1.saturating_sub(check.ready_ns.0);
        if let (Some(exited_ns), ns @ 1..) = (main.exiting, excess_ns.min(in_line_ns)) {
            let ns = main.spans.lost_cpu_after(exited_ns, ns);
            main.sums.running_ns -= ns;
            main.sums.ready_ns += ns;
            check.running_ns.0 -= ns;
            check.ready_ns.0 += ns;
            return;
        }
        let end_is_known = main.exiting.is_some_and(|exited_ns| ended_ns > exited_ns);
        if !end_is_known {
            // The last record is that of the exit: it ended this much later, unless another thread has the CPU by then.
            let until_ns = main.displaced_ns.unwrap_or(at_ns).min(at_ns);
            let rest = rest.min(until_ns.saturating_sub(ended_ns));
            if rest > 0 {
                check.running_ns.0 += rest;
                main.sums.running_ns += rest;
                main.ended_ns = Some(ended_ns + rest);
                main.spans.push(Span::new(ended_ns, ended_ns + rest, State::Running, main.cpu, 0), 0);
                self.ended_ns = Some(ended_ns + rest);
            }
        } else if main.displaced_ns.is_some() {
            // It lost the CPU on the way, and had one again for this long at its end, but not while another thread had it.
            let rest = rest.min(ended_ns.saturating_sub(main.free_ns.unwrap_or(ended_ns)));
            let rest = main.spans.had_cpu_at_the_end(ended_ns, rest, main.cpu);
            check.running_ns.0 += rest;
            check.ready_ns.0 -= rest;
            main.sums.running_ns += rest;
            main.sums.ready_ns -= rest;
        }
    }

    /// The sums of all its threads as if their present states ended at `now_ns`, and its time as a zombie, at most: what is
    /// unknown before an end that was found by a look may be in it.
    pub fn sums_at(&self, now_ns: u64) -> Sums {
        let mut sums = self.past_threads.0;
        self.threads.iter().for_each(|thread| sums += thread.sums_at(now_ns));
        if let Some(ended_ns) = self.ended_ns {
            let until_ns = self.reaping.map_or(now_ns, |reaping| reaping.not_after_ns);
            let by_itself = self.reaping.is_some_and(|reaping| reaping.by.is_none());
            let from_ns = self.last_alive_ns.filter(|_| !by_itself).unwrap_or(ended_ns);
            sums.zombie_ns += until_ns.saturating_sub(from_ns);
        }
        sums
    }

    /// Its time as a zombie, at least: from when it is known to have ended until it was last known not to be reaped.
    pub fn zombie_at_least_ns(&self, now_ns: u64) -> u64 {
        let Some(ended_ns) = self.ended_ns else { return 0 };
        let until_ns = self.reaping.map_or(now_ns, |reaping| reaping.not_before_ns);
        // After the record of an exit it may have freed memory, or waited for a CPU, for long.
        let from_ns = if self.end_is_recorded {
            ended_ns
        } else {
            self.seen_ended_ns.map_or(until_ns, |ns| ns.max(ended_ns))
        };
        until_ns.saturating_sub(from_ns)
    }

    /// Its lifetime, to its end or to `now_ns`.
    pub fn life_ns(&self, now_ns: u64) -> u64 {
        self.ended_ns.unwrap_or(now_ns).saturating_sub(self.started_ns)
    }

    /// The part of ready that the records do not show, of all listed threads.
    pub fn hidden_ready_ns(&self) -> u64 {
        self.threads.iter().map(|thread| thread.hidden_ns() - thread.hidden_running_ns()).sum()
    }

    /// How often one of its threads got a CPU.
    pub fn turns(&self) -> u64 {
        self.past_threads.1 + self.threads.iter().map(|thread| thread.turns).sum::<u64>()
    }

    /// How often a thread lost the CPU while it could have continued.
    pub fn preempted(&self) -> u64 {
        self.past_threads.2 + self.threads.iter().map(|thread| thread.preempted).sum::<u64>()
    }

    /// What its main thread was and is blocked on: numbers of waits, and sums.
    pub fn waits_at(&self, now_ns: u64) -> Vec<(u32, WaitSum)> {
        self.own_thread().waits_at(now_ns)
    }

    /// The main thread, ended or not, whose waits are those of the process.
    pub fn own_thread(&self) -> &Thread {
        let main = self.threads.iter().rfind(|thread| thread.tid == self.pid);
        main.unwrap_or_else(|| self.main())
    }

    /// What it is blocked on, by number; 0 if not seen or not blocked.
    pub fn waits_now(&self) -> u32 {
        let main = self.main();
        if self.is_alive() && main.state == State::Blocked { main.wait } else { 0 }
    }

    /// The spans of its life from `from_ns` to `now_ns`: those of its main thread, then those of threads that outlive
    /// it.
    pub fn live_spans(&self, from_ns: u64, now_ns: u64) -> Vec<Span> {
        let mut spans = self.threads[0].spans_at(from_ns, now_ns);
        let mut ended_ns = self.threads[0].ended_ns;
        while let Some(from) = ended_ns {
            let outlives = |thread: &&Thread| {
                thread.started_ns <= from && thread.ended_ns.is_none_or(|ended_ns| ended_ns > from)
            };
            let Some(next) = self.threads.iter().find(outlives) else { break };
            let later = next.spans_at(from.max(from_ns), now_ns);
            spans.extend(later.into_iter().map(|span| span.cut(from, u64::MAX)));
            ended_ns = next.ended_ns;
        }
        spans
    }

    /// The spans of [`live_spans`](Self::live_spans), followed by its time as a zombie.
    pub fn spans(&self, from_ns: u64, now_ns: u64) -> Vec<Span> {
        let mut spans = self.live_spans(from_ns, now_ns);
        if let Some(ended_ns) = self.ended_ns {
            let until = self.reaping.map_or(now_ns, |reaping| reaping.not_after_ns);
            if until > ended_ns.max(from_ns) {
                spans.push(Span::new(ended_ns, until, State::Zombie, 0, 0));
            }
        }
        spans
    }
}
