use super::{Event, Mutex, Semaphore};
use crate::wait::{Readable, Waitable, wait_any};
use std::io::PipeReader;
use std::time::{Duration, Instant};

/// A wait that nothing ends by chance: in unit tests a sleep on words has no other end.
const LONG: Duration = Duration::from_secs(30);

/// Long enough for the waiting thread to fall asleep on most machines. If it does not, the test shows less.
fn let_it_fall_asleep() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Waits for `source`, alone and beside a pipe to which nobody writes, while `make_ready` runs in another thread.
fn wakes(source: &dyn Waitable, begin: impl Fn(), make_ready: impl Fn() + Sync) {
    let (quiet, _writer) = std::io::pipe().unwrap();
    let beside = Readable(&quiet);
    let alone: &[&dyn Waitable] = &[source];
    let both: &[&dyn Waitable] = &[&beside as &dyn Waitable, source];
    for (sources, place) in [(alone, 0), (both, 1)] {
        begin();
        assert!(wait_any(sources, Some(Duration::ZERO)).unwrap().is_empty());
        let since = Instant::now();
        let ready = std::thread::scope(|scope| {
            scope.spawn(|| {
                let_it_fall_asleep();
                make_ready();
            });
            // Not in the other thread: sources need not be `Sync`.
            wait_any(sources, Some(LONG)).unwrap()
        });
        assert_eq!(ready, [place]);
        assert!(since.elapsed() < LONG, "it was woken by its deadline");
    }
}

#[test]
fn an_event_wakes_a_wait() {
    let event = Event::new().unwrap();
    wakes(&event, || event.clear(), || event.set());
}

#[test]
fn a_released_mutex_wakes_a_wait_and_the_thread_that_takes_it() {
    let mutex = Mutex::new(0).unwrap();
    let (quiet, _writer) = std::io::pipe().unwrap();
    let beside = Readable(&quiet);
    let alone: &[&(dyn Waitable + Sync)] = &[&mutex];
    let both: &[&(dyn Waitable + Sync)] = &[&mutex, &beside];
    for sources in [alone, both] {
        for _ in 0..20 {
            let guard = mutex.lock().unwrap();
            std::thread::scope(|scope| {
                // A wake-up goes to one of them, who wakes the next.
                let takes = || scope.spawn(|| drop(mutex.lock_timeout(LONG).unwrap()));
                let waits = || scope.spawn(|| assert_eq!(wait_any(sources, Some(LONG)).unwrap(), [0]));
                let all = [takes(), waits(), takes(), waits()];
                let_it_fall_asleep();
                let since = Instant::now();
                drop(guard);
                all.into_iter().for_each(|one| one.join().unwrap());
                assert!(since.elapsed() < LONG, "a wake-up was lost");
            });
        }
    }
}

#[test]
fn a_permit_that_returns_wakes_a_wait() {
    let semaphore = Semaphore::new(0).unwrap();
    let begin = || {
        while let Ok(permit) = semaphore.try_acquire() {
            permit.forget().unwrap();
        }
    };
    wakes(&semaphore, begin, || semaphore.release().unwrap());
    let held = Semaphore::new(1).unwrap();
    let (holds, may_begin) = (Event::new().unwrap(), Event::new().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let permit = held.acquire().unwrap();
            holds.set();
            may_begin.wait().unwrap();
            let_it_fall_asleep();
            drop(permit);
        });
        holds.wait().unwrap();
        assert!(wait_any(&[&held], Some(Duration::ZERO)).unwrap().is_empty());
        may_begin.set();
        assert_eq!(wait_any(&[&held], Some(LONG)).unwrap(), [0]);
    });
}

/// How often this thread has given up the processor.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_wait_for_words_does_not_poll() {
    let event = Event::new().unwrap();
    let (quiet, _writer): (PipeReader, _) = std::io::pipe().unwrap();
    let beside = Readable(&quiet);
    let alone: &[&dyn Waitable] = &[&event];
    let both: &[&dyn Waitable] = &[&event, &beside];
    for sources in [alone, both] {
        let before = sleeps();
        assert!(wait_any(sources, Some(Duration::from_millis(300))).unwrap().is_empty());
        let during = sleeps() - before;
        // Three short rounds, the start and the end of a thread, the wait itself; at intervals of 2 ms there are 150.
        assert!(during < 40, "{during} sleeps");
    }
}

#[test]
fn a_descriptor_ends_a_wait_for_words() {
    let (event, mutex) = (Event::new().unwrap(), Mutex::new(0).unwrap());
    let (reader, mut writer) = std::io::pipe().unwrap();
    let beside = Readable(&reader);
    let sources: [&(dyn Waitable + Sync); 3] = [&event, &mutex, &beside];
    let _guard = mutex.lock().unwrap();
    let ready = std::thread::scope(|scope| {
        let waits = scope.spawn(|| wait_any(&sources, Some(LONG)).unwrap());
        let_it_fall_asleep();
        std::io::Write::write_all(&mut writer, b"x").unwrap();
        waits.join().unwrap()
    });
    assert_eq!(ready, [2]);
}
