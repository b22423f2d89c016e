//! Compares the reduced search with the naive search on small random programs in memory.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::engine::{Granted, System, Trace, execute};
use super::search::{Tally, search};
use super::step::{Access, Effect, Event, Step, Touch};
use super::strategy::Strategy as _;
use super::strategy::dfs::Dfs;
use super::strategy::dpor::{Assigned, Dpor, Tree};

/// One operation of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Read(u8),
    Write(u8),
    Lock(u8),
    Unlock(u8),
    Post(u8),
    /// Writes a variable and posts a semaphore.
    Give(u8, u8),
    Wait(u8),
    Fork(usize),
    Join(usize),
    Exit,
}

/// A program for each task. Task 0, and each task that no other forks, exists from the beginning.
#[derive(Clone, Debug)]
struct Program {
    tasks: Vec<Vec<Op>>,
    /// Whether it is known without an attempt which steps are enabled, in this state and others.
    known: bool,
}

#[derive(Clone, Debug, Default)]
struct State {
    at: Vec<usize>,
    exists: Vec<bool>,
    register: Vec<u32>,
    memory: BTreeMap<u8, u32>,
    holder: BTreeMap<u8, usize>,
    semaphore: BTreeMap<u8, u32>,
    exited: Vec<bool>,
}

struct Machine {
    program: Program,
    state: State,
    pending: Vec<Option<Step>>,
}

impl Machine {
    fn new(program: &Program) -> Self {
        Self { program: program.clone(), state: State::default(), pending: Vec::new() }
    }

    fn op(&self, task: usize) -> Option<Op> {
        if !self.state.exists[task] {
            return None;
        }
        self.program.tasks[task].get(self.state.at[task]).copied()
    }

    fn is_enabled(&self, task: usize) -> bool {
        match self.op(task) {
            None => false,
            Some(Op::Lock(lock)) => !self.state.holder.contains_key(&lock),
            Some(Op::Wait(semaphore)) => self.state.semaphore.get(&semaphore).is_some_and(|n| *n > 0),
            Some(Op::Join(child)) => self.state.exited[child],
            Some(_) => true,
        }
    }

    fn arrive(&mut self) {
        self.pending = (0..self.program.tasks.len())
            .map(|task| {
                Some(match self.op(task)? {
                    Op::Read(v) => Step::new("read", &format!("v{v}"), Access::Read),
                    Op::Write(v) => Step::new("write", &format!("v{v}"), Access::Write),
                    Op::Lock(l) => Step::new("lock", &format!("l{l}"), Access::Acquire),
                    Op::Unlock(l) => Step::new("unlock", &format!("l{l}"), Access::Release),
                    Op::Post(s) => Step::new("post", &format!("s{s}"), Access::Add),
                    Op::Give(v, s) => Step::new("post", &format!("s{s}"), Access::Add)
                        .with([Touch::new(&format!("v{v}"), Access::Write)]),
                    Op::Wait(s) => Step::new("wait", &format!("s{s}"), Access::Await),
                    Op::Fork(child) => Step::new("fork", &format!("task{child}"), Access::Read),
                    Op::Join(child) => Step::new("join", &format!("exit{child}"), Access::Await),
                    Op::Exit => Step::new("exit", &format!("exit{task}"), Access::Add),
                })
            })
            .collect();
    }
}

impl System for Machine {
    type Error = Infallible;
    /// Memory, registers, and the position of each task.
    type Outcome = String;

    fn tasks(&self) -> usize {
        self.program.tasks.len()
    }

    fn reset(&mut self) -> Result<(), Infallible> {
        let count = self.program.tasks.len();
        let forked = |task: &usize| self.program.tasks.iter().flatten().any(|op| *op == Op::Fork(*task));
        self.state = State {
            at: vec![0; count],
            exists: (0..count).map(|task| !forked(&task)).collect(),
            register: vec![0; count],
            exited: vec![false; count],
            ..State::default()
        };
        self.arrive();
        Ok(())
    }

    fn pending(&self, task: usize) -> Option<&Step> {
        self.pending[task].as_ref()
    }

    fn enabled(&self, task: usize) -> Option<bool> {
        self.program.known.then(|| self.is_enabled(task))
    }

    fn grant(&mut self, task: usize) -> Result<Granted, Infallible> {
        if !self.is_enabled(task) {
            return Ok(Granted::Refused);
        }
        let mut effect = Effect::default();
        let state = &mut self.state;
        match self.program.tasks[task][state.at[task]] {
            Op::Read(v) => {
                state.register[task] = 3 * state.register[task] + state.memory.get(&v).copied().unwrap_or(0);
            }
            Op::Write(v) => {
                state.memory.insert(v, 7 * state.register[task] + task as u32 + 1);
            }
            Op::Lock(lock) => {
                state.holder.insert(lock, task);
            }
            Op::Unlock(lock) => {
                state.holder.remove(&lock);
            }
            Op::Give(v, semaphore) => {
                state.memory.insert(v, 7 * state.register[task] + task as u32 + 1);
                *state.semaphore.entry(semaphore).or_default() += 1;
            }
            Op::Post(semaphore) => *state.semaphore.entry(semaphore).or_default() += 1,
            Op::Wait(semaphore) => *state.semaphore.entry(semaphore).or_default() -= 1,
            Op::Fork(child) => {
                state.exists[child] = true;
                effect.created = vec![child as u32];
            }
            Op::Join(_) => {}
            Op::Exit => state.exited[task] = true,
        }
        state.at[task] += 1;
        self.arrive();
        Ok(Granted::Done(effect))
    }

    fn kill(&mut self, task: usize) -> Result<Effect, Infallible> {
        self.state.exists[task] = false;
        self.arrive();
        Ok(Effect::default())
    }

    fn judge(&mut self, _: &Trace) -> Result<String, Infallible> {
        let State { at, register, memory, .. } = &self.state;
        Ok(format!("{memory:?} {register:?} {at:?}"))
    }

    fn would_run(&self, _: usize, step: &Step, history: &[&Event]) -> Option<bool> {
        let count = |name: &str| {
            let done = history.iter().filter(|event| !event.choice.kill && event.step.name.as_str() == name);
            done.count()
        };
        self.program.known.then(|| match step.name.as_str() {
            "lock" => count("lock") == count("unlock"),
            "wait" => count("post") > count("wait"),
            "join" => count("exit") > 0,
            _ => true,
        })
    }
}

/// Programs of two or three tasks, the last of which may be forked and joined by the first.
fn programs() -> impl Strategy<Value = Program> {
    let op = prop_oneof![
        3 => (0_u8..2).prop_map(|v| vec![Op::Read(v)]),
        3 => (0_u8..2).prop_map(|v| vec![Op::Write(v)]),
        1 => (0_u8..2, 0_u8..2).prop_map(|(l, v)| vec![Op::Lock(l), Op::Read(v), Op::Unlock(l)]),
        1 => (0_u8..2, 0_u8..2).prop_map(|(l, v)| vec![Op::Lock(l), Op::Write(v), Op::Unlock(l)]),
        1 => Just(vec![Op::Lock(0), Op::Lock(1), Op::Unlock(1), Op::Unlock(0)]),
        1 => Just(vec![Op::Lock(1), Op::Lock(0), Op::Unlock(0), Op::Unlock(1)]),
        1 => (0_u8..1).prop_map(|s| vec![Op::Post(s)]),
        1 => (0_u8..2, 0_u8..1).prop_map(|(v, s)| vec![Op::Give(v, s)]),
        1 => (0_u8..1).prop_map(|s| vec![Op::Wait(s)]),
    ];
    let task = proptest::collection::vec(op, 1..4).prop_map(|ops| ops.concat());
    (proptest::collection::vec(task, 2..4), 0_u8..3, any::<bool>()).prop_map(|(mut tasks, family, known)| {
        let last = tasks.len() - 1;
        if family > 0 {
            tasks[0].insert(0, Op::Fork(last));
            tasks[last].push(Op::Exit);
        }
        if family > 1 {
            tasks[0].push(Op::Join(last));
        }
        Program { tasks, known }
    })
}

/// The maximum number of schedules that the naive search explores.
const MOST_SCHEDULES: u64 = 4_000;

fn compare(program: &Program, kills: usize) -> Result<(), TestCaseError> {
    let mut naive = Tally::default();
    let mut dfs = Dfs::new(false);
    let small = search(&mut Machine::new(program), &mut dfs, kills, &mut naive, |tally, _| {
        tally.schedules < MOST_SCHEDULES
    });
    if !small.expect("naive and sound") {
        return Ok(());
    }
    let mut reduced = Tally::default();
    let more = |tally: &Tally<String>, _: &Dpor| tally.schedules + tally.given_up < 2 * MOST_SCHEDULES;
    let ended = search(&mut Machine::new(program), &mut Dpor::new(), kills, &mut reduced, more);
    prop_assert!(ended.expect("reduced and sound"));
    prop_assert!(reduced.outcomes.keys().eq(naive.outcomes.keys()), "other outcomes");
    prop_assert_eq!(reduced.classes(), naive.classes());
    prop_assert_eq!(reduced.schedules, reduced.classes());
    prop_assert_eq!(reduced.represents, naive.schedules);
    if program.known && kills == 0 {
        prop_assert_eq!(reduced.given_up, 0);
    }
    Ok(())
}

/// Searches with up to three executions in progress at a time, which end in the order that `seed` determines. Now and then
/// an assignment is taken back, or the search is saved and loaded.
fn side_by_side(program: &Program, kills: usize, mut seed: u64) -> Tally<String> {
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut tally = Tally::default();
    let mut tree = Tree::default();
    let mut running = Vec::new();
    loop {
        while running.len() < 3
            && let Some((ticket, assignment)) = tree.hand_out()
        {
            running.push((ticket, Assigned::new(assignment)));
        }
        if running.is_empty() {
            assert!(tree.is_exhausted());
            return tally;
        }
        let (ticket, mut assigned) = running.swap_remove(random(running.len()));
        match random(20) {
            0 => tree.take_back(ticket),
            1 => {
                tree = serde_json::from_str(&serde_json::to_string(&tree).expect("saved")).expect("loaded");
                tree.take_back_all();
                running.clear();
            }
            _ => {
                let mut machine = Machine::new(program);
                assert!(assigned.begin());
                match execute(&mut machine, &mut assigned, kills).expect("sound") {
                    Some(trace) => {
                        let outcome = machine.judge(&trace).expect("infallible");
                        tally.record(&outcome, &trace).expect("sound");
                    }
                    None => tally.given_up += 1,
                }
                tree.record(ticket, assigned.report());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn the_reduced_search_executes_each_class_once(program in programs()) {
        compare(&program, 0)?;
    }

    #[test]
    fn executions_side_by_side_are_those_of_one_after_another(program in programs(), kills in 0_usize..2, seed: u64) {
        let program = Program { known: program.known || kills > 0, ..program };
        let mut alone = Tally::default();
        let more = |tally: &Tally<String>, _: &Dpor| tally.schedules < 400;
        if !search(&mut Machine::new(&program), &mut Dpor::new(), kills, &mut alone, more).expect("sound") {
            return Ok(());
        }
        let together = side_by_side(&program, kills, seed);
        prop_assert!(together.outcomes.keys().eq(alone.outcomes.keys()), "other outcomes");
        prop_assert_eq!(together.classes(), alone.classes());
        prop_assert_eq!(together.schedules, alone.schedules);
        prop_assert_eq!(together.represents, alone.represents);
    }

    #[test]
    fn the_reduced_search_executes_each_class_with_a_kill_once(program in programs()) {
        // Only a task that could continue is killed, so it must be known which ones can.
        compare(&Program { known: true, ..program }, 1)?;
    }
}

#[test]
fn a_kill_is_planned_at_the_step_that_its_task_reaches() -> Result<(), TestCaseError> {
    // If task 0 is first at lock 1, task 2 does not get as far as the lock at which it waits in other executions.
    let nested = |outer, inner| [Op::Lock(outer), Op::Lock(inner), Op::Unlock(inner), Op::Unlock(outer)];
    let last = [&[Op::Lock(1), Op::Read(0), Op::Unlock(1)][..], &nested(0, 1)].concat();
    let tasks = vec![nested(1, 0).to_vec(), nested(0, 1).to_vec(), last];
    compare(&Program { tasks, known: true }, 1)
}

#[test]
fn a_branch_that_turns_out_to_be_disabled_covers_nothing() -> Result<(), TestCaseError> {
    // Both the wait and the read could come before the post. The wait could not, which only an attempt shows.
    let tasks = vec![vec![Op::Give(0, 0)], vec![Op::Wait(0), Op::Write(1)], vec![Op::Read(0)]];
    compare(&Program { tasks, known: false }, 0)
}

#[test]
fn what_an_earlier_branch_requires_is_planned_below_a_later_one_that_has_begun() -> Result<(), TestCaseError>
{
    let first = vec![Op::Fork(2), Op::Write(0)];
    let second = [&[Op::Read(1), Op::Lock(0), Op::Read(0), Op::Unlock(0)][..], &NESTED].concat();
    let third = [&NESTED[..], &[Op::Exit]].concat();
    let program = Program { tasks: vec![first, second, third], known: false };
    let mut naive = Tally::default();
    let all = search(&mut Machine::new(&program), &mut Dfs::new(false), 0, &mut naive, |_, _| true);
    prop_assert!(all.expect("sound"));
    for seed in 0..20 {
        prop_assert_eq!(side_by_side(&program, 0, seed).classes(), naive.classes());
    }
    Ok(())
}

#[test]
fn a_branch_is_kept_while_something_waits_to_be_planned_below_it() -> Result<(), TestCaseError> {
    let tasks = vec![
        vec![Op::Lock(0), Op::Write(1), Op::Unlock(0)],
        vec![Op::Read(0), Op::Read(0), Op::Read(1)],
        vec![Op::Write(0)],
    ];
    let program = Program { tasks, known: false };
    let mut alone = Tally::default();
    let all = search(&mut Machine::new(&program), &mut Dpor::new(), 0, &mut alone, |_, _| true);
    prop_assert!(all.expect("sound"));
    // In this order, an execution from the same point is in progress when the other branches are explored.
    prop_assert_eq!(side_by_side(&program, 0, 18_038_837_392_157_182_283).classes(), alone.classes());
    Ok(())
}

const NESTED: [Op; 4] = [Op::Lock(0), Op::Lock(1), Op::Unlock(1), Op::Unlock(0)];
