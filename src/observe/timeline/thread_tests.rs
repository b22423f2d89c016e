//! Threads of one process, and processes that are known by samples.

use super::tests::{OFF, ON, PREEMPTED, forked, id, play};
use super::*;
use crate::observe::timeline::Records;
use crate::observe::waits::{Ends, Kind, words};
use crate::sys::procfs::stat::SchedStat;

#[test]
fn a_process_does_what_its_main_thread_does_and_its_sums_are_over_all_threads() {
    let mut timeline = play(&[(0, 7, forked(1)), (0, 7, ON)]);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(tid), what });
    tell(10, 8, forked(7));
    tell(10, 8, ON);
    tell(20, 7, OFF);
    tell(50, 8, OFF);
    tell(70, 8, What::Exited { ppid: id(1) });
    let process = timeline.by_pid(id(7)).unwrap();
    assert_eq!(process.state(), State::Blocked);
    let sums = process.sums_at(90);
    assert_eq!((sums.running_ns, sums.blocked_ns), (20 + 40, 70 + 20));
    let spans = process.live_spans(0, 90);
    let told: Vec<_> = spans.iter().map(|span| (span.from_ns, span.to_ns, span.state)).collect();
    assert_eq!(told, [(0, 20, State::Running), (20, 90, State::Blocked)]);
}

#[test]
fn the_delay_of_each_threads_wake_ups_is_its_own() {
    let mut timeline = play(&[(0, 2, forked(1)), (0, 7, forked(2)), (0, 7, ON)]);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(tid), what });
    tell(0, 8, forked(7));
    tell(10, 7, OFF);
    tell(110, 7, ON);
    tell(120, 7, OFF);
    tell(130, 8, ON);
    tell(140, 8, OFF);
    tell(200, 7, What::Sums(SchedStat { running_ns: 20, ready_ns: 42, turns: 2 }));
    let sums = timeline.by_pid(id(7)).unwrap().threads[0].sums_at(200);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns), (20, 42, 138));
    assert_eq!(timeline.by_pid(id(7)).unwrap().sums_at(200).ready_ns, 42 + 130);
}

#[test]
fn an_exec_by_a_thread_that_is_not_the_leader_makes_it_the_main_thread() {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(tid), what });
    let exec = || What::Named { name: "sleep".to_owned(), exec: true };
    tell(0, 7, forked(1));
    tell(0, 7, ON);
    tell(1, 7, exec());
    tell(10, 8, forked(7));
    tell(20, 7, OFF);
    tell(20, 8, What::In { cpu: 1 });
    tell(50, 7, ON);
    tell(60, 7, What::Exited { ppid: id(1) });
    // The leader loses its CPU on its way out, and leaves it for good under the number of the other.
    tell(61, 7, PREEMPTED);
    tell(80, 7, exec());
    tell(80, 7, What::In { cpu: 1 });
    tell(85, 8, OFF);
    tell(90, 7, OFF);
    let process = timeline.by_pid(id(7)).unwrap();
    assert!(process.is_alive(), "its first sleep after the exec is not its end");
    let main = &process.threads[0];
    assert_eq!((main.tid, main.started_ns, main.sums.running_ns, main.turns), (id(7), 10, 70, 1));
    let former = &process.threads[1];
    assert_eq!((former.tid, former.ended_ns), (id(7), Some(61)));
    assert_eq!(process.sums_at(90).running_ns, 70 + 19 + 11);
}

#[test]
fn switches_of_a_thread_that_has_taken_over_the_leaders_number_before_its_exec_are_its_own() {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(tid), what });
    tell(0, 7, forked(1));
    tell(0, 7, ON);
    tell(1, 7, What::Named { name: "sh".to_owned(), exec: true });
    tell(10, 8, forked(7));
    tell(20, 7, OFF);
    tell(20, 8, What::In { cpu: 1 });
    tell(30, 8, OFF);
    tell(31, 7, ON);
    tell(40, 7, What::Exited { ppid: id(1) });
    tell(41, 7, OFF);
    tell(42, 8, What::In { cpu: 1 });
    // The leader is gone, and this is the other thread under its number.
    tell(50, 7, PREEMPTED);
    tell(60, 7, What::In { cpu: 1 });
    tell(65, 7, What::Named { name: "sleep".to_owned(), exec: true });
    tell(65, 7, What::In { cpu: 1 });
    tell(70, 7, OFF);
    let main = &timeline.by_pid(id(7)).unwrap().threads[0];
    assert_eq!((main.tid, main.sums.running_ns, main.sums.ready_ns), (id(7), 10 + 8 + 10, 10 + 10));
    assert_eq!((main.turns, main.preempted), (3, 1));
}

#[test]
fn a_process_whose_leader_ends_first_lives_on_in_the_others() {
    let mut timeline = play(&[(0, 7, forked(1)), (0, 7, ON)]);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(tid), what });
    tell(5, 8, forked(7));
    tell(10, 7, What::Exited { ppid: id(1) });
    tell(20, 8, ON);
    let process = timeline.by_pid(id(7)).unwrap();
    assert!(process.is_alive());
    assert_eq!(process.state(), State::Running);
    let spans = process.live_spans(0, 40);
    assert!(spans.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns), "{spans:?}");
    assert_eq!(spans.last().map(|span| (span.to_ns, span.state)), Some((40, State::Running)));
}

#[test]
fn an_exit_that_was_none_is_taken_back() {
    let mut timeline = play(&[(0, 2, forked(1)), (0, 7, forked(2)), (10, 7, ON)]);
    timeline.apply(&Event { at_ns: 30, pid: id(7), tid: id(7), what: What::Exited { ppid: id(2) } });
    assert!(!timeline.by_pid(id(7)).unwrap().is_alive());
    timeline.apply(&Event { at_ns: 90, pid: id(7), tid: id(7), what: What::Unrecorded { since_ns: 30 } });
    assert!(timeline.by_pid(id(7)).unwrap().is_alive());
    assert_eq!(timeline.take_unrecorded(), [id(7)]);
}

#[test]
fn a_process_waits_for_what_its_main_thread_waits_for() {
    let mut timeline = play(&[(0, 7, forked(1)), (0, 7, ON)]);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(tid), what });
    tell(1, 8, What::Forked { ppid: id(7) });
    tell(2, 8, ON);
    tell(3, 8, OFF);
    tell(4, 7, OFF);
    tell(10, 8, What::Blocked(Wait::outside(Kind::Lock, "lock")));
    tell(50, 7, What::Blocked(Wait::outside(Kind::Socket, "socket")));
    let process = timeline.by_pid(id(7)).unwrap();
    assert_eq!(timeline.wait_name(process.waits_now()), "socket");
    let told: Vec<_> =
        process.waits_at(104).iter().map(|(number, sum)| (timeline.wait_name(*number), sum.ns)).collect();
    assert_eq!(told, [("socket", 100)]);
}

#[test]
fn a_wait_for_a_child_is_one_wait_under_its_last_name_though_it_execs_meanwhile() {
    let pid = id(8);
    let for_child = || {
        let on = format!("child {}", words::process(pid));
        What::Blocked(Wait { on, kind: Kind::Child, ends: Ends::Only(vec![pid]) })
    };
    let named = |name: &str| What::Named { name: name.to_owned(), exec: true };
    let mut timeline = play(&[
        (0, 7, forked(1)),
        (0, 7, named("sh")),
        (0, 7, ON),
        (10, 7, OFF),
        // Read before the child's own records have come.
        (20, 7, for_child()),
        (15, 8, forked(7)),
        (30, 8, named("sl\x1beep")),
        (60, 7, for_child()),
        (100, 8, What::Exited { ppid: id(7) }),
        (100, 8, What::Reaped { not_before_ns: 100, by_itself: false }),
        (100, 7, ON),
    ]);
    let told = |timeline: &Timeline| {
        let waits = timeline.by_pid(id(7)).unwrap().waits_at(200);
        waits.iter().map(|(number, sum)| (timeline.wait_name(*number).to_owned(), sum.ns)).collect::<Vec<_>>()
    };
    assert_eq!(told(&timeline), [("child 8 sl?eep".to_owned(), 90)]);
    // The PID is given to another process: it is another wait.
    for (at_ns, tid, what) in
        [(110, 8, forked(7)), (120, 7, OFF), (130, 7, for_child()), (140, 8, named("cc")), (200, 7, ON)]
    {
        timeline.apply(&Event { at_ns, pid: id(tid), tid: id(tid), what });
    }
    assert_eq!(told(&timeline), [("child 8 sl?eep".to_owned(), 90), ("child 8 cc".to_owned(), 80)]);
}
