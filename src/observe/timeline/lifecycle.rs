//! Lives: fork, exec, exit, adoption, reaping.

use super::looks::Looks;
use super::machine::{News, NewsKind, Records, Timeline};
use super::process::{Orphan, Process, Reaping};
use super::thread::Thread;
use crate::observe::event::{Event, State, What};
use crate::observe::waits::{Ends, Kind};
use crate::sys::pid::Pid;

/// Ended threads that a process keeps; older ones are only counted.
const MOST_ENDED_THREADS: usize = 512;
/// Execs of one process that are kept.
const MOST_EXECS: usize = 64;
/// News that are kept until they are taken.
const MOST_NEWS: usize = 16_384;

impl Timeline {
    pub(super) fn live(&mut self, event: &Event) {
        let (pid, at_ns) = (event.pid, event.at_ns);
        match &event.what {
            What::Forked { ppid } if pid == *ppid => self.add_thread(pid, event.tid, at_ns, State::Ready),
            What::Forked { ppid } => {
                // The child has its parent's name until it execs.
                if let Some(parent) = self.alive(*ppid) {
                    let (pgid, session) = (parent.pgid, parent.session);
                    let child = Process::new(pid, *ppid, parent.name.clone(), at_ns, State::Ready);
                    self.add_process(Process { pgid, session, ..child });
                }
            }
            What::Orphaned { by } => {
                let mut process = Process::new(pid, *by, String::new(), at_ns, State::Ready);
                process.orphan = Some(Orphan { at_ns, old: Pid::UNKNOWN, new: Some(*by) });
                self.add_process(process);
            }
            What::Rooted { ppid, before_exec } => {
                let mut process = Process::new(pid, *ppid, String::new(), at_ns, State::Ready);
                process.held = true;
                process.older = true;
                process.threads[0].before_exec = *before_exec;
                self.add_process(process);
            }
            What::Found { ppid, state } if event.tid == pid => {
                let mut process = Process::new(pid, *ppid, String::new(), at_ns, *state);
                process.found = true;
                process.older = true;
                self.add_process(process);
            }
            What::Found { state, .. } => self.add_thread(pid, event.tid, at_ns, *state),
            What::Named { name, exec: true } => self.exec(pid, name, at_ns),
            What::Named { name, exec: false } => {
                if let Some((process, place)) = self.find(event.tid) {
                    process.threads[place].name = Some(name.clone());
                    if event.tid == pid {
                        process.name.clone_from(name);
                        self.reasons.name_process(pid, name);
                    }
                }
            }
            What::CommandLine(command) => {
                if let Some(process) = self.alive(pid) {
                    process.command = Some(command.clone());
                }
            }
            What::Exited { ppid } => {
                // From Linux 6.16 on the exit is recorded before the memory is freed, which takes a large program
                // milliseconds on the CPU: it ends when it leaves the CPU for the last time.
                let go_on = matches!(self.records, Records::ToTheLast | Records::Everything);
                match self.alive(pid).and_then(|process| process.thread(event.tid)) {
                    Some(thread) if go_on && thread.state == State::Running => {
                        thread.exiting = Some(at_ns);
                        self.see_parent(pid, *ppid, at_ns);
                    }
                    _ => {
                        let last_look_ns = self.last_look_ns(pid);
                        self.see_parent(pid, *ppid, at_ns);
                        self.end_thread(pid, event.tid, at_ns);
                        self.ended_since(pid, last_look_ns);
                    }
                }
            }
            What::Status(exit) => {
                // The exits of all processes are announced, and a PID may have been reused by then.
                if let Some(process) = self.latest(pid).filter(|process| process.reaping.is_none()) {
                    process.exit = Some(*exit);
                }
                // For a sampled process nothing else shows the time of its end.
                if self.by_pid(pid).is_some_and(|process| self.is_sampled(process)) {
                    self.end_thread(pid, pid, at_ns);
                }
            }
            What::Ended => {
                if let Some(process) = self.latest(pid).filter(|process| process.reaping.is_none()) {
                    process.seen_ended_ns.get_or_insert(at_ns);
                }
            }
            What::Unrecorded { since_ns } => self.unrecord(pid, *since_ns),
            What::Hidden => self.lose_sight(pid, at_ns),
            What::Group { pgid, session } => {
                if let Some(process) = self.alive(pid) {
                    (process.pgid, process.session) = (Some(*pgid), Some(*session));
                }
            }
            What::Adopted { by } => self.adopt(pid, *by, at_ns),
            What::Collected { by } => {
                if let Some(process) = self.latest(pid).filter(|process| process.reaping.is_none()) {
                    process.collected_by = Some(*by);
                    // A zombie that is adopted is no orphan: it has not lived without its parent.
                    if process.orphan.is_some() {
                        self.adopt(pid, *by, at_ns);
                    }
                }
            }
            What::Reaped { not_before_ns, by_itself } => self.reap(pid, *not_before_ns, at_ns, *by_itself),
            _ => {}
        }
    }

    pub(super) fn latest(&mut self, pid: Pid) -> Option<&mut Process> {
        self.processes.get_mut(self.pids.get(&pid)?)
    }

    pub(super) fn alive(&mut self, pid: Pid) -> Option<&mut Process> {
        self.latest(pid).filter(|process| process.is_alive())
    }

    pub(super) fn tell(&mut self, pid: Pid, at_ns: u64, kind: NewsKind) {
        let Some(&id) = self.pids.get(&pid) else { return };
        if self.news.len() >= MOST_NEWS {
            self.news.pop_front();
            self.missed_news += 1;
        }
        self.news.push_back(News { at_ns, id, kind });
    }

    fn add_process(&mut self, process: Process) {
        let (pid, at_ns) = (process.pid, process.started_ns);
        if self.alive(pid).is_some_and(|known| known.started_ns == at_ns || process.found) {
            return;
        }
        if let Some(before) = self.latest(pid)
            && before.reaping.is_none()
        {
            // The PID was reused, so its former owner was reaped unseen.
            let not_before_ns = before.ended_ns.unwrap_or(at_ns);
            self.reap(pid, not_before_ns, at_ns, false);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.pids.insert(pid, id);
        self.reasons.begin_process(pid, &process.name);
        self.tids.insert(pid, (id, 0));
        self.index.file(id, &process);
        self.processes.insert(id, process);
        self.origin_ns = Some(self.origin_ns.map_or(at_ns, |origin_ns| origin_ns.min(at_ns)));
        self.tell(pid, at_ns, NewsKind::Started);
        if self.processes.len() > self.limits.processes {
            self.fold_one();
        }
    }

    fn add_thread(&mut self, pid: Pid, tid: Pid, at_ns: u64, state: State) {
        let Some(&id) = self.pids.get(&pid) else { return };
        let Some(process) = self.alive(pid) else { return };
        if process.thread(tid).is_some() {
            return;
        }
        let name = process.name.clone();
        process.threads.push(Thread { name: Some(name), ..Thread::new(tid, at_ns, state) });
        process.n_threads += 1;
        let place = process.threads.len() - 1;
        self.tids.insert(tid, (id, place));
    }

    /// `execve` ends every thread but the calling one, which takes over the main thread's TID.
    fn exec(&mut self, pid: Pid, name: &str, at_ns: u64) {
        let had_threads = self.by_pid(pid).is_some_and(|process| {
            self.is_sampled(process) && process.threads.iter().filter(|thread| thread.is_alive()).count() > 1
        });
        self.end_all_but_caller(pid, at_ns);
        let Some(process) = self.alive(pid) else { return };
        let main = &mut process.threads[0];
        if had_threads {
            // Samples do not show which thread called `execve`.
            main.looks = Looks::of_another();
        }
        let was_held = std::mem::take(&mut process.held);
        let n_dropped = if was_held { main.spans.len() } else { 0 };
        if was_held {
            // The watched command: what it did before its exec was not its own.
            process.started_ns = at_ns;
            *main = main.at_exec(at_ns);
        }
        main.name = None;
        name.clone_into(&mut process.name);
        process.command = None;
        if process.execs.len() < MOST_EXECS {
            process.execs.push((at_ns, name.to_owned()));
        }
        if was_held {
            self.n_spans = self.n_spans.saturating_sub(n_dropped);
            // It is the first process, and may be the only one.
            self.origin_ns = self.processes.values().map(|process| process.started_ns).min();
        }
        self.reasons.name_process(pid, name);
        self.tell(pid, at_ns, NewsKind::Exec);
    }

    fn end_all_but_caller(&mut self, pid: Pid, at_ns: u64) {
        let Some(&id) = self.pids.get(&pid) else { return };
        let Some(process) = self.processes.get(&id).filter(|process| process.reaping.is_none()) else {
            return;
        };
        let going_on = |thread: &&Thread| thread.is_alive() && thread.exiting.is_none();
        // The exits of all others are recorded by now. If one was lost, the caller is the one on a CPU.
        let caller = process
            .threads
            .iter()
            .filter(going_on)
            .max_by_key(|thread| (thread.tid == pid, thread.state == State::Running, thread.since_ns));
        let caller = caller.map(|thread| thread.tid);
        let others: Vec<(Pid, u64)> = process
            .threads
            .iter()
            .filter(|thread| thread.is_alive() && Some(thread.tid) != caller)
            .map(|thread| (thread.tid, thread.exiting.unwrap_or(at_ns)))
            .collect();
        for (tid, ended_ns) in others {
            self.end_thread(pid, tid, ended_ns);
        }
        let Some(process) = self.processes.get_mut(&id) else { return };
        process.ended_ns = None;
        process.end_is_recorded = false;
        self.index.file(id, process);
        let place = match caller.and_then(|tid| process.threads.iter().rposition(|thread| thread.tid == tid))
        {
            Some(place) => place,
            None => {
                process.threads.push(Thread::new(pid, at_ns, State::Running));
                process.threads.len() - 1
            }
        };
        let former = std::mem::replace(&mut process.threads[place].tid, pid);
        process.threads[place].displaced_ns = None;
        // The main thread comes first; the former one, if it was another, has ended.
        process.threads.swap(0, place);
        self.tids.remove(&former);
        self.tids.insert(pid, (id, 0));
        if former != pid {
            self.apply_strays(pid);
        }
    }

    /// Ends a thread, at `at_ns` or when it last entered or left a CPU, if that is later: the end or reaping of a thread
    /// that is preempted on its way out may be reported with an earlier time.
    pub(super) fn end_thread(&mut self, pid: Pid, tid: Pid, at_ns: u64) {
        let Some(&(id, place)) = self.tids.get(&tid).filter(|(id, _)| self.pids.get(&pid) == Some(id)) else {
            return;
        };
        let since_ns = self.processes.get(&id).map_or(0, |process| process.threads[place].since_ns);
        let at_ns = at_ns.max(since_ns);
        if self.processes.get(&id).is_some_and(|process| self.is_sampled(process)) {
            // Its state between the last look and its end was not seen.
            self.go(tid, State::Unknown, since_ns);
        }
        self.go(tid, State::Zombie, at_ns);
        self.tids.remove(&tid);
        let Some(process) = self.alive(pid) else { return };
        process.threads[place].ended_ns = Some(at_ns);
        if process.threads.iter().any(Thread::is_alive) {
            self.forget_ended_threads(pid);
            return;
        }
        process.ended_ns = Some(at_ns);
        let parent = process.ppid;
        if let Some(process) = self.processes.get(&id) {
            self.index.file(id, process);
        }
        self.tell(pid, at_ns, NewsKind::Ended);
        self.cut_waits_for(pid, parent, at_ns);
        for child in self.index.children(pid) {
            // One that is known by looks may have ended before its parent: its next look shows whether it has a new one.
            if self.processes.get(&child).is_none_or(|child| self.is_sampled(child)) {
                continue;
            }
            let Some(child) = self.processes.get_mut(&child) else { continue };
            if child.is_alive() && child.pid != pid && child.orphan.is_none() {
                child.orphan = Some(Orphan { at_ns, old: pid, new: None });
            }
        }
    }

    /// Ends a thread whose exit was recorded and whose last way off its CPU was not. It had ended by `gone_ns`: if that is
    /// much later, it may have ended there as well, after any of the states.
    fn end_between(&mut self, pid: Pid, tid: Pid, exited_ns: u64, gone_ns: u64) {
        let in_doubt = self.is_in_doubt_on_its_way_out(tid, exited_ns, gone_ns);
        self.end_thread(pid, tid, if in_doubt { gone_ns } else { exited_ns });
    }

    /// When the main thread of a sampled process was last seen.
    fn last_look_ns(&self, pid: Pid) -> Option<u64> {
        let process = self.by_pid(pid).filter(|process| process.is_alive() && self.is_sampled(process))?;
        Some(process.main().since_ns)
    }

    /// Notes when a process that has ended now was last seen alive.
    fn ended_since(&mut self, pid: Pid, last_look_ns: Option<u64>) {
        if let Some(process) = self.latest(pid).filter(|process| !process.is_alive()) {
            process.last_alive_ns = process.last_alive_ns.or(last_look_ns);
        }
    }

    /// A wait for `pid` is over when it ends: what its parent is blocked on after that, until it has a CPU, is not known
    /// before it is read again.
    fn cut_waits_for(&mut self, pid: Pid, parent: Pid, at_ns: u64) {
        if self.by_pid(parent).is_some_and(|parent| self.is_sampled(parent)) {
            // Its next look shows how it has spent the time since the last one.
            return;
        }
        let Some(parent) = self.alive(parent) else { return };
        let blocked: Vec<(Pid, u32)> = parent
            .threads
            .iter()
            .filter(|thread| thread.is_alive() && thread.state == State::Blocked && thread.since_ns < at_ns)
            .map(|thread| (thread.tid, thread.wait))
            .collect();
        for (tid, wait) in blocked {
            let of_child = self.wait(wait).is_some_and(|wait| {
                wait.kind == Kind::Child && matches!(&wait.ends, Ends::Only(pids) if pids.contains(&pid))
            });
            if of_child {
                self.go(tid, State::Blocked, at_ns);
            }
        }
    }

    fn forget_ended_threads(&mut self, pid: Pid) {
        let Some(&id) = self.pids.get(&pid) else { return };
        let Some(process) = self.processes.get_mut(&id) else { return };
        if process.threads.iter().filter(|thread| !thread.is_alive()).count() <= MOST_ENDED_THREADS {
            return;
        }
        let past = &mut process.past_threads;
        let n_spans = &mut self.n_spans;
        process.threads.retain(|thread| {
            let keep = thread.is_alive() || thread.tid == pid;
            if !keep {
                *n_spans = n_spans.saturating_sub(thread.spans.len());
                past.0 += thread.sums_at(thread.since_ns);
                past.1 += thread.turns;
                past.2 += thread.preempted;
            }
            keep
        });
        for (place, thread) in process.threads.iter().enumerate().filter(|(_, thread)| thread.is_alive()) {
            self.tids.insert(thread.tid, (id, place));
        }
    }

    fn adopt(&mut self, pid: Pid, by: Pid, at_ns: u64) {
        let Some(&id) = self.pids.get(&pid) else { return };
        let is_unreaped = self.processes.get(&id).is_some_and(|process| process.reaping.is_none());
        if is_unreaped && self.note_adoption(id, by, at_ns) {
            self.tell(pid, at_ns, NewsKind::Adopted);
        }
    }

    /// Notes the parent that a process has when its exit is recorded.
    fn see_parent(&mut self, pid: Pid, ppid: Pid, at_ns: u64) {
        if let Some(&id) = self.pids.get(&pid).filter(|_| ppid != Pid::UNKNOWN)
            && self.processes.get(&id).is_some_and(Process::is_alive)
        {
            self.note_adoption(id, ppid, at_ns);
        }
    }

    /// Notes the parent of a process; returns whether it is a new one.
    fn note_adoption(&mut self, id: u64, by: Pid, at_ns: u64) -> bool {
        let parent = self.processes.get(&id).and_then(|process| self.by_pid(process.ppid));
        let at_ns = parent.and_then(|parent| parent.ended_ns).map_or(at_ns, |ended_ns| ended_ns.min(at_ns));
        let Some(process) = self.processes.get_mut(&id).filter(|process| process.ppid != by) else {
            return false;
        };
        let orphan = process.orphan.get_or_insert(Orphan { at_ns, old: process.ppid, new: None });
        orphan.new = Some(by);
        let old = std::mem::replace(&mut process.ppid, by);
        self.index.adopt(id, old, by);
        true
    }

    fn reap(&mut self, pid: Pid, not_before_ns: u64, at_ns: u64, by_itself: bool) {
        let Some(process) = self.latest(pid).filter(|process| process.reaping.is_none()) else { return };
        if process.is_alive() {
            // Either its end was not recorded, and is known as precisely as its reaping; or its exit was, but not the last
            // time that it left the CPU. The time of a sampled one is unknown until it was gone.
            let last_look_ns = self.last_look_ns(pid);
            let Some(process) = self.by_pid(pid) else { return };
            let unrecorded_ns = if last_look_ns.is_some() { at_ns } else { not_before_ns.max(1) };
            let gone_ns = process.seen_ended_ns.unwrap_or(at_ns);
            let living: Vec<_> = process.threads.iter().filter(|thread| thread.is_alive()).collect();
            let ends: Vec<_> = living.iter().map(|thread| (thread.tid, thread.exiting)).collect();
            let was_exiting = living.iter().all(|thread| thread.exiting.is_some());
            let last_exit_ns = living.iter().filter_map(|thread| thread.exiting).max();
            for (tid, exiting) in ends {
                match exiting {
                    Some(exited_ns) => self.end_between(pid, tid, exited_ns, gone_ns),
                    None => self.end_thread(pid, tid, unrecorded_ns),
                }
            }
            let last_alive_ns = last_look_ns.map(|look_ns| look_ns.max(not_before_ns));
            self.ended_since(pid, last_alive_ns.or(last_exit_ns));
            if let Some(process) = self.latest(pid)
                && was_exiting
                && process.collected_by.is_none()
                && process.orphan.is_some_and(|orphan| orphan.new.is_none())
            {
                // No process has adopted it: its parent had reaped it before it ended itself, which was told earlier.
                process.orphan = None;
            }
        }
        let Some(process) = self.latest(pid) else { return };
        let at_ns = at_ns.max(process.ended_ns.unwrap_or(0));
        let not_before_ns = not_before_ns.max(process.ended_ns.unwrap_or(0)).min(at_ns);
        let by = (!by_itself).then_some(process.collected_by.unwrap_or(process.ppid));
        // No process had to reap it: it was gone at its end.
        let at_ns = if by_itself { process.ended_ns.unwrap_or(at_ns) } else { at_ns };
        process.reaping = Some(Reaping { not_before_ns: not_before_ns.min(at_ns), not_after_ns: at_ns, by });
        process.compact();
        if let Some((id, process)) = self.pids.get(&pid).and_then(|id| Some((*id, self.processes.get(id)?))) {
            self.index.file(id, process);
        }
        self.tell(pid, at_ns, NewsKind::Reaped);
    }

    /// Forgets a process that was reaped long ago, except that it is counted.
    fn fold_one(&mut self) {
        let life_ns = |id| self.processes.get(&id).map_or(0, |process| process.life_ns(0));
        let Some(id) = self.index.least(self.limits.processes, life_ns) else { return };
        let Some(process) = self.processes.remove(&id) else { return };
        self.n_spans = self.n_spans.saturating_sub(process.n_spans());
        let exact = matches!(self.records, Records::ToTheExit | Records::ToTheLast);
        let reasons = &self.reasons;
        self.folded.add(&process, |number| reasons.name(number), exact);
        if self.pids.get(&process.pid) == Some(&id) {
            self.pids.remove(&process.pid);
        }
    }
}
