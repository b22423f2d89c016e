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

#[test]
fn a_cpu_on_which_a_program_was_only_started_is_none_that_the_others_are_predicted_on() {
    let jobs = observed(&[
        (0, 2, rooted()),
        (0, 2, What::In { cpu: 0 }),
        (MS, 2, PREEMPTED),
        (MS, 2, What::In { cpu: 3 }),
        (2 * MS, 3, forked()),
        (2 * MS, 4, forked()),
        (2 * MS, 2, exited()),
        (2 * MS, 2, OFF),
        (2 * MS, 3, What::In { cpu: 3 }),
        (22 * MS, 3, PREEMPTED),
        (22 * MS, 4, What::In { cpu: 3 }),
        (32 * MS, 4, exited()),
        (32 * MS, 4, OFF),
        (32 * MS, 3, What::In { cpu: 3 }),
        (52 * MS, 3, exited()),
        (52 * MS, 3, OFF),
    ]);
    let compared = compare(&jobs, &[Policy::Fifo, Policy::Sjf]);
    assert_eq!((compared.cpus, compared.schedules[0].chart.len()), (1, 2));
    let each = |at: usize| -> Vec<[u64; 3]> {
        let jobs = &compared.schedules[at].each[1..];
        jobs.iter()
            .map(|job| [job.turnaround_ns, job.response_ns, job.waiting_ns].map(|ns| ns / MS))
            .collect()
    };
    assert_eq!(each(0), [[50, 0, 10], [30, 20, 20]], "measured");
    assert_eq!(each(1), [[40, 0, 0], [50, 40, 40]], "fifo");
    assert_eq!(each(2), [[50, 10, 10], [10, 0, 0]], "sjf");
    let text = text(&compared, 80);
    assert!(text.contains("of 3 threads on 1 CPU under"), "{text}");
    assert!(text.contains("\n fifo          2.00 ms   40.00 ms   50.00 ms\n"), "{text}");
    assert!(each_line_fits(&super::each(&compared, 40), 40));
}

fn each_line_fits(text: &str, width: usize) -> bool {
    !text.is_empty() && text.lines().all(|line| line.chars().count() <= width)
}
