//! The watch without a live view: a line per event.

use crate::sys::pid::Pid;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::failure;
use crate::cli::fault::Fault;
use crate::observe::timeline::{News, NewsKind, Process, SentSignal, Timeline};
use crate::observe::watch::{Subject, Watch, origin_ns};
use crate::process::{Guard, Signal};
use crate::report::watch::build::resolution;
use crate::report::watch::deadlock::circle;
use crate::report::watch::numbers::{between, short};
use crate::sys::signalfd::Signals;

/// Follows the watch to its end. Signals are forwarded to the command, except those of the terminal; if there is no
/// command, or it has ended, a signal ends the watch only.
pub(super) fn follow(
    watch: &mut Watch,
    signals: &Signals,
    guard: Option<Guard>,
    tell: bool,
) -> Result<(), Fault> {
    const STEP: Duration = Duration::from_millis(100);
    let mut told = Told::default();
    if tell {
        let mut source = format!("{} tier: {}\n", watch.tier(), resolution(watch.tier()));
        for refusal in watch.refusals() {
            source.push_str(&format!("not the {} tier: {}\n", refusal.tier, refusal.why));
        }
        let _ = io::stderr().write_all(source.as_bytes());
    }
    while !watch.is_over() {
        let readable = watch.step(&[signals.as_fd()], STEP).map_err(|error| failure::system(&error))?;
        if let Some(guard) = guard.filter(|guard| guard.is_gone()) {
            guard.follow_into_death();
        }
        if readable.first() == Some(&true) && !pass_on(watch, signals) {
            break;
        }
        if tell {
            let _ = io::stderr().write_all(told.news(watch).as_bytes());
        }
    }
    watch.finish();
    if tell {
        let _ = io::stderr().write_all(told.news(watch).as_bytes());
    }
    Ok(())
}

/// Forwards signals; returns whether the watch continues.
fn pass_on(watch: &Watch, signals: &Signals) -> bool {
    for came in signals.take() {
        match watch.subject() {
            Subject::Command(running) if watch.exit().is_none() => {
                // The terminal sends its signals to the command too, which is in the same group.
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

/// A zombie that is reaped within this time is reported with its end.
const AT_ONCE_NS: u64 = 1_000_000;

/// What has been reported of a watch so far.
#[derive(Default)]
pub(super) struct Told {
    n_hangs: usize,
    n_signals: u64,
    waits_on: bool,
    /// The time of the latest line.
    last_ns: u64,
    /// Ends that wait for their exit status, which is learnt a little later.
    ends: Vec<News>,
}

impl Told {
    /// A line per event since the last call.
    pub(super) fn news(&mut self, watch: &mut Watch) -> String {
        let mut lines: Vec<(u64, String)> = Vec::new();
        let mut news = std::mem::take(&mut self.ends);
        news.append(&mut watch.take_news());
        let missed = watch.take_missed_news();
        let timeline = watch.timeline();
        let begin_ns = origin_ns(timeline);
        let watcher = watch.watcher();
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
                        Some(by) => format!("; reaped by {}", parent(by, watcher)),
                        None => "; no zombie: its parent ignores SIGCHLD".to_owned(),
                    };
                }
                (NewsKind::Reaped, Some(_)) => continue,
                _ => {}
            }
            lines.extend(line(one.kind, process, timeline, watcher).map(|line| (one.at_ns, line + &more)));
        }
        let n_new = usize::try_from(timeline.n_signals() - self.n_signals).unwrap_or(usize::MAX);
        self.n_signals = timeline.n_signals();
        for sent in timeline.signals().rev().take(n_new) {
            lines.extend(signal_line(sent, timeline).map(|line| (sent.at_ns, line)));
        }
        let mut text = String::new();
        if missed > 0 {
            text.push_str(&format!(
                "{missed} events before this are not listed: they came faster than they were read\n"
            ));
        }
        for hang in &watch.hangs()[self.n_hangs..] {
            let waits = circle(hang.waits.iter().map(|one| (one.pid, one.tid, one.on.as_str())));
            lines.push((hang.from_ns, format!("DEADLOCK: {waits}")));
        }
        self.n_hangs = watch.hangs().len();
        lines.sort_by_key(|(at_ns, _)| *at_ns);
        for (at_ns, line) in lines {
            // What it tells, such as an exit status, was learnt after later events were reported.
            let late = if at_ns < self.last_ns { " (told late)" } else { "" };
            self.last_ns = self.last_ns.max(at_ns);
            let at = short(at_ns.saturating_sub(begin_ns));
            text.push_str(&format!("[{at:>9}] {line}{late}\n"));
        }
        if watch.is_outlived_by_descendants() && !std::mem::replace(&mut self.waits_on, true) {
            text.push_str(
                "the command has ended, but descendants of it are alive: Ctrl-C ends the watch, and they continue\n",
            );
        }
        text
    }
}

/// `4240 bash sent SIGTERM to 4243 sleep`; nothing for SIGCHLD, since the end of the child has a line.
fn signal_line(sent: &SentSignal, timeline: &Timeline) -> Option<String> {
    let signal = Signal(sent.number);
    let name = |tid: Pid| match timeline.thread(tid) {
        Some((process, thread)) if thread.tid == process.pid => format!("{tid} {}", process.name),
        Some((process, _)) => format!("thread {tid} of {} {}", process.pid, process.name),
        None if tid == Pid::UNKNOWN => "the kernel".to_owned(),
        // One that has ended since.
        None => timeline.by_pid(tid).map_or(tid.to_string(), |process| format!("{tid} {}", process.name)),
    };
    (signal != Signal::CHLD).then(|| format!("{} sent {signal} to {}", name(sent.from), name(sent.to)))
}

/// A parent by its PID; this process, which is the parent of the command and of orphans, by what it is.
fn parent(pid: Pid, watcher: Pid) -> String {
    if pid == watcher { format!("this watch ({pid})") } else { pid.to_string() }
}

fn line(kind: NewsKind, process: &Process, timeline: &Timeline, watcher: Pid) -> Option<String> {
    let (pid, name) = (process.pid, &process.name);
    Some(match kind {
        NewsKind::Started if process.found => {
            format!("{pid} {name} was already running, child of {}", process.ppid)
        }
        NewsKind::Started => {
            let by = process.orphan.map_or(parent(process.ppid, watcher), |orphan| orphan.old_in_words());
            format!("{pid} started by {by}")
        }
        NewsKind::Exec => format!("{pid} is now {name}"),
        NewsKind::Adopted => {
            let old = process.orphan.map_or_else(String::new, |orphan| orphan.old_in_words());
            format!("{pid} {name} lost its parent {old} and was adopted by {}", parent(process.ppid, watcher))
        }
        NewsKind::Stopped => format!("{pid} {name} stopped"),
        NewsKind::Continued => format!("{pid} {name} continued"),
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
            let zombie = between(since_end(reaping.not_after_ns), since_end(reaping.not_before_ns));
            let by = parent(reaping.by.unwrap_or(process.ppid), watcher);
            format!("{pid} {name} reaped by {by}: a zombie for {zombie}")
        }
    })
}
