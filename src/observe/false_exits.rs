//! Exit records of processes that have not exited.
//!
//! At an `execve` that gains privileges (a set-user-ID program, file capabilities) or whose file is not readable, the
//! kernel removes the perf events of unprivileged observers from the process and writes the same record as for an exit.
//! In the exact tier nothing more is recorded of the process; in the root tier everything is.

use crate::sys::pid::Pid;
use std::collections::HashMap;

use super::event::{Event, What};
use crate::sys::procfs::stat;

/// The record is written within the system call, this soon after that of the exec. A program that exits needs longer
/// to start.
const WITHIN_NS: u64 = 300_000;
/// The records of a CPU are read at most this long after those of another one.
const LOST_NS: u64 = 10_000_000_000;
/// The end of a process is announced this soon after the record of its exit.
const ANNOUNCED_NS: u64 = 200_000;

/// Distinguishes the two kinds of exit records.
#[derive(Debug, Default)]
pub(super) struct FalseExits {
    /// Threads that have not left the CPU since their exec, and when that was.
    execs: HashMap<Pid, u64>,
}

impl FalseExits {
    /// Examines new events, in the order of time, before they are used: the record of a false exit is replaced by what
    /// it means, or removed if records continue (`all_recorded`).
    pub(super) fn sift(&mut self, events: &mut Vec<Event>, first_new: usize, all_recorded: bool) {
        let mut suspects = Vec::new();
        // An exec long ago says nothing about an exit, even if the records of how the thread left the CPU were lost.
        if let Some(newest_ns) = events[first_new..].iter().map(|event| event.at_ns).max() {
            self.execs.retain(|_, exec_ns| newest_ns.saturating_sub(*exec_ns) < LOST_NS);
        }
        for (place, event) in events.iter().enumerate().skip(first_new) {
            match event.what {
                What::Named { exec: true, .. } => drop(self.execs.insert(event.tid, event.at_ns)),
                What::Out { .. } => drop(self.execs.remove(&event.tid)),
                What::Exited { .. } => {
                    let exec_ns = self.execs.remove(&event.tid);
                    if exec_ns.is_some_and(|exec_ns| event.at_ns.saturating_sub(exec_ns) < WITHIN_NS) {
                        suspects.push(place);
                    }
                }
                _ => {}
            }
        }
        for place in suspects.into_iter().rev() {
            let Event { at_ns, pid, .. } = events[place];
            let later = events.iter().skip(place + 1).filter(|event| event.pid == pid);
            let proves = |event: &Event| match event.what {
                What::Exited { .. } => true,
                // The announcement of an exit, as a last way off the CPU.
                What::Out { preempted: false } => !all_recorded && event.at_ns > at_ns + ANNOUNCED_NS,
                _ => false,
            };
            if later.into_iter().any(proves) || stat::is_alive(pid) {
                if all_recorded {
                    events.remove(place);
                } else {
                    events[place].what = What::Unrecorded { since_ns: at_ns };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PID that no process has.
    const PID: Pid = Pid::from_raw(1 << 30);

    fn sifted(script: Vec<(u64, What)>, all_recorded: bool) -> Vec<(u64, What)> {
        let mut events: Vec<Event> =
            script.into_iter().map(|(at_ns, what)| Event { at_ns, pid: PID, tid: PID, what }).collect();
        FalseExits::default().sift(&mut events, 0, all_recorded);
        events.into_iter().map(|event| (event.at_ns, event.what)).collect()
    }

    fn exec(at_ns: u64) -> (u64, What) {
        (at_ns, What::Named { name: "ping".to_owned(), exec: true })
    }

    fn exited(at_ns: u64) -> (u64, What) {
        (at_ns, What::Exited { ppid: Pid::from_raw(1) })
    }

    const OFF: What = What::Out { preempted: false };

    #[test]
    fn an_end_announced_long_after_the_record_of_an_exit_within_the_exec_makes_it_none() {
        let events = vec![exec(1_000), exited(9_000), (2_000_000, OFF)];
        let told = sifted(events.clone(), false);
        assert_eq!(told[1].1, What::Unrecorded { since_ns: 9_000 });
        assert_eq!(sifted(events.clone(), true), events, "in the root tier that is the way off a CPU");
    }

    #[test]
    fn threads_whose_records_were_lost_after_their_exec_are_forgotten() {
        let mut exits = FalseExits::default();
        for n in 0..10_000_u64 {
            let pid = Pid::from_raw(i32::try_from(n).unwrap() + (1 << 30));
            let (at_ns, what) = exec(n * 100_000_000);
            exits.sift(&mut vec![Event { at_ns, pid, tid: pid, what }], 0, false);
        }
        assert!(exits.execs.len() <= 101, "{}", exits.execs.len());
    }

    #[test]
    fn a_program_that_ends_at_once_has_ended() {
        let events = vec![exec(1_000), exited(200_000), (300_000, OFF)];
        assert_eq!(sifted(events.clone(), false), events);
    }

    #[test]
    fn of_two_exits_the_one_within_the_exec_is_none() {
        let told = sifted(vec![exec(1_000), exited(9_000), (50_000, OFF), exited(90_000)], true);
        assert_eq!(told, [exec(1_000), (50_000, OFF), exited(90_000)]);
    }
}
