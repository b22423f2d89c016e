//! Interleavings of real processes: counted, compared with a brute force, and replayed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use libtest_mimic::Trial;
use proclab::Supervisor;
use proclab::explore::engine::{System, execute};
use proclab::explore::search::{Tally, search};
use proclab::explore::strategy::{dfs::Dfs, replay::Replay};
use proclab::scenario::cabinet::{LockKind, Promise};
use proclab::scenario::sale::{Sale, Store};
use proclab::scenario::sale_lab::SaleLab;
use proclab::scenario::verdict::Verdict;

use crate::model;

pub fn tests() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    vec![
        trial("explore::real_processes_count_what_a_brute_force_counts", counts_as_brute_force),
        trial("explore::real_processes_count_what_a_brute_force_counts_with_kills", counts_with_kills),
        trial("explore::every_lock_keeps_its_promise", promises),
        trial("explore::every_witness_replays_twenty_times", replays),
        trial("explore::one_schedule_a_class_finds_the_same_on_real_processes", reduction),
    ]
}

/// A directory that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("proclab-it-explore-{}-{next}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sale(buyers: usize, stock: i64, lock: LockKind, search: bool, store: Store) -> Sale {
    Sale { buyers, stock, lock, search, store, think: Duration::ZERO }
}

fn explore(sale: &Sale, kills: usize, reduce: bool) -> Tally<Verdict> {
    let (supervisor, scratch) = (Supervisor::new().unwrap(), Scratch::new());
    let mut lab = SaleLab::new(&supervisor, sale, scratch.path().to_owned()).unwrap();
    let mut tally = Tally::default();
    let mut dfs = Dfs::new(reduce);
    let begin = std::time::Instant::now();
    let in_time = |_: &Tally<_>, _: &Dfs| begin.elapsed() < Duration::from_secs(60);
    assert!(search(&mut lab, &mut dfs, kills, &mut tally, in_time).unwrap(), "too slow");
    tally
}

fn modelled(kind: LockKind) -> model::Lock {
    match kind {
        LockKind::None => model::Lock::None,
        LockKind::Flock | LockKind::Posix | LockKind::Mutex => model::Lock::Right,
        LockKind::PosixClosed => model::Lock::UntilRead,
        LockKind::ExclusiveFile => model::Lock::Abandoned,
        LockKind::UnlinkedFile | LockKind::Inherited => model::Lock::Broken,
        LockKind::ThreadMutex => model::Lock::Private,
        LockKind::CheckOutside => model::Lock::ReadFirst,
        LockKind::Twice => model::Lock::Twice,
        LockKind::CompareAndSwap => model::Lock::Swap,
    }
}

fn compare(sale: &Sale, kills: usize) {
    let brute = model::brute_force(&model::Sale {
        buyers: sale.buyers,
        stock: sale.stock,
        lock: modelled(sale.lock),
        search: sale.search,
        rename: sale.store == Store::Rename,
        kills,
    });
    let tally = explore(sale, kills, false);
    let counts: Vec<_> = tally.outcomes.iter().map(|(v, found)| (v.name(), found.count)).collect();
    let mut expected: Vec<_> = brute.verdicts.into_iter().collect();
    expected.sort_by_key(|(name, _)| counts.iter().position(|(found, _)| found == name));
    assert_eq!(counts, expected, "{sale:?} with {kills} kills");
    if kills == 0 {
        assert_eq!(tally.classes(), brute.classes.len() as u64, "{sale:?}");
    }
}

fn counts_as_brute_force() {
    for kind in LockKind::ALL {
        for (search, store) in [(false, Store::Truncate), (false, Store::Rename), (true, Store::Rename)] {
            for stock in [1, 2] {
                compare(&sale(2, stock, kind, search, store), 0);
            }
        }
    }
    compare(&sale(2, 11, LockKind::None, true, Store::Truncate), 0);
    compare(&sale(3, 2, LockKind::None, false, Store::Rename), 0);
    compare(&sale(3, 1, LockKind::Flock, false, Store::Truncate), 0);
}

fn counts_with_kills() {
    for kind in LockKind::ALL {
        compare(&sale(2, 1, kind, false, Store::Rename), 1);
    }
    compare(&sale(2, 2, LockKind::Flock, false, Store::Truncate), 1);
}

fn promises() {
    for kind in LockKind::ALL {
        let plain = explore(&sale(2, 1, kind, false, Store::Rename), 0, true);
        let killed = explore(&sale(2, 1, kind, false, Store::Rename), 1, true);
        let only = |tally: &Tally<Verdict>, verdict| tally.outcomes.keys().eq([&verdict]);
        match kind.promise() {
            Promise::Right => {
                assert!(only(&plain, Verdict::Ok) && only(&killed, Verdict::Ok), "{kind}");
            }
            Promise::RightUntilKilled => {
                assert!(only(&plain, Verdict::Ok), "{kind}");
                assert!(killed.outcomes.contains_key(&Verdict::Deadlock), "{kind}");
            }
            Promise::Broken => assert!(plain.outcomes.contains_key(&Verdict::Oversold), "{kind}"),
            Promise::Deadlocks => assert!(only(&plain, Verdict::Deadlock), "{kind}"),
        }
    }
}

fn replays() {
    for (kind, kills) in [(LockKind::None, 0), (LockKind::ExclusiveFile, 1)] {
        let sale = sale(2, 1, kind, true, Store::Truncate);
        let found = explore(&sale, kills, true);
        let (supervisor, scratch) = (Supervisor::new().unwrap(), Scratch::new());
        let mut lab = SaleLab::new(&supervisor, &sale, scratch.path().to_owned()).unwrap();
        for (verdict, found) in &found.outcomes {
            for _ in 0..20 {
                let mut replay = Replay::of(found.witness.events.clone());
                let trace = execute(&mut lab, &mut replay, kills).unwrap().unwrap();
                replay.check(&trace.events).unwrap();
                assert_eq!(&trace, &found.witness);
                assert_eq!(lab.judge(&trace).unwrap(), *verdict);
            }
        }
    }
}

fn reduction() {
    let sale = sale(3, 2, LockKind::None, false, Store::Rename);
    let (full, reduced) = (explore(&sale, 0, false), explore(&sale, 0, true));
    assert_eq!(reduced.schedules, full.classes());
    assert_eq!(reduced.represents, full.schedules);
    for (verdict, found) in &full.outcomes {
        assert_eq!(reduced.outcomes[verdict].cost, found.cost);
        assert_eq!(reduced.outcomes[verdict].represents, found.count);
    }
}
