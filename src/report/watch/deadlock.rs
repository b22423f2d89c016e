//! Deadlocks in one line.

use super::model::DeadlockReport;
use super::numbers::short;
use crate::sys::pid::Pid;

/// A deadlock in one line.
pub fn deadlock_line(deadlock: &DeadlockReport) -> String {
    let waits = circle(deadlock.waits.iter().map(|one| (one.pid, one.tid, one.on.as_str())));
    let lasted = match deadlock.to_ns {
        Some(to_ns) => format!("for {}", short(to_ns.saturating_sub(deadlock.from_ns))),
        None => "to the end".to_owned(),
    };
    let behind = match &deadlock.behind[..] {
        [] => String::new(),
        pids => {
            let pids: Vec<String> = pids.iter().map(Pid::to_string).collect();
            format!("; {} waits behind", pids.join(", "))
        }
    };
    format!("DEADLOCK from {} {lasted}: {}{behind}", short(deadlock.from_ns), waits)
}

/// The waits of a deadlock; of many, only the first few, since the table has them too.
pub fn circle<'a>(circle: impl Iterator<Item = (Pid, Pid, &'a str)>) -> String {
    const TOLD: usize = 3;
    let waits = |(pid, tid, on)| match pid {
        main if main == tid => format!("{pid} waits for {on}"),
        _ => format!("thread {tid} of {pid} waits for {on}"),
    };
    let mut all: Vec<String> = circle.map(waits).collect();
    // One more is as short as saying so.
    if all.len() > TOLD + 1 {
        let rest = all.split_off(TOLD).len();
        all.push(format!("and {rest} more"));
    }
    all.join("; ")
}
