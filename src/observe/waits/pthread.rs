//! What a futex is a part of: the C library's condition variables, semaphores, barriers and mutexes, by the fields around
//! the word (glibc's `struct_mutex.h`, `pthreadtypes-arch.h`, `internaltypes.h`).

use crate::sys::pid::Pid;
use crate::sys::procfs::memory::read;

use nix::libc;

/// An object of the C library, as far as the memory around its futex shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object {
    /// In words.
    pub(super) what: &'static str,
    /// How far in front of the word it begins.
    pub(super) begins_before: u64,
}

const UNKNOWN: Object = Object { what: "lock or condition", begins_before: 0 };
/// A mutex's word while threads wait for it.
pub(super) const LOCKED_WITH_WAITERS: u32 = 2;
/// More threads than this do not wait for one object.
const MOST_THREADS: u32 = 100_000;
/// Words that are read in front of and behind the futex.
const BEFORE: usize = 11;
const BEHIND: usize = 4;

/// What a thread waits for that sleeps on the word at `address` as long as that is `expected`.
pub(super) fn object(pid: Pid, address: u64, command: i32, expected: u32) -> Object {
    if command == libc::FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 {
        return Object { what: "lock", begins_before: 0 };
    }
    let start = address.checked_sub(BEFORE as u64 * 4);
    let Some(bytes) = start.and_then(|start| read::<{ (BEFORE + BEHIND) * 4 }>(pid, start)) else {
        return alone(command, expected);
    };
    let mut words = [0; BEFORE + BEHIND];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    recognize(&words, address, command, expected)
}

/// `FUTEX_LOCK_PI2`, from Linux 5.14 on.
pub(super) const FUTEX_LOCK_PI2: i32 = 13;

/// Without the memory around it.
fn alone(command: i32, expected: u32) -> Object {
    if command == libc::FUTEX_WAIT && expected == LOCKED_WITH_WAITERS {
        Object { what: "lock", begins_before: 0 }
    } else {
        UNKNOWN
    }
}

fn recognize(words: &[u32; BEFORE + BEHIND], address: u64, command: i32, expected: u32) -> Object {
    let at = |offset: isize| BEFORE.checked_add_signed(offset).and_then(|at| words.get(at)).copied();
    let are_threads = |count: Option<u32>| count.is_some_and(|count| (1..=MOST_THREADS).contains(&count));
    if command == libc::FUTEX_WAIT_BITSET {
        // A condition variable has a word for each of its two groups of waiters, the first one at a multiple of 8.
        let group = isize::from(address % 8 == 4);
        // In front of the words lies the number of waiters, above three bits.
        let waiters = at(-1 - group).map(|word| word >> 3);
        // It begins with a sequence number of 64 bits, which each waiter has increased by 2.
        let begins = |before: isize| {
            let sequence = at(-before - group).zip(at(1 - before - group));
            sequence.is_some_and(|(low, high)| low > 1 && high < 1 << 16)
        };
        // Up to glibc 2.40 a number of references for each group follows, above one bit.
        let references = at(-6).map(|word| word >> 1);
        if are_threads(waiters) {
            let before = [10, 8]
                .into_iter()
                .find(|&before| begins(before) && (before == 8 || are_threads(references)));
            if let Some(before) = before {
                let begins_before = 4 * (before + group).unsigned_abs() as u64;
                return Object { what: "condition", begins_before };
            }
        }
        // The number of its waiters follows the value of a semaphore.
        if expected == 0 && at(0) == Some(0) && are_threads(at(1)) {
            return Object { what: "semaphore", begins_before: 0 };
        }
        return UNKNOWN;
    }
    // A barrier: threads that have arrived in all rounds, and in the rounds before, and how many it is for.
    if command == libc::FUTEX_WAIT
        && let (Some(arrived), Some(before), Some(count)) = (at(-1), at(0), at(1))
        && (2..=MOST_THREADS).contains(&count)
        && (1..count).contains(&arrived.wrapping_sub(before))
        && before == expected
    {
        return Object { what: "barrier", begins_before: 4 };
    }
    alone(command, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(from: isize, words: &[u32]) -> [u32; BEFORE + BEHIND] {
        let mut all = [0; BEFORE + BEHIND];
        let from = BEFORE.checked_add_signed(from).unwrap();
        all[from..from + words.len()].copy_from_slice(words);
        all
    }

    #[test]
    fn a_condition_has_one_name_for_both_of_its_words() {
        let wait = libc::FUTEX_WAIT_BITSET;
        // Sequence, start of the first group, references, sizes, original size, waiters, words.
        let old = |group: u32| {
            let references = if group == 0 { [2, 0] } else { [0, 2] };
            [&[6 + group, 0, 0, 0], &references[..], &[0, 0, 0, 1 << 3, 0, 0]].concat()
        };
        let first = recognize(&memory(-10, &old(0)), 0x1028, wait, 0);
        let second = recognize(&memory(-11, &old(1)), 0x102c, wait, 0);
        assert_eq!((first.what, 0x1028 - first.begins_before), ("condition", 0x1000));
        assert_eq!((second.what, 0x102c - second.begins_before), ("condition", 0x1000));
        let new = [6, 0, 0, 0, 0, 0, 0, 1 << 3, 0, 0];
        let found = recognize(&memory(-8, &new), 0x1020, wait, 0);
        assert_eq!((found.what, 0x1020 - found.begins_before), ("condition", 0x1000));
    }

    #[test]
    fn semaphores_barriers_and_mutexes_are_told_from_each_other_and_from_the_rest() {
        let what = |words: &[u32], from, command, expected| {
            recognize(&memory(from, words), 0x1000, command, expected).what
        };
        assert_eq!(what(&[0, 1], 0, libc::FUTEX_WAIT_BITSET, 0), "semaphore");
        assert_eq!(what(&[8, 6, 3], -1, libc::FUTEX_WAIT, 6), "barrier");
        assert_eq!(what(&[2, 0, 4243], 0, libc::FUTEX_WAIT, 2), "lock");
        assert_eq!(what(&[2], 0, libc::FUTEX_WAIT_BITSET, 2), "lock or condition");
        assert_eq!(what(&[7], 0, libc::FUTEX_WAIT, 7), "lock or condition");
    }
}
