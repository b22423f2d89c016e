//! The records' sums beside the kernel's own.

use super::*;

/// Twenty turns of 2 ms and sleeps of 3 ms; the kernel counts 12 µs more for each, as from an idle CPU.
fn twenty_turns() -> (Vec<(u64, i32, What)>, SchedStat) {
    let mut script = vec![(0, 7, forked(1))];
    for turn in 0..20 {
        script.push((turn * 5_000_000, 7, ON));
        script.push((turn * 5_000_000 + 2_000_000, 7, OFF));
    }
    // The first sums of the watched command itself tell what came before its records.
    script.insert(3, (3_000_000, 7, What::Sums(SchedStat { running_ns: 2_300_000, ready_ns: 0, turns: 3 })));
    let kernel = SchedStat { running_ns: 40_300_000 + 19 * 12_000, ready_ns: 0, turns: 22 };
    (script, kernel)
}

#[test]
fn the_kernels_time_in_line_moves_the_hidden_part_from_blocked_to_ready() {
    let kernel = SchedStat { running_ns: 20, ready_ns: 25, turns: 2 };
    let timeline = play(&[
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (5, 7, ON),
        (15, 7, OFF),
        (115, 7, ON),
        (125, 7, OFF),
        (200, 7, What::Sums(kernel)),
    ]);
    let process = timeline.by_pid(id(7)).unwrap();
    let check = process.threads[0].check.unwrap();
    assert_eq!((check.hidden_ns(), check.difference_ns()), (20, 0));
    assert!(check.holds());
    let sums = process.sums_at(200);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns), (20, 25, 155));
}

#[test]
fn a_sleep_that_the_kernel_counts_as_time_in_line_is_not_ready_after_it_was_seen() {
    const MS: u64 = 1_000_000;
    let play = |script: &[(u64, i32, What)]| {
        let begin = [(0, 2, forked(1)), (0, 7, forked(2)), (0, 7, ON), (MS, 7, OFF)];
        let timeline = play(&[&begin[..], script].concat());
        let thread = timeline.by_pid(id(7)).unwrap().threads[0].clone();
        let sums = thread.sums_at(310 * MS);
        (sums.running_ns / MS, sums.ready_ns / MS, sums.blocked_ns / MS, thread.hides_ready_time())
    };
    let kernel = |running_ms, ready_ms, turns| SchedStat {
        running_ns: running_ms * MS,
        ready_ns: ready_ms * MS,
        turns,
    };
    let asleep = |at_ms: u64| (at_ms * MS, 7, What::Sums(kernel(1, 0, 1)));
    let turn = [(300 * MS, 7, ON), (301 * MS, 7, OFF)];
    let later = |ready_ms| (310 * MS, 7, What::Sums(kernel(2, ready_ms, 2)));
    assert_eq!(play(&[&[asleep(290)][..], &turn, &[later(295)]].concat()), (2, 0, 308, true));
    assert_eq!(play(&[&[asleep(100)][..], &turn, &[later(150)]].concat()), (2, 150, 158, false));
    // It was not seen, or the delay is within what the looks leave room for.
    assert_eq!(play(&[&turn[..], &[later(295)]].concat()), (2, 295, 13, false));
    assert_eq!(play(&[&[asleep(290)][..], &turn, &[later(10)]].concat()), (2, 10, 298, false));
}

#[test]
fn time_in_which_a_virtual_cpu_stood_still_is_not_moved_from_blocked_to_ready() {
    // Woken 10 before its second turn, in which its CPU stood still for 400 after another thread had been woken on it.
    let kernel = SchedStat { running_ns: 1_100_000, ready_ns: 400_010, turns: 2 };
    let timeline = play(&[
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (100_000, 7, OFF),
        (200_000, 7, ON),
        (1_600_000, 7, What::Out { preempted: true }),
        (1_700_000, 7, What::SumsInPassing(kernel)),
    ]);
    let process = timeline.by_pid(id(7)).unwrap();
    let sums = process.sums_at(1_700_000);
    assert_eq!((sums.running_ns, sums.ready_ns, sums.blocked_ns), (1_500_000, 100_010, 99_990));
    assert!(process.threads[0].hides_ready_time(), "stolen time would be in none of the kernel's sums");
}

#[test]
fn a_delay_that_the_kernel_books_as_time_on_the_cpu_is_running_up_to_20_microseconds_a_turn() {
    let sums = |running_ns| {
        let kernel = SchedStat { running_ns, ready_ns: 25_000, turns: 2 };
        let begin = [(0, 2, forked(1)), (0, 7, forked(2)), (5_000, 7, ON), (15_000, 7, OFF)];
        let more = [(115_000, 7, ON), (125_000, 7, OFF), (200_000, 7, What::Sums(kernel))];
        play(&[&begin[..], &more].concat()).by_pid(id(7)).unwrap().sums_at(200_000)
    };
    let told =
        |running_ns| (sums(running_ns).running_ns, sums(running_ns).ready_ns, sums(running_ns).blocked_ns);
    assert_eq!(told(20_000), (20_000, 25_000, 155_000));
    assert_eq!(told(50_000), (50_000, 25_000, 125_000));
    assert_eq!(told(70_000), (60_000, 35_000, 105_000));
}

#[test]
fn wake_up_delays_of_a_thread_that_sleeps_shortly_are_known_from_sums_of_the_same_turn() {
    let kernel = |turns| What::SumsInPassing(SchedStat { running_ns: 20, ready_ns: 25, turns });
    let begin = [(0, 2, forked(1)), (0, 7, forked(2)), (5, 7, ON), (15, 7, OFF), (115, 7, ON), (125, 7, OFF)];
    let ready_ns = |more: &[(u64, i32, What)]| {
        let timeline = play(&[&begin[..], more].concat());
        let process = timeline.by_pid(id(7)).unwrap();
        (process.sums_at(200).ready_ns, process.threads[0].hides_ready_time())
    };
    assert_eq!(ready_ns(&[(130, 7, kernel(2))]), (25, false));
    assert_eq!(ready_ns(&[(130, 7, kernel(3))]), (5, true), "it has the CPU again by now");
    assert_eq!(ready_ns(&[(130, 7, kernel(2)), (140, 7, ON), (150, 7, kernel(3))]), (25, true));
}

#[test]
fn a_turn_after_the_record_of_an_exit_is_no_missing_record() {
    let check = |last: What| {
        let kernel = SchedStat { running_ns: 10_100, ready_ns: 100, turns: 2 };
        let begin = [(0, 2, forked(1)), (0, 7, forked(2)), (0, 7, ON), (10_000, 7, last)];
        let timeline = play(&[&begin[..], &[(10_400, 7, What::Sums(kernel))]].concat());
        timeline.by_pid(id(7)).unwrap().threads[0].check.unwrap().holds()
    };
    assert!(check(What::Exited { ppid: id(2) }), "it can lose the CPU on its way out");
    assert!(!check(OFF));
}

#[test]
fn a_turn_after_the_record_of_an_exit_hides_none_that_the_kernel_has_left_out_before() {
    let check = |preempted, unrecorded_ns| Check {
        at_ns: 60_000_000,
        running_ns: (1_000_000, 1_000_000),
        ready_ns: (10_000_000, 2_000_000),
        turns: (8, 8),
        preempted,
        wall_ns: 50_000_000,
        stolen_ns: 0,
        unrecorded_ns,
    };
    assert!(check(1, 150_000).holds());
    assert!(!check(0, 150_000).holds() && !check(1, 0).holds() && !check(1, 50_000).holds());
}

#[test]
fn sums_that_disagree_with_the_kernel_are_told() {
    let kernel = SchedStat { running_ns: 50_000_000, ready_ns: 0, turns: 1 };
    let timeline = play(&[
        (0, 2, forked(1)),
        (0, 7, forked(2)),
        (0, 7, ON),
        (10_000_000, 7, OFF),
        (20_000_000, 7, What::Sums(kernel)),
    ]);
    let check = timeline.by_pid(id(7)).unwrap().threads[0].check.unwrap();
    assert_eq!(check.difference_ns(), 40_000_000);
    assert!(!check.holds());
}

#[test]
fn a_millisecond_that_one_source_has_and_the_other_has_not_is_told() {
    let check = |more: i64| {
        let (mut script, kernel) = twenty_turns();
        let running_ns = kernel.running_ns.strict_add_signed(more);
        script.push((99_000_000, 7, What::Sums(SchedStat { running_ns, ..kernel })));
        play(&script).by_pid(id(7)).unwrap().threads[0].check.unwrap()
    };
    assert!(check(0).holds(), "{:?}", check(0));
    assert_eq!((check(0).difference_ns(), check(0).turns), (19 * 12_000, (20, 20)));
    assert!(!check(1_000_000).holds(), "{:?}", check(1_000_000));
    assert!(!check(-1_000_000).holds(), "{:?}", check(-1_000_000));
}

#[test]
fn a_turn_whose_records_are_missing_is_told_however_short_it_was() {
    let (mut script, kernel) = twenty_turns();
    script.push((96_000_000, 7, ON));
    script.push((96_000_500, 7, OFF));
    let kernel = SchedStat { running_ns: kernel.running_ns + 500, turns: kernel.turns + 1, ..kernel };
    script.push((99_000_000, 7, What::Sums(kernel)));
    let check = |script: &[_]| play(script).by_pid(id(7)).unwrap().threads[0].check.unwrap();
    assert!(check(&script).holds());
    let on = script.len() - 3;
    script.drain(on..on + 2);
    assert!(!check(&script).holds());
    assert_eq!(check(&script).turns, (20, 21));
    // One that the kernel leaves out can only be one that followed a preemption.
    let fewer = SchedStat { running_ns: kernel.running_ns, turns: kernel.turns - 2, ..kernel };
    script.pop();
    script.push((99_000_000, 7, What::Sums(fewer)));
    assert!(!check(&script).holds());
    script[2].2 = PREEMPTED;
    script.insert(3, (2_100_000, 7, ON));
    script.insert(4, (2_100_000, 7, OFF));
    assert!(check(&script).holds(), "{:?}", check(&script));
}
