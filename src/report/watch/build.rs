//! The report of a watch.

use super::compare::compare;
use super::model::{
    CheckReport, Conservation, DeadlockReport, DescriptorReport, DescriptorsReport, ExecReport, FoldedReport,
    HeldUp, OrphanReport, ProcessReport, SignalReport, ThreadReport, TierRefusal, WaitReport, WatchReport,
};
use super::policy::Policy;
use super::scheduling::scheduling;
use super::sentences::{known_reasons, sentences};
use crate::observe::event::State;
use crate::observe::tier::Tier;
use crate::observe::timeline::{Check, Folded, Process, Thread, Timeline, WaitSum};
use crate::observe::waits::Described;
use crate::observe::watch::Observed;

/// The report of what was observed, for the command `command`, compared with `policies`.
pub fn report(observed: &Observed, command: Option<Vec<String>>, policies: &[Policy]) -> WatchReport {
    let timeline = &observed.timeline;
    let now_ns = observed.end_ns();
    let origin_ns = observed.origin_ns();
    let mut processes: Vec<ProcessReport> = timeline
        .processes()
        .map(|(_, process)| Builder { timeline, origin_ns, now_ns, tier: observed.tier }.process(process))
        .collect();
    if observed.tier == Tier::Sampled {
        // Its times come from the same sums that they would be compared with.
        processes.iter_mut().for_each(|process| process.check = None);
    }
    let since = |at_ns: u64| at_ns.saturating_sub(origin_ns);
    let folded = timeline.folded();
    let mut report = WatchReport {
        summary: Vec::new(),
        tier: observed.tier,
        resolution: achieved(observed),
        why_not_better: observed
            .refusals
            .iter()
            .map(|refusal| TierRefusal { tier: refusal.tier, why: refusal.why.clone() })
            .collect(),
        command,
        pid: observed.root,
        exit: observed.exit.and_then(|exit| exit.python()),
        origin_ns,
        wall_ns: since(now_ns),
        records: observed.n_records,
        lost_records: observed.n_lost,
        longest_gap_ns: observed.longest_gap_ns,
        joined_below_ns: timeline.grain_ns(),
        conservation: conservation(&processes, folded, observed.tier),
        scheduling: scheduling(&processes, folded, since(now_ns), observed.n_cpus),
        comparison: (!policies.is_empty()).then(|| compare(observed, policies)),
        descriptors: observed.descriptors.as_ref().map(|snapshot| DescriptorsReport {
            at_ns: since(snapshot.at_ns),
            open: snapshot.open.iter().map(descriptor).collect(),
        }),
        signals: timeline
            .signals()
            .map(|sent| SignalReport {
                at_ns: since(sent.at_ns),
                signal: crate::process::Signal(sent.number).to_string(),
                from: sent.from,
                to: sent.to,
            })
            .collect(),
        processes,
        folded_processes: folded.n_processes,
        folded: (folded.n_processes > 0).then_some(FoldedReport {
            processes: folded.n_processes,
            running_ns: folded.sums.running_ns,
            ready_ns: folded.sums.ready_ns,
            blocked_ns: folded.sums.blocked_ns,
            stopped_ns: folded.sums.stopped_ns,
            unknown_ns: folded.sums.unknown_ns,
            zombie_ns: folded.sums.zombie_ns,
            turns: folded.turns,
            orphans: folded.n_orphans,
        }),
        forgotten_waits: timeline.n_forgotten_waits(),
        deadlocks: observed
            .hangs
            .iter()
            .map(|hang| DeadlockReport {
                from_ns: since(hang.from_ns),
                to_ns: hang.to_ns.map(since),
                circle: hang.deadlock.circle.clone(),
                behind: hang.deadlock.behind.clone(),
                waits: hang
                    .waits
                    .iter()
                    .map(|one| HeldUp { pid: one.pid, tid: one.tid, on: one.on.clone() })
                    .collect(),
            })
            .collect(),
        known_reasons: None,
        timeline: None,
    };
    report.summary = sentences(&report, folded);
    report.known_reasons = known_reasons(&report, folded);
    report
}

/// The resolution of a watch, with the longest time between two looks if that exceeds the period.
fn achieved(observed: &Observed) -> String {
    const LONGER_NS: u64 = 20_000_000;
    let text = resolution(observed.tier);
    match observed.longest_gap_ns {
        ns @ LONGER_NS.. if observed.tier == Tier::Sampled => {
            format!("{text}; to keep the budget of CPU time, once {} apart", super::numbers::short(ns))
        }
        _ => text.to_owned(),
    }
}

/// What a tier shows and what it does not.
pub fn resolution(tier: Tier) -> &'static str {
    match tier {
        Tier::Root => "every switch and every wake-up, to the nanosecond",
        Tier::Exact => {
            "every switch, to the nanosecond; wake-up delays as a sum from schedstat, where it could be read"
        }
        Tier::Sampled => {
            "read every 5 ms: sums from schedstat, order within 5 ms unknown, processes that live for less may be missed"
        }
    }
}

struct Builder<'a> {
    timeline: &'a Timeline,
    origin_ns: u64,
    now_ns: u64,
    tier: Tier,
}

impl Builder<'_> {
    fn since(&self, at_ns: u64) -> u64 {
        at_ns.saturating_sub(self.origin_ns)
    }

    fn process(&self, process: &Process) -> ProcessReport {
        let since = |at_ns| self.since(at_ns);
        let sums = process.sums_at(self.now_ns);
        let checks = || process.threads.iter().filter_map(|thread| thread.check);
        let reaping = process.reaping;
        let main = &process.threads[0];
        ProcessReport {
            pid: process.pid,
            ppid: process.ppid,
            pgid: process.pgid,
            session: process.session,
            name: process.name.clone(),
            command: process.command.clone(),
            state: process.state(),
            exit: process.exit.and_then(|exit| exit.python()),
            found: process.found,
            unrecorded_since_ns: process.unrecorded_since_ns.map(since),
            started_ns: since(process.started_ns),
            ended_ns: process.ended_ns.map(since),
            reaped_ns: reaping.map(|reaping| since(reaping.not_after_ns)),
            reaped_by: reaping.and_then(|reaping| reaping.by),
            life_ns: process.life_ns(self.now_ns),
            running_ns: sums.running_ns,
            ready_ns: sums.ready_ns,
            blocked_ns: sums.blocked_ns,
            stopped_ns: sums.stopped_ns,
            unknown_ns: sums.unknown_ns,
            ready_is_lower_bound: process.threads.iter().any(|thread| self.is_lower_bound(process, thread)),
            response_ns: main
                .first_ran_ns
                .filter(|_| !process.found)
                .map(|at_ns| at_ns.saturating_sub(process.started_ns)),
            zombie_ns: sums.zombie_ns,
            zombie_at_least_ns: process.zombie_at_least_ns(self.now_ns).min(sums.zombie_ns),
            cpu_ns: sums.running_ns,
            wake_delay_ns: checks().next().map(|_| process.hidden_ready_ns()),
            turns: process.turns(),
            preempted: process.preempted(),
            n_threads: process.n_threads,
            threads: process.threads.iter().map(|thread| self.thread(process, thread)).collect(),
            execs: process
                .execs
                .iter()
                .map(|(at_ns, name)| ExecReport { at_ns: since(*at_ns), name: name.clone() })
                .collect(),
            orphan: process.orphan.map(|orphan| OrphanReport {
                at_ns: since(orphan.at_ns),
                old_parent: orphan.old,
                new_parent: orphan.new,
            }),
            waits: self
                .waits(process.waits_at(self.now_ns), self.wake_delays_ns(process, process.own_thread())),
            check: checks()
                .max_by_key(|check| (!check.holds(), check.difference_ns()))
                .map(|check| self.check(&check)),
        }
    }

    /// In the exact tier only the kernel's sums show wake-up delays.
    fn is_lower_bound(&self, process: &Process, thread: &Thread) -> bool {
        let recorded = self.tier == Tier::Exact && process.unrecorded_since_ns.is_none();
        recorded && thread.hides_ready_time()
    }

    fn thread(&self, process: &Process, thread: &Thread) -> ThreadReport {
        let sums = thread.sums_at(self.now_ns);
        let name = thread.name.as_ref().unwrap_or(&process.name);
        ThreadReport {
            tid: thread.tid,
            name: name.clone(),
            state: if thread.is_alive() { thread.state } else { State::Reaped },
            started_ns: self.since(thread.started_ns),
            ended_ns: thread.ended_ns.map(|at_ns| self.since(at_ns)),
            running_ns: sums.running_ns,
            ready_ns: sums.ready_ns,
            blocked_ns: sums.blocked_ns,
            stopped_ns: sums.stopped_ns,
            unknown_ns: sums.unknown_ns,
            ready_is_lower_bound: self.is_lower_bound(process, thread),
            turns: thread.turns,
            preempted: thread.preempted,
            waits: self.waits(thread.waits_at(self.now_ns), self.wake_delays_ns(process, thread)),
        }
    }

    /// The part of all waits of a thread that may be wake-up delays.
    fn wake_delays_ns(&self, process: &Process, thread: &Thread) -> u64 {
        if self.is_lower_bound(process, thread) { u64::MAX } else { thread.hidden_ns() }
    }

    fn waits(&self, waits: Vec<(u32, WaitSum)>, wake_delays_ns: u64) -> Vec<WaitReport> {
        let wait = |(number, sum): (u32, WaitSum)| WaitReport {
            on: self.timeline.wait_name(number).to_owned(),
            times: sum.times,
            ns: sum.ns,
            at_least_ns: sum.ns.saturating_sub(wake_delays_ns),
            longest_ns: sum.longest_ns,
        };
        waits.into_iter().map(wait).collect()
    }

    fn check(&self, check: &Check) -> CheckReport {
        CheckReport {
            at_ns: self.since(check.at_ns),
            recorded_running_ns: check.running_ns.0,
            kernel_running_ns: check.running_ns.1,
            recorded_ready_ns: check.ready_ns.0,
            kernel_ready_ns: check.ready_ns.1,
            recorded_turns: check.turns.0,
            kernel_turns: check.turns.1,
            difference_ns: check.difference_ns(),
            wall_ns: check.wall_ns,
            tolerance_ns: check.tolerance_ns(),
            holds: check.holds(),
        }
    }
}

fn descriptor(open: &Described) -> DescriptorReport {
    DescriptorReport {
        pid: open.pid,
        name: open.name.clone(),
        fd: open.fd,
        reads: open.reads,
        writes: open.writes,
        what: open.what.clone(),
        others: open.others.clone(),
        other_end: open.other_end.clone(),
    }
}

fn conservation(processes: &[ProcessReport], folded: &Folded, tier: Tier) -> Conservation {
    let checks = || processes.iter().filter_map(|process| process.check.as_ref());
    let rank = |check: &Compared| (!check.holds, check.difference_ns);
    let (mut checked, mut holding) = (checks().count(), checks().filter(|check| check.holds).count());
    let mut worst = checks().map(Compared::of_report).max_by_key(rank);
    // The times of samples come from the same sums that they would be compared with.
    if tier != Tier::Sampled {
        checked += folded.n_checked;
        holding += folded.n_holding;
        worst = worst
            .into_iter()
            .chain(folded.worst.as_ref().map(|(check, _)| Compared::of(check)))
            .max_by_key(rank);
    }
    Conservation {
        checked,
        holding,
        largest_difference_ns: worst.map_or(0, |check| check.difference_ns),
        tolerance_ns: worst.map_or(0, |check| check.tolerance_ns),
        of_ns: worst.map_or(0, |check| check.wall_ns),
    }
}

/// A comparison with the kernel's sums.
#[derive(Debug, Clone, Copy)]
struct Compared {
    holds: bool,
    difference_ns: u64,
    tolerance_ns: u64,
    wall_ns: u64,
}

impl Compared {
    fn of(check: &Check) -> Self {
        Self {
            holds: check.holds(),
            difference_ns: check.difference_ns(),
            tolerance_ns: check.tolerance_ns(),
            wall_ns: check.wall_ns,
        }
    }

    fn of_report(check: &CheckReport) -> Self {
        Self {
            holds: check.holds,
            difference_ns: check.difference_ns,
            tolerance_ns: check.tolerance_ns,
            wall_ns: check.wall_ns,
        }
    }
}

#[cfg(test)]
#[path = "folded_tests.rs"]
mod folded_tests;
