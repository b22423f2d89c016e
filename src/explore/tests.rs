//! Compares the engine and the strategies with a brute-force search of a pure model of the sale.

use std::collections::BTreeSet;
use std::convert::Infallible;

use super::engine::{ExecuteError, Granted, System, Trace, execute};
use super::search::{Tally, search};
use super::shrink::Cost;
use super::step::{Access, Choice, Effect, Step};
use super::strategy::{
    Strategy, dfs::Dfs, exhaustive::Exhaustive, in_turn::InTurn, pct::Pct, random::Random, replay::Replay,
    uniform::Uniform,
};

#[path = "../../tests/it/model.rs"]
mod model;

use model::{Counts, Lock, Op, Sale, State, brute_force, up_to};

const LOCKS: [Lock; 9] = [
    Lock::None,
    Lock::Right,
    Lock::Abandoned,
    Lock::Broken,
    Lock::Private,
    Lock::UntilRead,
    Lock::ReadFirst,
    Lock::Twice,
    Lock::Swap,
];

struct Modelled {
    sale: Sale,
    state: State,
    pending: Vec<Option<Step>>,
}

impl Modelled {
    fn new(sale: &Sale) -> Self {
        let mut modelled = Self { sale: sale.clone(), state: State::new(sale), pending: Vec::new() };
        modelled.arrive();
        modelled
    }

    fn arrive(&mut self) {
        self.pending = (0..self.sale.buyers).map(|process| self.step_of(process)).collect();
    }

    fn step_of(&self, process: usize) -> Option<Step> {
        let lock = match self.sale.lock {
            Lock::UntilRead => "stock".to_owned(),
            Lock::Private => format!("lock of {process}"),
            _ => "lock".to_owned(),
        };
        Some(match self.state.op(process)? {
            Op::Search => Step::new("search", "stock", Access::Read),
            Op::Lock => Step::new("lock", &lock, Access::Acquire),
            Op::Read => Step::new("read", "stock", Access::Read),
            Op::Truncate => Step::new("truncate", "stock", Access::Write),
            Op::Write => Step::new("write", "stock", Access::Write),
            Op::Unlock => Step::new("unlock", &lock, Access::Release),
        })
    }
}

impl System for Modelled {
    type Error = Infallible;
    type Outcome = &'static str;

    fn tasks(&self) -> usize {
        self.sale.buyers
    }

    fn reset(&mut self) -> Result<(), Infallible> {
        self.state = State::new(&self.sale);
        self.arrive();
        Ok(())
    }

    fn pending(&self, process: usize) -> Option<&Step> {
        self.pending[process].as_ref()
    }

    fn grant(&mut self, process: usize) -> Result<Granted, Infallible> {
        if !self.state.enabled(process) {
            return Ok(Granted::Refused);
        }
        self.state.step(process);
        self.arrive();
        Ok(Granted::Done(Effect::default()))
    }

    fn kill(&mut self, process: usize) -> Result<Effect, Infallible> {
        self.state.kill(process);
        self.arrive();
        Ok(Effect::default())
    }

    fn judge(&mut self, _: &Trace) -> Result<&'static str, Infallible> {
        Ok(self.state.verdict())
    }
}

fn explore(sale: &Sale, reduce: bool) -> Tally<&'static str> {
    let mut tally = Tally::default();
    let mut exhaustive = Exhaustive::new(reduce, sale.kills);
    let strategy = exhaustive.strategy();
    let done = search(&mut Modelled::new(sale), strategy, sale.kills, &mut tally, |_, _| true).unwrap();
    assert!(done && exhaustive.is_exhausted());
    tally
}

fn counts(tally: &Tally<&'static str>) -> Vec<(&'static str, u64)> {
    tally.outcomes.iter().map(|(verdict, found)| (*verdict, found.count)).collect()
}

fn expected(counts: &Counts) -> Vec<(&'static str, u64)> {
    counts.verdicts.iter().map(|(verdict, count)| (*verdict, *count)).collect()
}

#[test]
fn the_search_finds_the_counts_of_a_brute_force_search() {
    for lock in LOCKS {
        for sale in small_sales(lock, 0, 3) {
            let (tally, brute) = (explore(&sale, false), brute_force(&sale));
            assert_eq!(counts(&tally), expected(&brute), "{sale:?}");
            assert_eq!(tally.schedules, brute.schedules, "{sale:?}");
            assert_eq!(tally.classes(), brute.classes.len() as u64, "{sale:?}");
            assert_eq!(tally.represents, tally.schedules, "{sale:?}");
        }
    }
}

#[test]
fn the_search_with_kills_finds_the_counts_of_a_brute_force_search() {
    for lock in LOCKS {
        for kills in [1, 2] {
            for sale in small_sales(lock, kills, 2) {
                let (tally, brute) = (explore(&sale, false), brute_force(&sale));
                assert_eq!(counts(&tally), expected(&brute), "{sale:?}");
                let unharmed = brute_force(&Sale { kills: 0, ..sale.clone() }).schedules;
                assert_eq!(tally.unharmed, unharmed, "{sale:?}");
            }
        }
    }
}

#[test]
fn one_schedule_per_class_finds_the_outcomes_of_all_schedules() {
    for lock in LOCKS {
        for (kills, largest) in [(0, 3), (1, 2), (2, 2)] {
            for sale in small_sales(lock, kills, largest) {
                let (full, reduced) = (explore(&sale, false), explore(&sale, true));
                assert_eq!(reduced.schedules, full.classes(), "{sale:?}");
                assert_eq!(reduced.classes(), full.classes(), "{sale:?}");
                assert_eq!(reduced.represents, full.schedules, "{sale:?}");
                assert!(reduced.outcomes.keys().eq(full.outcomes.keys()), "{sale:?}");
                for (verdict, found) in &full.outcomes {
                    let other = &reduced.outcomes[verdict];
                    assert_eq!(other.represents, found.count, "{sale:?}");
                    assert_eq!(other.cost, found.cost, "{sale:?} {verdict}");
                    assert_eq!(other.witness, found.witness, "{sale:?} {verdict}");
                }
            }
        }
    }
}

#[test]
fn the_witness_has_the_fewest_switches() {
    for lock in [Lock::None, Lock::Right, Lock::Broken, Lock::Twice, Lock::ReadFirst] {
        for sale in small_sales(lock, 0, 3) {
            let tally = explore(&sale, true);
            for (verdict, (switches, _)) in brute_force(&sale).shortest {
                assert_eq!(tally.outcomes[verdict].cost.switches, switches, "{sale:?} {verdict}");
            }
        }
    }
}

#[test]
fn ties_between_witnesses_are_broken_by_preemptions_and_then_by_order() {
    for lock in [Lock::None, Lock::Right, Lock::Twice] {
        for sale in small_sales(lock, 0, 2) {
            let mut best: std::collections::BTreeMap<&str, Cost> = std::collections::BTreeMap::new();
            let (mut system, mut dfs) = (Modelled::new(&sale), Dfs::new(false));
            while dfs.begin() {
                let trace = execute(&mut system, &mut dfs, 0).unwrap().unwrap();
                let (cost, verdict) = (Cost::of(&trace), system.judge(&trace).unwrap());
                let known = best.entry(verdict).or_insert_with(|| cost.clone());
                *known = cost.min(known.clone());
                dfs.end();
            }
            for (verdict, found) in explore(&sale, true).outcomes {
                assert_eq!(found.cost, best[verdict], "{sale:?} {verdict}");
            }
        }
    }
}

fn sale(buyers: usize, stock: i64, lock: Lock, search: bool, rename: bool) -> Sale {
    Sale { buyers, stock, lock, search, rename, kills: 0 }
}

#[test]
fn four_of_the_six_interleavings_of_two_unlocked_buyers_oversell() {
    let tally = explore(&sale(2, 1, Lock::None, false, true), false);
    assert_eq!(counts(&tally), [("ok", 2), ("oversold", 4)]);
    assert_eq!(tally.outcomes["oversold"].cost.switches, 2);
}

#[test]
fn under_a_correct_lock_the_schedules_are_the_orders_of_the_buyers() {
    for (buyers, orders) in [(1, 1), (2, 2), (3, 6), (4, 24)] {
        for rename in [false, true] {
            let tally = explore(&sale(buyers, 2, Lock::Right, false, rename), false);
            assert_eq!(counts(&tally), [("ok", orders)]);
            assert_eq!(tally.given_up, 0, "no execution may be spent on a refused lock");
        }
    }
}

#[test]
fn three_processes_with_three_steps_have_1680_schedules() {
    let sale = sale(3, 2, Lock::None, true, true);
    let (tally, brute) = (explore(&sale, false), brute_force(&sale));
    assert_eq!(tally.schedules, 1680);
    assert_eq!(counts(&tally), expected(&brute));
    assert_eq!(tally.classes(), brute.classes.len() as u64);
}

#[test]
fn three_processes_with_four_steps_have_34650_schedules() {
    let wide = sale(3, 1, Lock::Private, false, true);
    let full = explore(&wide, false);
    assert_eq!(full.schedules, 34_650);
    let reduced = explore(&wide, true);
    assert_eq!(reduced.represents, 34_650);
    assert_eq!(reduced.schedules, 36);
    assert!(reduced.given_up < 300, "{} given up", reduced.given_up);
}

#[test]
fn an_interrupted_search_continues_where_it_stopped() {
    for reduce in [false, true] {
        let sale = Sale { kills: 1, ..sale(2, 1, Lock::Right, true, false) };
        let whole = explore(&sale, reduce);
        let mut tally = Tally::default();
        let mut dfs = Dfs::new(reduce);
        let mut parts = 0;
        loop {
            let mut left = 3;
            let more = |_: &Tally<_>, _: &Dfs| {
                left -= 1;
                left > 0
            };
            parts += 1;
            if search(&mut Modelled::new(&sale), &mut dfs, 1, &mut tally, more).unwrap() {
                break;
            }
            assert!(dfs.explored().unwrap() < 1.0);
            let saved = serde_json::to_string(&dfs).unwrap();
            dfs = serde_json::from_str(&saved).unwrap();
        }
        assert!(parts > 3);
        assert_eq!(counts(&tally), counts(&whole));
        assert_eq!((tally.schedules, tally.classes()), (whole.schedules, whole.classes()));
    }
}

#[test]
fn the_estimate_grows_to_one() {
    let sale = sale(2, 1, Lock::None, true, true);
    let (mut last, mut tally, mut dfs) = (0.0, Tally::default(), Dfs::new(false));
    search(&mut Modelled::new(&sale), &mut dfs, 0, &mut tally, |tally, dfs| {
        assert!(dfs.explored().unwrap() > last);
        last = dfs.explored().unwrap();
        assert!((last - tally.schedules as f64 / 20.0).abs() < 0.3, "{last} after {}", tally.schedules);
        true
    })
    .unwrap();
    assert_eq!(last, 1.0);
}

#[test]
fn the_same_seed_makes_the_same_decisions_and_finds_the_race() {
    let sale = Sale { kills: 1, ..sale(3, 1, Lock::Right, true, false) };
    let strategies: [fn(u64) -> Box<dyn Strategy>; 4] = [
        |seed| Box::new(Random::new(seed)),
        |seed| Box::new(Uniform::new(seed)),
        |seed| Box::new(Pct::new(seed, 3)),
        |seed| Box::new(InTurn::new(seed, 3)),
    ];
    for make in strategies {
        let run = |seed: u64| {
            let mut strategy = make(seed);
            let mut system = Modelled::new(&sale);
            let runs = (0..200).map(|_| {
                strategy.begin();
                let trace = execute(&mut system, &mut strategy, 1).unwrap().unwrap();
                strategy.end();
                (system.judge(&trace).unwrap(), trace.choices())
            });
            runs.collect::<Vec<_>>()
        };
        let one = run(7);
        assert_eq!(one, run(7));
        assert_ne!(one, run(8));
        assert!(one.iter().any(|(verdict, _)| *verdict == "torn-read"));
        let known: BTreeSet<_> = brute_force(&sale).verdicts.into_keys().collect();
        assert!(one.iter().all(|(verdict, _)| known.contains(verdict)));
    }
}

#[test]
fn the_uniform_walk_chooses_every_interleaving_equally_often() {
    let sale = sale(2, 1, Lock::None, false, true);
    let mut seen = std::collections::BTreeMap::new();
    let (mut uniform, mut system) = (Uniform::new(1), Modelled::new(&sale));
    for _ in 0..6000 {
        uniform.begin();
        let trace = execute(&mut system, &mut uniform, 0).unwrap().unwrap();
        *seen.entry(trace.choices()).or_insert(0_i64) += 1;
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.values().all(|count| (count - 1000).abs() < 150), "{seen:?}");
}

#[test]
fn a_replay_matches_its_record_or_reports_the_first_difference() {
    let unlocked = sale(2, 1, Lock::None, false, true);
    let mut system = Modelled::new(&unlocked);
    for found in explore(&unlocked, false).outcomes.into_values() {
        let mut replay = Replay::of(found.witness.events.clone());
        let trace = execute(&mut system, &mut replay, 0).unwrap().unwrap();
        assert_eq!(trace, found.witness);
        replay.check(&trace.events).unwrap();
    }
    let cases: [(&[usize], &str); 4] = [
        (&[0, 0, 0], "step 3 differs: expected a step of A, found it has ended"),
        (&[0, 0, 7], "step 3 differs: expected a step of H, found there is none"),
        (&[0, 0, 1], "step 4 differs: expected the end of the schedule, found B at `write`"),
        (&[0, 0, 1, 1, 1], "step 5 differs: expected a step of B, found no task can go on"),
    ];
    for (choices, message) in cases {
        let mut replay = Replay::new(choices.iter().copied().map(Choice::step).collect());
        let found = match execute(&mut system, &mut replay, 0) {
            Err(ExecuteError::Diverged(divergence)) => divergence,
            other => replay.check(&other.unwrap().unwrap().events).unwrap_err(),
        };
        assert_eq!(found.to_string(), message);
    }
    let mut locked = Modelled::new(&sale(2, 1, Lock::Right, false, true));
    let mut replay = Replay::new([0, 1].map(Choice::step).to_vec());
    let refused = execute(&mut locked, &mut replay, 0).unwrap_err().to_string();
    assert_eq!(refused, "step 2 differs: expected B goes on, found it is refused at `lock`");
}

#[test]
fn a_deadlock_reports_which_task_waits_for_which() {
    let twice = sale(2, 1, Lock::Twice, false, true);
    let found = &explore(&twice, false).outcomes["deadlock"];
    assert_eq!(found.count, 2);
    let waits: Vec<_> = found.witness.waits().into_iter().map(|w| (w.process, w.holders)).collect();
    assert_eq!(waits, [(0, vec![(0, false)]), (1, vec![(0, false)])]);

    let abandoned = Sale { kills: 1, ..sale(2, 1, Lock::Abandoned, false, true) };
    let found = &explore(&abandoned, false).outcomes["deadlock"];
    assert_eq!(found.witness.waits()[0].holders, [(0, true)], "the dead holder is named");
}

/// Sales of every kind, with up to `largest` buyers, that have at most 500 schedules.
fn small_sales(lock: Lock, kills: usize, largest: usize) -> Vec<Sale> {
    let mut sales = Vec::new();
    for buyers in 1..=largest {
        for stock in [0, 1, 2, 11] {
            for (search, rename) in [(false, false), (false, true), (true, false), (true, true)] {
                let sale = Sale { buyers, stock, lock, search, rename, kills };
                if up_to(&sale, 500).schedules <= 500 {
                    sales.push(sale);
                }
            }
        }
    }
    sales
}
