//! The watch without a live view: a line for each thing that happens to a life.

use crate::sys::pid::Pid;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::failure;
use crate::cli::fault::Fault;
use crate::observe::timeline::{News, NewsKind, Process, Timeline};
use crate::observe::watch::{Subject, Watch, origin_ns};
use crate::process::Signal;
use crate::report::watch::build::resolution;
use crate::report::watch::numbers::short;
use crate::report::watch::text::{circle, zombie};
use crate::sys::signalfd::Signals;

/// Follows the watch to its end. The first signal that is not the terminal's is forwarded to the command; for
/// a process that ran already, or once the command has ended, a signal ends the watch and nothing else.
pub(super) fn follow(watch: &mut Watch, signals: &Signals, tell: bool) -> Result<(), Fault> {
    const STEP: Duration = Duration::from_millis(100);
    let mut told = Told::default();
    if tell {
        let _ = writeln!(io::stderr(), "{} tier: {}", watch.tier(), resolution(watch.tier()));
        for refusal in watch.refusals() {
            let _ = writeln!(io::stderr(), "not the {} tier: {}", refusal.tier, refusal.why);
        }
    }
    while !watch.is_over() {
        let readable = watch.step(&[signals.as_fd()], STEP).map_err(|error| failure::system(&error))?;
        if readable.first() == Some(&true) && !pass_on(watch, signals) {
            break;
        }
        if tell {
            told.news(watch);
        }
    }
    watch.finish();
    if tell {
        told.news(watch);
    }
    Ok(())
}

/// Forwards what came; says whether the watch goes on.
fn pass_on(watch: &Watch, signals: &Signals) -> bool {
    for came in signals.take() {
        match watch.subject() {
            Subject::Command(running) if watch.exit().is_none() => {
                // The terminal has sent its own to the command as well, which is in the same group.
                if !came.from_terminal {
                    running.signal(came.signal);
                }
            }
            _ if Signal(came.signal) == Signal::USR1 => {}
            _ => return false,
        }
    }
    true
}

/// A zombie that its parent takes no longer than this to reap is told with its end.
const AT_ONCE_NS: u64 = 1_000_000;

#[derive(Default)]
struct Told {
    n_hangs: usize,
    waits_on: bool,
    /// The time of the latest line.
    last_ns: u64,
    /// Ends that wait for their exit status, which is learnt a moment later.
    ends: Vec<News>,
}

impl Told {
    fn news(&mut self, watch: &mut Watch) {
        let mut text = String::new();
        let mut news = std::mem::take(&mut self.ends);
        news.append(&mut watch.take_news());
        let timeline = watch.timeline();
        let begin_ns = origin_ns(timeline);
        for one in news {
            let Some(process) = timeline.process(one.id) else { continue };
            let at_once = process.reaping.filter(|reaping| {
                process.ended_ns.is_some_and(|ended_ns| reaping.not_after_ns - ended_ns < AT_ONCE_NS)
            });
            let mut more = String::new();
            match (one.kind, at_once) {
                (NewsKind::Ended, None) if process.exit.is_none() && process.reaping.is_none() => {
                    self.ends.push(one);
                    continue;
                }
                (NewsKind::Ended, Some(reaping)) => {
                    more = match reaping.by {
                        Some(by) => format!("; reaped by {by}"),
                        None => "; no zombie: its parent ignores SIGCHLD".to_owned(),
                    };
                }
                (NewsKind::Reaped, Some(_)) => continue,
                _ => {}
            }
            if let Some(line) = line(one.kind, process, timeline) {
                // Its exit status came later than what has happened since.
                let late = if one.at_ns < self.last_ns { " (told late)" } else { "" };
                self.last_ns = self.last_ns.max(one.at_ns);
                let at = short(one.at_ns.saturating_sub(begin_ns));
                text.push_str(&format!("[{at:>9}] {line}{more}{late}\n"));
            }
        }
        for hang in &watch.hangs()[self.n_hangs..] {
            let waits = circle(hang.waits.iter().map(|one| (one.pid, one.tid, one.on.as_str())));
            let at = short(hang.from_ns.saturating_sub(begin_ns));
            text.push_str(&format!("[{at:>9}] DEADLOCK: {waits}\n"));
        }
        self.n_hangs = watch.hangs().len();
        if watch.exit().is_some() && !watch.is_over() && !std::mem::replace(&mut self.waits_on, true) {
            text.push_str(
                "the command has ended, descendants of it live: Ctrl-C ends the watch, they go on\n",
            );
        }
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

fn line(kind: NewsKind, process: &Process, timeline: &Timeline) -> Option<String> {
    let (pid, name) = (process.pid, &process.name);
    Some(match kind {
        NewsKind::Started if process.found => format!("{pid} {name} was there, child of {}", process.ppid),
        NewsKind::Started => {
            format!("{pid} started by {}", process.orphan.map_or(process.ppid, |orphan| orphan.old))
        }
        NewsKind::Exec => format!("{pid} is now {name}"),
        NewsKind::Adopted => {
            let old = process.orphan.map_or(Pid::UNKNOWN, |orphan| orphan.old);
            format!("{pid} {name} lost its parent {old} and was adopted by {}", process.ppid)
        }
        NewsKind::Ended => {
            let exit = process.exit.map_or("ended".to_owned(), |exit| exit.to_string());
            let sums = process.sums_at(timeline.now_ns());
            let stopped = match sums.stopped_ns {
                0 => String::new(),
                ns => format!(", stopped {}", short(ns)),
            };
            format!(
                "{pid} {name} ended: {exit}; ran {}, ready {}, blocked {}{stopped}",
                short(sums.running_ns),
                short(sums.ready_ns),
                short(sums.blocked_ns)
            )
        }
        NewsKind::Reaped => {
            let reaping = process.reaping?;
            let since_end = |at_ns: u64| at_ns.saturating_sub(process.ended_ns.unwrap_or(at_ns));
            let zombie = zombie(since_end(reaping.not_after_ns), since_end(reaping.not_before_ns));
            let by = reaping.by.unwrap_or(process.ppid);
            format!("{pid} {name} reaped by {by}: a zombie for {zombie}")
        }
    })
}
