//! A native trace for Perfetto: scheduling tracks, wake-ups, the process tree, waits as slices and events as instants, in
//! the protobuf of `perfetto/trace/trace.proto`. Every version of the viewer reads it.

use std::collections::{BTreeMap, HashMap};

use super::protobuf::Message;
use crate::observe::event::State;
use crate::observe::timeline::{Process, Span, Thread, Timeline};
use crate::observe::watch::Observed;
use crate::sys::pid::Pid;

/// Field numbers of `TracePacket`.
mod packet {
    pub(super) const FTRACE_EVENTS: u32 = 1;
    pub(super) const PROCESS_TREE: u32 = 2;
    pub(super) const TIMESTAMP: u32 = 8;
    pub(super) const SEQUENCE: u32 = 10;
    pub(super) const TRACK_EVENT: u32 = 11;
    pub(super) const SEQUENCE_FLAGS: u32 = 13;
    pub(super) const CLOCK: u32 = 58;
    pub(super) const TRACK_DESCRIPTOR: u32 = 60;
}

/// `BUILTIN_CLOCK_MONOTONIC`.
const MONOTONIC: u64 = 3;
/// The sequence ID of all packets.
const SEQUENCE: u64 = 1;
/// `TASK_RUNNING`, `TASK_INTERRUPTIBLE`, `TASK_STOPPED`, `EXIT_ZOMBIE` as `sched_switch` reports them.
const RUNNING: u64 = 0;
const SLEEPING: u64 = 1;
const STOPPED: u64 = 4;
const ENDED: u64 = 0x20;

/// The trace as bytes.
pub fn trace(observed: &Observed) -> Vec<u8> {
    let end_ns = observed.end_ns();
    let timeline = &observed.timeline;
    let mut trace = Message::default();
    let mut put = |packet: Message| trace.message(1, &packet);
    let mut clock = Message::default();
    // One clock: its times are the times of the trace.
    let mut snapshot = Message::default();
    for id in [MONOTONIC, 6] {
        let mut one = Message::default();
        one.number(1, id);
        one.number(2, observed.origin_ns());
        snapshot.message(1, &one);
    }
    clock.message(6, &snapshot);
    put(clock);
    put(process_tree(timeline));
    for (cpu, turns) in turns(timeline, end_ns) {
        put(bundle(cpu, &turns, timeline));
    }
    if let Some(wakings) = wakings(timeline) {
        put(wakings);
    }
    for (_, process) in timeline.processes() {
        for thread in &process.threads {
            put(track(process, thread));
            for (at_ns, event) in events(process, thread, timeline, end_ns) {
                let mut packet = Message::default();
                packet.number(packet::TIMESTAMP, at_ns);
                packet.number(packet::CLOCK, MONOTONIC);
                packet.number(packet::SEQUENCE, SEQUENCE);
                packet.message(packet::TRACK_EVENT, &event);
                put(packet);
            }
        }
    }
    trace.into_bytes()
}

fn process_tree(timeline: &Timeline) -> Message {
    let mut tree = Message::default();
    for (_, process) in timeline.processes() {
        let mut one = Message::default();
        one.number(1, raw(process.pid));
        one.number(2, raw(process.orphan.map_or(process.ppid, |orphan| orphan.old)));
        one.text(3, process.command.as_deref().unwrap_or(&process.name));
        tree.message(1, &one);
    }
    for (_, process) in timeline.processes() {
        for thread in &process.threads {
            let mut one = Message::default();
            one.number(1, raw(thread.tid));
            one.text(2, thread.name.as_deref().unwrap_or(&process.name));
            one.number(3, raw(process.pid));
            tree.message(2, &one);
        }
    }
    let mut packet = Message::default();
    packet.number(packet::SEQUENCE, SEQUENCE);
    // The sequence begins here, without earlier state.
    packet.number(packet::SEQUENCE_FLAGS, 1);
    packet.message(packet::PROCESS_TREE, &tree);
    packet
}

/// A turn of a thread on a CPU, and its state after it.
struct Turn {
    from_ns: u64,
    to_ns: u64,
    tid: Pid,
    next: u64,
}

fn turns(timeline: &Timeline, end_ns: u64) -> BTreeMap<u32, Vec<Turn>> {
    let mut by_cpu: BTreeMap<u32, Vec<Turn>> = BTreeMap::new();
    for (_, process) in timeline.processes() {
        for thread in &process.threads {
            let spans = thread.spans_at(0, end_ns);
            for (at, span) in spans.iter().enumerate().filter(|(_, span)| span.state == State::Running) {
                let next = match spans.get(at + 1).map(|next| next.state) {
                    Some(State::Ready) => RUNNING,
                    Some(State::Stopped) => STOPPED,
                    None if thread.ended_ns.is_some() => ENDED,
                    _ => SLEEPING,
                };
                let turn = Turn { from_ns: span.from_ns, to_ns: span.to_ns, tid: thread.tid, next };
                by_cpu.entry(span.cpu).or_default().push(turn);
            }
        }
    }
    by_cpu.values_mut().for_each(|turns| turns.sort_by_key(|turn| turn.from_ns));
    by_cpu
}

/// Wake-ups as `sched_waking`, from which on a thread is runnable; only the root tier sees them.
fn wakings(timeline: &Timeline) -> Option<Message> {
    let names = names(timeline);
    let mut bundle = Message::default();
    // The CPU of the waker is not known; it matters for no track.
    bundle.number(1, 0);
    let mut any = false;
    for wake in timeline.wakes() {
        let mut fields = Message::default();
        fields.text(1, names.get(&wake.tid).copied().unwrap_or_default());
        fields.number(2, raw(wake.tid));
        fields.number(3, 120);
        fields.number(4, 1);
        let mut event = Message::default();
        event.number(1, wake.at_ns);
        event.number(2, raw(wake.by));
        event.message(20, &fields);
        bundle.message(2, &event);
        any = true;
    }
    let mut packet = Message::default();
    packet.number(packet::SEQUENCE, SEQUENCE);
    packet.message(packet::FTRACE_EVENTS, &bundle);
    any.then_some(packet)
}

/// The name of each thread.
fn names(timeline: &Timeline) -> HashMap<Pid, &str> {
    timeline
        .processes()
        .flat_map(|(_, process)| {
            process.threads.iter().map(|thread| (thread.tid, thread.name.as_deref().unwrap_or(&process.name)))
        })
        .collect()
}

/// The switches of one CPU as `FtraceEventBundle`. Between turns of watched threads it is shown as idle; other processes
/// may have had it.
fn bundle(cpu: u32, turns: &[Turn], timeline: &Timeline) -> Message {
    let names = names(timeline);
    let name = |tid: Pid| names.get(&tid).copied().unwrap_or("idle");
    let mut bundle = Message::default();
    bundle.number(1, cpu.into());
    let mut switch = |at_ns: u64, from: (Pid, u64), to: Pid| {
        let mut fields = Message::default();
        fields.text(1, name(from.0));
        fields.number(2, raw(from.0));
        fields.number(3, 120);
        fields.number(4, from.1);
        fields.text(5, name(to));
        fields.number(6, raw(to));
        fields.number(7, 120);
        let mut event = Message::default();
        event.number(1, at_ns);
        event.number(2, raw(from.0));
        event.message(4, &fields);
        bundle.message(2, &event);
    };
    let mut before: Option<&Turn> = None;
    for turn in turns {
        match before {
            Some(last) if last.to_ns == turn.from_ns => switch(turn.from_ns, (last.tid, last.next), turn.tid),
            other => {
                if let Some(last) = other {
                    switch(last.to_ns, (last.tid, last.next), Pid::UNKNOWN);
                }
                switch(turn.from_ns, (Pid::UNKNOWN, RUNNING), turn.tid);
            }
        }
        before = Some(turn);
    }
    if let Some(last) = before {
        switch(last.to_ns, (last.tid, last.next), Pid::UNKNOWN);
    }
    let mut packet = Message::default();
    packet.number(packet::SEQUENCE, SEQUENCE);
    packet.message(packet::FTRACE_EVENTS, &bundle);
    packet
}

/// The track of a thread's slices.
fn track(process: &Process, thread: &Thread) -> Message {
    let mut of_thread = Message::default();
    of_thread.number(1, raw(process.pid));
    of_thread.number(2, raw(thread.tid));
    of_thread.text(5, thread.name.as_deref().unwrap_or(&process.name));
    let mut descriptor = Message::default();
    descriptor.number(1, uuid(thread));
    descriptor.message(4, &of_thread);
    let mut packet = Message::default();
    packet.number(packet::SEQUENCE, SEQUENCE);
    packet.message(packet::TRACK_DESCRIPTOR, &descriptor);
    packet
}

fn uuid(thread: &Thread) -> u64 {
    // A TID may be reused.
    thread.started_ns ^ (raw(thread.tid) << 40)
}

/// The slices of a thread (what it was blocked on) and its instants (events in its life).
fn events(process: &Process, thread: &Thread, timeline: &Timeline, end_ns: u64) -> Vec<(u64, Message)> {
    const BEGIN: u64 = 1;
    const END: u64 = 2;
    const INSTANT: u64 = 3;
    let event = |kind: u64, name: Option<&str>| {
        let mut event = Message::default();
        event.number(9, kind);
        event.number(11, uuid(thread));
        if let Some(name) = name {
            event.text(22, "watch");
            event.text(23, name);
        }
        event
    };
    let mut events = Vec::new();
    let named = |span: &Span| span.state == State::Blocked && span.wait != 0;
    for span in thread.spans_at(0, end_ns).iter().filter(|span| named(span)) {
        events.push((span.from_ns, event(BEGIN, Some(timeline.wait_name(span.wait)))));
        events.push((span.to_ns, event(END, None)));
    }
    if thread.tid == process.pid {
        for (at_ns, name) in &process.execs {
            events.push((*at_ns, event(INSTANT, Some(&format!("exec {name}")))));
        }
        if let Some(ended_ns) = process.ended_ns {
            let how = process.exit.map_or("ended".to_owned(), |exit| exit.to_string());
            events.push((ended_ns, event(INSTANT, Some(&how))));
        }
        if let Some(reaping) = process.reaping {
            events.push((reaping.not_after_ns, event(INSTANT, Some("reaped"))));
        }
    }
    events.sort_by_key(|(at_ns, _)| *at_ns);
    events
}

fn raw(pid: Pid) -> u64 {
    u64::try_from(pid.as_raw()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::{Field, fields};
    use super::*;
    use crate::observe::event::{Event, What};
    use crate::observe::timeline::Limits;

    #[test]
    fn a_trace_has_the_tree_the_switches_and_the_waits() {
        let mut timeline = Timeline::new(Limits::default());
        let id = Pid::from_raw;
        let mut tell = |at_ns, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(7), what });
        tell(0, What::Rooted { ppid: id(1), before_exec: Default::default() });
        tell(0, What::In { cpu: 1 });
        tell(1, What::Named { name: "sleep".to_owned(), exec: true });
        tell(100, What::Out { preempted: false });
        tell(
            150,
            What::Blocked(crate::observe::waits::Wait::outside(crate::observe::waits::Kind::Timer, "timer")),
        );
        tell(500, What::In { cpu: 1 });
        let mut trace = Message::default();
        trace.message(1, &process_tree(&timeline));
        let turns = turns(&timeline, 600);
        assert_eq!(
            turns[&1].iter().map(|turn| (turn.from_ns, turn.to_ns)).collect::<Vec<_>>(),
            [(1, 100), (500, 600)]
        );
        let bytes = bundle(1, &turns[&1], &timeline).into_bytes();
        let Some((packet::FTRACE_EVENTS, Field::Bytes(bundle))) = fields(&bytes).unwrap().pop() else {
            panic!("no bundle");
        };
        let switches = fields(bundle).unwrap().into_iter().filter(|(number, _)| *number == 2).count();
        assert_eq!(switches, 4, "to it and to the idle task, twice");
        let process = timeline.by_pid(id(7)).unwrap();
        let events = events(process, &process.threads[0], &timeline, 600);
        assert_eq!(events.iter().map(|(at_ns, _)| *at_ns).collect::<Vec<_>>(), [1, 100, 500]);
    }
}
