//! Events in, lives out.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, HashMap, VecDeque};

use super::ids::ById;
use super::process::Process;
use super::spans::Span;
use super::sums::{Sums, add_wait};
use crate::observe::event::{Event, State, What};
use crate::observe::waits::Wait;
use crate::sys::procfs::stat::SchedStat;
use crate::sys::procfs::text::printable;

/// How much is kept of a run that may last for hours.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Spans of all threads together; above it neighbours are joined, and sums stay exact.
    pub spans: usize,
    /// Processes; above it those that were reaped first are only counted.
    pub processes: usize,
    /// Wake-ups; above it the oldest are forgotten.
    pub wakes: usize,
    /// Different things waited for; above it new ones are "not seen".
    pub waits: usize,
}

impl Default for Limits {
    /// About 100 MiB at the most.
    fn default() -> Self {
        Self { spans: 1_000_000, processes: 65_536, wakes: 100_000, waits: 65_536 }
    }
}

/// The counter of what a hypervisor takes away goes on by so much at a time, where it takes away anything.
const STOLEN_STEP_NS: u64 = 10_000_000;

/// One thread let another one go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at_ns: u64,
    /// The thread that did it.
    pub by: Pid,
    /// The thread that was woken.
    pub tid: Pid,
}

/// Processes that are only counted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Folded {
    /// How many.
    pub n_processes: u64,
    /// Their time by state.
    pub sums: Sums,
}

/// Something about a life that is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// When.
    pub at_ns: u64,
    /// The process by its number in [`Timeline::processes`].
    pub id: u64,
    /// What.
    pub kind: NewsKind,
}

/// Kinds of [`News`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewsKind {
    /// It was forked or found.
    Started,
    /// It became another program.
    Exec,
    /// Its last thread ended.
    Ended,
    /// It was reaped.
    Reaped,
    /// It lost its parent and the new one is known.
    Adopted,
}

/// Every process seen, its states and its sums.
#[derive(Debug, Default)]
pub struct Timeline {
    pub(super) limits: Limits,
    pub(super) processes: BTreeMap<u64, Process>,
    pub(super) next_id: u64,
    /// The living or last process of a PID.
    pub(super) pids: ById<Pid, u64>,
    /// A living thread's process and place in it.
    pub(super) tids: ById<Pid, (u64, usize)>,
    waits: Vec<Wait>,
    wait_numbers: HashMap<Wait, u32>,
    wakes: VecDeque<Wake>,
    pub(super) news: VecDeque<News>,
    pub(super) folded: Folded,
    n_spans: usize,
    grain_ns: u64,
    now_ns: u64,
    n_late: u64,
    /// A thread's records go on after that of its exit.
    pub(super) records_go_on: bool,
    /// By CPU, who got it last.
    on_cpu: ById<u32, Occupant>,
    /// The hypervisor's takings when the watch began, and since, at the most.
    stolen_before_ns: Option<u64>,
    stolen_ns: u64,
}

/// A thread that has a CPU, or had it last.
#[derive(Debug, Clone, Copy)]
struct Occupant {
    process: u64,
    tid: Pid,
    /// When it was seen to leave it.
    left_ns: Option<u64>,
}

impl Timeline {
    /// An empty timeline.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// For a source whose records of a thread go on after that of its exit, to its last way off the CPU.
    pub fn with_records_to_the_last(mut self, go_on: bool) -> Self {
        self.records_go_on = go_on;
        self
    }

    /// Takes one event. What does not fit (an unknown thread, a doubled switch) changes nothing.
    pub fn apply(&mut self, event: &Event) {
        self.n_late += u64::from(event.at_ns < self.now_ns);
        self.now_ns = self.now_ns.max(event.at_ns);
        let at_ns = event.at_ns;
        match &event.what {
            What::In { cpu } => self.turn_on(event.tid, *cpu, at_ns),
            What::Out { preempted } => self.turn_off(event.tid, *preempted, at_ns),
            What::Woken { by } => self.wake(event.tid, *by, at_ns),
            What::Letter(letter) => self.see_letter(event.tid, *letter, at_ns),
            What::Blocked(wait) => self.see_wait(event.tid, wait, at_ns),
            What::Sums(kernel) => self.see_sums(event.pid, event.tid, *kernel, at_ns),
            What::Stolen(ns) => {
                let before = *self.stolen_before_ns.get_or_insert(*ns);
                self.stolen_ns = if *ns == 0 { 0 } else { ns.saturating_sub(before) + STOLEN_STEP_NS };
            }
            What::Sampled { state, running_ns, ready_ns } => {
                self.sample(event.pid, *state, *running_ns, *ready_ns, at_ns);
            }
            _ => self.live(event),
        }
        if self.n_spans > self.limits.spans {
            self.coarsen();
        }
    }

    /// The time of the latest event.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Every process that is kept, by a number that grows with time.
    pub fn processes(&self) -> impl DoubleEndedIterator<Item = (u64, &Process)> {
        self.processes.iter().map(|(&id, process)| (id, process))
    }

    /// One process by its number.
    pub fn process(&self, id: u64) -> Option<&Process> {
        self.processes.get(&id)
    }

    /// The living or last process that has or had this PID.
    pub fn by_pid(&self, pid: Pid) -> Option<&Process> {
        self.processes.get(self.pids.get(&pid)?)
    }

    /// Whether a thread belongs to a process of this timeline and lives.
    pub fn knows_thread(&self, tid: Pid) -> bool {
        self.tids.contains_key(&tid)
    }

    /// A thing waited for, by the number that spans and sums have; `None` for 0, "not seen".
    pub fn wait(&self, number: u32) -> Option<&Wait> {
        self.waits.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The words for a wait's number.
    pub fn wait_name(&self, number: u32) -> &str {
        self.wait(number).map_or("not seen", |wait| &wait.on)
    }

    /// The wake-ups that are kept, oldest first; only the root tier sees them.
    pub fn wakes(&self) -> impl Iterator<Item = &Wake> {
        self.wakes.iter()
    }

    /// What has happened to lives since the last call; the oldest of very much are left out.
    pub fn take_news(&mut self) -> Vec<News> {
        self.news.drain(..).collect()
    }

    /// Processes that are only counted any more.
    pub fn folded(&self) -> Folded {
        self.folded
    }

    /// Neighbouring spans that together are no longer than this may have been joined; 0 while all are exact.
    pub fn grain_ns(&self) -> u64 {
        self.grain_ns
    }

    /// Events that came after a later one.
    pub fn n_late(&self) -> u64 {
        self.n_late
    }

    fn find(&mut self, tid: Pid) -> Option<(&mut Process, usize)> {
        let &(id, thread) = self.tids.get(&tid)?;
        Some((self.processes.get_mut(&id)?, thread))
    }

    /// Brings one thread to a state and its process in line with it.
    pub(super) fn go(&mut self, tid: Pid, state: State, at_ns: u64) {
        let grain_ns = self.grain_ns;
        let Some((process, thread)) = self.find(tid) else { return };
        let grew = process.go(thread, state, at_ns, grain_ns);
        self.n_spans += usize::from(grew);
    }

    fn turn_on(&mut self, tid: Pid, cpu: u32, at_ns: u64) {
        let grain_ns = self.grain_ns;
        let Some(&(id, _)) = self.tids.get(&tid) else { return };
        let before = self.on_cpu.insert(cpu, Occupant { process: id, tid, left_ns: None });
        if let Some(Occupant { process, tid: other, left_ns: None }) = before
            && other != tid
        {
            self.displace(process, other, cpu, at_ns);
        }
        let Some((process, thread)) = self.find(tid) else { return };
        if process.threads[thread].state == State::Running {
            let Some(lost_ns) = process.threads[thread].displaced_ns.take() else { return };
            self.go(tid, State::Ready, lost_ns);
        }
        let Some((process, thread)) = self.find(tid) else { return };
        process.threads[thread].turns += 1;
        // Whoever exits may have had it since the one before left it.
        process.threads[thread].free_ns = before.map_or(Some(0), |before| before.left_ns);
        let grew = process.go(thread, State::Running, at_ns, grain_ns);
        process.threads[thread].cpu = cpu;
        self.n_spans += usize::from(grew);
    }

    /// Another thread has the CPU of this one, so that it has lost it, though no record says so: the last switches
    /// before and those after the record of an exit have none.
    fn displace(&mut self, id: u64, tid: Pid, cpu: u32, at_ns: u64) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let Some(thread) = process.threads.iter_mut().rfind(|thread| thread.tid == tid) else { return };
        if thread.cpu != cpu || (thread.is_alive() && thread.state != State::Running) {
            return;
        }
        thread.displaced_ns.get_or_insert(at_ns);
        // Of any other thread the record may come late.
        if thread.is_alive() && thread.exiting.is_some() {
            self.go(tid, State::Ready, at_ns);
        }
    }

    fn leave(&mut self, cpu: u32, tid: Pid, at_ns: u64) {
        if let Some(occupant) = self.on_cpu.get_mut(&cpu).filter(|occupant| occupant.tid == tid) {
            occupant.left_ns = Some(at_ns);
        }
    }

    fn turn_off(&mut self, tid: Pid, preempted: bool, at_ns: u64) {
        let grain_ns = self.grain_ns;
        let Some((process, thread)) = self.find(tid) else { return };
        if let Some((ppid, _)) = process.threads[thread].exiting.filter(|_| !preempted) {
            let (pid, cpu) = (process.pid, process.threads[thread].cpu);
            self.leave(cpu, tid, at_ns);
            return self.end_thread(pid, tid, ppid, at_ns);
        }
        if process.threads[thread].state != State::Running {
            return;
        }
        process.threads[thread].displaced_ns = None;
        let cpu = process.threads[thread].cpu;
        self.leave(cpu, tid, at_ns);
        let Some((process, thread)) = self.find(tid) else { return };
        process.threads[thread].preempted += u64::from(preempted);
        let state = if preempted { State::Ready } else { State::Blocked };
        let grew = process.go(thread, state, at_ns, grain_ns);
        self.n_spans += usize::from(grew);
    }

    fn wake(&mut self, tid: Pid, by: Pid, at_ns: u64) {
        let Some((process, thread)) = self.find(tid) else { return };
        // A wake-up of a thread that is about to sleep makes it not sleep at all: its next switch tells.
        if !matches!(process.threads[thread].state, State::Blocked | State::Stopped) {
            return;
        }
        self.go(tid, State::Ready, at_ns);
        if self.wakes.len() >= self.limits.wakes {
            self.wakes.pop_front();
        }
        self.wakes.push_back(Wake { at_ns, by, tid });
    }

    fn see_letter(&mut self, tid: Pid, letter: char, at_ns: u64) {
        let Some((process, index)) = self.find(tid) else { return };
        let thread = &mut process.threads[index];
        if thread.state != State::Blocked || thread.since_ns > at_ns {
            return;
        }
        thread.letter = Some(letter);
        if matches!(letter, 'T' | 't') {
            // It has been off the CPU since before the letter was read, and a stop begins by leaving the CPU:
            // the whole stretch was a stop.
            thread.state = State::Stopped;
            if process.state == State::Blocked
                && process.threads.iter().all(|thread| !thread.is_alive() || thread.state == State::Stopped)
            {
                process.state = State::Stopped;
            }
        }
    }

    fn see_wait(&mut self, tid: Pid, wait: &Wait, at_ns: u64) {
        let number = self.number_of(wait);
        let Some((process, index)) = self.find(tid) else { return };
        let thread = &process.threads[index];
        if thread.state != State::Blocked || thread.since_ns > at_ns {
            return;
        }
        if thread.wait != 0 && thread.wait != number {
            // Still blocked, on something else now: the lock's holder changed, for example.
            self.go(tid, State::Blocked, at_ns);
        }
        if let Some((process, index)) = self.find(tid) {
            process.threads[index].wait = number;
            process.settle(at_ns);
        }
    }

    fn see_sums(&mut self, pid: Pid, tid: Pid, kernel: SchedStat, at_ns: u64) {
        let stolen_ns = self.stolen_ns;
        if let Some((process, index)) = self.find(tid) {
            process.threads[index].compare(at_ns, kernel, stolen_ns, process.older);
        } else if pid == tid {
            // A zombie still has its main thread's sums, and they are final.
            let process = self.pids.get(&pid).and_then(|id| self.processes.get_mut(id));
            if let Some(process) = process {
                process.see_final_sums(kernel, at_ns, stolen_ns);
            }
        }
    }

    fn number_of(&mut self, wait: &Wait) -> u32 {
        if let Some(&number) = self.wait_numbers.get(wait) {
            return number;
        }
        if self.waits.len() >= self.limits.waits {
            return 0;
        }
        let mut shown = wait.clone();
        // Paths and names of sockets are chosen by programs and end on terminals.
        shown.on = printable(shown.on.as_bytes());
        self.waits.push(shown);
        let number = u32::try_from(self.waits.len()).unwrap_or(0);
        self.wait_numbers.insert(wait.clone(), number);
        number
    }

    /// The sampled tier knows sums between two samples and the state at the second one, not the order.
    ///
    /// The kernel books time in line only when it is over, and time on the CPU at ticks: what a process that
    /// could run has not booked yet counts as ready, and is taken back when it is booked.
    fn sample(&mut self, pid: Pid, state: State, running_ns: u64, ready_ns: u64, at_ns: u64) {
        let grain_ns = self.grain_ns;
        let Some((process, _)) = self.find(pid) else { return };
        let ns = at_ns.saturating_sub(process.since_ns);
        let booked_late = (running_ns + ready_ns).saturating_sub(ns).min(process.unbooked_ns);
        process.sums.ready_ns -= booked_late;
        process.unbooked_ns -= booked_late;
        let running = running_ns.min(ns + booked_late);
        let ready = ready_ns.min(ns + booked_late - running);
        let rest = ns + booked_late - running - ready;
        let can_run = matches!(state, State::Running | State::Ready);
        process.unbooked_ns = if can_run { process.unbooked_ns + rest } else { 0 };
        let rest_state = if can_run { State::Ready } else { state };
        let parts = [(State::Running, running), (State::Ready, ready), (rest_state, rest)];
        for (state, ns) in parts {
            process.sums.add(state, ns);
        }
        if rest_state == State::Blocked && rest > 0 {
            add_wait(&mut process.waits, process.wait, rest);
        }
        // The drawing: what the process was seen to do when it could run, else what it did for longest.
        let longest = match parts.into_iter().max_by_key(|(_, ns)| *ns) {
            Some((longest, _)) if !can_run => longest,
            _ => state,
        };
        process.state = state;
        process.since_ns = process.since_ns.max(at_ns);
        let wait = if longest == State::Blocked { process.wait } else { 0 };
        process.wait = 0;
        let thread = &mut process.threads[0];
        thread.sums = process.sums;
        let span = Span::new(thread.since_ns, process.since_ns, longest, 0, wait).with_parts(&parts);
        thread.state = state;
        thread.since_ns = process.since_ns;
        thread.wait = 0;
        let grew = thread.spans.push(span, grain_ns);
        self.n_spans += usize::from(grew);
    }

    fn coarsen(&mut self) {
        const FIRST_GRAIN_NS: u64 = 10_000;
        const MOST_ROUNDS: u32 = 32;
        for _ in 0..MOST_ROUNDS {
            self.grain_ns = (self.grain_ns * 2).max(FIRST_GRAIN_NS);
            self.n_spans = 0;
            for thread in self.processes.values_mut().flat_map(|process| &mut process.threads) {
                thread.spans.coarsen(self.grain_ns);
                self.n_spans += thread.spans.len();
            }
            if self.n_spans <= self.limits.spans / 4 * 3 {
                break;
            }
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
