//! Threads without records: the kernel's sums between two looks, and the state at each look.
//!
//! The kernel books time in the run queue when it is over, and time on a CPU at every tick. For a sleeping thread
//! everything is booked: the rest of the time since it was last seen asleep was spent asleep. For a thread that can run,
//! time that is not booked yet is *unknown*, until it is booked or the thread is seen asleep.

use super::looks::{Looks, ToldWait};
use super::machine::{Records, Timeline};
use super::process::Process;
use super::spans::Span;
use super::thread::Thread;
use crate::observe::event::State;
use crate::observe::waits::Wait;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

/// How the time between two looks was spent.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    running_ns: u64,
    ready_ns: u64,
    /// Neither: asleep, not booked yet, or lost to the machine.
    rest_ns: u64,
    /// The kernel has booked more than there was (see `Room`).
    is_overbooked: bool,
}

/// A look at a thread that is asleep or has ended.
struct Settled {
    state: State,
    /// It has been in this state since the last look.
    slept_on: bool,
    wait: u32,
    rest_ns: u64,
    stolen_ns: u64,
}

impl Timeline {
    /// Applies a look at a thread, at `at_ns`. `State::Zombie` means that it has ended: its sums are complete.
    pub(super) fn sample(
        &mut self,
        tid: Pid,
        state: State,
        kernel: SchedStat,
        wait: Option<&Wait>,
        at_ns: u64,
    ) {
        let (grain_ns, stolen_ns) = (self.grain_ns, self.stolen_ns);
        let wait = wait.map_or(0, |wait| self.number_of(wait));
        let Some((process, place)) = self.find(tid) else { return };
        let taken_over = process.unrecorded_since_ns.is_some();
        let thread = &mut process.threads[place];
        let first = thread.looks.seen.is_none();
        let can_run = matches!(state, State::Running | State::Ready);
        let before = thread.looks.seen.unwrap_or_else(|| thread.booked());
        let turns = kernel.turns.saturating_sub(before.turns);
        let mut stretch = thread.stretch(before, kernel, at_ns);
        // Nothing tells which part of these sums is from before the watch, or before the records ended.
        let mut doubt_ns = 0;
        if first && thread.looks.in_line_before {
            doubt_ns += std::mem::take(&mut stretch.running_ns) + std::mem::take(&mut stretch.ready_ns);
        } else {
            thread.turns += turns;
        }
        if first && taken_over || (turns > 0 && thread.looks.in_line_before) {
            doubt_ns += std::mem::take(&mut stretch.ready_ns);
        }
        if stretch.is_overbooked && !first {
            // It was asleep for a part of what is booked as time in the run queue.
            doubt_ns += std::mem::take(&mut stretch.ready_ns) + std::mem::take(&mut stretch.rest_ns);
        }
        if first {
            // It may have begun within this time.
            doubt_ns += std::mem::take(&mut stretch.rest_ns);
        }
        thread.sums.unknown_ns += doubt_ns;
        thread.looks.in_line_before &= can_run && (first || turns == 0);
        thread.looks.seen = Some(kernel);
        if first {
            thread.looks.stolen_ns = stolen_ns;
        }
        thread.looks.ran_ns += stretch.running_ns;
        thread.sums.running_ns += stretch.running_ns;
        thread.sums.ready_ns += stretch.ready_ns;
        let rest_state = if can_run {
            thread.sums.unknown_ns += stretch.rest_ns;
            thread.looks.pending_ns += stretch.rest_ns;
            // Drawn as what it was seen to do.
            state
        } else {
            let slept_on = turns == 0 && !first && thread.state == state;
            thread.settle(&Settled { state, slept_on, wait, rest_ns: stretch.rest_ns, stolen_ns })
        };
        let parts = [
            (State::Running, stretch.running_ns),
            (State::Ready, stretch.ready_ns),
            (rest_state, stretch.rest_ns),
            (State::Unknown, doubt_ns),
        ];
        let drawn = match parts.into_iter().max_by_key(|(_, ns)| *ns) {
            Some((longest, _)) if !can_run => longest,
            _ => state,
        };
        let drawn_wait = if drawn == State::Blocked { wait } else { 0 };
        let to_ns = at_ns.max(thread.since_ns);
        let span = Span::new(thread.since_ns, to_ns, drawn, 0, drawn_wait).with_parts(&parts);
        // Its end is not known yet.
        let state_before = thread.state;
        thread.state = if state == State::Zombie { State::Unknown } else { state };
        thread.since_ns = to_ns;
        thread.wait = if state == State::Blocked { wait } else { 0 };
        thread.letter = None;
        let grew = thread.spans.push(span, grain_ns);
        self.n_spans += usize::from(grew);
        self.tell_stop(tid, state_before, state, at_ns);
    }

    /// Handles that the kernel ended the records of a living process, at `since_ns`: from there on it is sampled. A process
    /// that was believed to have ended is alive again. Where everything is recorded, only that is corrected.
    pub(super) fn unrecord(&mut self, pid: Pid, since_ns: u64) {
        let Some(&id) = self.pids.get(&pid) else { return };
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.reaping.is_none()) else {
            return;
        };
        if process.is_alive() && process.threads.iter().any(|thread| thread.is_alive() && thread.tid != pid) {
            // The main thread did end before the others: an exec would have ended those.
            return;
        }
        if self.records != Records::Everything {
            process.unrecorded_since_ns.get_or_insert(since_ns);
        }
        process.ended_ns = None;
        process.last_alive_ns = None;
        process.seen_ended_ns = None;
        process.end_is_recorded = false;
        self.index.file(id, process);
        let Some(place) = process.threads.iter().rposition(|thread| thread.tid == pid) else { return };
        let main = &mut process.threads[place];
        main.ended_ns = None;
        main.exiting = None;
        main.displaced_ns = None;
        main.check = None;
        main.looks = Looks::default();
        self.tids.insert(pid, (id, place));
        self.unrecorded.push(pid);
        self.go(pid, State::Unknown, since_ns);
    }

    /// Whether a thread's times come from samples.
    pub(super) fn is_sampled(&self, process: &Process) -> bool {
        self.records == Records::Nothing || process.unrecorded_since_ns.is_some()
    }

    /// Handles that the state of a process is no longer visible.
    pub(super) fn lose_sight(&mut self, pid: Pid, at_ns: u64) {
        let Some(process) = self.by_pid(pid).filter(|process| process.is_alive()) else { return };
        let seen = |thread: &&super::Thread| thread.is_alive() && thread.state != State::Unknown;
        let tids: Vec<Pid> = process.threads.iter().filter(seen).map(|thread| thread.tid).collect();
        for tid in tids {
            self.go(tid, State::Unknown, at_ns);
        }
    }
}

impl Thread {
    /// What the kernel has booked since `before`. What exceeds the time since the last look is taken from the pending time.
    fn stretch(&mut self, before: SchedStat, kernel: SchedStat, at_ns: u64) -> Stretch {
        let ns = at_ns.saturating_sub(self.since_ns);
        const READING_NS: u64 = 1_000_000;
        let running_ns = kernel.running_ns.saturating_sub(before.running_ns);
        let ready_ns = kernel.ready_ns.saturating_sub(before.ready_ns);
        let late_ns = (running_ns + ready_ns).saturating_sub(ns).min(self.looks.pending_ns);
        self.looks.pending_ns -= late_ns;
        self.sums.unknown_ns -= late_ns;
        let all_ns = ns + late_ns;
        let is_overbooked = ready_ns > READING_NS && running_ns + ready_ns > all_ns + READING_NS;
        let running_ns = running_ns.min(all_ns);
        let ready_ns = ready_ns.min(all_ns - running_ns);
        Stretch { running_ns, ready_ns, rest_ns: all_ns - running_ns - ready_ns, is_overbooked }
    }

    /// Settles the time since the thread was last seen asleep: it sleeps or has ended, so all its time on a CPU and in the
    /// run queue is booked, and the rest was spent asleep. Returns the state that most of the rest was spent in.
    fn settle(&mut self, look: &Settled) -> State {
        let Settled { state, slept_on, wait, rest_ns, stolen_ns } = *look;
        let pending_ns = std::mem::take(&mut self.looks.pending_ns);
        self.sums.unknown_ns -= pending_ns;
        let asleep_ns = pending_ns + rest_ns;
        let either = |of| state == of || self.state == of;
        let doubt_ns = if slept_on {
            0
        } else if state == State::Zombie || either(State::Stopped) || either(State::Unknown) {
            // Which part of it was before the end, the stop, or the time without a look is not known.
            asleep_ns
        } else {
            self.looks.lost_ns(stolen_ns).min(asleep_ns)
        };
        let known_ns = asleep_ns - doubt_ns;
        self.sums.add(State::Unknown, doubt_ns);
        self.sums.add(state, known_ns);
        if state == State::Blocked {
            // Between two turns it may have waited for anything, unless both looks found the same.
            let is_known = slept_on || (self.state == State::Blocked && self.wait == wait);
            self.tell_wait(slept_on, if is_known { wait } else { 0 }, known_ns);
        }
        self.looks.ran_ns = 0;
        self.looks.stolen_ns = stolen_ns;
        if doubt_ns * 2 > asleep_ns { State::Unknown } else { state }
    }

    fn tell_wait(&mut self, slept_on: bool, wait: u32, ns: u64) {
        if ns == 0 {
            return;
        }
        match &mut self.looks.told {
            Some(told) if slept_on && told.wait == wait => {
                told.ns += ns;
                self.waits.prolong(wait, ns, told.ns);
            }
            told => {
                *told = Some(ToldWait { wait, ns });
                self.waits.add(wait, ns);
            }
        }
    }
}

#[cfg(test)]
#[path = "sampling_tests.rs"]
mod tests;
