//! The rows of the live view: the processes of a timeline in the order and selection asked for.

use crate::sys::pid::Pid;
use std::collections::HashMap;

use super::past::{Past, of_process, of_thread};
use super::strip::cells;
use super::view::{Sort, View};
use crate::observe::event::State;
use crate::observe::timeline::{Process, Thread, Timeline};

/// Processes of the past and the present that are listed: each drawing goes through all of them.
const MOST_ROWS: usize = 5_000;

/// One process as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) pid: Pid,
    /// The thread, in a row that is a thread's.
    pub(super) tid: Option<Pid>,
    pub(super) ppid: Pid,
    pub(super) depth: usize,
    pub(super) name: String,
    pub(super) state: State,
    pub(super) letter: char,
    pub(super) strip: Vec<Option<State>>,
    pub(super) running_ns: u64,
    pub(super) ready_ns: u64,
    pub(super) blocked_ns: u64,
    pub(super) started_ns: u64,
    /// What it is blocked on, or how it ended.
    pub(super) note: String,
}

/// How many processes are not listed although all are wanted.
pub(super) fn n_unlisted(timeline: &Timeline) -> u64 {
    timeline.n_processes().saturating_sub(timeline.newest(MOST_ROWS).len() as u64)
}

/// All rows that the view shows, without strips, since most rows are not on the screen.
pub(super) fn rows(timeline: &Timeline, view: &View, now_ns: u64) -> Vec<Row> {
    let wanted = view.search.to_lowercase();
    let horizon_ns = now_ns.saturating_sub(view.window_ns());
    let shown = if view.all { timeline.newest(MOST_ROWS) } else { timeline.present(horizon_ns) };
    let mut rows: Vec<Row> = shown
        .into_iter()
        .filter(|(_, process)| view.past_ns().is_none_or(|past_ns| process.started_ns < past_ns))
        .map(|(id, process)| {
            let row = row(id, process, timeline, now_ns);
            view.past_ns().map_or(row.clone(), |past_ns| row.at(of_process(process, past_ns), timeline))
        })
        .filter(|row| {
            wanted.is_empty()
                || row.name.to_lowercase().contains(&wanted)
                || row.pid.to_string().contains(&wanted)
                || row.note.to_lowercase().contains(&wanted)
        })
        .collect();
    match view.sort {
        Sort::Tree => as_tree(&mut rows, timeline),
        Sort::Running => rows.sort_by_key(|row| std::cmp::Reverse(row.running_ns)),
        Sort::Ready => rows.sort_by_key(|row| std::cmp::Reverse(row.ready_ns)),
        Sort::Blocked => rows.sort_by_key(|row| std::cmp::Reverse(row.blocked_ns)),
        Sort::Newest => rows.sort_by_key(|row| std::cmp::Reverse(row.started_ns)),
    }
    if view.threads {
        let past_ns = view.past_ns();
        rows = rows.into_iter().flat_map(|row| with_threads(row, timeline, now_ns, past_ns)).collect();
    }
    rows
}

impl Row {
    /// The same row as it was at a past moment.
    fn at(self, past: Past, timeline: &Timeline) -> Self {
        let Past { state, wait, sums } = past;
        let note = match state {
            State::Blocked if wait != 0 => timeline.wait_name(wait).to_owned(),
            State::Zombie | State::Reaped => self.note,
            _ => String::new(),
        };
        Self {
            state,
            letter: state.letter(),
            running_ns: sums.running_ns,
            ready_ns: sums.ready_ns,
            blocked_ns: sums.blocked_ns,
            note,
            ..self
        }
    }
}

/// The row of a process, and below it one for each of its living threads.
fn with_threads(row: Row, timeline: &Timeline, now_ns: u64, past_ns: Option<u64>) -> Vec<Row> {
    let Some(process) = timeline.process(row.id).filter(|process| process.n_threads > 1) else {
        return vec![row];
    };
    let row_of = |thread: &Thread| {
        let sums = thread.sums_at(now_ns);
        let blocked = thread.state == State::Blocked;
        let now = Row {
            tid: Some(thread.tid),
            depth: row.depth + 1,
            name: thread.name.clone().unwrap_or_else(|| row.name.clone()),
            state: thread.state,
            letter: thread.letter.filter(|_| blocked).unwrap_or(thread.state.letter()),
            running_ns: sums.running_ns,
            ready_ns: sums.ready_ns,
            blocked_ns: sums.blocked_ns,
            started_ns: thread.started_ns,
            note: if blocked && thread.wait != 0 {
                timeline.wait_name(thread.wait).to_owned()
            } else {
                String::new()
            },
            ..row.clone()
        };
        past_ns.map_or(now.clone(), |past_ns| now.at(of_thread(thread, past_ns), timeline))
    };
    let is_shown = |thread: &&Thread| match past_ns {
        None => thread.is_alive(),
        Some(past_ns) => {
            thread.started_ns < past_ns && thread.ended_ns.is_none_or(|ended_ns| ended_ns > past_ns)
        }
    };
    let mut rows: Vec<Row> = process.threads.iter().filter(is_shown).map(row_of).collect();
    rows.insert(0, row);
    rows
}

/// A row's strip of the last `window_ns`.
pub(super) fn strip(
    (id, tid): (u64, Option<Pid>),
    timeline: &Timeline,
    window_ns: u64,
    now_ns: u64,
    n_cells: usize,
) -> Vec<Option<State>> {
    let from_ns = now_ns.saturating_sub(window_ns);
    let spans = timeline.process(id).map_or_else(Vec::new, |process| match tid {
        None => process.spans(from_ns, now_ns),
        Some(tid) => process
            .threads
            .iter()
            .rfind(|thread| thread.tid == tid)
            .map(|thread| thread.spans_at(from_ns, now_ns))
            .unwrap_or_default(),
    });
    cells(&spans, from_ns, now_ns, n_cells)
}

fn row(id: u64, process: &Process, timeline: &Timeline, now_ns: u64) -> Row {
    let sums = process.sums_at(now_ns);
    let note = match (process.state(), process.exit) {
        (State::Zombie | State::Reaped, Some(exit)) => exit.to_string(),
        (State::Zombie | State::Reaped, None) => "ended".to_owned(),
        (State::Blocked, _) if process.waits_now() != 0 => timeline.wait_name(process.waits_now()).to_owned(),
        _ => String::new(),
    };
    let letter = match process.state() {
        State::Blocked => process.main().letter.unwrap_or('S'),
        state => state.letter(),
    };
    Row {
        id,
        pid: process.pid,
        tid: None,
        ppid: process.ppid,
        depth: 0,
        name: if process.name.is_empty() { "(new)".to_owned() } else { process.name.clone() },
        state: process.state(),
        letter,
        strip: Vec::new(),
        running_ns: sums.running_ns,
        ready_ns: sums.ready_ns,
        blocked_ns: sums.blocked_ns,
        started_ns: process.started_ns,
        note,
    }
}

/// Children under their first parent, each level in the order of start.
fn as_tree(rows: &mut Vec<Row>, timeline: &Timeline) {
    let places: HashMap<Pid, usize> = rows.iter().enumerate().map(|(place, row)| (row.pid, place)).collect();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let process = timeline.process(row.id);
        let parent = process.and_then(|process| process.orphan).map_or(row.ppid, |orphan| orphan.old);
        match places.get(&parent) {
            // A parent is older than its child, so a reused PID makes no circle.
            Some(&above) if above < place => children.entry(above).or_default().push(place),
            _ => roots.push(place),
        }
    }
    let mut order = Vec::with_capacity(rows.len());
    let mut todo: Vec<(usize, usize)> = roots.into_iter().rev().map(|place| (0, place)).collect();
    while let Some((depth, place)) = todo.pop() {
        order.push((depth, place));
        let below = children.remove(&place).unwrap_or_default();
        todo.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
    }
    let mut taken: Vec<Option<Row>> = std::mem::take(rows).into_iter().map(Some).collect();
    for (depth, place) in order {
        if let Some(mut row) = taken[place].take() {
            row.depth = depth;
            rows.push(row);
        }
    }
}
