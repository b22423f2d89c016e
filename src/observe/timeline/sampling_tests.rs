//! Threads that are known by looks alone.

use crate::observe::event::{Event, State, What};
use crate::observe::timeline::{Limits, Records, Sums, Timeline};
use crate::observe::waits::{Ends, Kind, Wait};
use crate::process::Exit;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

const ID: Pid = Pid::from_raw(7);

/// A look: the state, and the kernel's sums of running, of ready, and of turns.
fn look(state: State, running_ns: u64, ready_ns: u64, turns: u64) -> What {
    What::Sampled { state, sums: SchedStat { running_ns, ready_ns, turns }, wait: None }
}

fn look_at_wait(on: &str, turns: u64) -> What {
    let wait = Some(Wait::outside(Kind::Pipe, on));
    What::Sampled { state: State::Blocked, sums: SchedStat { turns, ..SchedStat::default() }, wait }
}

fn play(script: Vec<(u64, What)>) -> Timeline {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::Nothing);
    let parent = Pid::from_raw(1);
    let rooted = What::Rooted { ppid: parent, before_exec: SchedStat::default() };
    for (at_ns, what) in [(0, rooted)].into_iter().chain(script) {
        timeline.apply(&Event { at_ns, pid: ID, tid: ID, what });
    }
    timeline
}

fn sums(timeline: &Timeline) -> Sums {
    timeline.by_pid(ID).unwrap().sums_at(timeline.now_ns())
}

#[test]
fn time_in_line_that_the_kernel_books_late_is_unknown_until_then_and_counted_once() {
    let script = vec![
        (10, look(State::Blocked, 0, 0, 0)),
        (20, look(State::Ready, 0, 0, 0)),
        (30, look(State::Ready, 0, 0, 0)),
        (40, look(State::Running, 2, 18, 1)),
    ];
    let before = sums(&play(script[..3].to_vec()));
    assert_eq!((before.ready_ns, before.unknown_ns), (0, 30));
    let mut script = script;
    script.push((50, look(State::Blocked, 7, 18, 1)));
    let after = sums(&play(script));
    // The first 10 are from before the first look, and 5 were spent asleep before and after the turn.
    assert_eq!((after.running_ns, after.ready_ns, after.blocked_ns, after.unknown_ns), (7, 18, 15, 10));
    assert_eq!(after.alive_ns(), 50);
}

#[test]
fn a_sleep_that_the_kernel_counts_as_time_in_line_is_unknown_from_the_last_look_on() {
    const MS: u64 = 1_000_000;
    let timeline = play(vec![
        (10 * MS, look(State::Blocked, 0, 0, 1)),
        (290 * MS, look(State::Blocked, 0, 0, 1)),
        (310 * MS, look(State::Blocked, 2 * MS, 290 * MS, 2)),
    ]);
    let after = sums(&timeline);
    assert_eq!(
        [after.running_ns, after.ready_ns, after.blocked_ns, after.unknown_ns].map(|ns| ns / MS),
        [2, 0, 280, 28]
    );
}

#[test]
fn what_one_does_after_the_last_look_at_it_is_unknown() {
    let mut timeline = play(vec![(10, look(State::Blocked, 0, 0, 0)), (20, look(State::Running, 2, 3, 1))]);
    timeline.apply(&Event { at_ns: 50, pid: Pid::UNKNOWN, tid: Pid::UNKNOWN, what: What::Stolen(0) });
    let after = sums(&timeline);
    assert_eq!((after.running_ns, after.ready_ns, after.alive_ns()), (2, 3, 50));
}

#[test]
fn one_that_slept_until_just_before_a_look_at_which_it_could_run_was_blocked_and_not_ready() {
    let timeline = play(vec![
        (10, look(State::Blocked, 0, 0, 0)),
        (20, look(State::Ready, 0, 0, 0)),
        (30, look(State::Blocked, 1, 2, 1)),
        (40, look(State::Running, 1, 2, 2)),
        (50, look(State::Blocked, 3, 3, 2)),
    ]);
    let sums = sums(&timeline);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns, sums.unknown_ns), (3, 3, 34, 10));
}

#[test]
fn what_a_hypervisor_took_away_from_one_that_ran_is_not_called_blocked() {
    let mut script = vec![(5, What::Stolen(100)), (10, look(State::Blocked, 0, 0, 0))];
    script.push((20, look(State::Blocked, 0, 0, 0)));
    script.push((30, look(State::Running, 5, 0, 1)));
    script.push((35, What::Stolen(103)));
    script.push((40, look(State::Blocked, 10, 0, 1)));
    let sums = sums(&play(script));
    assert_eq!((sums.running_ns, sums.blocked_ns + sums.unknown_ns), (10, 30));
    assert!(sums.unknown_ns >= 13, "the first look, and what was stolen: {sums:?}");
}

#[test]
fn one_that_is_asleep_at_two_looks_without_a_turn_between_has_waited_once() {
    let timeline = play(vec![
        (10, look_at_wait("pipe", 1)),
        (20, look_at_wait("pipe", 1)),
        (30, look_at_wait("pipe", 1)),
        (40, look_at_wait("fifo", 2)),
        (50, look_at_wait("fifo", 2)),
    ]);
    let waits = timeline.by_pid(ID).unwrap().waits_at(50);
    let told = |name: &str| {
        let of = waits.iter().find(|(number, _)| timeline.wait_name(*number) == name);
        of.map(|(_, sum)| (sum.times, sum.ns, sum.longest_ns))
    };
    assert_eq!(told("pipe"), Some((1, 20, 20)));
    assert_eq!(told("fifo"), Some((1, 10, 10)));
    assert_eq!(told("not seen"), Some((1, 10, 10)), "of the turn between, both or none");
}

#[test]
fn the_time_before_a_stop_and_the_time_before_an_end_are_unknown() {
    let timeline = play(vec![
        (10, look(State::Blocked, 0, 0, 1)),
        (20, look(State::Stopped, 1, 0, 2)),
        (30, look(State::Stopped, 1, 0, 2)),
        (40, look(State::Blocked, 2, 0, 3)),
        (50, look(State::Zombie, 3, 1, 4)),
    ]);
    let sums = sums(&timeline);
    assert_eq!((sums.stopped_ns, sums.blocked_ns), (10, 0));
    assert_eq!((sums.running_ns, sums.ready_ns, sums.unknown_ns), (3, 1, 10 + 9 + 9 + 8));
}

#[test]
fn what_one_that_was_found_in_line_had_waited_before_is_not_counted() {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::Nothing);
    let sums_of = |running_ns, ready_ns, turns| SchedStat { running_ns, ready_ns, turns };
    let mut tell = |at_ns, what| timeline.apply(&Event { at_ns, pid: ID, tid: ID, what });
    tell(100, What::Found { ppid: Pid::from_raw(1), state: State::Running });
    tell(100, What::Sums(sums_of(5_000, 9_000, 40)));
    tell(110, look(State::Ready, 5_000, 9_000, 40));
    tell(120, look(State::Running, 5_004, 9_080, 41));
    tell(130, look(State::Blocked, 5_010, 9_080, 41));
    let sums = timeline.by_pid(ID).unwrap().sums_at(130);
    assert_eq!((sums.running_ns, sums.ready_ns), (10, 0));
    assert_eq!(sums.alive_ns(), 30);
}

#[test]
fn a_process_whose_records_end_goes_on_in_samples_from_where_they_ended() {
    let mut timeline = Timeline::new(Limits::default());
    let mut tell = |at_ns, what| timeline.apply(&Event { at_ns, pid: ID, tid: ID, what });
    tell(0, What::Rooted { ppid: Pid::from_raw(1), before_exec: SchedStat::default() });
    tell(10, What::In { cpu: 0 });
    tell(30, What::Unrecorded { since_ns: 30 });
    tell(31, What::Out { preempted: false });
    tell(90, look(State::Blocked, 35, 15, 1));
    tell(94, look(State::Blocked, 35, 15, 1));
    tell(95, What::Hidden);
    tell(100, What::Status(Exit::Code(0)));
    let process = timeline.by_pid(ID).unwrap();
    let sums = process.sums_at(100);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns), (20 + 15, 10, 4 + 1));
    // The kernel's time in line may be from before the records ended: they do not show the delay of a wake-up.
    assert_eq!((sums.unknown_ns, process.ended_ns), (45 + 5, Some(100)));
}

#[test]
fn one_whose_end_is_learnt_after_that_of_its_parent_is_an_orphan_only_if_a_look_has_shown_it() {
    let reaped = |not_before_ns| What::Reaped { not_before_ns, by_itself: false };
    let child = Pid::from_raw(8);
    let play = |adopted: bool| {
        let mut timeline = Timeline::new(Limits::default()).with_records(Records::Nothing);
        let mut tell = |at_ns, pid, what| timeline.apply(&Event { at_ns, pid, tid: pid, what });
        tell(0, ID, What::Rooted { ppid: Pid::from_raw(1), before_exec: SchedStat::default() });
        tell(10, child, What::Forked { ppid: ID });
        tell(100, ID, reaped(90));
        if adopted {
            tell(105, child, What::Adopted { by: Pid::from_raw(1) });
        }
        tell(110, child, reaped(60));
        timeline.by_pid(child).unwrap().orphan.map(|orphan| (orphan.old, orphan.new))
    };
    assert_eq!(play(false), None);
    assert_eq!(play(true), Some((ID, Some(Pid::from_raw(1)))));
}

#[test]
fn the_end_of_one_that_was_gone_at_a_look_is_somewhere_since_the_last_one() {
    let end = What::Reaped { not_before_ns: 25, by_itself: false };
    let timeline =
        play(vec![(10, look(State::Blocked, 0, 0, 1)), (20, look(State::Blocked, 0, 0, 1)), (60, end)]);
    let (process, sums) = (timeline.by_pid(ID).unwrap(), sums(&timeline));
    assert_eq!((sums.blocked_ns, sums.unknown_ns, process.life_ns(60)), (10, 10 + 40, 60));
    let reaping = process.reaping.unwrap();
    assert_eq!((sums.zombie_ns, reaping.not_before_ns, reaping.not_after_ns), (60 - 25, 60, 60));
}

#[test]
fn the_end_of_a_child_does_not_make_the_time_since_the_last_look_at_its_parent_a_wait() {
    let mut timeline = Timeline::new(Limits::default()).with_records(Records::Nothing);
    let child = Pid::from_raw(8);
    let mut tell = |at_ns, pid, what| timeline.apply(&Event { at_ns, pid, tid: pid, what });
    let for_child = |turns| {
        let wait = Wait { ends: Ends::Only(vec![child]), ..Wait::outside(Kind::Child, "child 8") };
        What::Sampled {
            state: State::Blocked,
            sums: SchedStat { turns, ..SchedStat::default() },
            wait: Some(wait),
        }
    };
    tell(0, ID, What::Rooted { ppid: Pid::from_raw(1), before_exec: SchedStat::default() });
    tell(0, child, What::Forked { ppid: ID });
    tell(10, ID, for_child(1));
    tell(20, ID, for_child(1));
    tell(40, child, What::Exited { ppid: ID });
    tell(50, ID, look(State::Zombie, 5, 5, 3));
    let sums = timeline.by_pid(ID).unwrap().sums_at(50);
    assert_eq!((sums.blocked_ns, sums.running_ns, sums.ready_ns, sums.unknown_ns), (10, 5, 5, 10 + 20));
}
