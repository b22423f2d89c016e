//! What `/proc` shows of a thread that is off the CPU: its letter, what it waits for, the kernel's sums.

use super::machine::Timeline;
use crate::observe::event::State;
use crate::observe::waits::Wait;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

/// A thread that is being woken has the letter of a sleeping one for no longer than this.
const WAKING_NS: u64 = 1_000_000;

impl Timeline {
    pub(super) fn see_letter(&mut self, tid: Pid, letter: char, at_ns: u64) {
        let Some((process, index)) = self.find(tid) else { return };
        let thread = &mut process.threads[index];
        let asleep = matches!(letter, 'S' | 'D' | 'I');
        if asleep && thread.state == State::Ready && thread.since_ns + WAKING_NS < at_ns {
            // It has had a CPU since and sleeps again: the kernel does not record it.
            thread.state = State::Unknown;
            return self.go(tid, State::Blocked, at_ns);
        }
        if thread.state != State::Blocked || thread.since_ns > at_ns {
            return;
        }
        thread.letter = Some(letter);
        if matches!(letter, 'T' | 't') {
            // It has been off the CPU since before the letter was read, and a stop begins by leaving the CPU: it was
            // stopped all the time.
            thread.state = State::Stopped;
            let since_ns = thread.since_ns;
            self.tell_stop(tid, State::Blocked, State::Stopped, since_ns);
        }
    }

    pub(super) fn see_wait(&mut self, tid: Pid, wait: &Wait, at_ns: u64) {
        let number = self.number_of(wait);
        let Some((process, index)) = self.find(tid) else { return };
        let thread = &process.threads[index];
        if thread.state != State::Blocked || thread.since_ns > at_ns {
            return;
        }
        if thread.wait != 0 && thread.wait != number {
            // It still sleeps in the same call and now waits for another process, as when a lock has a new holder: which of
            // the two it was between the reads is not known.
            let asked_ns = thread.wait_seen_ns.max(thread.since_ns);
            self.go(tid, State::Blocked, asked_ns);
            self.go(tid, State::Blocked, at_ns);
        }
        if let Some((process, index)) = self.find(tid) {
            process.threads[index].wait = number;
            process.threads[index].wait_seen_ns = at_ns;
        }
    }

    /// The kernel's sums of a living thread that may have had a CPU meanwhile.
    pub(super) fn see_sums_in_passing(&mut self, pid: Pid, tid: Pid, kernel: SchedStat, at_ns: u64) {
        let stolen_ns = self.stolen_ns;
        let Some(process) = self.by_pid(pid) else { return };
        if self.is_sampled(process) {
            return;
        }
        if let Some((process, place)) = self.find(tid) {
            let older = process.older;
            process.threads[place].compare_in_passing(at_ns, kernel, stolen_ns, older);
        }
    }

    pub(super) fn see_sums(&mut self, pid: Pid, tid: Pid, kernel: SchedStat, at_ns: u64) {
        let stolen_ns = self.stolen_ns;
        let Some(process) = self.by_pid(pid) else { return };
        let (sampled, found) = (self.is_sampled(process), process.found);
        if let Some((process, place)) = self.find(tid) {
            let thread = &mut process.threads[place];
            if !sampled {
                thread.compare(at_ns, kernel, stolen_ns, process.older);
            } else if found && !thread.looks.have_begun() {
                // What it did before it was found does not count.
                thread.looks.begin(thread.state, kernel);
            } else {
                // The thread has ended, which the timeline does not know yet.
                self.sample(tid, State::Zombie, kernel, None, at_ns);
            }
        } else if pid == tid && !sampled {
            // A zombie still has the sums of its main thread, which are final.
            let process = self.pids.get(&pid).and_then(|id| self.processes.get_mut(id));
            if let Some(process) = process {
                let before = process.n_spans();
                process.see_final_sums(kernel, at_ns, stolen_ns);
                self.n_spans = (self.n_spans + process.n_spans()).saturating_sub(before);
            }
        }
    }
}
