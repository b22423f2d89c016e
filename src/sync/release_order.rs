//! Every order in which a release of the robust mutex and a fall asleep can meet, on a processor that
//! keeps stores back for a while (x86-TSO; Owens, Sarkar and Sewell 2009).
//!
//! The steps are those of `Held::drop` and of `lock` in [`super::robust_mutex`]. Loads read the memory unless
//! the processor's own buffer has a newer value.

use std::collections::{HashSet, VecDeque};

const HOLDER: u32 = 1;
const WAITERS: u32 = 2;

/// The two words.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Word {
    Lock,
    Asleep,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct State {
    lock: u32,
    asleep: u32,
    /// What the releasing processor has stored and nobody else sees yet.
    buffer: VecDeque<(Word, u32)>,
    release: u32,
    /// Whether the release found beforehand that somebody sleeps.
    known: bool,
    sleeper: u32,
    sleeps: bool,
}

const RELEASED: u32 = 9;
const AWAKE: u32 = 9;

impl State {
    fn flush_one(&mut self) -> bool {
        match self.buffer.pop_front() {
            Some((Word::Lock, value)) => self.lock = value,
            Some((Word::Asleep, value)) => self.asleep = value,
            None => return false,
        }
        true
    }

    /// What the releasing processor reads.
    fn seen(&self, wanted: Word) -> u32 {
        let newest = self.buffer.iter().rev().find(|(word, _)| *word == wanted);
        newest.map_or(if wanted == Word::Lock { self.lock } else { self.asleep }, |(_, value)| *value)
    }

    fn step_release(mut self) -> Option<Self> {
        match self.release {
            0 => self.known = self.seen(Word::Lock) & WAITERS != 0,
            1 => self.known |= self.seen(Word::Asleep) != 0,
            2 if self.known => self.buffer.push_back((Word::Asleep, 0)),
            2 => {}
            3 => self.buffer.push_back((Word::Lock, 0)),
            4 if self.known || self.seen(Word::Asleep) != 0 => {}
            // Nobody to wake.
            4 => self.release = RELEASED - 1,
            5 => {
                // FUTEX_WAKE: a barrier, then whoever is asleep on the word.
                while self.flush_one() {}
                self.wake();
                self.release = RELEASED - 1;
            }
            _ => return None,
        }
        self.release += 1;
        Some(self)
    }

    fn wake(&mut self) {
        if std::mem::take(&mut self.sleeps) {
            self.sleeper = AWAKE;
        }
    }

    fn step_sleeper(mut self, barrier: bool) -> Option<Self> {
        match self.sleeper {
            // The exchange that sets WAITERS fails where the lock is free: it is taken, then.
            0 if self.lock & HOLDER == 0 => self.sleeper = AWAKE - 1,
            0 => self.lock |= WAITERS,
            1 => self.asleep = 1,
            2 if barrier => while self.flush_one() {},
            2 => {}
            // FUTEX_WAIT: sleeps only if the word is as expected.
            3 if self.lock == HOLDER | WAITERS => self.sleeps = true,
            3 => self.sleeper = AWAKE - 1,
            _ => return None,
        }
        self.sleeper += 1;
        Some(self)
    }
}

/// How many states can be reached, and in how many of those that are final somebody sleeps for ever.
fn explore(barrier: bool) -> (usize, usize) {
    let first = [(HOLDER, 0), (HOLDER, 1), (HOLDER | WAITERS, 0), (HOLDER | WAITERS, 1)];
    let mut open: Vec<State> = first.map(|(lock, asleep)| State { lock, asleep, ..State::default() }).into();
    let (mut seen, mut stuck) = (HashSet::new(), 0);
    while let Some(state) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        let mut flushed = state.clone();
        let flushed = flushed.flush_one().then_some(flushed);
        let next: Vec<State> = [state.clone().step_release(), state.clone().step_sleeper(barrier), flushed]
            .into_iter()
            .flatten()
            .collect();
        stuck += usize::from(next.is_empty() && state.sleeps);
        open.extend(next);
    }
    (seen.len(), stuck)
}

#[test]
fn in_no_order_is_a_wake_up_lost() {
    let (states, stuck) = explore(true);
    assert!(states > 50, "{states} states");
    assert_eq!(stuck, 0);
}

#[test]
fn without_the_barrier_of_the_sleeper_one_is_lost() {
    assert!(explore(false).1 > 0);
}
