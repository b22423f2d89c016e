//! One thread: its current state, and the sums of its past ones.

use super::looks::Looks;
use super::room::Room;
use super::spans::{Span, Spans};
use super::sums::{Check, Sums, WaitSum, WaitSums};
use crate::observe::event::State;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

/// The life of one thread.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Its TID.
    pub tid: Pid,
    /// Its name, if it differs from the process's.
    pub name: Option<String>,
    /// When it began, or was found.
    pub started_ns: u64,
    /// When it first had a CPU, if that was recorded.
    pub first_ran_ns: Option<u64>,
    /// When it ended.
    pub ended_ns: Option<u64>,
    /// Its state.
    pub state: State,
    /// Since when it is in this state.
    pub since_ns: u64,
    /// The CPU that it has, or had last.
    pub cpu: u32,
    /// What it is blocked on, by number; 0 if not seen.
    pub wait: u32,
    /// When the wait was last read.
    pub(super) wait_seen_ns: u64,
    /// Time by state up to `since_ns`.
    pub sums: Sums,
    /// How often it got a CPU.
    pub turns: u64,
    /// How often it lost the CPU while it could have continued.
    pub preempted: u64,
    /// Its past, without the current state.
    pub spans: Spans,
    pub(super) waits: WaitSums,
    /// What the looks at a thread without records have shown.
    pub(super) looks: Looks,
    /// The last comparison with the kernel's sums.
    pub check: Option<Check>,
    /// It was woken since the last comparison, and the delay until it had a CPU is not known.
    pub(super) woken_unchecked: bool,
    /// The same for a time before `base` was read, which does not show it.
    pub(super) woken_before_base: bool,
    /// The part of the kernel's sums from before the records, for a thread that was already running.
    pub(super) base: Option<SchedStat>,
    /// The same for the watched command, read before its exec: less exact, but known from the start.
    pub(super) before_exec: SchedStat,
    /// When it was last seen asleep.
    pub(super) asleep_ns: u64,
    /// How it may have been ready since the last comparison, although its records say blocked.
    pub(super) room: Room,
    /// When its exit was recorded, if it has not left the CPU for the last time there.
    pub(super) exiting: Option<u64>,
    /// Another thread got its CPU, although no record says that it left it.
    pub(super) displaced_ns: Option<u64>,
    /// When its CPU became free for its current or last turn; `None` if that was not seen.
    pub(super) free_ns: Option<u64>,
    /// The kernel's letter for its current state, if it was read.
    pub letter: Option<char>,
}

impl Thread {
    pub(super) fn new(tid: Pid, at_ns: u64, state: State) -> Self {
        Self {
            tid,
            name: None,
            started_ns: at_ns,
            first_ran_ns: None,
            ended_ns: None,
            state,
            since_ns: at_ns,
            cpu: 0,
            wait: 0,
            wait_seen_ns: 0,
            sums: Sums::default(),
            turns: 0,
            preempted: 0,
            spans: Spans::default(),
            waits: WaitSums::default(),
            looks: Looks::default(),
            check: None,
            woken_unchecked: false,
            woken_before_base: false,
            base: None,
            before_exec: SchedStat::default(),
            asleep_ns: 0,
            room: Room::default(),
            exiting: None,
            displaced_ns: None,
            free_ns: None,
            letter: None,
        }
    }

    /// The main thread of the watched command from its exec on, at which it has the CPU.
    ///
    /// The kernel's sums at that time are what was read before the command was released, plus what was recorded since.
    /// That is complete unless the thread slept on the way, which hides the delay of a wake-up.
    pub(super) fn at_exec(&self, at_ns: u64) -> Self {
        let running = self.state == State::Running;
        let since = self.recorded_at(at_ns);
        let was_read = self.before_exec.turns > 0;
        let is_known = running && was_read && self.first_ran_ns.is_some() && !self.woken_unchecked;
        let base = is_known.then(|| SchedStat {
            running_ns: self.before_exec.running_ns + since.running_ns,
            ready_ns: self.before_exec.ready_ns + since.ready_ns,
            turns: self.before_exec.turns + self.turns - 1,
        });
        Self {
            turns: running.into(),
            first_ran_ns: running.then_some(at_ns),
            cpu: self.cpu,
            before_exec: self.before_exec,
            base,
            ..Self::new(self.tid, at_ns, self.state)
        }
    }

    /// Gives back the room for what will not come any more.
    pub(super) fn compact(&mut self) {
        self.spans.compact();
        self.waits.compact();
    }

    /// Its spans from `from_ns` to `now_ns`, the current state included.
    pub fn spans_at(&self, from_ns: u64, now_ns: u64) -> Vec<Span> {
        let mut spans: Vec<Span> = self.spans.since(from_ns).copied().collect();
        if self.is_alive() && now_ns > self.since_ns {
            spans.push(Span::new(self.since_ns, now_ns, self.state, self.cpu, self.wait));
        }
        spans
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        self.ended_ns.is_none()
    }

    /// Moves to `state` at `at_ns` and returns the span that ended there.
    pub(super) fn go(&mut self, state: State, at_ns: u64) -> Span {
        let span = Span::new(self.since_ns, at_ns.max(self.since_ns), self.state, self.cpu, self.wait);
        self.sums.add(self.state, span.ns());
        if self.state == State::Blocked && span.ns() > 0 {
            self.waits.add(self.wait, span.ns());
        }
        if matches!(self.state, State::Blocked | State::Stopped) {
            // From when it was last seen asleep it may have been awake, and in line.
            self.room.ns += span.to_ns.saturating_sub(span.from_ns.max(self.asleep_ns));
        }
        self.state = state;
        self.since_ns = span.to_ns;
        self.wait = 0;
        self.letter = None;
        span
    }

    /// The sums as if the current state ended at `now_ns`, with wake-up delays moved from blocked to running and ready as far
    /// as the kernel's sums show them.
    pub fn sums_at(&self, now_ns: u64) -> Sums {
        let mut sums = self.recorded_at(now_ns);
        let hidden_ns = self.hidden_ns().min(sums.blocked_ns);
        let running_ns = self.hidden_running_ns().min(hidden_ns);
        sums.blocked_ns -= hidden_ns;
        sums.running_ns += running_ns;
        sums.ready_ns += hidden_ns - running_ns;
        sums
    }

    /// Whether some of its wake-up delays are not known from the kernel's sums: they were not read since, or they leave out
    /// time in the run queue or on a CPU that the records have.
    pub fn hides_ready_time(&self) -> bool {
        let lacks = |check: Check| check.turns.0 > check.turns.1 || check.lacks_running_time();
        self.woken_unchecked
            || self.woken_before_base
            || self.room.false_ns > 0
            || self.check.is_some_and(lacks)
    }

    /// Its wake-up delays, which the records do not show and the kernel's sums do.
    pub fn hidden_ns(&self) -> u64 {
        self.check.map_or(0, |check| check.hidden_ns())
    }

    /// The part of them that the kernel books as time on the CPU.
    pub fn hidden_running_ns(&self) -> u64 {
        self.check.map_or(0, |check| check.hidden_running_ns())
    }

    /// What it was and is blocked on, the longest first: numbers of waits, and sums.
    pub fn waits_at(&self, now_ns: u64) -> Vec<(u32, WaitSum)> {
        let mut waits = self.waits.clone();
        let ns = now_ns.saturating_sub(self.since_ns);
        let is_recorded = self.looks.seen.is_none();
        if self.is_alive() && is_recorded && self.state == State::Blocked && ns > 0 {
            waits.add(self.wait, ns);
        }
        let mut waits = waits.into_vec();
        waits.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.ns));
        waits
    }

    fn recorded_at(&self, now_ns: u64) -> Sums {
        let mut sums = self.sums;
        if self.is_alive() {
            // What it has done since the last look at it, the next one will tell.
            let state = if self.looks.seen.is_some() { State::Unknown } else { self.state };
            sums.add(state, now_ns.saturating_sub(self.since_ns));
        }
        sums
    }

    /// The kernel's sums as expected from what is recorded up to `since_ns`.
    pub fn booked(&self) -> SchedStat {
        let base = self.base.unwrap_or(self.before_exec);
        SchedStat {
            running_ns: base.running_ns + self.sums.running_ns,
            ready_ns: base.ready_ns + self.sums.ready_ns,
            turns: base.turns + self.turns,
        }
    }

    /// Compares with the kernel's sums that were read at `at_ns` without a proof that the thread slept: they are of the same
    /// time as the records if they have as many turns, and complete but for the current time in the run queue.
    pub(super) fn compare_in_passing(&mut self, at_ns: u64, kernel: SchedStat, stolen_ns: u64, older: bool) {
        let off_cpu = matches!(self.state, State::Blocked | State::Ready);
        if !off_cpu || at_ns < self.since_ns || (older && self.base.is_none()) {
            return;
        }
        let base = self.base.unwrap_or_default();
        // A turn that the kernel has left out before is missing for good.
        let left_out = self.check.map_or(0, |check| check.turns.0.saturating_sub(check.turns.1));
        if kernel.turns.saturating_sub(base.turns) + left_out == self.turns {
            self.check(at_ns, self.sums, kernel, stolen_ns);
        }
    }

    /// Compares with the kernel's sums, read at `at_ns`, if the thread was off the CPU and not in the run queue: otherwise
    /// the kernel has not booked the current state yet.
    ///
    /// If the thread is older than its records (`older`), the first call determines the part of the sums from before.
    pub(super) fn compare(&mut self, at_ns: u64, kernel: SchedStat, stolen_ns: u64, older: bool) {
        if !matches!(self.state, State::Blocked | State::Stopped | State::Zombie) || at_ns < self.since_ns {
            return;
        }
        let sums = self.recorded_at(at_ns);
        if self.state != State::Zombie {
            self.asleep_ns = at_ns;
        }
        if older && self.base.is_none() {
            self.base = Some(SchedStat {
                running_ns: kernel.running_ns.saturating_sub(sums.running_ns),
                ready_ns: kernel.ready_ns.saturating_sub(sums.ready_ns),
                turns: kernel.turns.saturating_sub(self.turns),
            });
            self.woken_before_base |= std::mem::take(&mut self.woken_unchecked);
            self.room.begin(sums);
            return;
        }
        self.check(at_ns, sums, kernel, stolen_ns);
    }

    fn check(&mut self, at_ns: u64, sums: Sums, kernel: SchedStat, stolen_ns: u64) {
        self.woken_unchecked = false;
        let base = self.base.unwrap_or_default();
        let last_record_ns = self.exiting;
        let kernel = SchedStat {
            running_ns: kernel.running_ns.saturating_sub(base.running_ns),
            ready_ns: kernel.ready_ns.saturating_sub(base.ready_ns),
            turns: kernel.turns.saturating_sub(base.turns),
        };
        if self.state == State::Zombie {
            // The records do not have its end.
            self.room.ns += at_ns.saturating_sub(last_record_ns.unwrap_or(self.since_ns));
        }
        let false_ns = self.room.compare(sums, kernel);
        self.check = Some(Check {
            at_ns,
            running_ns: (sums.running_ns, kernel.running_ns),
            ready_ns: (sums.ready_ns, kernel.ready_ns.saturating_sub(false_ns)),
            turns: (self.turns, kernel.turns),
            preempted: self.preempted,
            wall_ns: self.ended_ns.unwrap_or(at_ns).saturating_sub(self.started_ns),
            stolen_ns,
            // Where the last record gives the time of the end, too: it can lose the CPU once more on its way out.
            unrecorded_ns: self
                .ended_ns
                .map_or(0, |ended_ns| ended_ns.saturating_sub(last_record_ns.unwrap_or(ended_ns)).max(1)),
        });
    }
}
