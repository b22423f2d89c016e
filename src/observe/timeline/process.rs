//! One process: its threads counted together, its parents, its end.

use super::spans::Span;
use super::sums::{Sums, WaitSum, WaitSums};
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
    /// That parent.
    pub old: Pid,
    /// The process that adopted it, once that is known.
    pub new: Option<Pid>,
}

/// When a zombie was reaped, as exactly as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaping {
    /// Not before this.
    pub not_before_ns: u64,
    /// Not after this.
    pub not_after_ns: u64,
    /// By its parent at that time.
    pub by: Pid,
}

/// One process's life. A PID that is used again is another process.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its PID.
    pub pid: Pid,
    /// Its parent now, or when it ended.
    pub ppid: Pid,
    /// Its name now.
    pub name: String,
    /// Its command line, once seen.
    pub command: Option<String>,
    /// When it was forked, or found.
    pub started_ns: u64,
    /// It was there before the watch began.
    pub found: bool,
    /// The watched command at its gate: what it does before its exec is not its own.
    pub(super) held: bool,
    /// The kernel's sums of it begin before its records: it was found, or is the watched command, which was
    /// this program before its exec.
    pub(super) older: bool,
    /// From here on the kernel recorded nothing of it, though it lived: no time after this is known.
    pub unrecorded_since_ns: Option<u64>,
    /// When its last thread ended.
    pub ended_ns: Option<u64>,
    /// How it ended, where that could be learnt.
    pub exit: Option<Exit>,
    /// When and by whom it was reaped.
    pub reaping: Option<Reaping>,
    /// It lost its parent.
    pub orphan: Option<Orphan>,
    /// Every program that it became, and when.
    pub execs: Vec<(u64, String)>,
    /// Its threads, the main one first; those that ended long ago are only counted.
    pub threads: Vec<Thread>,
    /// Threads that it ever had.
    pub n_threads: u32,
    /// What it does now: running when any thread is, else ready when any is, else blocked.
    pub state: State,
    /// Since when.
    pub since_ns: u64,
    /// Time by state up to `since_ns`.
    pub sums: Sums,
    /// CPU time and turns of threads that are no longer listed.
    pub(super) past_threads: (u64, u64, u64),
    pub(super) waits: WaitSums,
    /// Number of the wait of the present blocked time.
    pub(super) wait: u32,
    /// Sampled tier: time counted as ready that the kernel may still book as running.
    pub(super) unbooked_ns: u64,
}

impl Process {
    pub(super) fn new(pid: Pid, ppid: Pid, name: String, at_ns: u64, state: State) -> Self {
        Self {
            pid,
            ppid,
            name,
            command: None,
            started_ns: at_ns,
            found: false,
            held: false,
            older: false,
            unrecorded_since_ns: None,
            ended_ns: None,
            exit: None,
            reaping: None,
            orphan: None,
            execs: Vec::new(),
            threads: vec![Thread::new(pid, at_ns, state)],
            n_threads: 1,
            state,
            since_ns: at_ns,
            sums: Sums::default(),
            past_threads: (0, 0, 0),
            waits: WaitSums::new(),
            wait: 0,
            unbooked_ns: 0,
        }
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        self.ended_ns.is_none()
    }

    pub(super) fn thread(&mut self, tid: Pid) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.tid == tid && thread.is_alive())
    }

    /// Brings one of its threads to a state and itself in line with it; says whether the list of spans grew.
    pub(super) fn go(&mut self, thread: usize, state: State, at_ns: u64, grain_ns: u64) -> bool {
        let span = self.threads[thread].go(state, at_ns);
        let grew = self.threads[thread].spans.push(span, grain_ns);
        self.settle(span.to_ns);
        grew
    }

    /// Brings the process's own state in line with its threads'.
    pub(super) fn settle(&mut self, at_ns: u64) {
        let alive = || self.threads.iter().filter(|thread| thread.is_alive());
        let state = [State::Running, State::Ready, State::Blocked, State::Stopped]
            .into_iter()
            .find(|state| alive().any(|thread| thread.state == *state))
            .unwrap_or(State::Zombie);
        // A process waits for what its main thread waits for, not for what one of its idle threads does.
        let main = alive().find(|thread| thread.tid == self.pid).or_else(|| alive().next());
        let wait = main.filter(|main| main.state == State::Blocked).map_or(0, |main| main.wait);
        if state != self.state {
            self.close(at_ns);
            self.state = state;
            self.wait = 0;
        }
        if state == State::Blocked && self.wait != wait {
            // What is learnt of a stretch holds for the whole of it; what changes in it cuts it.
            if self.wait != 0 {
                self.close(at_ns);
            }
            self.wait = wait;
        }
    }

    /// A zombie's sums are final. Of a single-threaded process they tell what no record does: how long it had a
    /// CPU between the record of its exit and its end.
    pub(super) fn see_final_sums(&mut self, kernel: SchedStat, at_ns: u64, stolen_ns: u64) {
        let single = self.n_threads == 1;
        let Some(main) = self.threads.iter_mut().find(|thread| thread.tid == self.pid) else { return };
        main.compare(at_ns, kernel, stolen_ns, self.older);
        let (Some(check), Some(ended_ns)) = (&mut main.check, self.ended_ns) else { return };
        if !single || self.state != State::Zombie {
            return;
        }
        let rest = check.running_ns.1.saturating_sub(check.running_ns.0);
        let end_is_known = main.exiting.is_some_and(|(_, exited_ns)| ended_ns > exited_ns);
        if !end_is_known {
            // The records end with that of the exit: so much later it ended, unless somebody has the CPU by then.
            let until_ns = main.displaced_ns.unwrap_or(at_ns).min(at_ns);
            let rest = rest.min(until_ns.saturating_sub(ended_ns));
            if rest > 0 {
                check.running_ns.0 += rest;
                main.sums.running_ns += rest;
                main.ended_ns = Some(ended_ns + rest);
                main.spans.push(Span::new(ended_ns, ended_ns + rest, State::Running, main.cpu, 0), 0);
                self.sums.running_ns += rest;
                self.ended_ns = Some(ended_ns + rest);
                self.since_ns = ended_ns + rest;
            }
        } else if main.displaced_ns.is_some() {
            // It lost the CPU on the way and had one again at its end, for so long, but not while another had it.
            let rest = rest.min(ended_ns.saturating_sub(main.free_ns.unwrap_or(ended_ns)));
            let rest = main.spans.had_cpu_at_the_end(ended_ns, rest, main.cpu);
            check.running_ns.0 += rest;
            check.ready_ns.0 -= rest;
            for sums in [&mut main.sums, &mut self.sums] {
                sums.running_ns += rest;
                sums.ready_ns -= rest;
            }
        }
    }

    fn close(&mut self, at_ns: u64) {
        let ns = at_ns.saturating_sub(self.since_ns);
        self.sums.add(self.state, ns);
        if self.state == State::Blocked && ns > 0 {
            super::sums::add_wait(&mut self.waits, self.wait, ns);
        }
        self.since_ns = self.since_ns.max(at_ns);
    }

    /// Ends the present state and stays in the one called reaped.
    pub(super) fn finish(&mut self, at_ns: u64) {
        self.close(at_ns);
        self.state = State::Reaped;
    }

    /// The sums as if the present state ended at `now_ns`, with the hidden part of being ready put where it
    /// belongs, as far as the kernel's sums show it.
    ///
    /// Of several threads the hidden part may lie inside the running time of another one, so it is moved for
    /// single-threaded processes only; [`hidden_ns`](Self::hidden_ns) tells it for all.
    pub fn sums_at(&self, now_ns: u64) -> Sums {
        let mut sums = self.sums;
        if self.reaping.is_none() {
            sums.add(self.state, now_ns.saturating_sub(self.since_ns));
        }
        if self.n_threads == 1 {
            let hidden = self.hidden_ns().min(sums.blocked_ns);
            sums.blocked_ns -= hidden;
            sums.ready_ns += hidden;
        }
        sums
    }

    /// Time between being woken and getting the CPU that the records do not show, of all listed threads.
    pub fn hidden_ns(&self) -> u64 {
        self.threads.iter().filter_map(|thread| thread.check).map(|check| check.hidden_ns()).sum()
    }

    /// CPU time of all threads together.
    pub fn cpu_ns(&self, now_ns: u64) -> u64 {
        self.past_threads.0 + self.threads.iter().map(|thread| thread.sums_at(now_ns).running_ns).sum::<u64>()
    }

    /// Times that any of its threads got a CPU.
    pub fn turns(&self) -> u64 {
        self.past_threads.1 + self.threads.iter().map(|thread| thread.turns).sum::<u64>()
    }

    /// Times that the CPU was taken away from a thread that could have gone on.
    pub fn preempted(&self) -> u64 {
        self.past_threads.2 + self.threads.iter().map(|thread| thread.preempted).sum::<u64>()
    }

    /// What it was blocked on so far and what it is blocked on now: numbers of names and sums.
    pub fn waits_at(&self, now_ns: u64) -> Vec<(u32, WaitSum)> {
        let mut waits = self.waits.clone();
        let ns = now_ns.saturating_sub(self.since_ns);
        if self.state == State::Blocked && ns > 0 {
            super::sums::add_wait(&mut waits, self.wait, ns);
        }
        let mut waits: Vec<_> = waits.into_iter().collect();
        waits.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.ns));
        waits
    }

    /// What it is blocked on now, by number; 0 when not seen or not blocked.
    pub fn waits_now(&self) -> u32 {
        if self.state == State::Blocked { self.wait } else { 0 }
    }

    /// The spans of its life from `from_ns` to `now_ns`, its threads laid over each other.
    pub fn live_spans(&self, from_ns: u64, now_ns: u64) -> Vec<Span> {
        match &self.threads[..] {
            [only] => only.spans_at(from_ns, now_ns),
            many => overlay(many.iter().map(|thread| thread.spans_at(from_ns, now_ns))),
        }
    }

    /// The process's spans from `from_ns` to `now_ns`, its threads laid over each other, its time as a zombie
    /// last.
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

/// At each moment the busiest of the threads: running before ready before blocked before stopped.
fn overlay(threads: impl Iterator<Item = Vec<Span>>) -> Vec<Span> {
    let rank = |state: State| match state {
        State::Running => 0,
        State::Ready => 1,
        State::Blocked => 2,
        State::Stopped => 3,
        State::Zombie | State::Reaped => 4,
    };
    let all: Vec<Span> = threads.flatten().collect();
    let mut edges: Vec<(u64, bool, usize)> = Vec::with_capacity(all.len() * 2);
    for (index, span) in all.iter().enumerate() {
        edges.push((span.from_ns, true, index));
        edges.push((span.to_ns, false, index));
    }
    edges.sort_unstable();
    let mut open = std::collections::BTreeSet::new();
    let mut result: Vec<Span> = Vec::new();
    let mut at = 0;
    for (time, opens, index) in edges {
        if time > at
            && let Some(&(_, top)) = open.first()
        {
            let top: &Span = &all[top];
            match result.last_mut() {
                Some(last)
                    if last.to_ns == at
                        && (last.state, last.wait, last.cpu) == (top.state, top.wait, top.cpu) =>
                {
                    last.to_ns = time;
                }
                _ => result.push(Span::new(at, time, top.state, top.cpu, top.wait)),
            }
        }
        at = time;
        let key = (rank(all[index].state), index);
        if opens {
            open.insert(key)
        } else {
            open.remove(&key)
        };
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_threads_the_busier_one_gives_the_state() {
        let span = |from, to, state| Span::new(from, to, state, 0, 0);
        let one = vec![span(0, 10, State::Running), span(10, 40, State::Blocked)];
        let two = vec![span(5, 20, State::Ready), span(20, 30, State::Running)];
        let both = overlay([one, two].into_iter());
        let told: Vec<_> = both.iter().map(|span| (span.from_ns, span.to_ns, span.state)).collect();
        assert_eq!(
            told,
            [
                (0, 10, State::Running),
                (10, 20, State::Ready),
                (20, 30, State::Running),
                (30, 40, State::Blocked)
            ]
        );
    }
}
