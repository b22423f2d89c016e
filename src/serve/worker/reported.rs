//! What was reported of a watch, and so what the next tick contains.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::observe::event::State;
use crate::observe::notes::{Fact, Note};
use crate::observe::timeline::{Process, Span, Timeline};
use crate::observe::waits::Ends;
use crate::observe::watch::{Hang, Watch, origin_ns};
use crate::serve::protocol::{DeadlockView, LaneView, NoteView, PieceView, Tick, WaitView};
use crate::sys::clock::monotonic_ns;
use crate::sys::pid::Pid;

/// Pieces of one lane in a tick; more are joined, and keep their shares.
const MOST_PIECES: usize = 48;
/// Pieces of all lanes together when the whole past is reported.
const PAST: usize = 24_000;
/// Processes that are shown.
const MOST_LANES: usize = 500;
/// Notes in a tick.
const MOST_NOTES: usize = 400;

/// What was reported of a watch.
#[derive(Debug, Default)]
pub(super) struct Reported {
    lanes: HashMap<u64, LaneView>,
    /// The end of the last piece of each lane.
    pieces: HashMap<u64, u64>,
    /// How many notes were reported.
    pub(super) notes: usize,
    edges: Vec<(Pid, Pid)>,
    deadlocks: Vec<DeadlockView>,
    lost: u64,
}

impl Reported {
    /// What is new since the last tick.
    pub(super) fn tick(&mut self, watch: &Watch, notes: &[Note], output: String) -> Option<Tick> {
        let timeline = watch.timeline();
        let origin_ns = origin_ns(timeline);
        let now_ns = if watch.is_over() { timeline.now_ns() } else { monotonic_ns() };
        let since = |at_ns: u64| at_ns.saturating_sub(origin_ns);
        let mut tick = Tick { now_ns: since(now_ns), output, lost: watch.n_lost(), ..Tick::default() };
        self.processes(timeline, &mut tick);
        self.notes += notes.len();
        // Of very many notes the latest are shown.
        let shown = &notes[notes.len().saturating_sub(MOST_NOTES)..];
        tick.notes = shown.iter().map(|note| note_view(note, origin_ns)).collect();
        let edges = edges(timeline);
        if edges != self.edges {
            self.edges.clone_from(&edges);
            tick.edges = Some(edges);
        }
        let lasting = watch.hangs().iter().filter(|hang| hang.to_ns.is_none());
        let deadlocks: Vec<DeadlockView> = lasting.map(|hang| deadlock(hang, timeline, origin_ns)).collect();
        if deadlocks != self.deadlocks {
            self.deadlocks.clone_from(&deadlocks);
            tick.deadlocks = Some(deadlocks);
        }
        self.lost = tick.lost;
        Some(tick)
    }

    /// What is new of the processes. What it costs depends on those that are alive or new, and on those that are shown.
    fn processes(&mut self, timeline: &Timeline, tick: &mut Tick) {
        let shown = shown(timeline);
        // Those that are left out from now on come once more, so that their ends are reported.
        let mut due: BTreeSet<u64> = self.lanes.keys().copied().collect();
        due.extend(&shown);
        let origin_ns = origin_ns(timeline);
        for id in due {
            if self.lanes.get(&id).is_some_and(|lane| lane.reaped_ns.is_some()) {
                // Nothing changes any more.
                continue;
            }
            let Some(process) = timeline.process(id) else { continue };
            let lane = lane(id, process, timeline, origin_ns);
            if self.lanes.get(&id) != Some(&lane) {
                self.lanes.insert(id, lane.clone());
                tick.lanes.push(lane);
            }
            let pieces = self.pieces(id, process, timeline, shown.len(), origin_ns);
            if !pieces.is_empty() {
                tick.pieces.push((id, pieces));
            }
        }
        tick.lanes.extend(self.forget(&shown, tick.now_ns));
        tick.processes = timeline.n_processes();
        tick.left_out = tick.processes.saturating_sub(shown.len() as u64);
    }

    /// Forgets all processes but these. Returns those of which the end was not reported: the timeline knows them no more,
    /// so they have been reaped.
    fn forget(&mut self, shown: &HashSet<u64>, now_ns: u64) -> Vec<LaneView> {
        self.pieces.retain(|id, _| shown.contains(id));
        let gone = self.lanes.extract_if(|id, _| !shown.contains(id)).map(|(_, lane)| lane);
        gone.filter(|lane| lane.reaped_ns.is_none())
            .map(|lane| LaneView {
                ended_ns: lane.ended_ns.or(Some(now_ns)),
                reaped_ns: Some(now_ns),
                state: State::Reaped.word().to_owned(),
                wait: None,
                ..lane
            })
            .collect()
    }

    /// The pieces of a process that have ended since the last tick. The last one goes on, and is the lane's state.
    fn pieces(
        &mut self,
        id: u64,
        process: &Process,
        timeline: &Timeline,
        n_shown: usize,
        origin_ns: u64,
    ) -> Vec<PieceView> {
        let from_ns = self.pieces.get(&id).copied().unwrap_or(0);
        let until_ns = process.ended_ns.unwrap_or_else(|| process.since_ns());
        if until_ns <= from_ns {
            return Vec::new();
        }
        let ended = process.live_spans(from_ns, until_ns).into_iter();
        let mut spans: Vec<Span> =
            ended.map(|span| span.cut(from_ns, until_ns)).filter(|span| span.ns() > 0).collect();
        // The first time this is the past, in more detail.
        let most = if from_ns == 0 { (PAST / n_shown.max(1)).max(MOST_PIECES) } else { MOST_PIECES };
        let mut grain_ns = (until_ns - from_ns) / 1_000;
        while spans.len() > most {
            grain_ns = grain_ns.max(1_000) * 2;
            let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
            for span in spans.drain(..) {
                match joined.last_mut() {
                    Some(last) if span.to_ns - last.from_ns <= grain_ns => last.join(&span),
                    _ => joined.push(span),
                }
            }
            spans = joined;
        }
        if let Some(last) = spans.last() {
            self.pieces.insert(id, last.to_ns);
        }
        spans.iter().map(|span| piece(span, timeline, origin_ns)).collect()
    }
}

/// The processes that are shown: those that have not been reaped, and of the others the latest.
fn shown(timeline: &Timeline) -> HashSet<u64> {
    let mut unreaped: Vec<u64> = timeline.living().chain(timeline.zombies()).map(|(id, _)| id).collect();
    unreaped.sort_unstable();
    unreaped.truncate(MOST_LANES);
    let room = MOST_LANES - unreaped.len();
    unreaped.into_iter().chain(timeline.reaped().take(room).map(|(id, _)| id)).collect()
}

fn lane(id: u64, process: &Process, timeline: &Timeline, origin_ns: u64) -> LaneView {
    let since = |at_ns: u64| at_ns.saturating_sub(origin_ns);
    let wait = process.waits_now();
    LaneView {
        id,
        pid: process.pid,
        ppid: process.ppid,
        name: process.name.clone(),
        started_ns: since(process.started_ns),
        ended_ns: process.ended_ns.map(since),
        reaped_ns: process.reaping.map(|reaping| since(reaping.not_after_ns)),
        state: process.state().word().to_owned(),
        since_ns: since(process.since_ns()),
        wait: (wait > 0).then(|| timeline.wait_name(wait).to_owned()),
        exit: process.exit.and_then(|exit| exit.python()),
        orphan_of: process.orphan.map(|orphan| orphan.old),
    }
}

fn piece(span: &Span, timeline: &Timeline, origin_ns: u64) -> PieceView {
    let letter = match span.state {
        State::Running => 'r',
        State::Ready => 'y',
        State::Blocked => 'b',
        State::Stopped => 's',
        State::Zombie | State::Reaped => 'z',
        State::Unknown => 'u',
    };
    let share = |state| (span.share(state) * 100.0).round() as u8;
    let parts = [State::Running, State::Ready, State::Blocked, State::Stopped].map(share);
    let wait = span.state == State::Blocked && span.wait > 0 && span.joined == 1;
    PieceView(
        span.from_ns.saturating_sub(origin_ns),
        span.to_ns.saturating_sub(origin_ns),
        letter,
        wait.then(|| timeline.wait_name(span.wait).to_owned()),
        (span.joined > 1).then_some(parts),
    )
}

fn note_view(note: &Note, origin_ns: u64) -> NoteView {
    let (lock, queue) = match &note.fact {
        Some(Fact::Locked(name)) => (Some((name.clone(), true)), None),
        Some(Fact::Unlocked(name)) => (Some((name.clone(), false)), None),
        Some(Fact::Put(message)) => (None, Some((message.queue.clone(), 1))),
        Some(Fact::Taken(message)) => (None, Some((message.queue.clone(), -1))),
        _ => (None, None),
    };
    NoteView {
        at_ns: note.at_ns.saturating_sub(origin_ns),
        pid: note.pid,
        process: note.process.clone(),
        what: note.what.clone(),
        text: note.text.clone(),
        lock,
        queue,
    }
}

/// Who waits for whom: a blocked process, and each process that could end its wait.
fn edges(timeline: &Timeline) -> Vec<(Pid, Pid)> {
    let mut edges: BTreeMap<Pid, BTreeSet<Pid>> = BTreeMap::new();
    for (_, process) in timeline.living() {
        let Some(wait) = timeline.wait(process.waits_now()) else { continue };
        let enders: Vec<Pid> = match &wait.ends {
            Ends::Outside => Vec::new(),
            Ends::Threads(tids) => tids.iter().filter_map(|tid| Some(timeline.thread(*tid)?.0.pid)).collect(),
            Ends::Only(pids) => pids.to_vec(),
        };
        let known = enders.into_iter().filter(|pid| timeline.by_pid(*pid).is_some_and(Process::is_alive));
        edges.entry(process.pid).or_default().extend(known.filter(|pid| *pid != process.pid));
    }
    edges.into_iter().flat_map(|(from, to)| to.into_iter().map(move |to| (from, to))).take(400).collect()
}

fn deadlock(hang: &Hang, timeline: &Timeline, origin_ns: u64) -> DeadlockView {
    let tids = hang.deadlock.circle.iter().chain(&hang.deadlock.behind);
    let mut pids: Vec<Pid> = tids.filter_map(|tid| Some(timeline.thread(*tid)?.0.pid)).collect();
    pids.sort_unstable();
    pids.dedup();
    DeadlockView {
        from_ns: hang.from_ns.saturating_sub(origin_ns),
        pids,
        waits: hang
            .waits
            .iter()
            .map(|one| WaitView { pid: one.pid, tid: one.tid, on: one.on.clone() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::event::{Event, What};
    use crate::observe::timeline::Limits;

    fn seen(id: u64, reaped_ns: Option<u64>) -> LaneView {
        LaneView {
            id,
            pid: Pid::from_raw(7),
            ppid: Pid::from_raw(1),
            name: "sleep".to_owned(),
            started_ns: id,
            ended_ns: reaped_ns,
            reaped_ns,
            state: "running".to_owned(),
            since_ns: id,
            wait: None,
            exit: None,
            orphan_of: None,
        }
    }

    /// A root that forks `n` processes, which end and are reaped at once.
    fn churn(n: i32) -> Timeline {
        let mut timeline = Timeline::new(Limits { processes: 100_000, ..Limits::default() });
        let root = Pid::from_raw(7);
        let mut tell = |at_ns, pid, what| timeline.apply(&Event { at_ns, pid, tid: pid, what });
        tell(0, root, What::Rooted { ppid: Pid::from_raw(1), before_exec: Default::default() });
        for pid in 0..n {
            let at_ns = 1_000 * u64::try_from(pid).unwrap();
            let pid = Pid::from_raw(100 + pid);
            tell(at_ns, pid, What::Forked { ppid: root });
            tell(at_ns + 1, pid, What::Exited { ppid: root });
            tell(at_ns + 2, pid, What::Reaped { not_before_ns: at_ns + 1, by_itself: false });
        }
        timeline
    }

    #[test]
    fn a_tick_visits_what_is_shown_and_not_all_that_ever_was_and_counts_the_rest() {
        let timeline = churn(20_000);
        timeline.take_visits();
        let (mut reported, mut tick) = (Reported::default(), Tick::default());
        reported.processes(&timeline, &mut tick);
        assert!(timeline.take_visits() <= 3 * MOST_LANES, "{}", timeline.take_visits());
        assert_eq!((tick.lanes.len(), tick.processes, tick.left_out), (MOST_LANES, 20_001, 20_001 - 500));
        // The root is alive, and the others are the latest.
        assert!(
            tick.lanes.iter().any(|lane| lane.id == 0) && tick.lanes.iter().any(|lane| lane.id == 20_000)
        );
        let mut tick = Tick::default();
        reported.processes(&timeline, &mut tick);
        assert!(tick.lanes.is_empty() && tick.left_out == 20_001 - 500);
    }

    #[test]
    fn the_end_of_a_process_that_is_left_out_is_reported_before() {
        let mut timeline = churn(0);
        let (root, pid) = (Pid::from_raw(7), Pid::from_raw(8));
        timeline.apply(&Event { at_ns: 5, pid, tid: pid, what: What::Forked { ppid: root } });
        let mut reported = Reported::default();
        reported.processes(&timeline, &mut Tick::default());
        let mut tell = |at_ns, pid, what| timeline.apply(&Event { at_ns, pid, tid: pid, what });
        tell(6, pid, What::Exited { ppid: root });
        tell(7, pid, What::Reaped { not_before_ns: 6, by_itself: false });
        for pid in (100..1_000).map(Pid::from_raw) {
            tell(10, pid, What::Forked { ppid: root });
            tell(11, pid, What::Exited { ppid: root });
            tell(12, pid, What::Reaped { not_before_ns: 11, by_itself: false });
        }
        let mut tick = Tick::default();
        reported.processes(&timeline, &mut tick);
        let told = tick.lanes.iter().find(|lane| lane.pid == pid).unwrap();
        assert_eq!((told.ended_ns, told.reaped_ns), (Some(6), Some(7)));
        assert!(reported.lanes.values().all(|lane| lane.pid != pid));
    }

    #[test]
    fn what_is_kept_of_many_short_processes_is_bounded() {
        let mut reported = Reported::default();
        for id in 0..3_000 {
            reported.lanes.insert(id, seen(id, Some(id)));
            reported.pieces.insert(id, id);
            let shown = (id.saturating_sub(MOST_LANES as u64)..=id).collect();
            assert_eq!(reported.forget(&shown, id), [], "their ends were reported");
        }
        assert!(reported.lanes.len() <= MOST_LANES + 1 && reported.pieces.len() <= MOST_LANES + 1);
    }

    #[test]
    fn a_process_that_is_gone_before_its_end_was_reported_is_reported_as_reaped() {
        let mut reported = Reported::default();
        reported.lanes.insert(3, seen(3, None));
        let gone = reported.forget(&HashSet::new(), 9);
        assert_eq!(
            (gone[0].ended_ns, gone[0].reaped_ns, gone[0].state.as_str()),
            (Some(9), Some(9), "reaped")
        );
    }
}
