//! Events in, lives out.

use crate::sys::pid::Pid;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::folded::Folded;
use super::ids::ById;
use super::index::Index;
use super::process::Process;
use super::reasons::Reasons;
use super::thread::Thread;
use crate::observe::event::{Event, State, What};
use crate::observe::waits::Wait;

/// How much is kept of a run that may last for hours.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Spans of all threads together; beyond it neighbours are joined, and sums stay exact.
    pub spans: usize,
    /// Processes; beyond it those that were reaped long ago are only counted, the shortest lives first.
    pub processes: usize,
    /// Wake-ups; beyond it the oldest are discarded.
    pub wakes: usize,
    /// Different reasons for waits, one that names many processes as several; beyond it only the kinds of the oldest are known.
    pub waits: usize,
}

impl Default for Limits {
    /// At most about 100 MiB.
    fn default() -> Self {
        Self { spans: 1_000_000, processes: 65_536, wakes: 100_000, waits: 65_536 }
    }
}

/// The resolution of the counter of stolen time.
const STOLEN_STEP_NS: u64 = 10_000_000;

/// What a source records of each thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Records {
    /// Nothing: all comes from samples.
    Nothing,
    /// Its switches up to its exit.
    #[default]
    ToTheExit,
    /// Its switches after the exit too, until it leaves the CPU for the last time.
    ToTheLast,
    /// All that, for every process of the machine, whatever privileges it gains.
    Everything,
}

/// One thread woke another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at_ns: u64,
    /// The waker.
    pub by: Pid,
    /// The thread that was woken.
    pub tid: Pid,
}

/// An event in the life of a process that is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// When.
    pub at_ns: u64,
    /// The process, by its ID in [`Timeline::processes`].
    pub id: u64,
    /// What happened.
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
    /// It lost its parent, and the new one is known.
    Adopted,
    /// It was stopped, by a signal or a debugger.
    Stopped,
    /// It continues after a stop.
    Continued,
}

/// A signal was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentSignal {
    /// When.
    pub at_ns: u64,
    /// Its number.
    pub number: i32,
    /// The thread that sent it; 0 for the kernel itself (a timer, a fault, a terminal).
    pub from: Pid,
    /// The thread that it was sent to, which usually stands for its process.
    pub to: Pid,
}

/// Every observed process, with its states and sums.
#[derive(Debug, Default)]
pub struct Timeline {
    pub(super) limits: Limits,
    pub(super) processes: BTreeMap<u64, Process>,
    pub(super) index: Index,
    pub(super) next_id: u64,
    /// The start of the first process.
    pub(super) origin_ns: Option<u64>,
    /// The current or last process of a PID.
    pub(super) pids: ById<Pid, u64>,
    /// The process of a living thread, and the thread's index in it.
    pub(super) tids: ById<Pid, (u64, usize)>,
    pub(super) reasons: Reasons,
    pub(super) wakes: VecDeque<Wake>,
    pub(super) signals: VecDeque<SentSignal>,
    pub(super) n_signals: u64,
    pub(super) news: VecDeque<News>,
    pub(super) missed_news: u64,
    pub(super) folded: Folded,
    pub(super) n_spans: usize,
    pub(super) grain_ns: u64,
    now_ns: u64,
    n_late: u64,
    pub(super) records: Records,
    /// Processes whose records have ended although they are alive, not yet reported.
    pub(super) unrecorded: Vec<Pid>,
    /// The last thread on each CPU.
    pub(super) on_cpu: ById<u32, Occupant>,
    /// Stolen time at the start of the watch, and at most since then.
    stolen_before_ns: Option<u64>,
    pub(super) stolen_ns: u64,
    /// How many processes were looked at.
    #[cfg(test)]
    visits: std::cell::Cell<usize>,
}

/// A thread that has a CPU, or was the last on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occupant {
    pub(super) process: u64,
    pub(super) tid: Pid,
    /// When it left the CPU.
    pub(super) left_ns: Option<u64>,
}

impl Timeline {
    /// An empty timeline.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Counts a look at a process, for tests of what looks cost.
    fn visit(&self) {
        #[cfg(test)]
        self.visits.set(self.visits.get() + 1);
    }

    /// How many processes were looked at since the last call.
    #[cfg(test)]
    pub(crate) fn take_visits(&self) -> usize {
        self.visits.take()
    }

    /// A timeline for a source with these records.
    pub fn with_records(mut self, records: Records) -> Self {
        self.records = records;
        self
    }

    /// Processes whose records have ended although they are alive, since the last call.
    pub fn take_unrecorded(&mut self) -> Vec<Pid> {
        std::mem::take(&mut self.unrecorded)
    }

    /// Applies an event. An event that does not fit (an unknown thread, a duplicate switch) changes nothing.
    pub fn apply(&mut self, event: &Event) {
        self.n_late += u64::from(event.at_ns < self.now_ns);
        self.now_ns = self.now_ns.max(event.at_ns);
        let at_ns = event.at_ns;
        match &event.what {
            What::In { cpu } => self.turn_on(event.tid, *cpu, at_ns),
            What::Out { preempted } => self.turn_off(event.tid, *preempted, at_ns),
            What::Woken { by } => self.wake(event.tid, *by, at_ns),
            What::Signal { number, by } => self.send_signal(event.tid, *number, *by, at_ns),
            What::SignalReceived { number } => self.receive_signal(event.tid, *number, at_ns),
            What::Letter(letter) => self.see_letter(event.tid, *letter, at_ns),
            What::Blocked(wait) => self.see_wait(event.tid, wait, at_ns),
            What::Sums(kernel) => self.see_sums(event.pid, event.tid, *kernel, at_ns),
            What::SumsInPassing(kernel) => self.see_sums_in_passing(event.pid, event.tid, *kernel, at_ns),
            What::Stolen(ns) => {
                let before = *self.stolen_before_ns.get_or_insert(*ns);
                self.stolen_ns = if *ns == 0 { 0 } else { ns.saturating_sub(before) + STOLEN_STEP_NS };
            }
            What::Sampled { state, sums, wait } => {
                self.sample(event.tid, *state, *sums, wait.as_ref(), at_ns);
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

    /// Every process that is kept, by an ID that grows with time.
    pub fn processes(&self) -> impl DoubleEndedIterator<Item = (u64, &Process)> {
        self.processes.iter().map(|(&id, process)| {
            self.visit();
            (id, process)
        })
    }

    /// The processes that have not ended, in the order of their IDs.
    pub fn living(&self) -> impl DoubleEndedIterator<Item = (u64, &Process)> {
        self.index.living().filter_map(|id| Some((id, self.process(id)?)))
    }

    /// How many processes have not ended.
    pub fn n_living(&self) -> usize {
        self.index.living().len()
    }

    /// The processes that have ended and were not reaped yet.
    pub fn zombies(&self) -> impl Iterator<Item = (u64, &Process)> {
        self.index.zombies().filter_map(|id| Some((id, self.process(id)?)))
    }

    /// The processes that were reaped last, the latest first. Those that were reaped long ago are not among them.
    pub fn reaped(&self) -> impl Iterator<Item = (u64, &Process)> {
        self.index.reaped().filter_map(|id| Some((id, self.process(id)?)))
    }

    /// The processes that have not been reaped, or not before `since_ns`, in the order of their IDs.
    pub fn present(&self, since_ns: u64) -> Vec<(u64, &Process)> {
        // The order of reaping is that in which it was learnt, which is not quite that of time.
        const LATE_NS: u64 = 1_000_000_000;
        let reaped_ns = |process: &Process| process.reaping.map_or(u64::MAX, |end| end.not_after_ns);
        let recently = self.reaped().take_while(|(_, process)| reaped_ns(process) + LATE_NS >= since_ns);
        let recently = recently.filter(|(_, process)| reaped_ns(process) >= since_ns);
        let mut present: Vec<_> = self.living().chain(self.zombies()).chain(recently).collect();
        present.sort_unstable_by_key(|(id, _)| *id);
        present
    }

    /// At most `most` processes, in the order of their IDs: all that have not been reaped, and the latest others.
    pub fn newest(&self, most: usize) -> Vec<(u64, &Process)> {
        let mut ids: BTreeSet<u64> = self.index.living().chain(self.index.zombies()).collect();
        for id in self.processes.keys().rev() {
            if ids.len() >= most {
                break;
            }
            ids.insert(*id);
        }
        ids.into_iter().filter_map(|id| Some((id, self.process(id)?))).collect()
    }

    /// The number of processes so far, those that are only counted included.
    pub fn n_processes(&self) -> u64 {
        self.processes.len() as u64 + self.folded.n_processes
    }

    /// The start of the first process, kept or not; the present if there was none.
    pub fn origin_ns(&self) -> u64 {
        self.origin_ns.unwrap_or(self.now_ns)
    }

    /// A process by its ID.
    pub fn process(&self, id: u64) -> Option<&Process> {
        self.visit();
        self.processes.get(&id)
    }

    /// The process that has this PID, or was the last to have it.
    pub fn by_pid(&self, pid: Pid) -> Option<&Process> {
        self.processes.get(self.pids.get(&pid)?)
    }

    /// A living thread and its process.
    pub fn thread(&self, tid: Pid) -> Option<(&Process, &Thread)> {
        let (id, place) = self.tids.get(&tid)?;
        let process = self.processes.get(id)?;
        Some((process, process.threads.get(*place)?))
    }

    /// Whether a thread belongs to a process of this timeline and is alive.
    pub fn knows_thread(&self, tid: Pid) -> bool {
        self.tids.contains_key(&tid)
    }

    /// A reason for a wait with its unshown words, by the number in spans and sums; `None` for 0, "not seen", and for one that is not listed. Those
    /// of present waits are.
    pub fn wait(&self, number: u32) -> Option<&Wait> {
        self.reasons.get(number)
    }

    /// How many reasons for waits are not listed any more, except under their kinds.
    pub fn n_forgotten_waits(&self) -> u64 {
        self.reasons.n_forgotten()
    }

    /// The description of a wait, by its number.
    pub fn wait_name(&self, number: u32) -> &str {
        self.reasons.name(number)
    }

    /// The wake-ups that are kept, oldest first; root tier only.
    pub fn wakes(&self) -> impl Iterator<Item = &Wake> {
        self.wakes.iter()
    }

    /// How many news were left out since the last call, because there were too many.
    pub fn take_missed_news(&mut self) -> u64 {
        std::mem::take(&mut self.missed_news)
    }

    /// News since the last call; of very many, the oldest are left out.
    pub fn take_news(&mut self) -> Vec<News> {
        self.news.drain(..).collect()
    }

    /// Processes that are only counted.
    pub fn folded(&self) -> &Folded {
        &self.folded
    }

    /// Neighbouring spans that together last at most this long may have been joined; 0 while all are exact.
    pub fn grain_ns(&self) -> u64 {
        self.grain_ns
    }

    /// Events that came after a later one.
    pub fn n_late(&self) -> u64 {
        self.n_late
    }

    pub(super) fn find(&mut self, tid: Pid) -> Option<(&mut Process, usize)> {
        let &(id, thread) = self.tids.get(&tid)?;
        Some((self.processes.get_mut(&id)?, thread))
    }

    /// Moves a thread to a state.
    pub(super) fn go(&mut self, tid: Pid, state: State, at_ns: u64) {
        let grain_ns = self.grain_ns;
        let Some((process, thread)) = self.find(tid) else { return };
        let before = process.threads[thread].state;
        let grew = process.go(thread, state, at_ns, grain_ns);
        self.n_spans += usize::from(grew);
        self.tell_stop(tid, before, state, at_ns);
    }

    /// A stop of a process begins and ends with that of its main thread.
    pub(super) fn tell_stop(&mut self, tid: Pid, before: State, state: State, at_ns: u64) {
        let is_main = self.thread(tid).is_some_and(|(process, _)| process.pid == tid);
        if !is_main {
            return;
        }
        let ended = matches!(state, State::Zombie | State::Reaped | State::Unknown);
        match (before == State::Stopped, state == State::Stopped) {
            (false, true) => self.tell(tid, at_ns, NewsKind::Stopped),
            (true, false) if !ended => self.tell(tid, at_ns, NewsKind::Continued),
            _ => {}
        }
    }

    pub(super) fn number_of(&mut self, wait: &Wait) -> u32 {
        if let Some(number) = self.reasons.known(wait) {
            return number;
        }
        if self.reasons.taken() >= self.limits.waits {
            self.forget_waits();
        }
        let Self { reasons, processes, pids, .. } = self;
        let name = |pid| Some(processes.get(pids.get(&pid)?)?.name.clone());
        reasons.keep(wait, self.limits.waits, name)
    }

    /// Makes room for a quarter of all reasons. Present waits keep theirs and, if that leaves enough room, living threads
    /// those of their sums.
    fn forget_waits(&mut self) {
        let living: Vec<&Thread> =
            self.living().flat_map(|(_, process)| &process.threads).filter(|one| one.is_alive()).collect();
        let present: HashSet<u32> = living.iter().map(|thread| thread.wait).collect();
        let summed: HashSet<u32> = living.iter().flat_map(|thread| thread.waits.numbers()).collect();
        let wanted = (self.limits.waits / 4).max(1);
        let in_neither = |number| !present.contains(&number) && !summed.contains(&number);
        let free = self.reasons.forget(wanted, in_neither);
        self.reasons.forget(wanted.saturating_sub(free), |number| !present.contains(&number));
        let Self { processes, reasons, .. } = self;
        for thread in processes.values_mut().flat_map(|process| &mut process.threads) {
            thread.waits.keep(|number| reasons.get(number).is_some());
        }
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
#[path = "many_tests.rs"]
mod many_tests;
#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
#[cfg(test)]
#[path = "thread_tests.rs"]
mod thread_tests;
