//! The states of each process as a log with a line per change, which courses that instrument a kernel's scheduler let
//! students write and evaluate: `PID  LETTER  MICROSECONDS`.

use std::fmt::Write;

use crate::observe::event::State;
use crate::observe::timeline::Process;
use crate::observe::watch::Observed;

/// The log of all processes, in the order of time: `N` new, `J` ready, `R` running, `W` waiting or stopped, `?` unknown,
/// `E` ended. Times count from the start of the run, which is 1.
pub fn log(observed: &Observed) -> Vec<u8> {
    let (origin_ns, now_ns) = (observed.origin_ns(), observed.end_ns());
    let mut changes: Vec<(u64, String, char)> = Vec::new();
    for (_, process) in observed.timeline.processes() {
        changes.extend(
            trajectory(process, now_ns)
                .into_iter()
                .map(|(at_ns, letter)| (at_ns, process.pid.to_string(), letter)),
        );
    }
    // Stable: the changes of one process at one time stay in their order.
    changes.sort_by_key(|(at_ns, ..)| *at_ns);
    let mut text = String::new();
    for (at_ns, pid, letter) in changes {
        // Programs that evaluate such logs take the time 0 for none.
        let _ = writeln!(text, "{pid}\t{letter}\t{}", at_ns.saturating_sub(origin_ns) / 1_000 + 1);
    }
    text.into_bytes()
}

/// When a process changed to which state.
fn trajectory(process: &Process, now_ns: u64) -> Vec<(u64, char)> {
    let mut changes = Vec::new();
    if !process.found {
        changes.push((process.started_ns, 'N'));
    }
    for span in process.live_spans(0, now_ns) {
        let letter = match span.state {
            State::Ready => 'J',
            State::Running => 'R',
            State::Blocked | State::Stopped => 'W',
            State::Unknown | State::Zombie | State::Reaped => '?',
        };
        // A sleep whose reason changes has several spans.
        if span.ns() > 0 && changes.last().is_none_or(|(_, last)| *last != letter) {
            changes.push((span.from_ns, letter));
        }
    }
    if let Some(ended_ns) = process.ended_ns {
        // An end of which only bounds are known is written at the earlier one: no state in between would be true.
        let unknown = changes.pop_if(|(_, letter)| *letter == '?');
        changes.push((unknown.map_or(ended_ns, |(at_ns, _)| at_ns), 'E'));
    }
    changes
}
