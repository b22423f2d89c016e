//! Every execution in which a release of the robust mutex meets a thread that falls asleep on it, or the next
//! holder, under the memory models of arm64 and x86-64. The code is that of [`super::robust_mutex`] itself.

use super::robust_mutex::{WAITERS, lock, release, try_lock};
use crate::shm::model::{Processor, Protocol};
use crate::shm::word::{Word32, Word64};
use crate::sys::poll::Deadline;
use std::sync::atomic::Ordering::Relaxed;

/// The TID of the first thread of a protocol.
const HOLDER: u32 = 1;

/// The states in which a holder may find its lock, which a sleeper may have marked and left.
fn held() -> [[Word32; 2]; 4] {
    [(0, 0), (0, 1), (WAITERS, 0), (WAITERS, 1)]
        .map(|(waiters, asleep)| [Word32::new(HOLDER | waiters), Word32::new(asleep)])
}

fn take_and_release(words: &[Word32; 2]) -> u64 {
    drop(lock(words, Deadline::NEVER).expect("nothing is announced"));
    0
}

#[test]
fn in_no_execution_is_a_wake_up_lost() {
    for processor in Processor::ALL {
        for words in held() {
            let release = || {
                release(&words);
                0
            };
            let sleeper = || take_and_release(&words);
            let protocol = Protocol::new(processor, &[&release, &sleeper]);
            assert!(protocol.allows(|outcome| outcome.returned(1).is_some()));
            assert!(!protocol.allows(|outcome| outcome.sleeps_on(1)), "{processor:?} {words:?}");
        }
    }
}

#[test]
fn without_the_barrier_of_the_sleeper_one_is_lost() {
    for processor in Processor::ALL {
        let lost = held().into_iter().any(|words| {
            let release = || {
                release(&words);
                0
            };
            let sleeper = || take_and_release(&words);
            let protocol = Protocol::new(processor, &[&release, &sleeper]);
            let needed = protocol.needed(|outcome| outcome.sleeps_on(1));
            needed.iter().any(|site| !site.writes && site.file.ends_with("robust_mutex.rs"))
        });
        assert!(lost, "{processor:?}");
    }
}

#[test]
fn what_a_holder_wrote_is_seen_by_the_next() {
    let (words, guarded) = ([Word32::new(0), Word32::new(0)], Word64::new(0));
    let add = || match try_lock(&words) {
        Some(_held) => {
            let seen = guarded.load(Relaxed);
            guarded.store(seen + 1, Relaxed);
            1
        }
        None => 0,
    };
    let address = guarded.as_ptr().addr();
    let protocol = Protocol::new(Processor::Arm64, &[&add, &add]);
    let is_lost = |outcome: &crate::shm::model::Outcome<'_>| {
        (outcome.returned(0), outcome.returned(1)) == (Some(1), Some(1))
            && outcome.last_is(address, |value| value == 1)
    };
    assert!(!protocol.allows(is_lost));
    assert!(protocol.allows(|outcome| outcome.last_is(address, |value| value == 2)));
    // The acquire of the exchange, and the release of the store.
    let needed: Vec<bool> = protocol.needed(is_lost).iter().map(|site| site.writes).collect();
    assert_eq!(needed, [false, true]);
}
