//! The three sentences that a report begins with.

use super::model::{CheckReport, KnownReasons, ProcessReport, ThreadReport, WatchReport};
use super::numbers::{between, short};
use crate::observe::event::State;
use crate::observe::tier::Tier;
use crate::observe::timeline::{Check, Folded, LONG_ZOMBIE_NS};
use crate::sys::pid::Pid;
use crate::sys::procfs::text::printable;

/// Where the time went and why; how many CPUs were used; which problems there were.
pub(super) fn sentences(report: &WatchReport, folded: &Folded) -> Vec<String> {
    vec![time(report, folded), cpus(report, folded), trouble(report, folded)]
}

/// The beginning of a long command, which the heading has whole.
fn abbreviated(command: &str) -> String {
    const MOST: usize = 48;
    if command.chars().count() <= MOST {
        return command.to_owned();
    }
    command.chars().take(MOST - 1).chain(['…']).collect()
}

fn time(report: &WatchReport, folded: &Folded) -> String {
    let what = match &report.command {
        Some(command) => format!("`{}`", abbreviated(&printable(command.join(" ").as_bytes()))),
        None => format!("process {}", report.pid),
    };
    let Some(root) = report.processes.iter().find(|process| process.pid == report.pid) else {
        return format!("{what} was watched for {}.", short(report.wall_ns));
    };
    // The times of the main thread, not of the others meanwhile.
    let main = root.threads.iter().rfind(|thread| thread.tid == root.pid);
    let times = match main {
        Some(main) => [main.running_ns, main.ready_ns, main.blocked_ns, main.stopped_ns, main.unknown_ns],
        None => [root.running_ns, root.ready_ns, root.blocked_ns, root.stopped_ns, root.unknown_ns],
    };
    let all: u64 = times.iter().sum();
    let words = ["running", "ready", "blocked", "stopped", "in an unknown state"];
    let mut parts: Vec<(u64, &str)> =
        times.into_iter().zip(words).filter(|(ns, _)| *ns * 2_000 >= all).collect();
    parts.sort_by_key(|(ns, _)| std::cmp::Reverse(*ns));
    let is_lower_bound = main.map_or(root.ready_is_lower_bound, |main| main.ready_is_lower_bound);
    let part = |(ns, word): &(u64, &str)| {
        let bound = if *word == "ready" && is_lower_bound { "≥" } else { "" };
        format!("{word} {bound}{}", percent(*ns, all))
    };
    let parts: Vec<String> = parts.iter().map(part).collect();
    let longest = report
        .processes
        .iter()
        .flat_map(|process| process.waits.iter().map(move |wait| (process, wait)))
        .filter(|(_, wait)| wait.on != "not seen")
        .max_by_key(|(process, wait)| (wait.longest_ns, process.pid));
    let of_folded = folded.longest_wait.as_ref();
    let of_folded =
        of_folded.filter(|wait| longest.is_none_or(|(_, longest)| longest.longest_ns < wait.of.ns));
    let longest = match (of_folded, longest) {
        (Some(wait), _) => {
            let (of, length) = (&wait.of, between(wait.of.ns, wait.at_least_ns));
            format!("; the longest wait was {length} of {} {} for {}", of.id, of.name, wait.on)
        }
        (None, Some((process, wait))) => {
            let wake_delays_ns = wait.ns - wait.at_least_ns;
            let length = between(wait.longest_ns, wait.longest_ns.saturating_sub(wake_delays_ns));
            format!("; the longest wait was {length} of {} {} for {}", process.pid, process.name, wait.on)
        }
        (None, None) => String::new(),
    };
    let took = short(report.wall_ns);
    format!("{what} took {took}: {} {}{longest}.", whose(root, main), list(&parts))
}

/// Whose times the first sentence gives, with the verb.
fn whose(root: &ProcessReport, main: Option<&ThreadReport>) -> String {
    let process = format!("{} {}", root.pid, root.name);
    let Some(main) = main else { return format!("the threads of {process} together were") };
    if root.n_threads == 1 {
        return format!("{process} was");
    }
    // Its other threads may outlive it, by more than they need to end.
    let ended_ns = main.ended_ns.filter(|ended_ns| {
        let outlived_ns = root.ended_ns.map_or(u64::MAX, |end_ns| end_ns.saturating_sub(*ended_ns));
        outlived_ns > root.life_ns / 50
    });
    let ended = ended_ns.map_or(String::new(), |ended_ns| {
        format!(", which ended after {},", short(ended_ns.saturating_sub(main.started_ns)))
    });
    format!("the main thread of {process}{ended} was")
}

fn cpus(report: &WatchReport, folded: &Folded) -> String {
    let listed_ns: u64 = report.processes.iter().map(|process| process.cpu_ns).sum();
    let cpu_ns = listed_ns + folded.sums.running_ns;
    let used = cpu_ns as f64 / report.wall_ns.max(1) as f64;
    let n = report.processes.len() as u64 + folded.n_processes;
    let listed = report.processes.iter().map(|process| (process.cpu_ns, process.pid, &process.name));
    let most = listed.chain(folded.most_cpu.iter().map(|most| (most.ns, most.id, &most.name)));
    let by = match most.max_by_key(|(ns, ..)| *ns) {
        Some((ns @ 1.., pid, name)) if n > 1 => {
            format!(" by {n} processes, {} of it by {pid} {name}", percent(ns, cpu_ns))
        }
        _ => String::new(),
    };
    format!("It used {used:.2} CPUs on average: {} of CPU time{by}.", short(cpu_ns))
}

fn trouble(report: &WatchReport, folded: &Folded) -> String {
    let mut parts = Vec::new();
    // The watch itself reaps the command.
    let lasts =
        |process: &&ProcessReport| process.zombie_at_least_ns >= LONG_ZOMBIE_NS && process.pid != report.pid;
    let long: Vec<&ProcessReport> = report.processes.iter().filter(lasts).collect();
    let listed = long.iter().map(|process| {
        (process.zombie_at_least_ns, process.pid, &process.name, process.state == State::Zombie)
    });
    let others = folded.longest_zombie.iter().map(|zombie| (zombie.ns, zombie.id, &zombie.name, false));
    if let Some((ns, pid, name, lasts)) = listed.chain(others).max_by_key(|(ns, ..)| *ns) {
        let never = if lasts { ", never reaped" } else { "" };
        let n = long.len() as u64 + folded.n_zombies;
        parts.push(format!("{} (the longest: {pid} {name}, {}{never})", count(n, "zombie"), short(ns)));
    }
    let orphans = || report.processes.iter().filter(|process| process.orphan.is_some());
    let listed = orphans().map(|process| (process.started_ns, process.pid, &process.name));
    let since_ns = |at_ns: u64| at_ns.saturating_sub(report.origin_ns);
    let others = folded.first_orphan.iter().map(|orphan| (since_ns(orphan.ns), orphan.id, &orphan.name));
    if let Some((_, pid, name)) = listed.chain(others).min_by_key(|(started_ns, ..)| *started_ns) {
        let n = orphans().count() as u64 + folded.n_orphans;
        parts.push(format!("{} ({pid} {name})", count(n, "orphan")));
    }
    if !report.deadlocks.is_empty() {
        let circle: Vec<String> = report.deadlocks[0].circle.iter().map(Pid::to_string).collect();
        parts.push(format!("{} (of {})", count(report.deadlocks.len() as u64, "deadlock"), list(&circle)));
    }
    let differences = report.processes.iter().filter_map(|process| {
        let check = process.check.as_ref()?;
        Some((Difference::of_report(check), process.pid, &process.name))
    });
    let n_folded = if report.tier == Tier::Sampled { 0 } else { folded.n_checked - folded.n_holding };
    let of_folded = folded.worst.iter().filter(|_| n_folded > 0);
    let of_folded = of_folded.map(|(check, of)| (Difference::of(check), of.id, &of.name));
    let listed: Vec<_> = differences.filter(|(difference, ..)| !difference.holds).collect();
    let n = listed.len() as u64 + n_folded as u64;
    let all = listed.into_iter().chain(of_folded);
    if let Some((most, pid, name)) = all.max_by_key(|(difference, ..)| difference.ns) {
        let processes = count(n, "process");
        // Beyond what is allowed, or in the number of turns on a CPU.
        let how = if most.ns > most.tolerance_ns {
            let part = percent(most.ns, most.wall_ns);
            format!("by {} or {part} of the lifetime", short(most.ns))
        } else {
            let (recorded, counted) = most.turns;
            format!("{recorded} turns on a CPU recorded, {counted} counted")
        };
        let of = if n > 1 { "the most: " } else { "" };
        parts
            .push(format!("{processes} whose times differ from the kernel's sums ({of}{pid} {name}, {how})"));
    }
    match &parts[..] {
        [] => "There were no lasting zombies, no orphans, and no deadlocks.".to_owned(),
        parts => {
            let were = if parts[0].starts_with("1 ") { "was" } else { "were" };
            format!("There {were} {}.", list(parts))
        }
    }
}

/// How far the records of a process are from the kernel's sums.
struct Difference {
    holds: bool,
    ns: u64,
    tolerance_ns: u64,
    wall_ns: u64,
    turns: (u64, u64),
}

impl Difference {
    fn of(check: &Check) -> Self {
        Self {
            holds: check.holds(),
            ns: check.difference_ns(),
            tolerance_ns: check.tolerance_ns(),
            wall_ns: check.wall_ns,
            turns: check.turns,
        }
    }

    fn of_report(check: &CheckReport) -> Self {
        Self {
            holds: check.holds,
            ns: check.difference_ns,
            tolerance_ns: check.tolerance_ns,
            wall_ns: check.wall_ns,
            turns: (check.recorded_turns, check.kernel_turns),
        }
    }
}

/// For which part of the blocked time the reason is known; `None` if for all of it.
pub(super) fn known_reasons(report: &WatchReport, folded: &Folded) -> Option<KnownReasons> {
    let threads =
        report.processes.iter().flat_map(|process| process.threads.iter().map(move |of| (process, of)));
    let (mut blocked_ns, mut unseen_ns) = (folded.blocked_ns, folded.unseen_ns);
    let mut longest = folded.longest_unseen.as_ref().map(|unseen| (unseen.ns, unseen.id, &unseen.name));
    for (process, thread) in threads {
        for wait in &thread.waits {
            blocked_ns += wait.ns;
            if wait.on == "not seen" {
                unseen_ns += wait.ns;
                longest = longest.max(Some((wait.longest_ns, thread.tid, &process.name)));
            }
        }
    }
    let (longest_ns, tid, name) = longest?;
    Some(KnownReasons { blocked_ns, not_seen_ns: unseen_ns, longest_ns, tid, name: name.clone() })
}

fn count(n: u64, what: &str) -> String {
    match (n, what) {
        (1, _) => format!("1 {what}"),
        (_, "process") => format!("{n} processes"),
        _ => format!("{n} {what}s"),
    }
}

fn percent(part: u64, of: u64) -> String {
    format!("{:.1} %", part as f64 / of.max(1) as f64 * 100.0)
}

fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
