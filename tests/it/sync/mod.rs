//! The primitives between real processes: under every start method, and what a kill does to them.

pub(crate) mod kill_points;

use crate::common::{PATIENCE, end_of, result_of, supervisor, trials, until};
use crate::queue::{forked, victim};
use libtest_mimic::Trial;
use proclab::sync::{
    Array, Barrier, BarrierError, BoundedSemaphore, Condition, Event, Mutex, MutexError, RLock, Semaphore,
    Value,
};
use proclab::{Child, Process, StartMethod};

/// Not every instruction here: `examples/kill_every_instruction.rs` tries them all.
const STRIDE: usize = if cfg!(debug_assertions) { 2_000 } else { 100 };
const METHODS: [StartMethod; 3] = [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer];

pub(crate) fn tests() -> Vec<Trial> {
    trials!["sync":
        every_primitive_travels_under_every_start_method,
        any_number_of_primitives_travel_in_one_argument,
        a_killed_holder_poisons_a_mutex_with_its_pid,
        a_killed_holder_of_nested_locks_frees_all_of_them,
        a_killed_holder_gives_its_permit_to_the_next_that_waits,
        a_killed_process_breaks_a_barrier_by_name,
        a_killed_waiter_passes_its_notification_on,
        a_stopped_holder_keeps_its_lock,
        the_promise_holds_wherever_a_process_is_killed,
    ]
}

type All = (Mutex<Vec<String>>, RLock, Semaphore, BoundedSemaphore, Event, Event);
type More = (Condition, Mutex<u64>, Barrier, Value<f64>, Array<u16>);

/// Uses each of them, with its parent on the other side.
fn uses_all(
    (mutex, rlock, semaphore, bounded, go, done): All,
    (condition, count, barrier, value, array): More,
) -> u64 {
    go.wait_timeout(PATIENCE).unwrap();
    mutex.lock().unwrap().push("from the child".to_owned());
    let depth = {
        let _outer = rlock.lock().unwrap();
        rlock.lock().unwrap().depth()
    };
    semaphore.acquire().unwrap().forget().unwrap();
    drop(bounded.acquire().unwrap());
    *count.lock().unwrap() += 1;
    condition.notify_all().unwrap();
    value.update(|number| number / 2.0);
    array.lock().unwrap()[1] = 7;
    barrier.wait().unwrap();
    done.set();
    depth
}

fn every_primitive_travels_under_every_start_method() {
    for method in METHODS {
        let supervisor = supervisor();
        let (mutex, rlock) = (Mutex::new(vec!["from the parent".to_owned()]).unwrap(), RLock::new().unwrap());
        let (semaphore, bounded) = (Semaphore::new(2).unwrap(), BoundedSemaphore::new(1).unwrap());
        let (go, done) = (Event::new().unwrap(), Event::new().unwrap());
        let (condition, count) = (Condition::new().unwrap(), Mutex::new(0).unwrap());
        let (barrier, value) = (Barrier::new(2).unwrap(), Value::new(5.0).unwrap());
        let array = Array::new(&[1_u16, 2, 3]).unwrap();
        let all = (
            mutex.try_clone().unwrap(),
            rlock.try_clone().unwrap(),
            semaphore.try_clone().unwrap(),
            bounded.try_clone().unwrap(),
            go.try_clone().unwrap(),
            done.try_clone().unwrap(),
        );
        let more = (
            condition.try_clone().unwrap(),
            count.try_clone().unwrap(),
            barrier.try_clone().unwrap(),
            value.try_clone().unwrap(),
            array.try_clone().unwrap(),
        );
        let child = supervisor.start(Process::new(uses_all).args((all, more)).start_method(method)).unwrap();
        go.set();
        let is_zero = |count: &mut u64| *count == 0;
        assert!(condition.wait_timeout_while(count.lock().unwrap(), PATIENCE, is_zero).unwrap().1);
        barrier.wait_timeout(PATIENCE).unwrap();
        done.wait_timeout(PATIENCE).unwrap();
        assert_eq!(result_of(&child), 2, "{method:?}");
        assert_eq!(*mutex.lock().unwrap(), ["from the parent", "from the child"]);
        assert_eq!((semaphore.available().unwrap(), bounded.available().unwrap()), (1, 1));
        assert_eq!((value.get(), array.lock().unwrap()[1], rlock.holder()), (2.5, 7, None));
    }
}

fn adds_one(values: Vec<Value<u64>>) -> u64 {
    values.iter().map(|value| value.update(|number| number + 1)).sum()
}

fn any_number_of_primitives_travel_in_one_argument() {
    for method in METHODS {
        let values: Vec<_> = (0..300).map(|number| Value::new(number).unwrap()).collect();
        let handles: Vec<_> = values.iter().map(|value| value.try_clone().unwrap()).collect();
        let child = supervisor().start(Process::new(adds_one).args(handles).start_method(method)).unwrap();
        assert_eq!(result_of(&child), 299 * 300 / 2, "{method:?}");
        assert!(values.iter().enumerate().all(|(number, value)| value.get() == number as u64 + 1));
    }
}

fn holds(mutex: Mutex<u64>, held: Event) {
    let mut guard = mutex.lock().unwrap();
    *guard = 99;
    held.set();
    crate::common::sleep();
}

/// A child that holds the mutex, and the mutex.
fn held_mutex(method: StartMethod) -> (proclab::Supervisor, Child<()>, Mutex<u64>) {
    let (supervisor, mutex, held) = (supervisor(), Mutex::new(1).unwrap(), Event::new().unwrap());
    let args = (mutex.try_clone().unwrap(), held.try_clone().unwrap());
    let child = supervisor.start(Process::new(holds).args(args).start_method(method)).unwrap();
    held.wait_timeout(PATIENCE).unwrap();
    (supervisor, child, mutex)
}

fn a_killed_holder_poisons_a_mutex_with_its_pid() {
    for method in METHODS {
        let (_supervisor, child, mutex) = held_mutex(method);
        assert_eq!(mutex.holder(), Some(child.pid()));
        child.kill().unwrap();
        let error = mutex.lock_timeout(PATIENCE).unwrap_err();
        assert_eq!(error.pid(), Some(child.pid()), "{method:?}: {error}");
        let mut guard = error.into_guard().unwrap();
        assert_eq!(*guard, 1, "what it had not stored is not there");
        *guard += 1;
        drop(guard);
        assert_eq!(mutex.poisoned_by(), Some(child.pid()));
        mutex.lock().unwrap_err().into_guard().unwrap().clear_poison();
        assert_eq!(*mutex.lock().unwrap(), 2);
    }
}

fn a_stopped_holder_keeps_its_lock() {
    let (_supervisor, child, mutex) = held_mutex(StartMethod::Spawn);
    crate::common::kill(child.pid(), nix::sys::signal::Signal::SIGSTOP);
    until("the child stands still", || crate::common::state_of(child.pid()) == 'T');
    let timeout = std::time::Duration::from_millis(50);
    assert!(matches!(mutex.lock_timeout(timeout), Err(MutexError::Wait(_))));
    child.kill().unwrap();
    assert!(mutex.lock_timeout(PATIENCE).unwrap_err().pid().is_some());
}

fn holds_three(mutexes: Vec<Mutex<()>>, held: Event) {
    let guards: Vec<_> = mutexes.iter().map(|mutex| mutex.lock().unwrap()).collect();
    held.set();
    crate::common::sleep();
    drop(guards);
}

fn a_killed_holder_of_nested_locks_frees_all_of_them() {
    for method in METHODS {
        let (supervisor, held) = (supervisor(), Event::new().unwrap());
        let mutexes: Vec<_> = (0..3).map(|_| Mutex::new(()).unwrap()).collect();
        let handles: Vec<_> = mutexes.iter().map(|mutex| mutex.try_clone().unwrap()).collect();
        let args = (handles, held.try_clone().unwrap());
        let child = supervisor.start(Process::new(holds_three).args(args).start_method(method)).unwrap();
        held.wait_timeout(PATIENCE).unwrap();
        child.kill().unwrap();
        for mutex in &mutexes {
            assert_eq!(mutex.lock_timeout(PATIENCE).unwrap_err().pid(), Some(child.pid()), "{method:?}");
        }
    }
}

fn holds_permit(semaphore: Semaphore, held: Event) {
    let _permit = semaphore.acquire().unwrap();
    held.set();
    crate::common::sleep();
}

fn acquires(semaphore: Semaphore) {
    drop(semaphore.acquire_timeout(PATIENCE).unwrap());
}

fn a_killed_holder_gives_its_permit_to_the_next_that_waits() {
    for method in METHODS {
        let (supervisor, semaphore, held) = (supervisor(), Semaphore::new(1).unwrap(), Event::new().unwrap());
        let args = (semaphore.try_clone().unwrap(), held.try_clone().unwrap());
        let holder = supervisor.start(Process::new(holds_permit).args(args).start_method(method)).unwrap();
        held.wait_timeout(PATIENCE).unwrap();
        assert_eq!(semaphore.holders().unwrap(), [holder.pid()]);
        let next = Process::new(acquires).args(semaphore.try_clone().unwrap()).start_method(method);
        let next = supervisor.start(next).unwrap();
        holder.kill().unwrap();
        result_of(&next);
        assert_eq!(semaphore.available().unwrap(), 1, "{method:?}");
    }
}

fn comes(barrier: Barrier) -> String {
    barrier.wait_timeout(PATIENCE).map_or_else(|error| error.to_string(), |_| "passed".to_owned())
}

fn a_killed_process_breaks_a_barrier_by_name() {
    for method in METHODS {
        let (supervisor, barrier) = (supervisor(), Barrier::new(3).unwrap());
        let start = || {
            let process = Process::new(comes).args(barrier.try_clone().unwrap()).start_method(method);
            supervisor.start(process).unwrap()
        };
        let (victim, other) = (start(), start());
        until("both have come", || barrier.waiting().unwrap() == 2);
        victim.kill().unwrap();
        let expected = format!("process {}", victim.pid());
        let told = result_of(&other);
        assert!(told.contains(&expected), "{method:?}: {told}");
        assert!(matches!(barrier.wait(), Err(BarrierError::Broken { pid, .. }) if pid == victim.pid()));
        barrier.reset().unwrap();
        let others = [start(), start()];
        barrier.wait_timeout(PATIENCE).unwrap();
        assert!(others.iter().all(|other| result_of(other) == "passed"));
    }
}

fn waits(condition: Condition, mutex: Mutex<u64>) {
    let guard = mutex.lock().unwrap();
    let (mut guard, notified) = condition.wait_timeout(guard, PATIENCE).unwrap();
    assert!(notified);
    *guard += 1;
}

fn a_killed_waiter_passes_its_notification_on() {
    for method in METHODS {
        let (supervisor, condition, mutex) =
            (supervisor(), Condition::new().unwrap(), Mutex::new(0).unwrap());
        let start = || {
            let args = (condition.try_clone().unwrap(), mutex.try_clone().unwrap());
            supervisor.start(Process::new(waits).args(args).start_method(method)).unwrap()
        };
        let first = start();
        until("the first waits", || condition.waiting().unwrap() == 1);
        let second = start();
        until("both wait", || condition.waiting().unwrap() == 2);
        // Stopped, it is chosen and does not wake; then it is killed.
        crate::common::kill(first.pid(), nix::sys::signal::Signal::SIGSTOP);
        until("the first stands still", || crate::common::state_of(first.pid()) == 'T');
        condition.notify_one().unwrap();
        first.kill().unwrap();
        end_of(&second);
        assert_eq!(*mutex.lock().unwrap(), 1, "{method:?}");
    }
}

fn the_promise_holds_wherever_a_process_is_killed() {
    for (name, make) in kill_points::CASES {
        let tally = kill_points::run(make, STRIDE).unwrap_or_else(|what| panic!("{name}: {what}"));
        assert!(tally.points > 0, "{name}: {tally:?}");
    }
}
