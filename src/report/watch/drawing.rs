//! A run as one drawing: a lane for each CPU, process and thread, with pieces of time and arrows between them.
//!
//! The SVG file, the page, and the summary are made from it, so that all show the same.

use crate::sys::pid::Pid;
use std::collections::HashMap;

use super::lanes::{Arrow, ArrowKind, Drawing, Lane, LaneKind, Piece};
use super::model::{ProcessReport, WatchReport};
use super::numbers::short;
use super::told;
use super::tree::as_tree;
use crate::observe::event::State;
use crate::observe::tier::Tier;
use crate::observe::timeline::{Process, Span, Timeline};
use crate::observe::watch::Observed;

/// More pieces than this make a browser slow: beyond it neighbours are joined and keep their shares.
const MOST_PIECES: usize = 12_000;
/// Processes that get a lane: in a bigger run those that lived longest.
const MOST_PROCESSES: usize = 400;
/// Arrows that are drawn; more would hide the lanes.
const MOST_ARROWS: usize = 1_000;

/// Draws a run; with `threads` each thread of a process gets a lane below it.
pub fn draw(observed: &Observed, report: &WatchReport, threads: bool) -> Drawing {
    let mut drawing = Drawing { length_ns: report.wall_ns.max(1), ..Drawing::default() };
    let rows = rows(report, &mut drawing.remarks);
    let by_life: HashMap<(Pid, u64), &Process> = observed
        .timeline
        .processes()
        .map(|(_, process)| ((process.pid, process.started_ns.saturating_sub(report.origin_ns)), process))
        .collect();
    let frame =
        Frame { origin_ns: report.origin_ns, end_ns: observed.end_ns(), timeline: &observed.timeline };
    let mut lanes: Vec<(Lane, Vec<Span>)> = Vec::new();
    let mut lane_of: HashMap<Pid, usize> = HashMap::new();
    for (indent, row) in &rows {
        let Some(process) = by_life.get(&(row.pid, row.started_ns)) else { continue };
        lane_of.insert(row.pid, lanes.len());
        let mut lane = Lane {
            label: format!("{} {}", row.pid, row.name),
            indent: (*indent).min(8),
            kind: LaneKind::Process,
            pieces: Vec::new(),
            lock_spans: Vec::new(),
        };
        lane.pieces.extend(frame.zombie(process));
        lanes.push((lane, process.live_spans(0, frame.end_ns)));
        if threads && process.n_threads > 1 {
            for thread in &process.threads {
                let lane = Lane {
                    label: format!("{} {}", thread.tid, thread.name.as_deref().unwrap_or(&row.name)),
                    indent: (*indent).min(8) + 1,
                    kind: LaneKind::Thread,
                    pieces: Vec::new(),
                    lock_spans: Vec::new(),
                };
                lanes.push((lane, thread.spans_at(0, frame.end_ns)));
            }
        }
    }
    let cpus = if report.tier == Tier::Sampled { Vec::new() } else { frame.cpus(&rows, &by_life) };
    let joined_ns = join(lanes.iter_mut().map(|(_, spans)| spans), report.wall_ns);
    if joined_ns > 0 {
        drawing.remarks.push(format!(
            "neighbouring spans that together last less than {} are drawn as one, with the share of each state as its height",
            short(joined_ns)
        ));
    }
    let n_cpus = cpus.len();
    drawing.lanes = cpus;
    for (mut lane, spans) in lanes {
        let mut pieces: Vec<Piece> = spans.iter().map(|span| frame.piece(span)).collect();
        pieces.append(&mut lane.pieces);
        drawing.lanes.push(Lane { pieces, ..lane });
    }
    let since = |at_ns: u64| at_ns.saturating_sub(report.origin_ns);
    for span in told::lock_spans(&observed.notes, frame.end_ns) {
        if let Some(lane) = lane_of.get(&span.pid).and_then(|lane| drawing.lanes.get_mut(n_cpus + lane)) {
            lane.lock_spans.push((since(span.from_ns), since(span.to_ns)));
        }
    }
    let place = |pid: Pid| lane_of.get(&pid).map(|lane| n_cpus + lane);
    let mut arrows: Vec<Arrow> = Vec::new();
    for (_, row) in &rows {
        let parent = row.orphan.as_ref().map_or(row.ppid, |orphan| orphan.old_parent);
        if let (Some(from), Some(to), false) = (place(parent), place(row.pid), row.found) {
            let text = format!("{parent} made {}", row.pid);
            arrows.push(Arrow {
                kind: ArrowKind::Fork,
                from: (from, row.started_ns),
                to: (to, row.started_ns),
                text,
            });
        }
    }
    for (put, get) in told::messages(&observed.notes) {
        if let (Some(from), Some(to)) = (place(put.pid), place(get.pid)) {
            let text = format!("{}: {} → {}", put.text, put.process, get.process);
            let (from, to) = ((from, since(put.at_ns)), (to, since(get.at_ns)));
            arrows.push(Arrow { kind: ArrowKind::Message, from, to, text });
        }
    }
    let lane_of_thread = |tid: Pid| {
        let process = rows.iter().find(|(_, row)| row.threads.iter().any(|thread| thread.tid == tid));
        process.and_then(|(_, row)| place(row.pid))
    };
    for sent in report.signals.iter().filter(|sent| sent.signal != "SIGCHLD") {
        if let (Some(from), Some(to)) = (lane_of_thread(sent.from), lane_of_thread(sent.to)) {
            let text = format!("{} sent {} to {}", sent.from, sent.signal, sent.to);
            arrows.push(Arrow {
                kind: ArrowKind::Signal,
                from: (from, sent.at_ns),
                to: (to, sent.at_ns),
                text,
            });
        }
    }
    if arrows.len() > MOST_ARROWS {
        drawing.remarks.push(format!("{} more arrows are not drawn", arrows.len() - MOST_ARROWS));
        arrows.truncate(MOST_ARROWS);
    }
    drawing.arrows = arrows;
    drawing.depth =
        told::depth(&observed.notes).into_iter().map(|(at_ns, depth)| (since(at_ns), depth)).collect();
    drawing
}

/// The processes that get a lane, as a tree.
fn rows<'a>(report: &'a WatchReport, remarks: &mut Vec<String>) -> Vec<(usize, &'a ProcessReport)> {
    let life_ns = |process: &ProcessReport| process.life_ns + process.zombie_ns;
    let mut rows = as_tree(&report.processes);
    let left_out = rows.len().saturating_sub(MOST_PROCESSES);
    if left_out > 0 {
        let mut lives: Vec<u64> = rows.iter().map(|(_, process)| life_ns(process)).collect();
        lives.sort_unstable_by_key(|ns| std::cmp::Reverse(*ns));
        let shortest = lives[MOST_PROCESSES - 1];
        rows.retain(|(_, process)| life_ns(process) >= shortest);
        rows.truncate(MOST_PROCESSES);
        remarks.push(format!("{left_out} shorter lives are not drawn: the JSON report has them"));
    }
    if report.folded_processes > 0 {
        remarks.push(format!("{} processes that ended long ago are only counted", report.folded_processes));
    }
    rows
}

/// Joins neighbours until there are few enough pieces to draw; returns the length below which they were joined.
fn join<'a>(lanes: impl Iterator<Item = &'a mut Vec<Span>>, wall_ns: u64) -> u64 {
    let mut lanes: Vec<&mut Vec<Span>> = lanes.collect();
    let mut grain_ns = 0;
    while lanes.iter().map(|spans| spans.len()).sum::<usize>() > MOST_PIECES && grain_ns <= wall_ns {
        grain_ns = (grain_ns * 2).max(wall_ns / 100_000).max(1_000);
        for spans in &mut lanes {
            let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
            for span in spans.drain(..) {
                match joined.last_mut() {
                    Some(last) if span.to_ns - last.from_ns <= grain_ns => last.join(&span),
                    _ => joined.push(span),
                }
            }
            **spans = joined;
        }
    }
    grain_ns
}

struct Frame<'a> {
    origin_ns: u64,
    end_ns: u64,
    timeline: &'a Timeline,
}

impl Frame<'_> {
    fn piece(&self, span: &Span) -> Piece {
        const STATES: [State; 5] =
            [State::Running, State::Ready, State::Stopped, State::Blocked, State::Unknown];
        let shares: Vec<(State, f64)> = STATES
            .into_iter()
            .map(|state| (state, span.share(state)))
            .filter(|(_, share)| *share > 0.0005)
            .collect();
        let text = if span.joined > 1 {
            let parts: Vec<String> = shares
                .iter()
                .map(|(state, share)| format!("{} {:.1} %", state.word(), share * 100.0))
                .collect();
            format!("{} together: {}", short(span.ns()), parts.join(", "))
        } else {
            let doing = match span.state {
                State::Running => format!("running on CPU {}", span.cpu),
                State::Blocked if span.wait != 0 => {
                    format!("blocked on {}", self.timeline.wait_name(span.wait))
                }
                state => state.word().to_owned(),
            };
            format!("{doing} for {}", short(span.ns()))
        };
        let since = |at_ns: u64| at_ns.saturating_sub(self.origin_ns);
        Piece {
            from_ns: since(span.from_ns),
            to_ns: since(span.to_ns),
            shares,
            known: true,
            owner: None,
            text,
        }
    }

    /// The time as a zombie: certain up to the last time at which it was one, possible after that.
    fn zombie(&self, process: &Process) -> Vec<Piece> {
        let Some(ended_ns) = process.ended_ns else { return Vec::new() };
        let (certain_ns, latest_ns) = match process.reaping {
            Some(reaping) => (reaping.not_before_ns, reaping.not_after_ns),
            None => (self.end_ns, self.end_ns),
        };
        let certain_ns = certain_ns.max(ended_ns);
        let since = |at_ns: u64| at_ns.saturating_sub(self.origin_ns);
        let piece = |from_ns: u64, to_ns: u64, known, text| Piece {
            from_ns: since(from_ns),
            to_ns: since(to_ns),
            shares: vec![(State::Zombie, 1.0)],
            known,
            owner: None,
            text,
        };
        let mut pieces = Vec::new();
        if certain_ns > ended_ns {
            pieces.push(piece(
                ended_ns,
                certain_ns,
                true,
                format!("zombie for {}", short(certain_ns - ended_ns)),
            ));
        }
        if latest_ns > certain_ns {
            let text = format!("reaped at some time in these {}", short(latest_ns - certain_ns));
            pieces.push(piece(certain_ns, latest_ns, false, text));
        }
        pieces
    }

    /// A lane for each CPU that any of the processes ran on.
    fn cpus(&self, rows: &[(usize, &ProcessReport)], lives: &HashMap<(Pid, u64), &Process>) -> Vec<Lane> {
        let mut by_cpu: std::collections::BTreeMap<u32, Vec<Piece>> = std::collections::BTreeMap::new();
        let spans: usize = lives.values().flat_map(|process| &process.threads).map(|t| t.spans.len()).sum();
        // A turn shorter than this would not be visible; the lane of its process still shows its share.
        let least_ns = if spans > MOST_PIECES { (self.end_ns - self.origin_ns) / 4_000 } else { 0 };
        for (owner, (_, row)) in rows.iter().enumerate() {
            let Some(process) = lives.get(&(row.pid, row.started_ns)) else { continue };
            for thread in &process.threads {
                let ran = thread.spans_at(0, self.end_ns).into_iter();
                for span in ran.filter(|span| span.share(State::Running) > 0.0 && span.ns() > least_ns) {
                    let mut piece = self.piece(&span);
                    piece.shares = vec![(State::Running, span.share(State::Running))];
                    piece.owner = Some(owner);
                    piece.text = format!("{} {}: {}", row.pid, row.name, piece.text);
                    by_cpu.entry(span.cpu).or_default().push(piece);
                }
            }
        }
        by_cpu
            .into_iter()
            .map(|(cpu, mut pieces)| {
                pieces.sort_by_key(|piece| piece.from_ns);
                Lane {
                    label: format!("CPU {cpu}"),
                    indent: 0,
                    kind: LaneKind::Cpu,
                    pieces,
                    lock_spans: Vec::new(),
                }
            })
            .collect()
    }
}
