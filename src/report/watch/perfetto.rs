//! A trace for ui.perfetto.dev: thread states, names, wake-ups, messages, queue depths.
//!
//! The JSON trace event format with thread states (`ph:"T"`, read by Perfetto v54.0 of January 2026 and later):
//! `name` is `Running`, `R`, `R+`, `S`, `D`, `T`, or `Z`, `ts` and `dur` are microseconds. Older viewers ignore these
//! records and show the slices.

use crate::sys::pid::Pid;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{model::WatchReport, told};
use crate::observe::event::State;
use crate::observe::timeline::{Process, Span, Timeline};
use crate::observe::watch::Observed;

/// One record of the trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Record {
    ph: &'static str,
    name: String,
    pid: Pid,
    tid: Pid,
    /// Microseconds from the start of the run, with nanoseconds as decimals.
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// A flow's end is the slice that encloses it (`e`); an instant's reach is its thread (`t`).
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    args: Map<String, Value>,
}

/// The trace as a JSON document.
pub fn trace(observed: &Observed, report: &WatchReport) -> Vec<u8> {
    let timeline = &observed.timeline;
    let (origin_ns, end_ns) = (observed.origin_ns(), observed.end_ns());
    let mut records = Vec::new();
    for (_, process) in timeline.processes() {
        names(process, &mut records);
        states(process, timeline, (origin_ns, end_ns), &mut records);
        life(process, origin_ns, &mut records);
    }
    wakes(timeline, origin_ns, &mut records);
    notes(observed, origin_ns, &mut records);
    let document = json!({
        "traceEvents": records,
        "displayTimeUnit": "ns",
        "otherData": {
            "tier": report.tier,
            "resolution": report.resolution,
            "lost_records": report.lost_records,
            "joined_below_ns": report.joined_below_ns,
        },
    });
    document.to_string().into_bytes()
}

fn record(ph: &'static str, name: impl Into<String>, pid: Pid, tid: Pid, ts: f64) -> Record {
    let name = name.into();
    Record { ph, name, pid, tid, ts, dur: None, cat: None, id: None, bp: None, s: None, args: Map::new() }
}

fn with(mut record: Record, key: &str, value: impl Into<Value>) -> Record {
    record.args.insert(key.to_owned(), value.into());
    record
}

fn names(process: &Process, records: &mut Vec<Record>) {
    let pid = process.pid;
    let label = format!("{} (child of {})", process.name, process.ppid);
    records.push(with(record("M", "process_name", pid, pid, 0.0), "name", label));
    for thread in &process.threads {
        records.push(with(
            record("M", "thread_name", pid, thread.tid, 0.0),
            "name",
            thread.name.clone().unwrap_or_else(|| process.name.clone()),
        ));
    }
}

fn states(
    process: &Process,
    timeline: &Timeline,
    (origin_ns, now_ns): (u64, u64),
    records: &mut Vec<Record>,
) {
    for thread in &process.threads {
        let mut before: Option<State> = None;
        let last = (thread.is_alive() && now_ns > thread.since_ns)
            .then(|| Span::new(thread.since_ns, now_ns, thread.state, thread.cpu, thread.wait));
        for span in thread.spans.iter().copied().chain(last) {
            records.push(state(process.pid, thread.tid, &span, before, timeline, origin_ns));
            before = Some(span.state);
        }
    }
    // A main thread that ends before the others is a zombie until they have ended too, or until one of them calls exec and
    // takes over its TID.
    let mut mains = process.threads.iter().filter(|thread| thread.tid == process.pid).peekable();
    while let Some(main) = mains.next() {
        let gone_ns = process.reaping.map_or(now_ns, |reaping| reaping.not_after_ns);
        let until_ns = mains.peek().map_or(gone_ns, |next| next.started_ns);
        if let Some(ended_ns) = main.ended_ns.filter(|ended_ns| *ended_ns < until_ns) {
            let span = Span::new(ended_ns, until_ns, State::Zombie, 0, 0);
            records.push(state(process.pid, process.pid, &span, None, timeline, origin_ns));
        }
    }
}

fn state(
    pid: Pid,
    tid: Pid,
    span: &Span,
    before: Option<State>,
    timeline: &Timeline,
    origin_ns: u64,
) -> Record {
    let name = match span.state {
        State::Running => "Running",
        // After running: it was preempted.
        State::Ready if before == Some(State::Running) => "R+",
        State::Ready => "R",
        State::Blocked => "S",
        State::Stopped => "T",
        State::Zombie | State::Reaped => "Z",
        State::Unknown => "unknown",
    };
    let mut record = record("T", name, pid, tid, micros(span.from_ns, origin_ns));
    record.dur = Some(span.ns() as f64 / 1_000.0);
    if span.state == State::Running {
        record = with(record, "cpu", span.cpu);
    }
    if span.wait != 0 {
        record = with(record, "blocked_function", timeline.wait_name(span.wait));
    }
    if span.joined > 1 {
        record = with(record, "joined_spans", span.joined);
    }
    record
}

/// Instants for the events in the life of a process.
fn life(process: &Process, origin_ns: u64, records: &mut Vec<Record>) {
    let pid = process.pid;
    let mut instant = |name: String, at_ns: u64| {
        let mut record = record("i", name, pid, pid, micros(at_ns, origin_ns));
        record.s = Some("t");
        record.cat = Some("life");
        records.push(record);
    };
    if !process.found {
        let parent = process.orphan.map_or(process.ppid.to_string(), |orphan| orphan.old_in_words());
        instant(format!("new: started by {parent}"), process.started_ns);
    }
    for (at_ns, name) in &process.execs {
        instant(format!("exec {name}"), *at_ns);
    }
    if let Some(orphan) = process.orphan {
        instant(format!("orphan: lost its parent {}", orphan.old_in_words()), orphan.at_ns);
    }
    if let Some(ended_ns) = process.ended_ns {
        let how = process.exit.map_or("ended".to_owned(), |exit| exit.to_string());
        instant(how, ended_ns);
    }
    if let Some(reaping) = process.reaping {
        let by =
            reaping.by.map_or("gone: its parent ignores SIGCHLD".to_owned(), |by| format!("reaped by {by}"));
        instant(by, reaping.not_after_ns);
    }
}

/// An arrow from the waker to the woken thread. Flows bind to slices, so both ends get a short one.
fn wakes(timeline: &Timeline, origin_ns: u64, records: &mut Vec<Record>) {
    let mut pids = std::collections::HashMap::new();
    for (_, process) in timeline.processes() {
        pids.extend(process.threads.iter().map(|thread| (thread.tid, process.pid)));
    }
    for (id, wake) in (1..).zip(timeline.wakes()) {
        let (Some(&from), Some(&to)) = (pids.get(&wake.by), pids.get(&wake.tid)) else { continue };
        let ts = micros(wake.at_ns, origin_ns);
        let ends = [
            ("s", from, wake.by, format!("wakes {}", wake.tid)),
            ("f", to, wake.tid, format!("woken by {}", wake.by)),
        ];
        for (ph, pid, tid, name) in ends {
            let mut slice = record("X", name, pid, tid, ts);
            slice.dur = Some(0.001);
            slice.cat = Some("wake");
            records.push(slice);
            let mut flow = record(ph, "wake", pid, tid, ts);
            flow.cat = Some("wake");
            flow.id = Some(id);
            flow.bp = (ph == "f").then_some("e");
            records.push(flow);
        }
    }
}

/// What a scenario reported about itself: texts as instants, locks as slices, messages as arrows, the depth of the queue
/// as a counter.
fn notes(observed: &Observed, origin_ns: u64, records: &mut Vec<Record>) {
    for note in &observed.notes {
        let mut said = record("i", note.text.clone(), note.pid, note.pid, micros(note.at_ns, origin_ns));
        said.s = Some("t");
        said.cat = Some("scenario");
        records.push(said);
    }
    for held in told::lock_spans(&observed.notes, observed.end_ns()) {
        let mut slice = record("X", "lock held", held.pid, held.pid, micros(held.from_ns, origin_ns));
        slice.dur = Some(held.to_ns.saturating_sub(held.from_ns) as f64 / 1_000.0);
        slice.cat = Some("lock");
        records.push(slice);
    }
    for (at_ns, depth) in told::depth(&observed.notes) {
        let root = observed.root;
        records.push(with(
            record("C", "queue depth", root, root, micros(at_ns, origin_ns)),
            "messages",
            depth,
        ));
    }
    // Above the IDs of wake-ups, so that no two arrows share one.
    for (id, (put, get)) in (1 << 40..).zip(told::messages(&observed.notes)) {
        for (ph, note) in [("s", put), ("f", get)] {
            let ts = micros(note.at_ns, origin_ns);
            let mut slice = record("X", note.text.clone(), note.pid, note.pid, ts);
            slice.dur = Some(0.001);
            slice.cat = Some("message");
            records.push(slice);
            let mut flow = record(ph, "message", note.pid, note.pid, ts);
            flow.cat = Some("message");
            flow.id = Some(id);
            flow.bp = (ph == "f").then_some("e");
            records.push(flow);
        }
    }
}

fn micros(at_ns: u64, origin_ns: u64) -> f64 {
    at_ns.saturating_sub(origin_ns) as f64 / 1_000.0
}
