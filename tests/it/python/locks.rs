//! `_TestLock`, `_TestSemaphore`, `_TestCondition`, `_TestEvent`, `_TestBarrier`, and signals that interrupt them.

use super::{SHORT, SOON, cases};
use crate::common::until;
use libtest_mimic::Trial;
use proclab::sync::{
    Barrier, BarrierError, BoundedSemaphore, Condition, Event, Mutex, MutexError, RLock, ReleaseError,
    Semaphore, Value, WaitError,
};
use proclab::{Child, Process, StartMethod, Supervisor};
use std::time::{Duration, Instant};

pub(super) fn tests() -> Vec<Trial> {
    let classes = [
        cases!["Lock": lock, rlock, lock_context],
        cases!["Semaphore": semaphore, bounded_semaphore, timeout],
        cases!["Condition": notify, notify_all, notify_n, condition_timeout, waitfor, waitfor_timeout, wait_result],
        cases!["Event": event, repr],
        cases!["Barrier": barrier, barrier_10, wait_return, action, abort, reset, abort_and_reset, barrier_timeout,
            default_timeout, single_thread, thousand],
    ];
    classes.into_iter().flatten().collect()
}

fn timed_out<G>(result: Result<G, MutexError<G>>) -> bool {
    matches!(result, Err(MutexError::Wait(WaitError::TimedOut)))
}

fn is_locked(lock: Mutex<()>) -> bool {
    timed_out(lock.try_lock()) && timed_out(lock.lock_timeout(SHORT))
}

fn lock(method: StartMethod) {
    let lock = Mutex::new(()).unwrap();
    let held = lock.lock().unwrap();
    let child = Process::new(is_locked).args(lock.try_clone().unwrap()).start_method(method);
    assert!(Supervisor::new().unwrap().start(child).unwrap().result().unwrap());
    drop(held);
    drop(lock.try_lock().unwrap());
}

fn takes_it_thrice(lock: RLock) -> u64 {
    let (_one, _two) = (lock.lock().unwrap(), lock.lock().unwrap());
    lock.try_lock().unwrap().depth()
}

fn rlock(method: StartMethod) {
    let lock = RLock::new().unwrap();
    let held = [lock.lock().unwrap(), lock.lock().unwrap(), lock.lock().unwrap()];
    let child = Process::new(|lock: RLock| timed_out(lock.lock_timeout(SHORT)));
    let child = child.args(lock.try_clone().unwrap()).start_method(method);
    assert!(Supervisor::new().unwrap().start(child).unwrap().result().unwrap());
    drop(held);
    let child = Process::new(takes_it_thrice).args(lock.try_clone().unwrap()).start_method(method);
    assert_eq!(Supervisor::new().unwrap().start(child).unwrap().result().unwrap(), 3);
}

fn lock_context(_: StartMethod) {
    let lock = Mutex::new(1).unwrap();
    {
        let mut value = lock.lock().unwrap();
        *value += 1;
        assert!(lock.holder().is_some());
    }
    assert!(lock.holder().is_none());
    assert_eq!(*lock.lock().unwrap(), 2);
}

fn takes_one(semaphore: Semaphore) -> (u64, bool) {
    let _permit = semaphore.acquire().unwrap();
    (semaphore.available().unwrap(), semaphore.try_acquire().is_err())
}

fn semaphore(method: StartMethod) {
    let semaphore = Semaphore::new(2).unwrap();
    let one = semaphore.acquire().unwrap();
    assert_eq!(semaphore.available().unwrap(), 1);
    let child = Process::new(takes_one).args(semaphore.try_clone().unwrap()).start_method(method);
    assert_eq!(Supervisor::new().unwrap().start(child).unwrap().result().unwrap(), (0, true));
    drop(one);
    semaphore.release().unwrap();
    assert_eq!(semaphore.available().unwrap(), 3);
}

fn bounded_semaphore(_: StartMethod) {
    let semaphore = BoundedSemaphore::new(2).unwrap();
    let both = [semaphore.acquire().unwrap(), semaphore.acquire().unwrap()];
    assert!(semaphore.try_acquire().is_err());
    drop(both);
    assert!(matches!(semaphore.release(), Err(ReleaseError::TooMany { max: 2 })));
}

fn takes_how_long(semaphore: Semaphore) -> Duration {
    let begin = Instant::now();
    assert!(matches!(semaphore.acquire_timeout(SHORT), Err(WaitError::TimedOut)));
    begin.elapsed()
}

fn timeout(method: StartMethod) {
    let semaphore = Semaphore::new(0).unwrap();
    assert!(semaphore.try_acquire().is_err() && semaphore.acquire_timeout(Duration::ZERO).is_err());
    let child = Process::new(takes_how_long).args(semaphore.try_clone().unwrap()).start_method(method);
    assert!(Supervisor::new().unwrap().start(child).unwrap().result().unwrap() >= SHORT);
}

/// Waits for a condition once, at most `timeout`, and then counts itself among the woken.
fn sleep_on(condition: Condition, lock: Mutex<()>, woken: Value<u32>, timeout: Option<Duration>) -> bool {
    let guard = lock.lock().unwrap();
    let notified = match timeout {
        None => condition.wait(guard).map(|_| true).unwrap(),
        Some(timeout) => condition.wait_timeout(guard, timeout).unwrap().1,
    };
    woken.update(|woken| woken + 1);
    notified
}

struct Sleepers {
    condition: Condition,
    woken: Value<u32>,
    children: Vec<Child<bool>>,
    _lock: Mutex<()>,
    _supervisor: Supervisor,
}

fn sleepers(method: StartMethod, count: usize, timeout: Option<Duration>) -> Sleepers {
    let supervisor = Supervisor::new().unwrap();
    let (condition, lock) = (Condition::new().unwrap(), Mutex::new(()).unwrap());
    let woken = Value::new(0_u32).unwrap();
    let start = || {
        let args =
            (condition.try_clone().unwrap(), lock.try_clone().unwrap(), woken.try_clone().unwrap(), timeout);
        supervisor.start(Process::new(sleep_on).args(args).start_method(method)).unwrap()
    };
    let children: Vec<_> = (0..count).map(|_| start()).collect();
    if timeout.is_none() {
        until("all of them wait", || condition.waiting().unwrap() == count);
    }
    Sleepers { condition, woken, children, _lock: lock, _supervisor: supervisor }
}

impl Sleepers {
    /// So many have woken, and no more do.
    fn are_woken(&self, count: u32) {
        until(format!("{count} have woken"), || self.woken.get() == count);
        assert!(self.condition.waiting().unwrap() == self.children.len() - count as usize);
    }

    fn all_end(self, notified: bool) {
        for child in &self.children {
            assert_eq!(child.result().unwrap(), notified);
        }
    }
}

fn notify(method: StartMethod) {
    let sleepers = sleepers(method, 2, None);
    sleepers.condition.notify_one().unwrap();
    sleepers.are_woken(1);
    sleepers.condition.notify_one().unwrap();
    sleepers.are_woken(2);
    sleepers.all_end(true);
}

fn notify_all(method: StartMethod) {
    let some = sleepers(method, 3, Some(SHORT));
    some.all_end(false);
    let sleepers = sleepers(method, 3, None);
    sleepers.condition.notify_all().unwrap();
    sleepers.are_woken(3);
    sleepers.all_end(true);
}

fn notify_n(method: StartMethod) {
    let sleepers = sleepers(method, 4, None);
    for (notified, woken) in [(1, 1), (2, 3), (5, 4), (3, 4)] {
        sleepers.condition.notify(notified).unwrap();
        sleepers.are_woken(woken);
    }
    sleepers.all_end(true);
}

fn condition_timeout(_: StartMethod) {
    let (condition, lock) = (Condition::new().unwrap(), Mutex::new(()).unwrap());
    let begin = Instant::now();
    let (_guard, notified) = condition.wait_timeout(lock.lock().unwrap(), SHORT).unwrap();
    assert!(!notified && begin.elapsed() >= SHORT);
}

fn wait_until_four(condition: Condition, state: Mutex<u32>) -> u32 {
    *condition.wait_while(state.lock().unwrap(), |state| *state < 4).unwrap()
}

fn waitfor(method: StartMethod) {
    let (condition, state) = (Condition::new().unwrap(), Mutex::new(0_u32).unwrap());
    let args = (condition.try_clone().unwrap(), state.try_clone().unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(wait_until_four).args(args).start_method(method)).unwrap();
    for _ in 0..4 {
        *state.lock().unwrap() += 1;
        condition.notify_one().unwrap();
    }
    assert_eq!(child.result().unwrap(), 4);
}

fn waitfor_timeout(_: StartMethod) {
    let (condition, state) = (Condition::new().unwrap(), Mutex::new(0_u32).unwrap());
    let begin = Instant::now();
    let waited = condition.wait_timeout_while(state.lock().unwrap(), SHORT, |state| *state < 4);
    assert!(!waited.unwrap().1 && begin.elapsed() >= SHORT);
}

fn notify_and_signal(condition: Condition, lock: Mutex<()>) {
    until("the parent waits", || condition.waiting().unwrap() == 1);
    drop(lock.lock().unwrap());
    condition.notify_one().unwrap();
}

/// A wait says whether it was notified; a signal does not end it.
fn wait_result(method: StartMethod) {
    let (condition, lock) = (Condition::new().unwrap(), Mutex::new(()).unwrap());
    assert!(!condition.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap().1);
    let args = (condition.try_clone().unwrap(), lock.try_clone().unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(Process::new(notify_and_signal).args(args).start_method(method)).unwrap();
    assert!(condition.wait_timeout(lock.lock().unwrap(), SOON).unwrap().1);
    child.join().unwrap();
}

fn event(method: StartMethod) {
    let event = Event::new().unwrap();
    assert!(!event.is_set());
    assert!(event.wait_timeout(Duration::ZERO).is_err() && event.wait_timeout(SHORT).is_err());
    event.set();
    assert!(event.is_set());
    event.wait_timeout(Duration::ZERO).unwrap();
    event.wait().unwrap();
    event.clear();
    assert!(!event.is_set());
    let child = Process::new(|event: Event| event.set()).args(event.try_clone().unwrap());
    let supervisor = Supervisor::new().unwrap();
    let child = supervisor.start(child.start_method(method)).unwrap();
    event.wait_timeout(SOON).unwrap();
    child.join().unwrap();
}

fn repr(_: StartMethod) {
    let event = Event::new().unwrap();
    assert!(format!("{event:?}").contains("false"), "{event:?}");
    event.set();
    assert!(format!("{event:?}").contains("true"), "{event:?}");
}

/// Runs `body` with the barrier in so many children, and here.
fn together(method: StartMethod, barrier: &Barrier, value: &Value<u64>, body: fn(&Barrier, &Value<u64>)) {
    let supervisor = Supervisor::new().unwrap();
    let start = |_| {
        let args = (barrier.try_clone().unwrap(), value.try_clone().unwrap(), bodies_place(body));
        let process =
            Process::new(|barrier: Barrier, value: Value<u64>, place: usize| BODIES[place](&barrier, &value));
        supervisor.start(process.args(args).start_method(method)).unwrap()
    };
    let children: Vec<_> = (1..barrier.parties()).map(start).collect();
    body(barrier, value);
    for child in children {
        child.result().unwrap();
    }
}

type Body = fn(&Barrier, &Value<u64>);

/// What the parties of a barrier do: children are told the number, for a pointer means nothing to them.
const BODIES: [Body; 9] =
    [one_round, ten_rounds, returns, acts, aborts, resets, aborts_and_resets, times_out, thousand_rounds];

fn bodies_place(body: Body) -> usize {
    BODIES.iter().position(|known| std::ptr::fn_addr_eq(*known, body)).unwrap()
}

fn rounds(barrier: &Barrier, value: &Value<u64>, rounds: u64) {
    let parties = barrier.parties() as u64;
    for round in 1..=rounds {
        value.update(|count| count + 1);
        barrier.wait_timeout(SOON).unwrap();
        assert!(value.get() >= round * parties);
        barrier.wait_timeout(SOON).unwrap();
    }
    assert!(!barrier.is_broken().unwrap());
}

fn one_round(barrier: &Barrier, value: &Value<u64>) {
    rounds(barrier, value, 1);
}

fn ten_rounds(barrier: &Barrier, value: &Value<u64>) {
    rounds(barrier, value, 10);
}

fn thousand_rounds(barrier: &Barrier, value: &Value<u64>) {
    rounds(barrier, value, 300);
}

fn new_barrier() -> (Barrier, Value<u64>) {
    (Barrier::new(3).unwrap(), Value::new(0).unwrap())
}

fn barrier(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, one_round);
}

fn barrier_10(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, ten_rounds);
}

fn thousand(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, thousand_rounds);
}

/// The sum of what `wait` returns is the same for any order.
fn returns(barrier: &Barrier, value: &Value<u64>) {
    let pass = barrier.wait_timeout(SOON).unwrap();
    value.update(|sum| sum + pass.index() as u64);
}

fn wait_return(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, returns);
    assert_eq!(value.get(), 3);
}

fn acts(barrier: &Barrier, value: &Value<u64>) {
    barrier.wait_timeout_with(SOON, || _ = value.update(|acted| acted + 1)).unwrap();
    assert_eq!(value.get(), 1);
}

fn action(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, acts);
    assert_eq!(value.get(), 1);
}

fn aborts(barrier: &Barrier, value: &Value<u64>) {
    if value.update(|number| number + 1) == 0 {
        barrier.abort().unwrap();
    } else {
        assert!(matches!(barrier.wait_timeout(SOON), Err(BarrierError::Broken { .. })));
    }
}

fn abort(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, aborts);
    assert!(barrier.is_broken().unwrap());
}

fn resets(barrier: &Barrier, value: &Value<u64>) {
    if value.update(|number| number + 1) == 0 {
        until("the others wait", || barrier.waiting().unwrap() == barrier.parties() - 1);
        barrier.reset().unwrap();
    } else {
        assert!(matches!(barrier.wait_timeout(SOON), Err(BarrierError::Broken { .. })));
    }
    barrier.wait_timeout(SOON).unwrap();
}

fn reset(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, resets);
    assert!(!barrier.is_broken().unwrap());
}

fn aborts_and_resets(barrier: &Barrier, value: &Value<u64>) {
    let number = value.update(|number| number + 1);
    if number == 0 {
        barrier.abort().unwrap();
    } else {
        assert!(barrier.wait_timeout(SOON).is_err());
    }
    // All have seen it when the last one resets.
    if value.update(|number| number + 1) == 2 * barrier.parties() as u64 - 1 {
        barrier.reset().unwrap();
    }
    until("it is reset", || !barrier.is_broken().unwrap());
    barrier.wait_timeout(SOON).unwrap();
}

fn abort_and_reset(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, aborts_and_resets);
    assert!(!barrier.is_broken().unwrap());
}

fn times_out(barrier: &Barrier, value: &Value<u64>) {
    if value.update(|number| number + 1) == 0 {
        return;
    }
    assert!(barrier.wait_timeout(SHORT).is_err());
}

fn barrier_timeout(method: StartMethod) {
    let (barrier, value) = new_barrier();
    together(method, &barrier, &value, times_out);
    assert!(barrier.is_broken().unwrap());
}

fn default_timeout(method: StartMethod) {
    barrier_timeout(method);
}

fn single_thread(_: StartMethod) {
    let barrier = Barrier::new(1).unwrap();
    assert!(barrier.wait().unwrap().is_leader() && barrier.wait().unwrap().is_leader());
}
