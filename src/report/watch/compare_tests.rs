use super::*;
use crate::observe::event::{Event, What};
use crate::observe::timeline::{Limits, Records, Timeline};
use crate::sys::procfs::stat::SchedStat;

const MS: u64 = 1_000_000;
const ON: What = What::In { cpu: 0 };
const PREEMPTED: What = What::Out { preempted: true };
const OFF: What = What::Out { preempted: false };

/// What was observed of a command with the PID 2.
fn observed(script: &[(u64, i32, What)]) -> Observed {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
    for (at_ns, pid, what) in script {
        let pid = Pid::from_raw(*pid);
        timeline.apply(&Event { at_ns: *at_ns, pid, tid: pid, what: what.clone() });
    }
    Observed::of(Pid::from_raw(2), timeline)
}

fn rooted() -> What {
    What::Rooted { ppid: Pid::from_raw(1), before_exec: SchedStat::default() }
}

fn forked() -> What {
    What::Forked { ppid: Pid::from_raw(2) }
}

fn exited() -> What {
    What::Exited { ppid: Pid::from_raw(2) }
}

fn fifo(observed: &Observed) -> Schedule {
    let policies = [Policy::Fifo];
    compare(observed, &policies).schedules.pop().expect("it is predicted")
}

#[test]
fn an_end_in_an_unknown_state_is_no_sleep_after_which_it_waits_in_line_again() {
    // Two jobs of 10 ms take turns. The state of the first one is unknown between the record of its exit and its end.
    let with_end = |end_ns: u64| {
        observed(&[
            (0, 2, rooted()),
            (0, 2, ON),
            (0, 3, forked()),
            (0, 4, forked()),
            (0, 2, exited()),
            (0, 2, OFF),
            (0, 3, ON),
            (5 * MS, 3, PREEMPTED),
            (5 * MS, 4, ON),
            (10 * MS, 4, PREEMPTED),
            (10 * MS, 3, ON),
            (15 * MS, 3, exited()),
            (15 * MS + end_ns, 3, OFF),
            (15 * MS + end_ns, 4, ON),
            (20 * MS + end_ns, 4, exited()),
            (20 * MS + end_ns, 4, OFF),
        ])
    };
    let unknown = with_end(3 * MS);
    let first = unknown.timeline.by_pid(Pid::from_raw(3)).expect("it lived");
    assert_eq!(first.sums_at(30 * MS).unknown_ns, 3 * MS);
    // Under fifo the first is done after 10 ms and the second after 20; the command takes no time.
    assert_eq!(fifo(&unknown).turnaround_ns, 10 * MS);
    assert_eq!(fifo(&with_end(0)).turnaround_ns, 10 * MS);
}

/// A command that sleeps, for a reason that was not read, until its child ends, or until `late_ns` after that.
fn sleeper(late_ns: u64) -> Observed {
    let woken_ns = 40 * MS + late_ns;
    observed(&[
        (0, 2, rooted()),
        (0, 2, ON),
        (0, 3, forked()),
        (0, 2, OFF),
        // The child and a stranger share the CPU, so that its 20 ms of work take 40.
        (0, 3, ON),
        (10 * MS, 3, PREEMPTED),
        (30 * MS, 3, ON),
        (40 * MS, 3, exited()),
        (40 * MS, 3, OFF),
        (woken_ns, 2, ON),
        (woken_ns + MS, 2, exited()),
        (woken_ns + MS, 2, OFF),
    ])
}

#[test]
fn a_sleep_that_ends_with_a_child_is_a_wait_for_it_and_another_one_lasts_as_long_as_it_did() {
    assert_eq!(fifo(&sleeper(MS)).end_ns, 21 * MS);
    assert_eq!(fifo(&sleeper(5 * MS)).end_ns, 46 * MS);
}
