//! The three sentences that a report begins with.

use super::model::{CheckReport, KnownReasons, ProcessReport, ThreadReport, WatchReport};
use super::numbers::{between, short};
use super::text::shell_words;
use crate::observe::event::State;
use crate::observe::tier::Tier;
use crate::observe::timeline::{Check, Folded, LONG_ZOMBIE_NS};
use crate::said::{Said, quoted_zh};
use crate::sys::pid::Pid;

/// Where the time went and why; how many CPUs were used; which problems there were. Their values are the report's.
pub(super) fn sentences(report: &WatchReport, folded: &Folded) -> Vec<Said> {
    let said = |name, words: fn(&WatchReport, &Folded, Tongue) -> String| {
        Said::new(name, [], [Tongue::En, Tongue::Zh].map(|tongue| words(report, folded, tongue)))
    };
    vec![said("Time", time), said("Cpus", cpus), said("Trouble", trouble)]
}

/// The language of a sentence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tongue {
    En,
    Zh,
}

/// The beginning of a long command, which the heading has whole.
fn abbreviated(command: &str) -> String {
    const MOST: usize = 48;
    if command.chars().count() <= MOST {
        return command.to_owned();
    }
    command.chars().take(MOST - 1).chain(['…']).collect()
}

fn time(report: &WatchReport, folded: &Folded, tongue: Tongue) -> String {
    let zh = tongue == Tongue::Zh;
    let what = match &report.command {
        Some(command) => format!("`{}`", abbreviated(&shell_words(command))),
        None if zh => format!("进程 {}", report.pid),
        None => format!("process {}", report.pid),
    };
    let Some(root) = report.processes.iter().find(|process| process.pid == report.pid) else {
        let took = short(report.wall_ns);
        return if zh {
            format!("{what} 被观察了 {took}。")
        } else {
            format!("{what} was watched for {took}.")
        };
    };
    // The times of the main thread, not of the others meanwhile.
    let main = root.threads.iter().rfind(|thread| thread.tid == root.pid);
    let times = match main {
        Some(main) => [main.running_ns, main.ready_ns, main.blocked_ns, main.stopped_ns, main.unknown_ns],
        None => [root.running_ns, root.ready_ns, root.blocked_ns, root.stopped_ns, root.unknown_ns],
    };
    let all: u64 = times.iter().sum();
    let words = [
        ["running", "运行"],
        ["ready", "就绪"],
        ["blocked", "阻塞"],
        ["stopped", "暂停"],
        ["in an unknown state", "状态未知"],
    ];
    let mut parts: Vec<(u64, [&str; 2])> =
        times.into_iter().zip(words).filter(|(ns, _)| *ns * 2_000 >= all).collect();
    parts.sort_by_key(|(ns, _)| std::cmp::Reverse(*ns));
    let is_lower_bound = main.map_or(root.ready_is_lower_bound, |main| main.ready_is_lower_bound);
    let part = |(ns, [en, word]): &(u64, [&str; 2])| {
        let bound = if *en == "ready" && is_lower_bound { "≥" } else { "" };
        format!("{} {bound}{}", if zh { word } else { en }, percent(*ns, all))
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
            longest_wait(&length, of.id, &of.name, &wait.on, tongue)
        }
        (None, Some((process, wait))) => {
            let wake_delays_ns = wait.ns - wait.at_least_ns;
            let length = between(wait.longest_ns, wait.longest_ns.saturating_sub(wake_delays_ns));
            longest_wait(&length, process.pid, &process.name, &wait.on, tongue)
        }
        (None, None) => String::new(),
    };
    let took = short(report.wall_ns);
    let (whose, parts) = (whose(root, main, report.wall_ns, tongue), list(&parts, tongue));
    match tongue {
        Tongue::En => format!("{what} took {took}: {whose} {parts}{longest}."),
        Tongue::Zh => format!("{what} 用时 {took}：{whose}{parts}{longest}。"),
    }
}

/// The end of the first sentence.
fn longest_wait(length: &str, pid: Pid, name: &str, on: &str, tongue: Tongue) -> String {
    match tongue {
        Tongue::En => format!("; the longest wait was {length} of {pid} {name} for {on}"),
        Tongue::Zh => format!("；最长的一次等待是 {pid} {name} 的 {length}，{}", quoted_zh(on)),
    }
}

/// Whose times the first sentence gives, with the verb. They are parts of its own life, which may be shorter than the watch.
fn whose(root: &ProcessReport, main: Option<&ThreadReport>, wall_ns: u64, tongue: Tongue) -> String {
    let zh = tongue == Tongue::Zh;
    let process = format!("{} {}", root.pid, root.name);
    let Some(main) = main else {
        return if zh {
            format!("{process} 的线程合计")
        } else {
            format!("the threads of {process} together were")
        };
    };
    // Its other threads or its children may outlive it, by more than they need to end.
    let ended_ns = main.ended_ns.filter(|ended_ns| wall_ns.saturating_sub(*ended_ns) > wall_ns / 50);
    let ended = ended_ns.map_or(String::new(), |ended_ns| {
        let after = short(ended_ns.saturating_sub(main.started_ns));
        if zh { format!("（{after} 后结束）") } else { format!(", which ended after {after},") }
    });
    if root.n_threads == 1 {
        return if zh { format!("{process}{ended} ") } else { format!("{process}{ended} was") };
    }
    if zh {
        format!("{process} 的主线程{ended}")
    } else {
        format!("the main thread of {process}{ended} was")
    }
}

fn cpus(report: &WatchReport, folded: &Folded, tongue: Tongue) -> String {
    let listed_ns: u64 = report.processes.iter().map(|process| process.cpu_ns).sum();
    let cpu_ns = listed_ns + folded.sums.running_ns;
    let used = cpu_ns as f64 / report.wall_ns.max(1) as f64;
    let n = report.processes.len() as u64 + folded.n_processes;
    let listed = report.processes.iter().map(|process| (process.cpu_ns, process.pid, &process.name));
    let most = listed.chain(folded.most_cpu.iter().map(|most| (most.ns, most.id, &most.name)));
    let by = match most.max_by_key(|(ns, ..)| *ns) {
        Some((ns @ 1.., pid, name)) if n > 1 => {
            let part = percent(ns, cpu_ns);
            match tongue {
                Tongue::En => format!(" by {n} processes, {part} of it by {pid} {name}"),
                Tongue::Zh => format!("，{n} 个进程，其中 {pid} {name} 占 {part}"),
            }
        }
        _ => String::new(),
    };
    let time = short(cpu_ns);
    match tongue {
        Tongue::En => format!("It used {used:.2} CPUs on average: {time} of CPU time{by}."),
        Tongue::Zh => format!("平均使用 {used:.2} 个 CPU：CPU 时间 {time}{by}。"),
    }
}

fn trouble(report: &WatchReport, folded: &Folded, tongue: Tongue) -> String {
    let zh = tongue == Tongue::Zh;
    let mut parts = Vec::new();
    // The watch itself reaps the command.
    let lasts =
        |process: &&ProcessReport| process.zombie_at_least_ns >= LONG_ZOMBIE_NS && process.pid != report.pid;
    let long: Vec<&ProcessReport> = report.processes.iter().filter(lasts).collect();
    let never = |process: &ProcessReport| match process.reaped_by {
        _ if process.state == State::Zombie => ["，从未被回收", ", never reaped"][usize::from(!zh)],
        Some(by) if by != process.ppid => {
            ["，父进程从未回收它", ", never reaped by its parent"][usize::from(!zh)]
        }
        _ => "",
    };
    let listed =
        long.iter().map(|process| (process.zombie_at_least_ns, process.pid, &process.name, never(process)));
    let others = folded.longest_zombie.iter().map(|zombie| (zombie.ns, zombie.id, &zombie.name, ""));
    if let Some((ns, pid, name, never)) = listed.chain(others).max_by_key(|(ns, ..)| *ns) {
        let (n, lasted) = (long.len() as u64 + folded.n_zombies, short(ns));
        parts.push(match tongue {
            Tongue::En => format!("{} (the longest: {pid} {name}, {lasted}{never})", count(n, "zombie")),
            Tongue::Zh => format!("{n} 个僵尸进程（最久的是 {pid} {name}，{lasted}{never}）"),
        });
    }
    let orphans = || report.processes.iter().filter(|process| process.orphan.is_some());
    let listed = orphans().map(|process| (process.started_ns, process.pid, &process.name));
    let since_ns = |at_ns: u64| at_ns.saturating_sub(report.origin_ns);
    let others = folded.first_orphan.iter().map(|orphan| (since_ns(orphan.ns), orphan.id, &orphan.name));
    if let Some((_, pid, name)) = listed.chain(others).min_by_key(|(started_ns, ..)| *started_ns) {
        let n = orphans().count() as u64 + folded.n_orphans;
        parts.push(match tongue {
            Tongue::En => format!("{} ({pid} {name})", count(n, "orphan")),
            Tongue::Zh => format!("{n} 个孤儿进程（{pid} {name}）"),
        });
    }
    if !report.deadlocks.is_empty() {
        let circle: Vec<String> = report.deadlocks[0].circle.iter().map(Pid::to_string).collect();
        let (n, circle) = (report.deadlocks.len() as u64, list(&circle, tongue));
        parts.push(match tongue {
            Tongue::En => format!("{} (of {circle})", count(n, "deadlock")),
            Tongue::Zh => format!("{n} 个死锁（{circle}）"),
        });
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
        // Beyond what is allowed, or in the number of turns on a CPU.
        let how = if most.ns > most.tolerance_ns {
            let (by, part) = (short(most.ns), percent(most.ns, most.wall_ns));
            let ([recorded, counted], zh) = (most.running_ns.map(short), tongue == Tongue::Zh);
            let on_cpu = match most.running_ns[0].abs_diff(most.running_ns[1]) * 2 >= most.ns {
                true if zh => format!("：记录中运行 {recorded}，内核累计 {counted}"),
                true => format!(": it ran for {recorded} by the records and for {counted} by those sums"),
                false => String::new(),
            };
            match tongue {
                Tongue::En => format!("by {by} or {part} of the lifetime{on_cpu}"),
                Tongue::Zh => format!("相差 {by}，即一生的 {part}{on_cpu}"),
            }
        } else {
            let (recorded, counted) = most.turns;
            match tongue {
                Tongue::En => format!("{recorded} turns on a CPU recorded, {counted} counted"),
                Tongue::Zh => format!("记录到上 CPU {recorded} 次，内核数到 {counted} 次"),
            }
        };
        parts.push(match tongue {
            Tongue::En => {
                let of = if n > 1 { "the most: " } else { "" };
                let processes = count(n, "process");
                format!("{processes} whose times differ from the kernel's sums ({of}{pid} {name}, {how})")
            }
            Tongue::Zh => format!("{n} 个进程的时间与内核的累计不符（最多的是 {pid} {name}，{how}）"),
        });
    }
    match &parts[..] {
        [] if zh => "没有长期的僵尸进程，没有孤儿进程，没有死锁。".to_owned(),
        [] => "There were no lasting zombies, no orphans, and no deadlocks.".to_owned(),
        parts if zh => format!("有{}。", list(parts, tongue)),
        parts => {
            let were = if parts[0].starts_with("1 ") { "was" } else { "were" };
            format!("There {were} {}.", list(parts, tongue))
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
    /// By the records, and by the kernel's sums.
    running_ns: [u64; 2],
}

impl Difference {
    fn of(check: &Check) -> Self {
        Self {
            holds: check.holds(),
            ns: check.difference_ns(),
            tolerance_ns: check.tolerance_ns(),
            wall_ns: check.wall_ns,
            turns: check.turns,
            running_ns: [check.running_ns.0, check.running_ns.1],
        }
    }

    fn of_report(check: &CheckReport) -> Self {
        Self {
            holds: check.holds,
            ns: check.difference_ns,
            tolerance_ns: check.tolerance_ns,
            wall_ns: check.wall_ns,
            turns: (check.recorded_turns, check.kernel_turns),
            running_ns: [check.recorded_running_ns, check.kernel_running_ns],
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

fn list(parts: &[String], tongue: Tongue) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        parts if tongue == Tongue::Zh => parts.join("、"),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
