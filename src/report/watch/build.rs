//! From a watch to its report.

use super::model::{
    CheckReport, Conservation, DeadlockReport, ExecReport, HeldUp, OrphanReport, ProcessReport, ThreadReport,
    TierRefusal, WaitReport, WatchReport,
};
use crate::observe::tier::Tier;
use crate::observe::timeline::{Process, Timeline};
use crate::observe::watch::Observed;

/// The report of what was observed, for the command `command`.
pub fn report(observed: &Observed, command: Option<Vec<String>>) -> WatchReport {
    let timeline = &observed.timeline;
    let now_ns = observed.end_ns();
    let origin_ns = observed.origin_ns();
    let mut processes: Vec<ProcessReport> =
        timeline.processes().map(|(_, process)| of_process(process, timeline, origin_ns, now_ns)).collect();
    if observed.tier == Tier::Sampled {
        // Its times come from the very sums that they would be compared with.
        processes.iter_mut().for_each(|process| process.check = None);
    }
    let since = |at_ns: u64| at_ns.saturating_sub(origin_ns);
    WatchReport {
        tier: observed.tier,
        resolution: resolution(observed.tier).to_owned(),
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
        joined_below_ns: timeline.grain_ns(),
        conservation: conservation(&processes),
        processes,
        folded_processes: timeline.folded().n_processes,
        deadlocks: observed
            .hangs
            .iter()
            .map(|hang| DeadlockReport {
                from_ns: since(hang.from_ns),
                to_ns: hang.to_ns.map(since),
                circle: hang.deadlock.circle.clone(),
                behind: hang.deadlock.behind.clone(),
                waits: hang.waits.iter().map(|(pid, on)| HeldUp { pid: *pid, on: on.clone() }).collect(),
            })
            .collect(),
    }
}

/// What a tier can tell and what it cannot.
pub fn resolution(tier: Tier) -> &'static str {
    match tier {
        Tier::Root => "every switch and every wake-up, to the nanosecond",
        Tier::Exact => {
            "every switch, to the nanosecond; the delay from wake-up to CPU as a sum from schedstat, where it could be read"
        }
        Tier::Sampled => {
            "looked at every 5 ms: sums from schedstat, order within 5 ms unknown, shorter lives may be missed"
        }
    }
}

fn of_process(process: &Process, timeline: &Timeline, origin_ns: u64, now_ns: u64) -> ProcessReport {
    let since = |at_ns: u64| at_ns.saturating_sub(origin_ns);
    let sums = process.sums_at(now_ns);
    let checks = || process.threads.iter().filter_map(|thread| thread.check);
    let reaping = process.reaping;
    let zombie_at_least_ns = match (reaping, process.ended_ns) {
        (Some(reaping), Some(ended_ns)) => reaping.not_before_ns.saturating_sub(ended_ns),
        _ => sums.zombie_ns,
    };
    ProcessReport {
        pid: process.pid,
        ppid: process.ppid,
        name: process.name.clone(),
        command: process.command.clone(),
        state: process.state,
        exit: process.exit.and_then(|exit| exit.python()),
        found: process.found,
        unrecorded_since_ns: process.unrecorded_since_ns.map(since),
        started_ns: since(process.started_ns),
        ended_ns: process.ended_ns.map(since),
        reaped_ns: reaping.map(|reaping| since(reaping.not_after_ns)),
        reaped_by: reaping.map(|reaping| reaping.by),
        running_ns: sums.running_ns,
        ready_ns: sums.ready_ns,
        blocked_ns: sums.blocked_ns,
        stopped_ns: sums.stopped_ns,
        zombie_ns: sums.zombie_ns,
        zombie_at_least_ns: zombie_at_least_ns.min(sums.zombie_ns),
        cpu_ns: process.cpu_ns(now_ns),
        wake_delay_ns: checks().next().map(|_| process.hidden_ns()),
        turns: process.turns(),
        preempted: process.preempted(),
        n_threads: process.n_threads,
        threads: process
            .threads
            .iter()
            .map(|thread| {
                let sums = thread.sums_at(now_ns);
                ThreadReport {
                    tid: thread.tid,
                    running_ns: sums.running_ns,
                    ready_ns: sums.ready_ns,
                    blocked_ns: sums.blocked_ns,
                    stopped_ns: sums.stopped_ns,
                    turns: thread.turns,
                }
            })
            .collect(),
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
        waits: process
            .waits_at(now_ns)
            .into_iter()
            .map(|(number, sum)| WaitReport {
                on: timeline.wait_name(number).to_owned(),
                times: sum.times,
                ns: sum.ns,
                longest_ns: sum.longest_ns,
            })
            .collect(),
        check: checks().max_by_key(|check| (!check.holds(), check.difference_ns())).map(|check| {
            CheckReport {
                at_ns: since(check.at_ns),
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
        }),
    }
}

fn conservation(processes: &[ProcessReport]) -> Conservation {
    let checks = || processes.iter().filter_map(|process| process.check.as_ref());
    let worst = checks().max_by_key(|check| (!check.holds, check.difference_ns));
    Conservation {
        checked: checks().count(),
        holding: checks().filter(|check| check.holds).count(),
        largest_difference_ns: worst.map_or(0, |check| check.difference_ns),
        tolerance_ns: worst.map_or(0, |check| check.tolerance_ns),
        of_ns: worst.map_or(0, |check| check.wall_ns),
    }
}
