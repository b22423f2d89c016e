//! Litmus tests, which compare the models with published results for the processors.
//!
//! The tests and their results are from the tables in Alglave, Maranget, Tautschnig, *Herding cats*, TOPLAS 2014, and
//! Pulte et al. 2018 for arm64; and from Owens et al. 2009 for x86.

use super::recorder::{Dependency, depend, last_read};
use super::{Outcome, Processor, Protocol};
use crate::shm::word::{Word64, fence};
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release, SeqCst};

/// What is between the two accesses of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Fence(Ordering),
    /// The second access depends on the first, a read.
    Depends(Dependency),
}
use Between::{Depends, Fence, Nothing};
use Dependency::{Address, Control, Data};

impl Between {
    fn apply(self) {
        match self {
            Nothing => {}
            Fence(order) => fence(order),
            Depends(how) => depend(last_read(), how),
        }
    }
}

/// The words of a test.
#[derive(Default)]
struct Words {
    x: Word64,
    y: Word64,
}

fn write_write(a: &Word64, between: Between, b: &Word64, order: Ordering) -> u64 {
    a.store(1, Relaxed);
    between.apply();
    b.store(1, order);
    0
}

/// Returns both values read, as two digits.
fn read_read(a: &Word64, order: Ordering, between: Between, b: &Word64) -> u64 {
    let first = a.load(order);
    between.apply();
    first * 10 + b.load(Relaxed)
}

fn write_read(a: &Word64, order: Ordering, between: Between, b: &Word64, load: Ordering) -> u64 {
    a.store(1, order);
    between.apply();
    b.load(load)
}

fn read_write(a: &Word64, order: Ordering, between: Between, b: &Word64, store: Ordering) -> u64 {
    let seen = a.load(order);
    between.apply();
    b.store(1, store);
    seen
}

fn allows(threads: &[&dyn Fn() -> u64], processor: Processor, wanted: impl Fn(&Outcome<'_>) -> bool) -> bool {
    let protocol = Protocol::new(processor, threads);
    assert!(protocol.allows(|_| true), "there is no execution at all");
    protocol.allows(wanted)
}

/// Whether arm64 and x86 allow an outcome.
fn both(threads: &[&dyn Fn() -> u64], wanted: impl Fn(&Outcome<'_>) -> bool + Copy) -> (bool, bool) {
    (allows(threads, Processor::Arm64, wanted), allows(threads, Processor::X86, wanted))
}

const ALLOWED: (bool, bool) = (true, true);
const ON_ARM: (bool, bool) = (true, false);
const FORBIDDEN: (bool, bool) = (false, false);

#[test]
fn message_passing() {
    let cases = [
        ((Nothing, Relaxed), (Relaxed, Nothing), ON_ARM),
        ((Nothing, Release), (Acquire, Nothing), FORBIDDEN),
        ((Nothing, Release), (Relaxed, Nothing), ON_ARM),
        ((Nothing, Relaxed), (Acquire, Nothing), ON_ARM),
        ((Fence(SeqCst), Relaxed), (Relaxed, Nothing), ON_ARM),
        ((Fence(SeqCst), Relaxed), (Relaxed, Depends(Address)), FORBIDDEN),
        // A branch does not delay a load.
        ((Fence(SeqCst), Relaxed), (Relaxed, Depends(Control)), ON_ARM),
        ((Fence(Release), Relaxed), (Relaxed, Fence(Acquire)), FORBIDDEN),
        ((Fence(Acquire), Relaxed), (Relaxed, Fence(Acquire)), ON_ARM),
    ];
    for ((between, store), (load, then), expected) in cases {
        let words = Words::default();
        let threads: [&dyn Fn() -> u64; 2] = [&|| write_write(&words.x, between, &words.y, store), &|| {
            read_read(&words.y, load, then, &words.x)
        }];
        let got = both(&threads, |outcome| outcome.returned(1) == Some(10));
        assert_eq!(got, expected, "{between:?} {store:?}; {load:?} {then:?}");
    }
}

#[test]
fn store_buffering() {
    let cases = [
        (Relaxed, Nothing, Relaxed, ALLOWED),
        (Relaxed, Fence(SeqCst), Relaxed, FORBIDDEN),
        (Release, Nothing, Acquire, ALLOWED),
        // STLR, then LDAR; on x86 a plain store and a load, since the model has no exchange for the store.
        (SeqCst, Nothing, SeqCst, (false, true)),
    ];
    for (store, between, load, expected) in cases {
        let words = Words::default();
        let threads: [&dyn Fn() -> u64; 2] =
            [&|| write_read(&words.x, store, between, &words.y, load), &|| {
                write_read(&words.y, store, between, &words.x, load)
            }];
        let got = both(&threads, |outcome| (outcome.returned(0), outcome.returned(1)) == (Some(0), Some(0)));
        assert_eq!(got, expected, "{store:?} {between:?} {load:?}");
    }
}

#[test]
fn load_buffering() {
    let cases = [
        (Relaxed, Nothing, Relaxed, ON_ARM),
        (Relaxed, Depends(Data), Relaxed, FORBIDDEN),
        (Relaxed, Depends(Control), Relaxed, FORBIDDEN),
        (Acquire, Nothing, Relaxed, FORBIDDEN),
        (Relaxed, Nothing, Release, FORBIDDEN),
    ];
    for (load, between, store, expected) in cases {
        let words = Words::default();
        let threads: [&dyn Fn() -> u64; 2] =
            [&|| read_write(&words.x, load, between, &words.y, store), &|| {
                read_write(&words.y, load, between, &words.x, store)
            }];
        let got = both(&threads, |outcome| (outcome.returned(0), outcome.returned(1)) == (Some(1), Some(1)));
        assert_eq!(got, expected, "{load:?} {between:?} {store:?}");
    }
}

#[test]
fn independent_reads_of_independent_writes() {
    // With dependencies, it is forbidden only because writes are multicopy-atomic.
    for (load, between, expected) in [
        (Relaxed, Nothing, ON_ARM),
        (Relaxed, Depends(Address), FORBIDDEN),
        (Acquire, Nothing, FORBIDDEN),
        (Relaxed, Fence(SeqCst), FORBIDDEN),
    ] {
        let words = Words::default();
        let store = |word: &Word64| {
            word.store(1, Relaxed);
            0
        };
        let threads: [&dyn Fn() -> u64; 4] = [
            &|| store(&words.x),
            &|| store(&words.y),
            &|| read_read(&words.x, load, between, &words.y),
            &|| read_read(&words.y, load, between, &words.x),
        ];
        let got =
            both(&threads, |outcome| (outcome.returned(2), outcome.returned(3)) == (Some(10), Some(10)));
        assert_eq!(got, expected, "{load:?} {between:?}");
    }
}

#[test]
fn write_to_read_causality() {
    for (between, then, expected) in [
        (Nothing, Nothing, ON_ARM),
        (Depends(Data), Nothing, ON_ARM),
        (Depends(Data), Depends(Address), FORBIDDEN),
    ] {
        let words = Words::default();
        let threads: [&dyn Fn() -> u64; 3] = [
            &|| {
                words.x.store(1, Relaxed);
                0
            },
            &|| read_write(&words.x, Relaxed, between, &words.y, Relaxed),
            &|| read_read(&words.y, Relaxed, then, &words.x),
        ];
        let got = both(&threads, |outcome| (outcome.returned(1), outcome.returned(2)) == (Some(1), Some(10)));
        assert_eq!(got, expected, "{between:?} {then:?}");
    }
}

#[test]
fn two_plus_two_writes() {
    for (between, expected) in [(Nothing, ON_ARM), (Fence(SeqCst), FORBIDDEN), (Fence(Release), FORBIDDEN)] {
        let words = Words::default();
        let write = |a: &Word64, b: &Word64| {
            a.store(1, Relaxed);
            between.apply();
            b.store(2, Relaxed);
            0
        };
        let threads: [&dyn Fn() -> u64; 2] = [&|| write(&words.x, &words.y), &|| write(&words.y, &words.x)];
        let first = |word: &Word64| word.as_ptr().addr();
        let (x, y) = (first(&words.x), first(&words.y));
        let got = both(&threads, |outcome| {
            outcome.last_is(x, |value| value == 1) && outcome.last_is(y, |value| value == 1)
        });
        assert_eq!(got, expected, "{between:?}");
    }
}

#[test]
fn reads_of_one_word_are_coherent() {
    let words = Words::default();
    let threads: [&dyn Fn() -> u64; 2] = [
        &|| {
            words.x.store(1, Relaxed);
            words.x.store(2, Relaxed);
            0
        },
        &|| read_read(&words.x, Relaxed, Nothing, &words.x),
    ];
    for backwards in [21, 20, 10] {
        assert_eq!(
            both(&threads, |outcome| outcome.returned(1) == Some(backwards)),
            FORBIDDEN,
            "{backwards}"
        );
    }
    assert_eq!(both(&threads, |outcome| outcome.returned(1) == Some(12)), ALLOWED);
}

#[test]
fn additions_are_not_lost() {
    let words = Words::default();
    let add = || words.x.fetch_add(1, Relaxed);
    let x = words.x.as_ptr().addr();
    let threads: [&dyn Fn() -> u64; 2] = [&add, &add];
    assert_eq!(both(&threads, |outcome| outcome.last_is(x, |value| value == 1)), FORBIDDEN);
    assert_eq!(both(&threads, |outcome| outcome.last_is(x, |value| value == 2)), ALLOWED);
}

#[test]
fn a_store_may_pass_the_write_of_an_acquiring_exchange() {
    // On arm64, each half of a read-modify-write is ordered on its own, so the later store may pass its write.
    let words = Words::default();
    let taken = Word64::new(0);
    let threads: [&dyn Fn() -> u64; 2] = [
        &|| {
            let _ = taken.compare_exchange(0, 1, Acquire, Relaxed);
            words.y.store(1, Relaxed);
            0
        },
        &|| read_read(&words.y, Acquire, Nothing, &taken),
    ];
    assert_eq!(both(&threads, |outcome| outcome.returned(1) == Some(10)), ON_ARM);
}

#[test]
fn a_barrier_on_all_processors_replaces_a_fence_in_each_thread() {
    let words = Words::default();
    for (barrier, expected) in [(false, ALLOWED), (true, FORBIDDEN)] {
        let threads: [&dyn Fn() -> u64; 2] = [
            &|| {
                words.x.store(1, Relaxed);
                if barrier {
                    super::recorder::membarrier();
                }
                words.y.load(Relaxed)
            },
            // No fence here.
            &|| write_read(&words.y, Relaxed, Nothing, &words.x, Relaxed),
        ];
        let got = both(&threads, |outcome| (outcome.returned(0), outcome.returned(1)) == (Some(0), Some(0)));
        assert_eq!(got, expected);
    }
}
