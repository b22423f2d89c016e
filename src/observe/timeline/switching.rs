//! Switches and wake-ups: which thread has which CPU.

use super::machine::{Occupant, Records, Timeline, Wake};
use super::process::{Stray, Switch};
use crate::observe::event::State;
use crate::sys::pid::Pid;

impl Timeline {
    pub(super) fn turn_on(&mut self, tid: Pid, cpu: u32, at_ns: u64) {
        let grain_ns = self.grain_ns;
        let Some(&(id, _)) = self.tids.get(&tid) else {
            return self.keep_stray(tid, Stray { at_ns, switch: Switch::On { cpu } });
        };
        if !self.is_recorded(id) {
            return;
        }
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
        if self.is_unknown_on_its_way_out(tid, at_ns) {
            return;
        }
        let Some((process, thread)) = self.find(tid) else { return };
        process.threads[thread].turns += 1;
        process.threads[thread].woken_unchecked |= process.threads[thread].state == State::Blocked;
        process.threads[thread].first_ran_ns.get_or_insert(at_ns);
        // An exiting thread may have had the CPU since its predecessor left it.
        process.threads[thread].free_ns = before.map_or(Some(0), |before| before.left_ns);
        let state_before = process.threads[thread].state;
        let grew = process.go(thread, State::Running, at_ns, grain_ns);
        process.threads[thread].cpu = cpu;
        self.n_spans += usize::from(grew);
        self.tell_stop(tid, state_before, State::Running, at_ns);
    }

    /// Keeps a switch of the main thread's TID after that thread has ended, for the case that its process executes another
    /// program.
    fn keep_stray(&mut self, tid: Pid, stray: Stray) {
        const MOST: usize = 256;
        if let Some(process) = self.alive(tid).filter(|process| process.strays.len() < MOST) {
            process.strays.push(stray);
        }
    }

    /// Applies the switches that a thread had under the TID that it has taken over.
    pub(super) fn apply_strays(&mut self, pid: Pid) {
        let Some(process) = self.alive(pid) else { return };
        for Stray { at_ns, switch } in std::mem::take(&mut process.strays) {
            match switch {
                Switch::On { cpu } => self.turn_on(pid, cpu, at_ns),
                Switch::Off { preempted } => self.turn_off(pid, preempted, at_ns),
            }
        }
    }

    /// Handles that another thread has the CPU of this one, which has therefore lost it although no record says so: the
    /// last switches before the record of an exit, and those after it, may have none.
    fn displace(&mut self, id: u64, tid: Pid, cpu: u32, at_ns: u64) {
        let Some(process) = self.processes.get_mut(&id) else { return };
        let Some(thread) = process.threads.iter_mut().rfind(|thread| thread.tid == tid) else { return };
        if thread.cpu != cpu || (thread.is_alive() && thread.state != State::Running) {
            return;
        }
        thread.displaced_ns.get_or_insert(at_ns);
        // The record of any other thread may come late.
        let Some(exited_ns) = thread.exiting.filter(|_| thread.is_alive()) else { return };
        if self.may_have_lost_its_cpu(tid, exited_ns, at_ns) {
            self.go(tid, State::Unknown, exited_ns);
        } else {
            self.go(tid, State::Ready, at_ns);
        }
    }

    /// Whether the state of a thread is unknown since the record of its exit, or since it lost its CPU after that: it may
    /// have had another CPU for a while.
    fn is_unknown_on_its_way_out(&mut self, tid: Pid, at_ns: u64) -> bool {
        let limit_ns = self.longest_way_out_ns(tid);
        let Some((process, place)) = self.find(tid) else { return false };
        let thread = &mut process.threads[place];
        if thread.exiting.is_none() {
            return false;
        }
        if thread.state == State::Ready && at_ns.saturating_sub(thread.since_ns) > limit_ns {
            thread.state = State::Unknown;
        }
        thread.state == State::Unknown
    }

    /// Whether a thread has taken so long from the record of its exit to its end that it may have lost its CPU: switches in
    /// between are not recorded.
    fn may_have_lost_its_cpu(&mut self, tid: Pid, exited_ns: u64, ended_ns: u64) -> bool {
        let limit_ns = self.longest_way_out_ns(tid);
        let Some((process, place)) = self.find(tid) else { return false };
        let thread = &process.threads[place];
        let unseen = thread.state == State::Running && thread.since_ns <= exited_ns;
        unseen && ended_ns.saturating_sub(exited_ns) > limit_ns
    }

    /// Whether a thread that has ended between the record of its exit and `gone_ns` may have taken long: then its state is
    /// unknown from the record on.
    pub(super) fn is_in_doubt_on_its_way_out(&mut self, tid: Pid, exited_ns: u64, gone_ns: u64) -> bool {
        if gone_ns.saturating_sub(exited_ns) <= self.longest_way_out_ns(tid) {
            return false;
        }
        let Some((process, place)) = self.find(tid) else { return false };
        let thread = &mut process.threads[place];
        if thread.since_ns > exited_ns {
            thread.state = State::Unknown;
        } else {
            self.go(tid, State::Unknown, exited_ns);
        }
        true
    }

    /// How long a thread may take to its end, or wait for its CPU on the way, before its state is in doubt.
    fn longest_way_out_ns(&mut self, tid: Pid) -> u64 {
        const THREAD_NS: u64 = 200_000;
        // The last thread frees the memory.
        const PROCESS_NS: u64 = 1_000_000;
        if self.records == Records::Everything {
            return u64::MAX;
        }
        let Some((process, _)) = self.find(tid) else { return u64::MAX };
        let others = process.threads.iter().any(|other| other.is_alive() && other.tid != tid);
        if others { THREAD_NS } else { PROCESS_NS }
    }

    fn is_recorded(&self, id: u64) -> bool {
        self.processes.get(&id).is_some_and(|process| process.unrecorded_since_ns.is_none())
    }

    fn leave(&mut self, cpu: u32, tid: Pid, at_ns: u64) {
        if let Some(occupant) = self.on_cpu.get_mut(&cpu).filter(|occupant| occupant.tid == tid) {
            occupant.left_ns = Some(at_ns);
        }
    }

    pub(super) fn turn_off(&mut self, tid: Pid, preempted: bool, at_ns: u64) {
        let grain_ns = self.grain_ns;
        if !self.tids.contains_key(&tid) {
            return self.keep_stray(tid, Stray { at_ns, switch: Switch::Off { preempted } });
        }
        let Some((process, thread)) = self.find(tid) else { return };
        if process.unrecorded_since_ns.is_some() {
            return;
        }
        if let Some(exited_ns) = process.threads[thread].exiting.filter(|_| !preempted) {
            let (pid, cpu) = (process.pid, process.threads[thread].cpu);
            if self.may_have_lost_its_cpu(tid, exited_ns, at_ns) {
                self.go(tid, State::Unknown, exited_ns);
            }
            self.leave(cpu, tid, at_ns);
            self.end_thread(pid, tid, at_ns);
            if let Some(process) = self.latest(pid) {
                process.end_is_recorded = !process.is_alive();
            }
            return;
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

    pub(super) fn wake(&mut self, tid: Pid, by: Pid, at_ns: u64) {
        let Some((process, thread)) = self.find(tid) else { return };
        // A thread that is woken when it is about to sleep does not sleep: its next switch shows it.
        if !matches!(process.threads[thread].state, State::Blocked | State::Stopped) {
            return;
        }
        self.go(tid, State::Ready, at_ns);
        if self.wakes.len() >= self.limits.wakes {
            self.wakes.pop_front();
        }
        self.wakes.push_back(Wake { at_ns, by, tid });
    }
}
