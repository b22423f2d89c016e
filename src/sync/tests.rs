//! What one process can see of the primitives. What a kill does is tested with real processes in `tests/it`.

use super::*;
use crate::wire::control;
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
    assert_eq!(mutex.lock().unwrap_err().pid(), Some(std::process::id()), "it could not be stored");
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
    assert_eq!(mutex.holder(), Some(std::process::id()));
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
        assert_eq!(error.pid(), Some(std::process::id()));
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
    there.send((vec![mutex.try_clone().unwrap(), mutex.try_clone().unwrap()], lock.try_clone().unwrap())).unwrap();
    let (mutexes, same) = here.recv().unwrap();
    *mutexes[0].lock().unwrap() += 1;
    *mutexes[1].lock().unwrap() += 1;
    assert_eq!(*mutex.lock().unwrap(), 7);
    let _held = lock.lock().unwrap();
    assert!(same.holder().is_some());
}
