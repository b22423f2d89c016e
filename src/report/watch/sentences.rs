//! The three sentences that a report begins with.

use super::model::{ProcessReport, ThreadReport, WatchReport};
use super::numbers::{between, short};
use crate::observe::event::State;
use crate::sys::pid::Pid;
use crate::sys::procfs::text::printable;

/// For less than this, the parent was about to reap it.
const LONG_ZOMBIE_NS: u64 = 10_000_000;

/// Where the time went and why; how many CPUs were used; which problems there were.
pub(super) fn sentences(report: &WatchReport) -> Vec<String> {
    vec![time(report), cpus(report), trouble(report)]
}

/// The beginning of a long command, which the heading has whole.
fn abbreviated(command: &str) -> String {
    const MOST: usize = 48;
    if command.chars().count() <= MOST {
        return command.to_owned();
    }
    command.chars().take(MOST - 1).chain(['…']).collect()
}

fn time(report: &WatchReport) -> String {
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
    let longest = longest.map_or(String::new(), |(process, wait)| {
        let wake_delays_ns = wait.ns - wait.at_least_ns;
        format!(
            "; the longest wait was {} of {} {} for {}",
            between(wait.longest_ns, wait.longest_ns.saturating_sub(wake_delays_ns)),
            process.pid,
            process.name,
            wait.on
        )
    });
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

fn cpus(report: &WatchReport) -> String {
    let cpu_ns: u64 = report.processes.iter().map(|process| process.cpu_ns).sum();
    let used = cpu_ns as f64 / report.wall_ns.max(1) as f64;
    let by = match report.processes.iter().max_by_key(|process| process.cpu_ns) {
        Some(most) if report.processes.len() > 1 && most.cpu_ns > 0 => format!(
            " by {} processes, {} of it by {} {}",
            report.processes.len(),
            percent(most.cpu_ns, cpu_ns),
            most.pid,
            most.name
        ),
        _ => String::new(),
    };
    format!("It used {used:.2} CPUs on average: {} of CPU time{by}.", short(cpu_ns))
}

fn trouble(report: &WatchReport) -> String {
    let mut parts = Vec::new();
    // The watch itself reaps the command.
    let lasts =
        |process: &&ProcessReport| process.zombie_at_least_ns >= LONG_ZOMBIE_NS && process.pid != report.pid;
    let long: Vec<&ProcessReport> = report.processes.iter().filter(lasts).collect();
    if let Some(longest) = long.iter().max_by_key(|process| process.zombie_at_least_ns) {
        let (pid, name) = (longest.pid, &longest.name);
        let never = if longest.state == State::Zombie { ", never reaped" } else { "" };
        parts.push(format!(
            "{} (the longest: {pid} {name}, {}{never})",
            count(long.len(), "zombie"),
            short(longest.zombie_at_least_ns)
        ));
    }
    let orphans: Vec<&ProcessReport> =
        report.processes.iter().filter(|process| process.orphan.is_some()).collect();
    if let Some(first) = orphans.first() {
        parts.push(format!("{} ({} {})", count(orphans.len(), "orphan"), first.pid, first.name));
    }
    if !report.deadlocks.is_empty() {
        let circle: Vec<String> = report.deadlocks[0].circle.iter().map(Pid::to_string).collect();
        parts.push(format!("{} (of {})", count(report.deadlocks.len(), "deadlock"), list(&circle)));
    }
    let differences = report.processes.iter().filter_map(|process| Some((process, process.check.as_ref()?)));
    let differing: Vec<_> = differences.filter(|(_, check)| !check.holds).collect();
    if let Some((most, check)) = differing.iter().max_by_key(|(_, check)| check.difference_ns) {
        let processes = count(differing.len(), "process");
        // Beyond what is allowed, or in the number of turns on a CPU.
        let how = if check.difference_ns > check.tolerance_ns {
            let part = percent(check.difference_ns, check.wall_ns);
            format!("by {} or {part} of the lifetime", short(check.difference_ns))
        } else {
            let (recorded, counted) = (check.recorded_turns, check.kernel_turns);
            format!("{recorded} turns on a CPU recorded, {counted} counted")
        };
        let of = if differing.len() > 1 { "the most: " } else { "" };
        let (pid, name) = (most.pid, &most.name);
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

fn count(n: usize, what: &str) -> String {
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
