//! The chosen process's life in lines.

use crate::observe::event::State;
use crate::observe::timeline::{Process, Timeline};
use crate::observe::watch::origin_ns;
use crate::report::watch::numbers::short;

/// Lines for the lower pane.
pub(super) fn life(process: &Process, timeline: &Timeline, now_ns: u64) -> Vec<String> {
    let since = |at_ns: u64| short(at_ns.saturating_sub(origin_ns(timeline)));
    let sums = process.sums_at(now_ns);
    let mut lines = Vec::new();
    lines.push(process.command.clone().unwrap_or_else(|| process.name.clone()));
    let parent = process.orphan.map_or(process.ppid.to_string(), |orphan| orphan.old_in_words());
    let began = if process.found { "was there at" } else { "started at" };
    let mut life = format!("{began} {} by {parent}", since(process.started_ns));
    for (at_ns, name) in process.execs.iter().rev().take(3).rev() {
        life.push_str(&format!(" · exec {name} at {}", since(*at_ns)));
    }
    lines.push(life);
    if let Some(orphan) = process.orphan {
        let new = orphan.new.map_or("not seen yet".to_owned(), |new| new.to_string());
        lines.push(format!(
            "orphan: lost its parent {} at {}, new parent {new}",
            orphan.old_in_words(),
            since(orphan.at_ns)
        ));
    }
    if let Some(ended_ns) = process.ended_ns {
        let how = process.exit.map_or("ended".to_owned(), |exit| exit.to_string());
        let reaped = match process.reaping {
            Some(reaping) => match reaping.by {
                Some(by) => format!("reaped by {by} at {}", since(reaping.not_after_ns)),
                None => "gone at once: its parent ignores SIGCHLD".to_owned(),
            },
            None => "a zombie: its exit status has not been taken".to_owned(),
        };
        lines.push(format!("{how} at {} · {reaped}", since(ended_ns)));
    }
    lines.push(format!(
        "running {} · ready {} · blocked {} · stopped {} · zombie {}",
        short(sums.running_ns),
        short(sums.ready_ns),
        short(sums.blocked_ns),
        short(sums.stopped_ns),
        short(sums.zombie_ns)
    ));
    lines.push(format!(
        "{} · CPU time {} · {}, {} cut short",
        count(process.n_threads.into(), "thread"),
        short(sums.running_ns),
        count(process.turns(), "turn"),
        process.preempted()
    ));
    if process.state() == State::Blocked && process.waits_now() != 0 {
        let on = timeline.wait_name(process.waits_now());
        lines.push(format!("blocked now on {on} for {}", short(now_ns.saturating_sub(process.since_ns()))));
    }
    for (number, sum) in process.waits_at(now_ns).into_iter().take(6) {
        let on = timeline.wait_name(number);
        lines.push(format!("  {} in {}: {on}", short(sum.ns), count(sum.times, "wait")));
    }
    lines
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
