//! What a report says of all processes does not depend on how many of them were kept.

use super::*;
use crate::observe::event::{Event, What};
use crate::observe::timeline::{Limits, Records};
use crate::observe::waits::{Ends, Kind, Wait};
use crate::process::Exit;
use crate::sys::pid::Pid;
use crate::sys::procfs::stat::SchedStat;

const ON: What = What::In { cpu: 0 };
const MS: u64 = 1_000_000;

fn observed(kept: usize) -> Observed {
    let limits = Limits { processes: kept, ..Limits::default() };
    let mut timeline = Timeline::new(limits).with_records(Records::ToTheLast);
    let id = Pid::from_raw;
    let mut tell = |at_ns, pid: i32, what| timeline.apply(&Event { at_ns, pid: id(pid), tid: id(pid), what });
    tell(MS, 7, What::Rooted { ppid: id(1), before_exec: SchedStat::default() });
    tell(MS, 7, ON);
    tell(MS, 7, What::Named { name: "make".to_owned(), exec: true });
    tell(2 * MS, 7, What::Out { preempted: false });
    for n in 0..400_u64 {
        let (pid, at_ns) = (100 + i32::try_from(n).unwrap(), (10 + n) * 100 * MS);
        tell(at_ns, pid, What::Forked { ppid: id(7) });
        tell(at_ns + MS, pid, ON);
        tell(at_ns + (2 + n % 7) * MS + n, pid, What::Out { preempted: n % 3 == 0 });
        if n % 2 == 0 {
            let on = format!("pipe from {n}");
            let wait = Wait { on, kind: Kind::Pipe, ends: Ends::Outside };
            tell(at_ns + 15 * MS, pid, What::Blocked(wait));
        }
        // Every fortieth waits for longer; one of those that end first waits for longest.
        let ran_ns = at_ns
            + if n == 20 {
                81 * MS
            } else if n % 40 == 0 {
                60 * MS
            } else {
                20 * MS
            };
        tell(ran_ns, pid, ON);
        if n % 50 == 0 {
            tell(ran_ns + MS, pid, What::Adopted { by: id(1) });
        }
        tell(ran_ns + MS, pid, What::Exited { ppid: id(7) });
        tell(ran_ns + MS, pid, What::Out { preempted: false });
        // Every fifth has more on its account than the records show.
        let running_ns = (2 + n % 7) * MS + if n % 5 == 0 { 9 * MS } else { 0 };
        tell(ran_ns + 2 * MS, pid, What::Sums(SchedStat { running_ns, ready_ns: MS, turns: 2 }));
        let reaped_ns = ran_ns + if n % 20 == 1 { 15 * MS + n } else { 2 * MS };
        tell(reaped_ns, pid, What::Reaped { not_before_ns: reaped_ns - MS, by_itself: false });
    }
    Observed { exit: Some(Exit::Code(0)), n_cpus: 2, ..Observed::of(id(7), timeline) }
}

#[test]
fn sums_averages_and_sentences_are_the_same_however_many_processes_are_kept() {
    let (all, some) = (report(&observed(1_000), None, &[]), report(&observed(30), None, &[]));
    assert_eq!((all.processes.len(), all.folded_processes, all.folded.is_none()), (401, 0, true));
    assert_eq!((some.processes.len(), some.folded_processes), (30, 371));
    assert_eq!(some.summary, all.summary);
    assert!(all.summary[0].text.contains("of 120 make"), "{:?}", all.summary);
    assert!(all.summary[1].text.contains("by 401 processes"), "{:?}", all.summary);
    assert!(
        all.summary[2].text.contains("zombies") && all.summary[2].text.contains("orphans"),
        "{:?}",
        all.summary
    );
    assert!(all.summary[2].text.contains("differ"), "{:?}", all.summary);
    assert_eq!(some.conservation, all.conservation);
    assert_eq!(some.known_reasons, all.known_reasons);
    let folded = some.folded.as_ref().unwrap();
    let sum = |of: fn(&ProcessReport) -> u64| some.processes.iter().map(of).sum::<u64>();
    let whole = |of: fn(&ProcessReport) -> u64| all.processes.iter().map(of).sum::<u64>();
    assert_eq!(sum(|one| one.running_ns) + folded.running_ns, whole(|one| one.running_ns));
    assert_eq!(sum(|one| one.blocked_ns) + folded.blocked_ns, whole(|one| one.blocked_ns));
    assert_eq!(sum(|one| one.zombie_ns) + folded.zombie_ns, whole(|one| one.zombie_ns));
    assert_eq!(sum(|one| one.turns) + folded.turns, whole(|one| one.turns));
    let figures = |report: &WatchReport| super::super::scheduling::line(report);
    assert_eq!(figures(&some), figures(&all));
    assert_eq!((some.scheduling.processes, some.wall_ns), (all.scheduling.processes, all.wall_ns));
}
