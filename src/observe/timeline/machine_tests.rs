use super::*;
use crate::observe::timeline::{Check, Records, Span};
use crate::observe::waits::{Ends, Kind};
use crate::process::Exit;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

pub(super) fn id(pid: i32) -> Pid {
    Pid::from_raw(pid)
}

pub(super) fn play(script: &[(u64, i32, What)]) -> Timeline {
    let mut timeline = Timeline::new(Limits::default());
    for (at_ns, tid, what) in script {
        timeline.apply(&Event { at_ns: *at_ns, pid: id(*tid), tid: id(*tid), what: what.clone() });
    }
    timeline
}

pub(super) const ON: What = What::In { cpu: 0 };
/// Later than all that happens in these tests.
const END: u64 = 1_000_000_000;
pub(super) const PREEMPTED: What = What::Out { preempted: true };
pub(super) const OFF: What = What::Out { preempted: false };

/// Forked by a watched process, or the watch's root when its parent is process 1.
pub(super) fn forked(ppid: i32) -> What {
    let ppid = id(ppid);
    if ppid == id(1) {
        What::Rooted { ppid, before_exec: SchedStat::default() }
    } else {
        What::Forked { ppid }
    }
}

#[test]
fn a_life_is_tiled_by_its_states_from_fork_to_reaping() {
    let timeline = play(&[
        (100, 7, forked(1)),
        (110, 7, ON),
        (150, 7, PREEMPTED),
        (170, 7, ON),
        (200, 7, OFF),
        (290, 7, ON),
        (300, 7, What::Exited { ppid: id(1) }),
        (340, 7, What::Reaped { not_before_ns: 330, by_itself: false }),
    ]);
    let process = timeline.by_pid(id(7)).unwrap();
    let sums = process.sums_at(1_000);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns), (40 + 30 + 10, 10 + 20, 90));
    assert_eq!(sums.alive_ns(), 300 - 100);
    assert_eq!(sums.zombie_ns, 40);
    assert_eq!((process.turns(), process.preempted()), (3, 1));
    let spans = process.spans(0, 1_000);
    assert_eq!(spans.iter().map(Span::ns).sum::<u64>(), 240);
    assert!(spans.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns));
}

#[test]
fn a_wake_up_ends_the_blocked_time_and_begins_the_ready_time() {
    let timeline = play(&[
        (0, 7, forked(1)),
        (0, 7, ON),
        (10, 7, OFF),
        (60, 7, What::Woken { by: id(9) }),
        (75, 7, ON),
        (80, 7, What::Woken { by: id(9) }),
    ]);
    let sums = timeline.by_pid(id(7)).unwrap().sums_at(80);
    assert_eq!((sums.blocked_ns, sums.ready_ns, sums.running_ns), (50, 15, 15));
    assert_eq!(timeline.wakes().count(), 1, "a wake-up of a running thread is none");
}

#[test]
fn a_stop_is_known_by_its_letter_from_its_beginning() {
    let timeline = play(&[
        (0, 7, forked(1)),
        (0, 7, ON),
        (10, 7, OFF),
        (50, 7, What::Letter('T')),
        (90, 7, ON),
        (95, 7, OFF),
    ]);
    let sums = timeline.by_pid(id(7)).unwrap().sums_at(100);
    assert_eq!((sums.stopped_ns, sums.blocked_ns), (80, 5));
}

#[test]
fn an_orphan_has_an_old_parent_and_a_new_one() {
    let timeline = play(&[
        (0, 7, forked(1)),
        (1, 8, forked(7)),
        (2, 7, What::Exited { ppid: id(1) }),
        (3, 8, What::Adopted { by: id(1) }),
    ]);
    let orphan = timeline.by_pid(id(8)).unwrap().orphan.unwrap();
    assert_eq!((orphan.at_ns, orphan.old, orphan.new), (2, id(7), Some(id(1))));
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let timeline = play(&[
        (0, 7, forked(1)),
        (5, 7, What::Exited { ppid: id(1) }),
        (6, 7, What::Status(Exit::Code(3))),
        (9, 7, forked(1)),
    ]);
    let processes: Vec<_> = timeline.processes().map(|(_, process)| process).collect();
    assert_eq!(processes.len(), 2);
    assert_eq!(processes[0].exit, Some(Exit::Code(3)));
    assert!(processes[0].reaping.is_some() && processes[1].is_alive());
}

#[test]
fn doubled_and_unknown_events_change_nothing() {
    let timeline =
        play(&[(0, 7, forked(1)), (1, 7, ON), (2, 7, ON), (3, 99, ON), (4, 7, OFF), (5, 7, PREEMPTED)]);
    let process = timeline.by_pid(id(7)).unwrap();
    assert_eq!((process.turns(), process.sums_at(END).running_ns), (1, 3));
    assert_eq!(timeline.processes().count(), 1);
}

#[test]
fn a_blocked_time_is_summed_under_what_was_seen() {
    let timer = Wait::outside(crate::observe::waits::Kind::Timer, "timer");
    let timeline = play(&[
        (0, 7, forked(1)),
        (0, 7, ON),
        (10, 7, OFF),
        (20, 7, What::Blocked(timer)),
        (110, 7, ON),
        (120, 7, OFF),
        (125, 7, ON),
    ]);
    let waits = timeline.by_pid(id(7)).unwrap().waits_at(125);
    let told: Vec<_> = waits.iter().map(|(number, sum)| (timeline.wait_name(*number), sum.ns)).collect();
    assert_eq!(told, [("timer", 100), ("not seen", 5)]);
}

#[test]
fn a_process_ends_when_it_leaves_the_cpu_for_good_where_that_is_recorded() {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
    let mut tell = |at_ns, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(7), what });
    tell(0, forked(1));
    tell(0, ON);
    tell(10, What::Exited { ppid: id(1) });
    tell(12, PREEMPTED);
    tell(15, ON);
    tell(20, OFF);
    tell(30, What::Reaped { not_before_ns: 25, by_itself: false });
    let process = timeline.by_pid(id(7)).unwrap();
    assert_eq!(process.ended_ns, Some(20));
    assert_eq!(
        (process.sums_at(END).running_ns, process.sums_at(END).ready_ns, process.sums_at(END).zombie_ns),
        (17, 3, 10)
    );
}

#[test]
fn a_zombies_final_sums_tell_how_long_it_took_to_end() {
    let timeline = play(&[
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (10, 7, What::Exited { ppid: id(1) }),
        (30, 7, What::Sums(SchedStat { running_ns: 15, ready_ns: 0, turns: 1 })),
        (40, 7, What::Reaped { not_before_ns: 30, by_itself: false }),
    ]);
    let process = timeline.by_pid(id(7)).unwrap();
    assert_eq!(
        (process.ended_ns, process.sums_at(END).running_ns, process.sums_at(END).zombie_ns),
        (Some(15), 15, 25)
    );
    assert_eq!(process.threads[0].check.unwrap().difference_ns(), 0);
}

#[test]
fn a_long_end_without_records_is_unknown_until_the_final_sums_settle_it() {
    const MS: u64 = 1_000_000;
    let begin = [
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (10 * MS, 7, What::Exited { ppid: id(2) }),
        (14 * MS, 7, OFF),
    ];
    let play = |script: &[(u64, i32, What)]| {
        let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
        for (at_ns, tid, what) in script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(*tid), tid: id(*tid), what: what.clone() });
        }
        timeline.by_pid(id(7)).unwrap().sums_at(14 * MS)
    };
    let sums = play(&begin);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.unknown_ns), (10 * MS, 0, 4 * MS));
    let kernel = SchedStat { running_ns: 11 * MS, ready_ns: 3 * MS, turns: 1 };
    let sums = play(&[&begin[..], &[(15 * MS, 7, What::Sums(kernel))]].concat());
    assert_eq!((sums.running_ns, sums.ready_ns, sums.unknown_ns), (11 * MS, 3 * MS, 0));
}

#[test]
fn an_end_whose_cpu_another_thread_has_after_long_is_unknown_and_no_more_is_settled_than_the_sums_tell() {
    const MS: u64 = 1_000_000;
    let begin = [
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (10 * MS, 7, What::Exited { ppid: id(2) }),
        // It may have lost its CPU to a process that is not watched long before this one has it.
        (40 * MS, 2, ON),
        (50 * MS, 7, What::In { cpu: 1 }),
        (50 * MS, 7, OFF),
    ];
    let play = |script: &[(u64, i32, What)]| {
        let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
        for (at_ns, tid, what) in script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(*tid), tid: id(*tid), what: what.clone() });
        }
        let process = timeline.by_pid(id(7)).unwrap();
        assert_eq!(process.ended_ns, Some(50 * MS));
        process.sums_at(50 * MS)
    };
    let sums = play(&begin);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.unknown_ns), (10 * MS, 0, 40 * MS));
    // It lost it at once, and for how long it had another one is not known either.
    let at_once = [&begin[..4], &[(10 * MS + 1, 2, ON)], &begin[5..]].concat();
    let sums = play(&at_once);
    assert_eq!((sums.running_ns, sums.ready_ns), (10 * MS + 1, 0));
    // What is neither on a CPU nor in line by the final sums was blocked: which of the 40 ms, nothing tells.
    let kernel = SchedStat { running_ns: 12 * MS, ready_ns: 30 * MS, turns: 3 };
    let sums = play(&[&begin[..], &[(51 * MS, 7, What::Sums(kernel))]].concat());
    assert_eq!((sums.running_ns, sums.ready_ns, sums.unknown_ns), (12 * MS, 30 * MS, 8 * MS));
}

#[test]
fn an_end_that_was_recorded_as_running_is_in_line_as_far_as_the_kernel_says_so() {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
    timeline.apply(&Event { at_ns: 0, pid: id(2), tid: id(2), what: forked(1) });
    let mut tell = |at_ns, what| timeline.apply(&Event { at_ns, pid: id(7), tid: id(7), what });
    tell(0, forked(2));
    tell(0, ON);
    tell(100, What::Exited { ppid: id(2) });
    tell(160, OFF);
    tell(170, What::Sums(SchedStat { running_ns: 110, ready_ns: 50, turns: 2 }));
    let sums = timeline.by_pid(id(7)).unwrap().sums_at(160);
    assert_eq!((sums.running_ns, sums.ready_ns), (110, 50));
    let spans = timeline.by_pid(id(7)).unwrap().live_spans(0, 160);
    let told: Vec<_> = spans.iter().map(|span| (span.to_ns, span.state)).collect();
    assert_eq!(told, [(100, State::Running), (150, State::Ready), (160, State::Running)]);
}

#[test]
fn one_whose_cpu_another_thread_has_is_not_on_it_though_its_exit_was_recorded() {
    let begin = [
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (100, 7, What::Exited { ppid: id(2) }),
        (120, 2, ON),
        (300, 7, What::In { cpu: 1 }),
        (300, 7, OFF),
    ];
    let play = |script: &[(u64, i32, What)]| {
        let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
        for (at_ns, tid, what) in script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(*tid), tid: id(*tid), what: what.clone() });
        }
        timeline.by_pid(id(7)).unwrap().clone()
    };
    let told = |process: &Process| {
        let spans = process.spans(0, 300);
        spans.iter().map(|span| (span.from_ns, span.to_ns, span.state, span.cpu)).collect::<Vec<_>>()
    };
    let silent = play(&begin);
    assert_eq!(told(&silent), [(0, 120, State::Running, 0), (120, 300, State::Ready, 0)]);
    assert_eq!((silent.ended_ns, silent.turns()), (Some(300), 2));
    // The kernel's sums tell how much of it the CPU was had again.
    let sums = What::Sums(SchedStat { running_ns: 150, ready_ns: 150, turns: 2 });
    let process = play(&[&begin[..], &[(310, 7, sums)]].concat());
    assert_eq!(
        told(&process),
        [(0, 120, State::Running, 0), (120, 270, State::Ready, 0), (270, 300, State::Running, 1)]
    );
    let sums = process.sums_at(310);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns), (150, 150, 0));
    assert!(process.threads[0].check.unwrap().holds());
    // But no more than since another one left that CPU.
    let busy = [(130, 2, OFF), (140, 2, What::In { cpu: 1 }), (290, 2, OFF)];
    let sums = What::Sums(SchedStat { running_ns: 150, ready_ns: 150, turns: 2 });
    let process = play(&[&begin[..5], &busy, &begin[5..], &[(310, 7, sums)]].concat());
    assert_eq!(told(&process).last(), Some(&(290, 300, State::Running, 1)));
}

#[test]
fn a_switch_without_a_record_shows_when_the_thread_has_a_cpu_again() {
    let begin = [(0, 2, forked(1)), (0, 7, forked(2)), (0, 7, ON), (120, 2, ON)];
    let states = |more: &[(u64, i32, What)]| {
        let timeline = play(&[&begin[..], more].concat());
        let spans = timeline.by_pid(id(7)).unwrap().spans(0, 200);
        spans.iter().map(|span| (span.to_ns, span.state, span.cpu)).collect::<Vec<_>>()
    };
    assert_eq!(
        states(&[(180, 7, What::In { cpu: 1 }), (200, 7, What::Exited { ppid: id(2) })]),
        [(120, State::Running, 0), (180, State::Ready, 0), (200, State::Running, 1)]
    );
    // A record that comes late says more than that.
    assert_eq!(
        states(&[(120, 7, OFF), (180, 7, What::In { cpu: 1 }), (200, 7, OFF)]),
        [(120, State::Running, 0), (180, State::Blocked, 0), (200, State::Running, 1)]
    );
}

#[test]
fn the_end_that_is_told_and_the_next_one_on_the_cpu_bound_what_the_final_sums_add() {
    let kernel = What::Sums(SchedStat { running_ns: 150, ready_ns: 0, turns: 1 });
    let script = [
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (100, 7, What::Exited { ppid: id(2) }),
        (110, 7, OFF),
        (120, 2, ON),
        (300, 7, kernel),
    ];
    for (go_on, ended_ns) in [(true, 110), (false, 120)] {
        let mut timeline = Timeline::new(Limits::default()).with_records(if go_on {
            Records::ToTheLast
        } else {
            Records::ToTheExit
        });
        for (at_ns, tid, what) in &script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(*tid), tid: id(*tid), what: what.clone() });
        }
        let process = timeline.by_pid(id(7)).unwrap();
        assert_eq!((process.ended_ns, process.sums_at(END).running_ns), (Some(ended_ns), ended_ns));
    }
}

#[test]
fn an_exit_lasts_until_the_last_way_off_the_cpu_is_known() {
    let play = |script: &[(u64, What)]| {
        let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
        for (at_ns, what) in script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(7), tid: id(7), what: what.clone() });
        }
        timeline.by_pid(id(7)).unwrap().clone()
    };
    let begin = [(0, forked(1)), (0, ON), (100, What::Exited { ppid: id(1) })];
    let off = [&begin[..], &[(140, OFF)]].concat();
    assert_eq!(play(&off).ended_ns, Some(140));
    // Where that is never told, the exit's own record is the best that is known.
    let silent = [&begin[..], &[(900, What::Reaped { not_before_ns: 800, by_itself: false })]].concat();
    assert_eq!(play(&silent).ended_ns, Some(100));
}

#[test]
fn one_that_took_long_after_the_record_of_its_exit_is_no_zombie_before_it_is_seen_as_one() {
    const MS: u64 = 1_000_000;
    let play = |records, script: &[(u64, i32, What)]| {
        let mut timeline = Timeline::new(Limits::default()).with_records(records);
        for (at_ns, tid, what) in script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(7), tid: id(*tid), what: what.clone() });
        }
        timeline.by_pid(id(7)).unwrap().clone()
    };
    // The second thread frees the memory, and loses its CPU before its end is announced.
    let begin = [
        (0, 7, forked(1)),
        (0, 7, ON),
        (0, 8, forked(7)),
        (5 * MS, 8, What::In { cpu: 1 }),
        (10 * MS, 7, What::Exited { ppid: id(1) }),
        (10 * MS, 7, OFF),
        (10 * MS, 8, What::Exited { ppid: id(1) }),
    ];
    let reaped = |not_before_ns| What::Reaped { not_before_ns, by_itself: false };
    let told = |process: &Process| {
        let sums = process.sums_at(END);
        (
            process.ended_ns.unwrap() / MS,
            sums.unknown_ns / MS,
            sums.zombie_ns / MS,
            process.zombie_at_least_ns(END) / MS,
        )
    };
    let unseen = [&begin[..], &[(46 * MS, 7, reaped(45 * MS))]].concat();
    assert_eq!(told(&play(Records::ToTheLast, &unseen)), (46, 36, 36, 0));
    assert_eq!(told(&play(Records::ToTheExit, &unseen)), (10, 0, 36, 0));
    let seen = [&begin[..], &[(40 * MS, 7, What::Ended), (46 * MS, 7, reaped(45 * MS))]].concat();
    assert_eq!(told(&play(Records::ToTheLast, &seen)), (40, 30, 36, 5));
    assert_eq!(told(&play(Records::ToTheExit, &seen)), (10, 0, 36, 5));
    let announced = [&begin[..], &[(20 * MS, 8, OFF), (46 * MS, 7, reaped(45 * MS))]].concat();
    assert_eq!(told(&play(Records::ToTheLast, &announced)), (20, 10, 26, 25));
}

#[test]
fn one_whose_parent_has_reaped_it_and_ended_before_that_is_told_is_no_orphan() {
    let begin = [
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (100, 7, What::Exited { ppid: id(2) }),
        (120, 2, What::Exited { ppid: id(1) }),
    ];
    let reaped = (140, 7, What::Reaped { not_before_ns: 90, by_itself: false });
    let play = |script: &[(u64, i32, What)]| {
        let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
        for (at_ns, tid, what) in script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(*tid), tid: id(*tid), what: what.clone() });
        }
        timeline.by_pid(id(7)).unwrap().orphan
    };
    assert_eq!(play(&[&begin[..], std::slice::from_ref(&reaped)].concat()), None);
    let adopted = (130, 7, What::Collected { by: id(1) });
    let orphan = play(&[&begin[..], &[adopted, reaped]].concat());
    assert_eq!(orphan.map(|orphan| (orphan.old, orphan.new)), Some((id(2), Some(id(1)))));
}

#[test]
fn a_zombie_begins_where_a_life_ends_though_its_end_is_told_with_an_earlier_time() {
    let begin = [(0, forked(1)), (0, ON), (100, What::Exited { ppid: id(1) })];
    let preempted = [(105, PREEMPTED), (120, ON)];
    let ends = [
        // Reaped by its parent before it had left the CPU for good.
        vec![(300, What::Reaped { not_before_ns: 90, by_itself: false })],
        // Announced late, with the time from before the preemption.
        vec![(102, OFF), (300, What::Reaped { not_before_ns: 90, by_itself: false })],
        vec![(110, What::Reaped { not_before_ns: 90, by_itself: false })],
    ];
    for end in ends {
        let mut timeline = Timeline::new(Limits::default()).with_records(Records::ToTheLast);
        for (at_ns, what) in begin.iter().chain(&preempted).chain(&end) {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(7), tid: id(7), what: what.clone() });
        }
        let process = timeline.by_pid(id(7)).unwrap();
        let spans = process.spans(0, 1_000);
        assert!(spans.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns), "{spans:?}");
        assert_eq!(process.ended_ns, Some(120), "{end:?}");
        assert_eq!(process.sums_at(END).alive_ns(), 120, "{end:?}");
    }
}

#[test]
fn a_status_that_comes_after_the_reaping_is_a_strangers() {
    let status = |code| What::Status(Exit::Code(code));
    let timeline = play(&[
        (0, 7, forked(1)),
        (100, 7, What::Exited { ppid: id(1) }),
        (110, 7, status(3)),
        (140, 7, What::Reaped { not_before_ns: 130, by_itself: false }),
        (900, 7, status(5)),
    ]);
    assert_eq!(timeline.by_pid(id(7)).unwrap().exit, Some(Exit::Code(3)));
}

#[test]
fn only_the_command_itself_begins_with_its_exec() {
    let exec = |name: &str| What::Named { name: name.to_owned(), exec: true };
    let timeline = play(&[
        (0, 7, forked(1)),
        (5, 7, ON),
        (50, 7, exec("sh")),
        (100, 8, forked(7)),
        (110, 8, ON),
        (150, 8, exec("true")),
        (190, 8, What::Exited { ppid: id(7) }),
    ]);
    assert_eq!(timeline.by_pid(id(7)).unwrap().started_ns, 50);
    let child = timeline.by_pid(id(8)).unwrap();
    assert_eq!((child.started_ns, child.sums_at(END).ready_ns, child.sums_at(END).running_ns), (100, 10, 80));
}

#[test]
fn what_a_wake_up_hid_before_the_first_sums_is_not_taken_as_told() {
    let hides = |timeline: &Timeline| timeline.by_pid(id(7)).unwrap().threads[0].hides_ready_time();
    let found = What::Found { ppid: id(1), state: State::Running };
    let sums = |running_ns, ready_ns, turns| What::Sums(SchedStat { running_ns, ready_ns, turns });
    let asleep = [(0, 7, found.clone()), (10, 7, OFF), (20, 7, sums(900, 50, 4))];
    let woken = [(90, 7, ON), (100, 7, OFF), (110, 7, sums(910, 60, 5))];
    assert!(!hides(&play(&[&asleep[..], &woken].concat())));
    let late = [(0, 7, found), (10, 7, OFF), (20, 7, ON), (30, 7, OFF), (40, 7, sums(900, 50, 4))];
    assert!(hides(&play(&[&late[..], &woken].concat())), "its first wake-up was before the first sums");
}

#[test]
fn the_sums_of_the_command_are_known_from_its_gate_on() {
    let before_exec = SchedStat { running_ns: 1_000, ready_ns: 500, turns: 3 };
    let play = |script: &[(u64, What)]| {
        let mut timeline = Timeline::new(Limits::default());
        for (at_ns, what) in script {
            timeline.apply(&Event { at_ns: *at_ns, pid: id(7), tid: id(7), what: what.clone() });
        }
        timeline.by_pid(id(7)).unwrap().clone()
    };
    let exec = || What::Named { name: "sh".to_owned(), exec: true };
    // 5 in line and 10 on a CPU to its exec, 20 on it after that, woken at 60 to run at 70.
    let script = [
        (0, What::Rooted { ppid: id(1), before_exec }),
        (5, ON),
        (15, exec()),
        (15, ON),
        (35, OFF),
        (70, ON),
        (80, OFF),
        (90, What::Sums(SchedStat { running_ns: 1_040, ready_ns: 515, turns: 5 })),
    ];
    let process = play(&script);
    let sums = process.sums_at(90);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns), (30, 10, 35));
    assert!(!process.threads[0].hides_ready_time());
    assert!(process.threads[0].check.unwrap().holds(), "{:?}", process.threads[0].check);
    // One that slept on the way to its exec was woken then, too.
    let slept = [&script[..2], &[(7, OFF), (11, ON)], &script[2..]].concat();
    assert!(play(&slept).threads[0].hides_ready_time());
}

#[test]
fn a_wait_for_a_child_is_credited_to_its_end_and_not_to_the_next_turn() {
    let child =
        |pid: i32| Wait { on: format!("child {pid}"), kind: Kind::Child, ends: Ends::Only(vec![id(pid)]) };
    let timeline = play(&[
        (0, 7, forked(1)),
        (0, 7, ON),
        (5, 8, forked(7)),
        (6, 8, ON),
        (10, 7, OFF),
        (50, 7, What::Blocked(child(8))),
        (100, 8, What::Exited { ppid: id(7) }),
        (400, 7, ON),
    ]);
    let process = timeline.by_pid(id(7)).unwrap();
    let told: Vec<_> =
        process.waits_at(400).iter().map(|(number, sum)| (timeline.wait_name(*number), sum.ns)).collect();
    assert_eq!(told, [("not seen", 300), ("child 8", 90)]);
}

#[test]
fn a_check_that_leaves_a_third_of_a_life_in_doubt_does_not_hold() {
    let check = Check {
        at_ns: 2_100_000_000,
        running_ns: (1_400_000_000, 734_200_000),
        ready_ns: (0, 0),
        turns: (10, 10),
        preempted: 0,
        wall_ns: 2_100_000_000,
        stolen_ns: 1_000_000_000,
        unrecorded_ns: 0,
    };
    assert!(check.tolerance_ns() <= 43_000_000, "{} ns are allowed", check.tolerance_ns());
    assert!(!check.holds());
}

#[test]
fn a_signal_that_arrives_without_a_record_of_its_sending_counts_as_sent_by_the_kernel() {
    const ALARM: i32 = 14;
    let sent = What::Signal { number: ALARM, by: Pid::UNKNOWN };
    let received = What::SignalReceived { number: ALARM };
    let timeline = play(&[
        (100, 7, forked(1)),
        (110, 7, sent),
        (120, 7, received.clone()),
        (130, 7, received.clone()),
        (140, 8, received),
    ]);
    let times: Vec<u64> = timeline.signals().map(|signal| signal.at_ns).collect();
    assert_eq!(times, [110, 130]);
    assert!(timeline.signals().all(|signal| signal.to == id(7) && signal.from == Pid::UNKNOWN));
}

#[path = "sums_tests.rs"]
mod sums_tests;
