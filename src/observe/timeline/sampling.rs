//! Threads that no record tells of: the kernel's sums between two samples, and the state at the second one.

use super::machine::{Records, Timeline};
use super::process::Process;
use super::spans::Span;
use super::sums::add_wait;
use crate::observe::event::State;
use crate::observe::waits::Wait;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

impl Timeline {
    /// The order between two samples is unknown.
    ///
    /// The kernel books time in line only when it is over, and time on the CPU at ticks: what a thread that
    /// could run has not booked yet counts as ready, and is taken back when it is booked.
    pub(super) fn sample(
        &mut self,
        tid: Pid,
        state: State,
        kernel: SchedStat,
        wait: Option<&Wait>,
        at_ns: u64,
    ) {
        let grain_ns = self.grain_ns;
        let wait = wait.map_or(0, |wait| self.number_of(wait));
        let Some((process, place)) = self.find(tid) else { return };
        let thread = &mut process.threads[place];
        let before = thread.booked();
        let running_ns = kernel.running_ns.saturating_sub(before.running_ns);
        let ready_ns = kernel.ready_ns.saturating_sub(before.ready_ns);
        thread.turns += kernel.turns.saturating_sub(before.turns);
        let ns = at_ns.saturating_sub(thread.since_ns);
        let booked_late = (running_ns + ready_ns).saturating_sub(ns).min(thread.unbooked_ns);
        thread.sums.ready_ns -= booked_late;
        thread.unbooked_ns -= booked_late;
        let running = running_ns.min(ns + booked_late);
        let ready = ready_ns.min(ns + booked_late - running);
        let rest = ns + booked_late - running - ready;
        let can_run = matches!(state, State::Running | State::Ready);
        thread.unbooked_ns = if can_run { thread.unbooked_ns + rest } else { 0 };
        let rest_state = if can_run { State::Ready } else { state };
        let parts = [(State::Running, running), (State::Ready, ready), (rest_state, rest)];
        for (state, ns) in parts {
            thread.sums.add(state, ns);
        }
        if rest_state == State::Blocked && rest > 0 {
            add_wait(&mut thread.waits, wait, rest);
        }
        // The drawing: what the thread was seen to do when it could run, else what it did for longest.
        let longest = match parts.into_iter().max_by_key(|(_, ns)| *ns) {
            Some((longest, _)) if !can_run => longest,
            _ => state,
        };
        let drawn_wait = if longest == State::Blocked { wait } else { 0 };
        let span =
            Span::new(thread.since_ns, at_ns.max(thread.since_ns), longest, 0, drawn_wait).with_parts(&parts);
        thread.state = state;
        thread.since_ns = span.to_ns;
        thread.wait = wait;
        thread.letter = None;
        let grew = thread.spans.push(span, grain_ns);
        self.n_spans += usize::from(grew);
    }

    /// The kernel has ended the records of a process that lives, at `since_ns`; what it does from there comes
    /// in samples. One that was taken for ended lives again. Where everything is recorded, only that is amiss.
    pub(super) fn unrecord(&mut self, pid: Pid, since_ns: u64) {
        let Some(&id) = self.pids.get(&pid) else { return };
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.reaping.is_none()) else {
            return;
        };
        if process.is_alive() && process.threads.iter().any(|thread| thread.is_alive() && thread.tid != pid) {
            // The main thread did end, before the others: an exec would have ended those.
            return;
        }
        if self.records != Records::Everything {
            process.unrecorded_since_ns.get_or_insert(since_ns);
        }
        process.ended_ns = None;
        let Some(place) = process.threads.iter().rposition(|thread| thread.tid == pid) else { return };
        let main = &mut process.threads[place];
        main.ended_ns = None;
        main.exiting = None;
        main.displaced_ns = None;
        main.check = None;
        self.tids.insert(pid, (id, place));
        self.unrecorded.push(pid);
        self.go(pid, State::Unknown, since_ns);
    }

    /// Whether a thread's times come from samples.
    pub(super) fn is_sampled(&self, process: &Process) -> bool {
        self.records == Records::Nothing || process.unrecorded_since_ns.is_some()
    }

    /// Nothing tells any more what a process does.
    pub(super) fn lose_sight(&mut self, pid: Pid, at_ns: u64) {
        let Some(process) = self.by_pid(pid).filter(|process| process.is_alive()) else { return };
        let seen = |thread: &&super::Thread| thread.is_alive() && thread.state != State::Unknown;
        let tids: Vec<Pid> = process.threads.iter().filter(seen).map(|thread| thread.tid).collect();
        for tid in tids {
            self.go(tid, State::Unknown, at_ns);
        }
    }
}
