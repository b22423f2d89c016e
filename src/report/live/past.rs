//! Processes and threads as they were at a past moment, by their spans.

use crate::observe::event::State;
use crate::observe::timeline::{Process, Span, Sums, Thread};

/// What was so at that moment. The delays of wake-ups, which only the sums of the present have, count as blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) state: State,
    /// What it was blocked on, by number; 0 when not seen or not blocked.
    pub(super) wait: u32,
    pub(super) sums: Sums,
}

/// A process at `at_ns`.
pub(super) fn of_process(process: &Process, at_ns: u64) -> Past {
    let mut sums = Sums::default();
    for thread in &process.threads {
        add(&mut sums, &until(thread.spans_at(0, at_ns), at_ns));
    }
    let (state, wait) = last(&until(process.live_spans(0, at_ns), at_ns));
    let ended = process.ended_ns.is_some_and(|ended_ns| ended_ns <= at_ns);
    let reaped = process.reaping.is_some_and(|reaping| reaping.not_after_ns <= at_ns);
    match (ended, reaped) {
        (_, true) => Past { state: State::Reaped, wait: 0, sums },
        (true, _) => Past { state: State::Zombie, wait: 0, sums },
        _ => Past { state, wait, sums },
    }
}

/// A thread at `at_ns`.
pub(super) fn of_thread(thread: &Thread, at_ns: u64) -> Past {
    let spans = until(thread.spans_at(0, at_ns), at_ns);
    let mut sums = Sums::default();
    add(&mut sums, &spans);
    let (state, wait) = last(&spans);
    Past { state, wait, sums }
}

fn until(spans: Vec<Span>, at_ns: u64) -> Vec<Span> {
    spans.into_iter().take_while(|span| span.from_ns < at_ns).map(|span| span.cut(0, at_ns)).collect()
}

fn last(spans: &[Span]) -> (State, u32) {
    spans.last().map_or((State::Ready, 0), |span| (span.state, span.wait))
}

fn add(sums: &mut Sums, spans: &[Span]) {
    for span in spans {
        let part = |state| (span.share(state) * span.ns() as f64) as u64;
        sums.running_ns += part(State::Running);
        sums.ready_ns += part(State::Ready);
        sums.blocked_ns += part(State::Blocked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::event::{Event, What};
    use crate::observe::timeline::{Limits, Timeline};
    use crate::sys::pid::Pid;

    #[test]
    fn a_past_moment_has_its_own_state_and_sums() {
        let mut timeline = Timeline::new(Limits::default());
        let pid = Pid::from_raw(7);
        let mut tell = |at_ns, what| timeline.apply(&Event { at_ns, pid, tid: pid, what });
        tell(0, What::Rooted { ppid: Pid::from_raw(1), before_exec: Default::default() });
        tell(0, What::In { cpu: 0 });
        tell(100, What::Out { preempted: false });
        tell(400, What::In { cpu: 0 });
        tell(500, What::Exited { ppid: Pid::from_raw(1) });
        let process = timeline.by_pid(pid).unwrap();
        let at = |ns| of_process(process, ns);
        assert_eq!((at(50).state, at(50).sums.running_ns), (State::Running, 50));
        assert_eq!(
            (at(300).state, at(300).sums.running_ns, at(300).sums.blocked_ns),
            (State::Blocked, 100, 200)
        );
        assert_eq!(at(600).state, State::Zombie);
    }
}
