//! Compares the primitives with their peers: the cost of a lock, an event and a barrier.
//!
//! ```text
//! cargo bench --bench sync
//! ```
//!
//! # Safety
//! Processes are forked while this one has one thread, and end by `_exit`.
#![expect(unsafe_code, reason = "fork")]
#![expect(clippy::print_stdout, reason = "a bench reports")]

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use proclab::sync::{Barrier, Event, Mutex, Semaphore};
use std::process::Command;
use std::sync::Mutex as StdMutex;
use std::time::Instant;

const ROUNDS: usize = 7;

fn child(body: impl FnOnce()) -> Pid {
    // SAFETY: all threads of this process have been joined.
    match unsafe { fork() }.expect("a process can be forked") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            body();
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { nix::libc::_exit(0) }
        }
    }
}

/// Nanoseconds per operation, of `times` operations: the median, the minimum and the maximum of several rounds.
fn nanoseconds(times: u64, mut run: impl FnMut()) -> [f64; 3] {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed().as_nanos() as f64 / times as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    [rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]]
}

fn processes(count: u64, body: impl Fn()) {
    let children: Vec<_> = (0..count).map(|_| child(&body)).collect();
    for pid in children {
        waitpid(pid, None).expect("it is our child");
    }
}

fn python(setup: &str, statement: &str) -> Option<f64> {
    let timed = format!(
        "import multiprocessing as m, timeit; {setup}\nprint(timeit.timeit({statement:?}, globals=globals(), number=200000) * 5000)"
    );
    let output = Command::new("python3").args(["-c", &timed]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn main() {
    let mut figures = Vec::new();
    println!("nanoseconds for one operation: median of {ROUNDS} rounds, and from the least to the most");
    let row = |name: &str, [middle, least, most]: [f64; 3]| {
        println!("  {name:<44} {middle:>9.1}  ({least:.1} to {most:.1})");
    };
    let mut compare = |work: &str, peer: &str, ours: f64, theirs: f64| {
        figures.push(format!("figure {work} proclab/{peer} {:.2}", theirs / ours));
    };

    println!("lock and unlock, uncontended");
    let times = 200_000;
    let (ours, theirs) = (Mutex::new(0_u64).expect("a mutex"), StdMutex::new(0_u64));
    let us = nanoseconds(times, || (0..times).for_each(|_| drop(ours.lock())));
    row("proclab::sync::Mutex", us);
    let peer = nanoseconds(times, || (0..times).for_each(|_| drop(std::hint::black_box(&theirs).lock())));
    row("std::sync::Mutex", peer);
    compare("lock-uncontended", "std", us[0], peer[0]);
    let change = nanoseconds(times, || (0..times).for_each(|_| *ours.lock().expect("clean") += 1));
    row("proclab::sync::Mutex, with a change", change);
    match python("lock = m.Lock()", "lock.acquire(); lock.release()") {
        Some(peer) => {
            row("multiprocessing.Lock", [peer; 3]);
            compare("lock-uncontended", "python", us[0], peer);
        }
        None => println!("  left out: Python, there is no python3"),
    }

    for count in [2, 8] {
        println!("lock, add, unlock, by {count} at the same time");
        let times = 100_000;
        let us = nanoseconds(times * count, || {
            processes(count, || (0..times).for_each(|_| *ours.lock().expect("clean") += 1));
        });
        row("proclab::sync::Mutex, processes", us);
        let peer = nanoseconds(times * count, || {
            std::thread::scope(|scope| {
                for _ in 0..count {
                    scope.spawn(|| (0..times).for_each(|_| *theirs.lock().expect("clean") += 1));
                }
            });
        });
        row("std::sync::Mutex, threads", peer);
        compare(&format!("lock-contended-{count}"), "std", us[0], peer[0]);
    }

    println!("semaphore, uncontended");
    let semaphore = Semaphore::new(4).expect("a semaphore");
    let us = nanoseconds(times, || (0..times).for_each(|_| drop(semaphore.acquire())));
    row("proclab::sync::Semaphore", us);
    if let Some(peer) = python("s = m.Semaphore(4)", "s.acquire(); s.release()") {
        row("multiprocessing.Semaphore", [peer; 3]);
        compare("semaphore-uncontended", "python", us[0], peer);
    }

    println!("round trip between two processes");
    let trips = 5_000;
    let bare = nanoseconds(trips, || futex_round_trips(trips as u32));
    row("bare futex, by hand", bare);
    let (there, back) = (Event::new().expect("an event"), Event::new().expect("an event"));
    let us = nanoseconds(trips, || {
        let other = child(|| {
            for _ in 0..trips {
                there.wait().expect("it comes");
                there.clear();
                back.set();
            }
        });
        for _ in 0..trips {
            there.set();
            back.wait().expect("it comes");
            back.clear();
        }
        waitpid(other, None).expect("it is our child");
    });
    row("proclab::sync::Event", us);
    compare("event-round-trip", "futex", us[0], bare[0]);
    let barrier = Barrier::new(2).expect("a barrier");
    let us = nanoseconds(trips, || {
        let other = child(|| (0..trips).for_each(|_| drop(barrier.wait())));
        (0..trips).for_each(|_| drop(barrier.wait()));
        waitpid(other, None).expect("it is our child");
    });
    row("proclab::sync::Barrier", us);
    compare("barrier-round-trip", "futex", us[0], bare[0]);
    figures.iter().for_each(|figure| println!("{figure}"));
}

/// Two processes that pass a word to each other, and sleep on it after spinning briefly.
fn futex_round_trips(trips: u32) {
    use proclab::shm::region::Region;
    use std::sync::atomic::Ordering::{Acquire, Release};
    let region = Region::create(4096, 4096).expect("memory");
    let hand_over = |own: u32| {
        let word = region.word32(0);
        for trip in 0..trips {
            let turn = 2 * trip + own;
            let mut looks = 0;
            loop {
                let seen = word.load(Acquire);
                if seen == turn {
                    break;
                }
                looks += 1;
                if looks > 200 {
                    word.wait(seen, std::time::Duration::from_secs(1));
                }
                std::hint::spin_loop();
            }
            word.store(turn + 1, Release);
            word.wake_one();
        }
    };
    let other = child(|| hand_over(1));
    hand_over(0);
    waitpid(other, None).expect("it is our child");
}
