//! Processes that are only counted: what reports sum up and compare over all processes.

use super::process::Process;
use super::sums::{Check, Sums, WaitSum};
use super::thread::Thread;
use crate::sys::pid::Pid;

/// A zombie that lasts for less is about to be reaped.
pub const LONG_ZOMBIE_NS: u64 = 10_000_000;

/// Processes that are only counted.
#[derive(Debug, Clone, Default)]
pub struct Folded {
    /// How many.
    pub n_processes: u64,
    /// Their time by state.
    pub sums: Sums,
    /// How often one of them got a CPU.
    pub turns: u64,
    /// Those of them that began under the watch.
    pub whole: Whole,
    /// Their shares of a CPU while they wanted one.
    pub shares: Shares,
    /// How many of them were zombies for [`LONG_ZOMBIE_NS`] or more.
    pub n_zombies: u64,
    /// The longest such zombie, and its time at least.
    pub longest_zombie: Option<Named>,
    /// How many of them lost their parents.
    pub n_orphans: u64,
    /// The first of these, and when it began.
    pub first_orphan: Option<Named>,
    /// The one that had a CPU for longest.
    pub most_cpu: Option<Named>,
    /// The longest wait of a main thread of which the reason is known.
    pub longest_wait: Option<LongestWait>,
    /// How long their threads were blocked.
    pub blocked_ns: u64,
    /// How long for a reason that is not known.
    pub unseen_ns: u64,
    /// The thread with the longest wait of which the reason is not known.
    pub longest_unseen: Option<Named>,
    /// How many of them were compared with the kernel's sums.
    pub n_checked: usize,
    /// How many agreed.
    pub n_holding: usize,
    /// The largest difference.
    pub worst: Option<(Check, Named)>,
    /// When the last of them was reaped.
    pub reaped_ns: u64,
}

/// Processes that began and ended under the watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Whole {
    /// How many.
    pub n: u64,
    /// Their time by state.
    pub sums: Sums,
    /// From begin to end.
    pub life_ns: u64,
    /// How many were seen to get their first turn on a CPU.
    pub n_responses: u64,
    /// The time until then.
    pub response_ns: u64,
}

/// Shares of running in running and ready time, for Jain's index.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shares {
    /// How many.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
}

impl Shares {
    /// Adds the share of a process, if it wanted a CPU at all.
    pub fn add(&mut self, running_ns: u64, ready_ns: u64) {
        if running_ns + ready_ns > 0 {
            let share = running_ns as f64 / (running_ns + ready_ns) as f64;
            self.n += 1;
            self.sum += share;
            self.squares += share * share;
        }
    }
}

/// A process or thread with a time of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The time.
    pub ns: u64,
    /// Its PID or TID.
    pub id: Pid,
    /// The name of its process.
    pub name: String,
}

/// A wait of a process that is only counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongestWait {
    /// The process, and the length of the wait.
    pub of: Named,
    /// Its length without wake-up delays.
    pub at_least_ns: u64,
    /// What it was for.
    pub on: String,
}

impl Folded {
    /// Adds a process that was reaped. `wait_name` describes waits; `exact` tells that only the kernel's sums show wake-up
    /// delays.
    pub(super) fn add<'a>(&mut self, process: &Process, wait_name: impl Fn(u32) -> &'a str, exact: bool) {
        let Some((reaping, ended_ns)) = process.reaping.zip(process.ended_ns) else { return };
        let sums = process.sums_at(reaping.not_after_ns);
        let named = |ns| Named { ns, id: process.pid, name: process.name.clone() };
        self.n_processes += 1;
        self.sums += sums;
        self.turns += process.turns();
        self.shares.add(sums.running_ns, sums.ready_ns);
        self.reaped_ns = self.reaped_ns.max(reaping.not_after_ns);
        if !process.found {
            self.whole.n += 1;
            self.whole.sums += sums;
            self.whole.life_ns += process.life_ns(ended_ns);
            if let Some(first_ns) = process.threads[0].first_ran_ns {
                self.whole.n_responses += 1;
                self.whole.response_ns += first_ns.saturating_sub(process.started_ns);
            }
        }
        let zombie_ns = reaping.not_before_ns.saturating_sub(ended_ns).min(sums.zombie_ns);
        if zombie_ns >= LONG_ZOMBIE_NS {
            self.n_zombies += 1;
            keep_longer(&mut self.longest_zombie, zombie_ns, || named(zombie_ns));
        }
        if process.orphan.is_some() {
            self.n_orphans += 1;
            if self.first_orphan.as_ref().is_none_or(|first| process.started_ns < first.ns) {
                self.first_orphan = Some(named(process.started_ns));
            }
        }
        keep_longer(&mut self.most_cpu, sums.running_ns, || named(sums.running_ns));
        let recorded = exact && process.unrecorded_since_ns.is_none();
        let delays_ns = |thread: &Thread| match recorded && thread.hides_ready_time() {
            true => u64::MAX,
            false => thread.hidden_ns(),
        };
        let main_delays_ns = delays_ns(process.own_thread());
        for (number, WaitSum { ns, longest_ns, .. }) in process.waits_at(ended_ns) {
            let longest = self.longest_wait.as_ref().map_or(0, |wait| wait.of.ns);
            if number != 0 && longest_ns > longest {
                self.longest_wait = Some(LongestWait {
                    of: named(longest_ns),
                    at_least_ns: longest_ns.saturating_sub(main_delays_ns.min(ns)),
                    on: wait_name(number).to_owned(),
                });
            }
        }
        for thread in &process.threads {
            for (number, wait) in thread.waits_at(ended_ns) {
                self.blocked_ns += wait.ns;
                if number == 0 {
                    self.unseen_ns += wait.ns;
                    let of_thread = || Named { id: thread.tid, ..named(wait.longest_ns) };
                    keep_longer(&mut self.longest_unseen, wait.longest_ns, of_thread);
                }
            }
        }
        let rank = |check: &Check| (!check.holds(), check.difference_ns());
        if let Some(check) = process.threads.iter().filter_map(|thread| thread.check).max_by_key(rank) {
            self.n_checked += 1;
            self.n_holding += usize::from(check.holds());
            if self.worst.as_ref().is_none_or(|(worst, _)| rank(worst) < rank(&check)) {
                self.worst = Some((check, named(check.difference_ns())));
            }
        }
    }
}

fn keep_longer(kept: &mut Option<Named>, ns: u64, new: impl FnOnce() -> Named) {
    if kept.as_ref().is_none_or(|kept| kept.ns < ns) {
        *kept = Some(new());
    }
}
