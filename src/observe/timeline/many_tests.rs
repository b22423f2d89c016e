//! Many short processes and many waits: what is kept, and what looks visit.

use super::tests::{OFF, ON, forked, id, play};
use super::*;
use crate::observe::waits::{Ends, Kind};

#[test]
fn memory_is_bounded_and_sums_stay_exact() {
    let limits = Limits { spans: 1_000, processes: 10, wakes: 10, waits: 10 };
    let mut timeline = Timeline::new(limits);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(tid), tid: id(tid), what });
    tell(0, 7, forked(1));
    for n in 0..100_000_u64 {
        tell(n * 1_000, 7, ON);
        tell(n * 1_000 + 300, 7, OFF);
    }
    for pid in 100..200 {
        tell(100_000_000, pid, forked(7));
        tell(100_000_001, pid, What::Exited { ppid: id(7) });
        tell(100_000_002, pid, What::Reaped { not_before_ns: 0, by_itself: false });
    }
    assert!(timeline.n_spans <= 1_000);
    assert!(timeline.grain_ns() > 0);
    assert_eq!(timeline.by_pid(id(7)).unwrap().sums_at(1_000_000_000).running_ns, 300 * 100_000);
    assert_eq!(timeline.processes().count(), 10);
    assert_eq!(timeline.folded().n_processes, 91);
}

/// A timeline that keeps `kept` processes, with a root and `n` children that run, block, end and are reaped.
fn churn(kept: usize, n: i32) -> Timeline {
    let limits = Limits { processes: kept, ..Limits::default() };
    let mut timeline = Timeline::new(limits);
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(tid), tid: id(tid), what });
    tell(0, 7, forked(1));
    for child in 0..n {
        let at_ns = 10_000 * u64::try_from(child).unwrap();
        let pid = 100 + child;
        // Every hundredth lives longer.
        let lives_ns = if child % 100 == 0 { 5_000 } else { 100 };
        tell(at_ns, pid, forked(7));
        tell(at_ns + 10, pid, ON);
        tell(at_ns + 20, pid, OFF);
        tell(at_ns + 30, pid, ON);
        tell(at_ns + lives_ns, pid, What::Exited { ppid: id(7) });
        tell(at_ns + lives_ns + 7, pid, What::Reaped { not_before_ns: 0, by_itself: false });
    }
    timeline
}

#[test]
fn a_look_at_the_present_does_not_visit_those_that_are_gone() {
    let timeline = churn(10_000, 5_000);
    timeline.take_visits();
    assert_eq!((timeline.living().count(), timeline.zombies().count(), timeline.n_living()), (1, 0, 1));
    let latest: Vec<Pid> = timeline.reaped().take(2).map(|(_, process)| process.pid).collect();
    assert_eq!(latest, [id(5_099), id(5_098)]);
    assert!(timeline.take_visits() <= 3);
    // A second before that is looked at, too: what was reaped may have been learnt late.
    let present = timeline.present(timeline.now_ns() - 15_000);
    assert_eq!(present.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 4_999, 5_000]);
    assert_eq!(timeline.newest(3).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 4_999, 5_000]);
}

#[test]
fn of_those_reaped_long_ago_the_longest_lives_are_kept_and_the_spans_of_the_others_are_not_counted() {
    let timeline = churn(200, 5_000);
    assert_eq!((timeline.processes().count(), timeline.folded().n_processes), (200, 5_001 - 200));
    assert_eq!(timeline.n_processes(), 5_001);
    let lasting = timeline.processes().filter(|(_, process)| process.life_ns(0) == 5_000).count();
    assert_eq!(lasting, 50, "all that there were");
    let spans: usize = timeline.processes().map(|(_, process)| process.n_spans()).sum();
    assert_eq!(timeline.n_spans, spans);
    assert_eq!(timeline.grain_ns(), 0, "nothing had to be joined");
    assert_eq!(timeline.origin_ns(), 0);
}

#[test]
fn living_and_zombies_are_told_apart_and_children_follow_their_parents() {
    let timeline = play(&[
        (0, 7, forked(1)),
        (1, 8, forked(7)),
        (2, 9, forked(8)),
        (3, 10, forked(9)),
        (4, 9, What::Adopted { by: id(7) }),
        (5, 8, What::Exited { ppid: id(7) }),
        (6, 9, What::Exited { ppid: id(7) }),
        (7, 10, What::Adopted { by: id(7) }),
        (8, 8, What::Reaped { not_before_ns: 5, by_itself: false }),
    ]);
    let pids = |processes: Vec<(u64, &Process)>| processes.iter().map(|(_, one)| one.pid).collect::<Vec<_>>();
    assert_eq!(pids(timeline.living().collect()), [id(7), id(10)]);
    assert_eq!(pids(timeline.zombies().collect()), [id(9)]);
    assert_eq!(pids(timeline.reaped().collect()), [id(8)]);
    let orphan = |pid| timeline.by_pid(id(pid)).unwrap().orphan.map(|orphan| (orphan.at_ns, orphan.old));
    assert_eq!((orphan(9), orphan(10)), (Some((4, id(8))), Some((6, id(9)))));
    assert_eq!(timeline.index.children(id(7)).len(), 1, "only the living one");
}

/// A root that waits for `n` children, one after the other, with room for `waits` reasons.
fn waits_for_children(waits: usize, n: u64) -> Timeline {
    let mut timeline = Timeline::new(Limits { waits, ..Limits::default() });
    let mut tell = |at_ns, tid, what| timeline.apply(&Event { at_ns, pid: id(tid), tid: id(tid), what });
    tell(0, 7, forked(1));
    for n in 0..n {
        let pid = 100 + i32::try_from(n).unwrap();
        let wait = Wait { on: format!("child {pid}"), kind: Kind::Child, ends: Ends::Only(vec![id(pid)]) };
        tell(n * 100, 7, ON);
        tell(n * 100 + 10, 7, OFF);
        tell(n * 100 + 20, 7, What::Blocked(wait));
    }
    tell(n * 100, 7, ON);
    tell(n * 100 + 10, 7, OFF);
    timeline
}

#[test]
fn a_present_wait_is_known_however_many_there_were_before() {
    let mut timeline = waits_for_children(16, 10_000);
    let ends = Ends::Only(vec![id(8)]);
    let wait = Wait { on: "pipe from 8".to_owned(), kind: Kind::Pipe, ends: ends.clone() };
    let at_ns = timeline.now_ns() + 10;
    timeline.apply(&Event { at_ns, pid: id(7), tid: id(7), what: What::Blocked(wait.clone()) });
    let number = timeline.by_pid(id(7)).unwrap().waits_now();
    assert_eq!(timeline.wait(number).map(|wait| &wait.ends), Some(&ends));
    // It stays known while others come.
    for n in 0..100 {
        timeline.number_of(&Wait::outside(Kind::Socket, format!("socket {n}")));
    }
    assert_eq!(timeline.wait(number), Some(&wait));
    assert!(timeline.reasons.taken() <= 16 && timeline.n_forgotten_waits() > 10_000);
}

#[test]
fn reasons_that_name_many_processes_take_more_room() {
    let mut timeline = Timeline::new(Limits { waits: 1_000, ..Limits::default() });
    for n in 0..1_000 {
        let children = (0..3_200).map(|child| id(child + n)).collect();
        let wait = Wait { on: "any child".to_owned(), kind: Kind::Child, ends: Ends::Only(children) };
        let number = timeline.number_of(&wait);
        assert_eq!(timeline.wait(number), Some(&wait), "the latest is known");
    }
    assert!(timeline.n_forgotten_waits() >= 1_000 - 1_000 / 200 - 1, "{}", timeline.n_forgotten_waits());
}

#[test]
fn waits_that_are_not_listed_are_summed_by_their_kinds() {
    for limit in [16, 100_000] {
        let timeline = waits_for_children(limit, 10_000);
        let waits = timeline.by_pid(id(7)).unwrap().waits_at(timeline.now_ns());
        assert!(waits.len() <= 300);
        assert_eq!(waits.iter().map(|(_, sum)| sum.ns).sum::<u64>(), 90 * 10_000);
        let (number, others) = waits[0];
        assert_eq!(timeline.wait_name(number), "a child");
        assert_eq!((others.times, others.longest_ns), (others.ns / 90, 90));
        assert!(others.times > 9_000 && waits.iter().all(|(number, _)| *number != 0), "all were seen");
    }
}
