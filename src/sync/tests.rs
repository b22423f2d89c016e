//! What one process can see of the primitives. What a kill does is tested with real processes in `tests/it`.

use super::roster::Table;
use super::*;
use crate::sys::pid::Pid;
use crate::wire::control;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

#[test]
fn a_mutex_keeps_what_its_holders_store() {
    let mutex = Mutex::new(vec!["rice".to_owned()]).unwrap();
    mutex.lock().unwrap().push("tea".to_owned());
    assert_eq!(*mutex.lock().unwrap(), ["rice", "tea"]);
    assert_eq!(*mutex.try_clone().unwrap().lock().unwrap(), ["rice", "tea"]);
}

#[test]
fn values_of_every_size_up_to_the_limit_and_none_above() {
    let mutex = Mutex::with_limit(Vec::<u8>::new(), 10_000).unwrap();
    for size in [0, 1, 1780, 1784, 1785, 1792, 5000, 9_992, 10, 9_992] {
        *mutex.lock().unwrap() = vec![size as u8; size];
        assert_eq!(*mutex.lock().unwrap(), vec![size as u8; size]);
    }
    let mut guard = mutex.lock().unwrap();
    *guard = vec![1; 10_000];
    assert!(matches!(guard.store(), Err(StoreError::TooLarge { size: 10_008, limit: 10_000 })));
    assert_eq!(mutex.lock().unwrap().len(), 9_992);
    mutex.lock().unwrap().push(0);
    assert_eq!(mutex.lock().unwrap_err().pid(), Some(Pid::this()), "it could not be stored");
}

#[test]
fn threads_count_under_a_mutex() {
    let mutex = Mutex::new(0_u64).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2_000).for_each(|_| *mutex.lock().unwrap() += 1));
        }
    });
    assert_eq!(*mutex.lock().unwrap(), 8_000);
}

#[test]
fn a_held_mutex_is_refused_until_the_deadline_and_names_its_holder() {
    let mutex = Mutex::new(()).unwrap();
    assert_eq!(mutex.holder(), None);
    let held = mutex.lock().unwrap();
    assert_eq!(mutex.holder(), Some(Pid::this()));
    thread::scope(|scope| {
        scope.spawn(|| {
            let is_timeout = |error| matches!(error, MutexError::Wait(WaitError::TimedOut));
            assert!(is_timeout(mutex.try_lock().unwrap_err()));
            let begin = Instant::now();
            assert!(is_timeout(mutex.lock_timeout(SHORT).unwrap_err()));
            assert!(begin.elapsed() >= SHORT && begin.elapsed() < LONG);
        });
    });
    drop(held);
    drop(mutex.try_lock().unwrap());
}

#[test]
fn an_interrupt_ends_a_wait() {
    let mutex = Mutex::new(()).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let waiting = mutex.try_clone().unwrap().with_interrupt(reader).unwrap();
    let _held = mutex.lock().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| matches!(waiting.lock(), Err(MutexError::Wait(WaitError::Interrupted))));
        thread::sleep(SHORT);
        drop(writer);
        assert!(waits.join().unwrap());
    });
}

#[test]
fn a_panic_poisons_a_mutex_until_that_is_cleared() {
    let mutex = Mutex::new(1).unwrap();
    let panicked = thread::scope(|scope| {
        scope
            .spawn(|| {
                let mut guard = mutex.lock().unwrap();
                *guard = 2;
                std::panic::resume_unwind(Box::new("in the middle"));
            })
            .join()
    });
    assert!(panicked.is_err());
    for _ in 0..2 {
        let error = mutex.lock().unwrap_err();
        assert_eq!(error.pid(), Some(Pid::this()));
        assert_eq!(*error.into_guard().unwrap(), 1, "what a panicking thread changed is not stored");
    }
    mutex.lock().unwrap_err().into_guard().unwrap().clear_poison();
    assert_eq!(*mutex.lock().unwrap(), 1);
}

#[test]
fn locks_nest_and_are_released_in_any_order() {
    let mutexes: Vec<_> = (0..3).map(|number| Mutex::new(number).unwrap()).collect();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut guards: Vec<_> = mutexes.iter().map(|mutex| Some(mutex.lock().unwrap())).collect();
        for at in order {
            guards[at] = None;
            drop(mutexes[at].lock().unwrap());
        }
    }
}

#[test]
fn a_thread_that_ends_with_three_locks_poisons_all_of_them() {
    for released in 0..4 {
        let mutexes: Vec<_> = (0..3).map(|number| Mutex::new(number).unwrap()).collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut guards: Vec<_> = mutexes.iter().map(|mutex| Some(mutex.lock().unwrap())).collect();
                if released < 3 {
                    guards[released] = None;
                }
                guards.into_iter().for_each(std::mem::forget);
            });
        });
        for (at, mutex) in mutexes.iter().enumerate() {
            assert_eq!(mutex.lock_timeout(LONG).is_err(), at != released, "lock {at}, {released} released");
        }
    }
}

#[test]
fn a_forgotten_guard_keeps_its_memory() {
    thread::spawn(|| {
        let (first, second) = (Mutex::new(1).unwrap(), Mutex::new(2).unwrap());
        std::mem::forget(first.lock().unwrap());
        let second_guard = second.lock().unwrap();
        drop(first);
        drop(second_guard);
        drop(second.lock().unwrap());
    })
    .join()
    .unwrap();
}

#[test]
fn an_rlock_is_free_when_every_guard_is_dropped() {
    let lock = RLock::new().unwrap();
    let is_free = || thread::scope(|scope| scope.spawn(|| lock.try_lock().is_ok()).join().unwrap());
    let outer = lock.lock().unwrap();
    let inner = lock.lock().unwrap();
    assert_eq!(inner.depth(), 2);
    drop(outer);
    assert!(!is_free());
    drop(inner);
    assert!(is_free());
}

#[test]
fn primitives_travel_inside_of_values() {
    let (mutex, lock) = (Mutex::new(5).unwrap(), RLock::new().unwrap());
    let (there, here) = control::channel::<(Vec<Mutex<i32>>, RLock)>().unwrap();
    there
        .send((vec![mutex.try_clone().unwrap(), mutex.try_clone().unwrap()], lock.try_clone().unwrap()))
        .unwrap();
    let (mutexes, same) = here.recv().unwrap();
    *mutexes[0].lock().unwrap() += 1;
    *mutexes[1].lock().unwrap() += 1;
    assert_eq!(*mutex.lock().unwrap(), 7);
    let _held = lock.lock().unwrap();
    assert!(same.holder().is_some());
}

#[test]
fn a_semaphore_lets_as_many_in_as_it_has_permits() {
    let (semaphore, inside, most) = (Semaphore::new(2).unwrap(), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let _permit = semaphore.acquire().unwrap();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, SeqCst);
                }
            });
        }
    });
    assert_eq!((most.into_inner(), semaphore.available().unwrap()), (2, 2));
}

#[test]
fn permits_go_to_threads_in_the_order_in_which_they_came() {
    let (semaphore, order) = (Semaphore::new(0).unwrap(), std::sync::Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for number in 0..4 {
            let (semaphore, order) = (&semaphore, &order);
            scope.spawn(move || {
                let permit = semaphore.acquire().unwrap();
                order.lock().unwrap().push(number);
                drop(permit);
            });
            wait_until(|| Table::lock(&semaphore.shared).unwrap().live().count() == number + 1);
        }
        semaphore.release().unwrap();
    });
    assert_eq!(order.into_inner().unwrap(), [0, 1, 2, 3]);
}

#[test]
fn permits_without_an_owner_come_and_go() {
    let semaphore = Semaphore::new(1).unwrap();
    semaphore.acquire().unwrap().forget().unwrap();
    assert!(matches!(semaphore.acquire_timeout(SHORT), Err(WaitError::TimedOut)));
    semaphore.add_permits(2).unwrap();
    let both = [semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap()];
    assert!(semaphore.try_acquire().is_err());
    assert_eq!(semaphore.holders().unwrap(), [Pid::this(); 2]);
    drop(both);
    let bounded = BoundedSemaphore::new(1).unwrap();
    assert!(matches!(bounded.release(), Err(ReleaseError::TooMany { max: 1 })));
    bounded.acquire().unwrap().forget().unwrap();
    bounded.release().unwrap();
    assert!(bounded.release().is_err());
}

#[test]
fn a_thread_that_ends_with_a_permit_gives_it_back() {
    let semaphore = Semaphore::new(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(semaphore.acquire().unwrap()));
    });
    drop(semaphore.acquire_timeout(LONG).unwrap());
}

#[test]
fn an_event_wakes_all_that_wait_even_if_it_is_cleared_at_once() {
    let event = Event::new().unwrap();
    assert!(matches!(event.wait_timeout(SHORT), Err(WaitError::TimedOut)));
    thread::scope(|scope| {
        let waits: Vec<_> = (0..3).map(|_| scope.spawn(|| event.wait_timeout(LONG))).collect();
        thread::sleep(SHORT);
        event.set();
        event.clear();
        waits.into_iter().for_each(|wait| wait.join().unwrap().unwrap());
    });
    assert!(!event.is_set());
    event.set();
    event.wait().unwrap();
}

#[test]
fn a_condition_wakes_those_that_wait_in_their_order() {
    let (condition, mutex) = (Condition::new().unwrap(), Mutex::new(Vec::<u32>::new()).unwrap());
    thread::scope(|scope| {
        for number in 0..3 {
            let (condition, mutex) = (&condition, &mutex);
            scope.spawn(move || condition.wait(mutex.lock().unwrap()).unwrap().push(number));
            wait_until(|| Table::lock(&condition.shared).unwrap().live().count() == number as usize + 1);
        }
        for number in 1..=3 {
            condition.notify_one().unwrap();
            wait_until(|| mutex.lock().unwrap().len() == number);
        }
    });
    assert_eq!(*mutex.lock().unwrap(), [0, 1, 2]);
    let (guard, notified) = condition.wait_timeout(mutex.lock().unwrap(), SHORT).unwrap();
    assert!(!notified && guard.len() == 3);
}

#[test]
fn a_condition_waits_while_its_condition_holds() {
    let (condition, mutex) = (Condition::new().unwrap(), Mutex::new(0).unwrap());
    thread::scope(|scope| {
        let waits = scope.spawn(|| *condition.wait_while(mutex.lock().unwrap(), |count| *count < 3).unwrap());
        for _ in 0..3 {
            *mutex.lock().unwrap() += 1;
            condition.notify_all().unwrap();
        }
        assert_eq!(waits.join().unwrap(), 3);
    });
}

#[test]
fn all_pass_a_barrier_together_after_its_action() {
    let (barrier, actions) = (Barrier::new(3).unwrap(), AtomicUsize::new(0));
    thread::scope(|scope| {
        let leads = || {
            (0..100)
                .filter(|round| {
                    let action = || assert_eq!(actions.fetch_add(1, SeqCst), *round);
                    let pass = barrier.wait_with(action).unwrap();
                    assert!(actions.load(SeqCst) > *round);
                    pass.is_leader()
                })
                .count()
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(leads)).collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), 100);
    });
}

#[test]
fn a_long_action_holds_its_own_round_back_and_no_later_one() {
    let barrier = Barrier::new(2).unwrap();
    let (acts, may_end) = (Event::new().unwrap(), Event::new().unwrap());
    thread::scope(|scope| {
        let waits = scope.spawn(|| barrier.wait().unwrap());
        wait_until(|| barrier.waiting().unwrap() == 1);
        let leads = scope.spawn(|| {
            let action = || {
                acts.set();
                may_end.wait().unwrap();
            };
            barrier.wait_with(action).unwrap()
        });
        acts.wait().unwrap();
        let later = [scope.spawn(|| barrier.wait().unwrap()), scope.spawn(|| barrier.wait().unwrap())];
        assert!(later.into_iter().all(|later| later.join().is_ok()));
        assert_eq!(barrier.waiting().unwrap(), 1, "the action runs, so the first round waits");
        assert!(!waits.is_finished());
        may_end.set();
        assert!(leads.join().unwrap().is_leader() && !waits.join().unwrap().is_leader());
    });
}

#[test]
fn a_barrier_breaks_when_one_gives_up_or_ends_and_can_be_reset() {
    let barrier = Barrier::new(3).unwrap();
    let is_broken = |result| matches!(result, Err(BarrierError::Broken { pid, .. }) if pid == Pid::this());
    for way in 0..3 {
        thread::scope(|scope| {
            let waits = scope.spawn(|| is_broken(barrier.wait()));
            wait_until(|| barrier.waiting().unwrap() == 1);
            match way {
                0 => assert!(matches!(
                    barrier.wait_timeout(SHORT),
                    Err(BarrierError::Wait(WaitError::TimedOut))
                )),
                1 => barrier.abort().unwrap(),
                // A thread that ends with its entry, as one that is killed.
                _ => {
                    scope.spawn(|| Table::lock(&barrier.shared).unwrap().enter(1, way).is_ok());
                }
            }
            assert!(waits.join().unwrap());
        });
        assert!(barrier.is_broken().unwrap() && is_broken(barrier.wait()));
        barrier.reset().unwrap();
    }
    thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(|| barrier.wait().unwrap()))));
}

#[test]
fn numbers_are_shared_without_a_lock() {
    let value = Value::new(-1.5_f64).unwrap();
    assert_eq!((value.update(|number| number * 2.0), value.get()), (-1.5, -3.0));
    let count = Value::new(0_i8).unwrap();
    thread::scope(|scope| {
        (0..4).for_each(|_| {
            drop(scope.spawn(|| {
                (0..25).for_each(|_| {
                    count.update(|n| n + 1);
                })
            }))
        });
    });
    assert_eq!(count.get(), 100);
    assert_eq!((count.compare_exchange(1, 2), count.compare_exchange(100, -128)), (Err(100), Ok(100)));
}

#[test]
fn an_array_is_a_slice_under_its_lock() {
    let array = Array::new(&[1_u32, 2, 3]).unwrap();
    array.lock().unwrap().reverse();
    let same = array.try_clone().unwrap();
    assert_eq!((&*same.lock().unwrap(), same.len()), (&[3, 2, 1][..], 3));
    let large = Array::<f64>::zeroed(1 << 20).unwrap();
    large.lock().unwrap()[(1 << 20) - 1] = 1.0;
    assert_eq!(large.lock().unwrap().iter().sum::<f64>(), 1.0);
    assert!(Array::<u8>::zeroed(0).unwrap().lock().unwrap().is_empty());
}

#[test]
fn memory_of_another_kind_or_type_is_refused() {
    let (value, array) = (Value::new(1_u64).unwrap(), Array::new(&[1_u16]).unwrap());
    let tries = |memory: &shared::Shared, kind, code| {
        memory.try_clone(kind, |parameter| (parameter == code).then_some((0, 0))).is_ok()
    };
    assert!(tries(&value.shared, shared::Kind::Value, super::plain::code::<u64>()));
    assert!(!tries(&value.shared, shared::Kind::Value, super::plain::code::<i64>()));
    assert!(!tries(&value.shared, shared::Kind::Event, super::plain::code::<u64>()));
    assert!(!tries(&array.shared, shared::Kind::Array, array.shared.parameter), "of another size");
}

fn wait_until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "it does not come true");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_large_value_is_never_torn_and_no_change_is_lost() {
    let value = Value::new([0_u64; 9]).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    value.update(|numbers| numbers.map(|number| number + 1));
                }
            });
        }
        scope.spawn(|| {
            let mut last = 0;
            while last < 10_000 {
                let numbers = value.get();
                assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
                assert!(numbers[0] >= last);
                last = numbers[0];
            }
        });
    });
    assert_eq!(value.get(), [10_000; 9]);
    assert_eq!(value.compare_exchange([10_000; 9], [1; 9]), Ok([10_000; 9]));
    assert_eq!(value.compare_exchange([10_000; 9], [2; 9]), Err([1; 9]));
}

#[test]
fn plain_values_of_every_size_are_as_they_were_stored() {
    assert_eq!(Value::new(-1_i8).unwrap().get(), -1);
    assert_eq!(Value::new(u128::MAX - 1).unwrap().get(), u128::MAX - 1);
    assert_eq!(Value::new(usize::MAX).unwrap().get(), usize::MAX);
    assert_eq!(Value::new([1_u8, 2, 3]).unwrap().get(), [1, 2, 3]);
    assert!(Value::new([0_u8; 0]).unwrap().get().is_empty());
}

#[test]
fn memory_is_attached_only_as_what_it_is() {
    let (value, array) = (Value::new(5_u32).unwrap(), Array::new(&[1_u32, 2]).unwrap());
    let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
    assert_eq!(Value::<u32>::attach(copy(value.memory())).unwrap().get(), 5);
    assert!(Value::<i32>::attach(copy(value.memory())).is_err());
    assert!(Array::<u32>::attach(copy(value.memory())).is_err());
    assert!(Value::<u32>::attach(copy(array.memory())).is_err());
    let same = Array::<u32>::attach(copy(array.memory())).unwrap();
    same.lock().unwrap()[0] = 7;
    assert_eq!(array.lock().unwrap()[..], [7, 2]);
    // As a program in another language finds it.
    let mut bytes = [0; 8];
    nix::sys::uio::pread(array.memory(), &mut bytes, Array::<u32>::OFFSET as i64).unwrap();
    assert_eq!(bytes, [7, 0, 0, 0, 2, 0, 0, 0]);
}
