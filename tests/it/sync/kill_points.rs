//! Kills a process at every instruction of an operation on a primitive, one after the other, and asks fresh
//! processes whether the next one finds it usable, and hears what happened.

use super::forked::{Fresh, LONG, state, wait_until};
use super::victim::{Aim, TRIES, Tally, Victim, aims};
use proclab::Pid;
use proclab::sync::{
    Array, Barrier, BarrierError, Condition, Event, Mutex, MutexError, RLock, Semaphore, Value,
};
use std::time::{Duration, Instant};

/// What a victim does; it calls its argument where the operation begins.
type Body = Box<dyn Fn(&dyn Fn())>;

/// A case by its name.
type Case = (&'static str, fn() -> Parts);

/// What a case is made of. Each process that takes part is forked, and shares the primitives in it.
pub(crate) struct Parts {
    victim: Body,
    /// A process that sleeps on the primitive meanwhile.
    bystander: Option<Box<dyn Fn()>>,
    /// Does what the victim waits for.
    wake: Box<dyn Fn()>,
    /// Fails unless the promise holds, given the victim and whether it came through.
    check: Box<dyn Fn(Pid, bool)>,
}

/// All of them.
pub(crate) const CASES: [Case; 17] = [
    ("mutex: lock, change, release", mutex),
    ("mutex: release to a sleeper", mutex_with_sleeper),
    ("two mutexes: lock and release in order", || nested([0, 1].to_vec())),
    ("three mutexes: the first released first", || nested([0, 1, 2].to_vec())),
    ("three mutexes: the second released first", || nested([1, 2, 0].to_vec())),
    ("three mutexes: the last released first", || nested([2, 1, 0].to_vec())),
    ("rlock: lock twice, release twice", rlock),
    ("semaphore: acquire and drop", semaphore),
    ("semaphore: give a permit to a sleeper", semaphore_with_sleeper),
    ("semaphore: add a permit", semaphore_release),
    ("event: set with a sleeper", event),
    ("condition: notify a sleeper", condition_notify),
    ("condition: wait with another behind", condition_wait),
    ("barrier: come last", barrier),
    ("value: update", value),
    ("value of 32 bytes: update", large_value),
    ("array: change two numbers", array),
];

/// Tries every `stride`-th kill point of a case.
///
/// # Errors
/// The first way in which the promise was broken.
pub(crate) fn run(make: fn() -> Parts, stride: usize) -> Result<Tally, String> {
    let mut tally = Tally::default();
    // The first attempt warms up what all later copies of this process inherit.
    attempt(make, Some(&Aim::Asleep)).map_err(|what| format!("killed asleep: {what}"))?;
    let way = attempt(make, None).map_err(|what| format!("not killed: {what}"))?.1;
    for aim in aims(&way, stride, &mut tally) {
        let mut came_through = true;
        for _ in 0..TRIES {
            (came_through, _) =
                attempt(make, Some(&aim)).map_err(|what| format!("killed at {aim:x?}: {what}"))?;
            if !came_through || matches!(aim, Aim::Asleep) {
                break;
            }
        }
        match (&aim, came_through) {
            (Aim::Asleep, true) => {}
            (Aim::Asleep, false) => tally.asleep += 1,
            (Aim::Before { .. }, true) => tally.missed += 1,
            (Aim::Before { .. }, false) => tally.points += 1,
        }
    }
    Ok(tally)
}

/// Whether the victim came through, and its way if it was not to be killed.
fn attempt(make: fn() -> Parts, aim: Option<&Aim>) -> Result<(bool, Vec<u64>), String> {
    let parts = make();
    let mut victim = Victim::start(|stop| (parts.victim)(stop));
    let bystander = parts.bystander.as_ref().map(|body| {
        let bystander = Fresh::start(|| {
            body();
            Vec::new()
        });
        wait_until(|| state(bystander.pid) == Some('S')).expect("the bystander goes to sleep");
        bystander
    });
    let mut wake = || {
        (parts.wake)();
        Ok(())
    };
    let way = match aim {
        Some(aim) => victim.drive(aim, &mut wake).map(|()| Vec::new())?,
        None => victim.trace(&mut wake)?,
    };
    victim.kill()?;
    let pid = Pid::from_raw(victim.pid.as_raw());
    let check = Fresh::start(|| {
        (parts.check)(pid, victim.came_through);
        Vec::new()
    });
    check.end("find the primitive usable")?;
    if let Some(bystander) = bystander {
        bystander.end("go on")?;
    }
    Ok((victim.came_through, way))
}

fn parts(victim: impl Fn(&dyn Fn()) + 'static, check: impl Fn(Pid, bool) + 'static) -> Parts {
    Parts { victim: Box::new(victim), bystander: None, wake: Box::new(|| {}), check: Box::new(check) }
}

/// A handle for another closure.
macro_rules! share {
    ($($name:ident),+) => { $(let $name = $name.try_clone().expect("there are descriptors");)+ };
}

/// The guard, and whether the victim poisoned the lock: only it can have.
fn poisoned<G>(result: Result<G, MutexError<G>>, victim: Pid) -> (G, bool) {
    match result {
        Ok(guard) => (guard, false),
        Err(error) => {
            assert_eq!(error.pid(), Some(victim), "{error}");
            (error.into_guard().unwrap_or_else(|error| panic!("{error}")), true)
        }
    }
}

fn check_mutex(mutex: &Mutex<u64>, victim: Pid, came_through: bool) {
    let (guard, is_poisoned) = poisoned(mutex.lock_timeout(LONG), victim);
    assert!(*guard <= 1, "{}", *guard);
    if came_through {
        assert!(*guard == 1 && !is_poisoned);
    }
    guard.clear_poison();
    drop(guard);
    assert!(mutex.holder().is_none() && mutex.try_lock().is_ok());
}

fn mutex() -> Parts {
    let mutex = Mutex::new(0_u64).expect("a mutex can be made");
    let victims = mutex.try_clone().expect("there are descriptors");
    let change = move |stop: &dyn Fn()| {
        stop();
        *victims.lock().expect("it is free") += 1;
    };
    parts(change, move |victim, came_through| check_mutex(&mutex, victim, came_through))
}

fn mutex_with_sleeper() -> Parts {
    let mutex = Mutex::new(0_u64).expect("a mutex can be made");
    let (victims, sleepers) = (mutex.try_clone(), mutex.try_clone());
    let (victims, sleepers) = (victims.expect("descriptors"), sleepers.expect("descriptors"));
    let change = move |stop: &dyn Fn()| {
        let mut guard = victims.lock().expect("it is free");
        *guard += 1;
        stop();
        drop(guard);
    };
    let check = move |victim, came_through| check_mutex(&mutex, victim, came_through);
    let sleep =
        move || drop(sleepers.lock_timeout(LONG).map(drop).or_else(|error| error.into_guard().map(drop)));
    Parts { bystander: Some(Box::new(sleep)), ..parts(change, check) }
}

fn nested(order: Vec<usize>) -> Parts {
    let mutexes: Vec<_> = order.iter().map(|_| Mutex::new(0_u64).expect("a mutex can be made")).collect();
    let victims: Vec<_> = mutexes.iter().map(|mutex| mutex.try_clone().expect("descriptors")).collect();
    let change = move |stop: &dyn Fn()| {
        stop();
        let mut guards: Vec<_> = victims.iter().map(|mutex| mutex.lock().ok()).collect();
        guards.iter_mut().flatten().for_each(|guard| **guard += 1);
        order.iter().for_each(|at| guards[*at] = None);
    };
    parts(change, move |victim, came_through| {
        mutexes.iter().for_each(|mutex| check_mutex(mutex, victim, came_through));
    })
}

fn rlock() -> Parts {
    let lock = RLock::new().expect("a lock can be made");
    let victims = lock.try_clone().expect("there are descriptors");
    let twice = move |stop: &dyn Fn()| {
        stop();
        let outer = victims.lock().expect("it is free");
        let inner = victims.lock().expect("it is ours");
        drop(outer);
        drop(inner);
    };
    parts(twice, move |victim, came_through| {
        let (guard, is_poisoned) = poisoned(lock.lock_timeout(LONG), victim);
        assert!(guard.depth() == 1 && !(came_through && is_poisoned));
    })
}

fn semaphore() -> Parts {
    let semaphore = Semaphore::new(1).expect("a semaphore can be made");
    let victims = semaphore.try_clone().expect("there are descriptors");
    let acquire = move |stop: &dyn Fn()| {
        stop();
        drop(victims.acquire());
    };
    parts(acquire, move |_, _| {
        drop(semaphore.acquire_timeout(LONG).expect("the permit is back"));
        assert_eq!(semaphore.available().expect("the lock"), 1);
    })
}

fn semaphore_with_sleeper() -> Parts {
    let semaphore = Semaphore::new(1).expect("a semaphore can be made");
    let (victims, sleepers) = (semaphore.try_clone(), semaphore.try_clone());
    let (victims, sleepers) = (victims.expect("descriptors"), sleepers.expect("descriptors"));
    let give = move |stop: &dyn Fn()| {
        let permit = victims.acquire().expect("it is free");
        stop();
        drop(permit);
    };
    let check = move |_: Pid, _: bool| {
        drop(semaphore.acquire_timeout(LONG).expect("the permit is back"));
        assert_eq!(semaphore.available().expect("the lock"), 1);
    };
    let sleep = move || drop(sleepers.acquire_timeout(LONG).expect("the permit is back"));
    Parts { bystander: Some(Box::new(sleep)), ..parts(give, check) }
}

fn semaphore_release() -> Parts {
    let semaphore = Semaphore::new(0).expect("a semaphore can be made");
    let victims = semaphore.try_clone().expect("there are descriptors");
    let release = move |stop: &dyn Fn()| {
        stop();
        drop(victims.release());
    };
    parts(release, move |_: Pid, came_through: bool| {
        let available = semaphore.available().expect("the lock");
        assert!(available == 1 || available == 0 && !came_through, "{available}");
    })
}

fn event() -> Parts {
    let event = Event::new().expect("an event can be made");
    let (victims, sleepers) = (event.try_clone(), event.try_clone());
    let (victims, sleepers) = (victims.expect("descriptors"), sleepers.expect("descriptors"));
    let set = move |stop: &dyn Fn()| {
        stop();
        victims.set();
    };
    let check = move |_: Pid, came_through: bool| {
        assert!(event.is_set() || !came_through);
        if !event.is_set() {
            event.set();
        }
    };
    let sleep = move || sleepers.wait_timeout(LONG).expect("the event is set");
    Parts { bystander: Some(Box::new(sleep)), ..parts(set, check) }
}

/// A condition, a mutex, and how many threads have woken.
fn pair() -> (Condition, Mutex<u64>) {
    (Condition::new().expect("a condition can be made"), Mutex::new(0).expect("a mutex can be made"))
}

fn waits(condition: &Condition, mutex: &Mutex<u64>, victim: Option<Pid>) {
    let take = |result: Result<_, MutexError<_>>| match result {
        Err(error) if error.pid().is_some() && error.pid() != victim => {
            error.into_guard().unwrap_or_else(|error| panic!("{error}"))
        }
        other => other.unwrap_or_else(|error| panic!("{error}")),
    };
    let guard = take(mutex.lock_timeout(LONG));
    let (mut guard, notified) = match condition.wait_timeout(guard, LONG) {
        Ok(woken) => woken,
        Err(error) => (error.into_guard().unwrap_or_else(|error| panic!("{error}")), true),
    };
    assert!(notified, "no notification came");
    *guard += 1;
}

fn condition_notify() -> Parts {
    let (condition, mutex) = pair();
    let victims = condition.try_clone().expect("there are descriptors");
    let (sleepers, guarded) = {
        share!(condition, mutex);
        (condition, mutex)
    };
    let notify = move |stop: &dyn Fn()| {
        stop();
        drop(victims.notify_one());
    };
    let check = move |_: Pid, came_through: bool| {
        let woken = || *mutex.lock().expect("no victim held it") == 1;
        if !came_through {
            // Whether or not the victim's notification went out.
            condition.notify_all().expect("the lock");
        }
        wait_for(woken);
    };
    let sleep = move || waits(&sleepers, &guarded, None);
    Parts { bystander: Some(Box::new(sleep)), ..parts(notify, check) }
}

fn condition_wait() -> Parts {
    let (condition, mutex) = pair();
    let (victims, victims_mutex) = {
        share!(condition, mutex);
        (condition, mutex)
    };
    let (sleepers, sleepers_mutex) = {
        share!(condition, mutex);
        (condition, mutex)
    };
    let waker = condition.try_clone().expect("there are descriptors");
    let wait = move |stop: &dyn Fn()| {
        stop();
        waits(&victims, &victims_mutex, None);
    };
    let check = move |victim: Pid, _: bool| {
        // The bystander has been woken in the victim's place, or wakes now.
        condition.notify_all().expect("the lock");
        wait_for(|| {
            condition.notify_all().expect("the lock");
            let (guard, _) = poisoned(mutex.lock_timeout(LONG), victim);
            *guard >= 1
        });
    };
    let sleep = move || waits(&sleepers, &sleepers_mutex, None);
    let wake = Box::new(move || waker.notify(2).expect("the lock"));
    Parts { bystander: Some(Box::new(sleep)), wake, ..parts(wait, check) }
}

fn barrier() -> Parts {
    let barrier = Barrier::new(2).expect("a barrier can be made");
    let (victims, sleepers) = (barrier.try_clone(), barrier.try_clone());
    let (victims, sleepers) = (victims.expect("descriptors"), sleepers.expect("descriptors"));
    let come = move |stop: &dyn Fn()| {
        stop();
        drop(victims.wait());
    };
    let check = move |_: Pid, came_through: bool| {
        // The bystander may still be there, if the victim did not get so far that it counts.
        if barrier.waiting().expect("the lock") == 1 {
            assert!(!came_through);
            drop(barrier.wait_timeout(LONG));
        }
        barrier.reset().expect("the lock");
        assert!(!barrier.is_broken().expect("the lock"));
    };
    let sleep = move || match sleepers.wait_timeout(LONG) {
        Ok(pass) => assert!(!pass.is_leader()),
        Err(BarrierError::Broken { .. }) => {}
        Err(error) => panic!("{error}"),
    };
    Parts { bystander: Some(Box::new(sleep)), ..parts(come, check) }
}

fn value() -> Parts {
    let value = Value::new(0_u64).expect("a value can be made");
    let victims = value.try_clone().expect("there are descriptors");
    let update = move |stop: &dyn Fn()| {
        stop();
        victims.update(|number| number + 1);
    };
    parts(update, move |_, came_through| assert!(value.get() == 1 || value.get() == 0 && !came_through))
}

/// A value that is more than one word.
fn large_value() -> Parts {
    let value = Value::new([0_u64; 4]).expect("a value can be made");
    let victims = value.try_clone().expect("there are descriptors");
    let update = move |stop: &dyn Fn()| {
        stop();
        victims.update(|numbers| numbers.map(|number| number + 1));
    };
    parts(update, move |_, came_through| {
        let found = value.get();
        assert!(found == [1; 4] || found == [0; 4] && !came_through, "{found:?}");
        // The next writer is not kept waiting.
        value.set([5; 4]);
        assert_eq!(value.get(), [5; 4]);
    })
}

fn array() -> Parts {
    let array = Array::new(&[0_u64, 0]).expect("an array can be made");
    let victims = array.try_clone().expect("there are descriptors");
    let change = move |stop: &dyn Fn()| {
        stop();
        let mut numbers = victims.lock().expect("it is free");
        numbers[0] += 1;
        numbers[1] += 1;
    };
    parts(change, move |victim, came_through| {
        let (numbers, is_poisoned) = poisoned(array.lock_timeout(LONG), victim);
        assert!(is_poisoned || numbers[0] == numbers[1], "{numbers:?} and no word of it");
        assert!(!came_through || *numbers == [1, 1] && !is_poisoned);
    })
}

fn wait_for(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "it does not come true");
        std::thread::sleep(Duration::from_millis(1));
    }
}
