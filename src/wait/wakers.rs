//! What ends a sleep: descriptors, words in shared memory, and the time at which to look again.

use super::error::WaitAnyError;
use crate::sys::futex::Expected;
use crate::sys::poll::{Deadline, Interest, ready_numbers};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The first and the longest interval at which something without a descriptor is asked again.
const FIRST_LOOK: Duration = Duration::from_micros(50);
const LONGEST: Duration = Duration::from_millis(2);
/// After this many rounds at such intervals the thread sleeps on words.
const SHORT_ROUNDS: u32 = 3;

type Action<'a> = Box<dyn FnOnce() -> Result<(), WaitAnyError> + 'a>;

/// What ends one sleep of [`wait_any`](super::wait_any).
pub struct Wakers<'a> {
    /// The place of the source that is asked.
    place: usize,
    round: u32,
    entries: Vec<Entry<'a>>,
    interrupts: Vec<RawFd>,
    /// Descriptors that several sources have in common.
    shared: Vec<RawFd>,
    /// Keeps descriptors open.
    held: Vec<Arc<OwnedFd>>,
    /// Words that have these values until a source may be ready.
    pub(super) words: Vec<Expected>,
    /// Words on which one sleeper is woken at a time, so a wake-up has to be passed on.
    pub(super) woken_one_by_one: Vec<&'a AtomicU32>,
    look_again: Option<Duration>,
}

struct Entry<'a> {
    fd: RawFd,
    interest: Interest,
    then: Then<'a>,
}

/// What follows when a descriptor is ready.
enum Then<'a> {
    /// The sources are asked again.
    Ask,
    /// This source is ready.
    Ready(usize),
    /// Something is done first.
    Act(Action<'a>),
}

/// How a sleep ended.
#[derive(Debug, Default)]
pub(super) struct Woken {
    /// Sources that are ready, as their descriptors say.
    pub(super) ready: Vec<usize>,
    /// Whether something was done that may have made others ready.
    pub(super) acted: bool,
}

impl<'a> Wakers<'a> {
    pub(super) fn new(round: u32) -> Self {
        let (place, entries, interrupts, shared, held) = Default::default();
        let (words, woken_one_by_one) = Default::default();
        Wakers { place, round, entries, interrupts, shared, held, words, woken_one_by_one, look_again: None }
    }

    pub(super) fn begin(&mut self, place: usize) {
        self.place = place;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.interrupts.is_empty()
    }

    fn push(&mut self, fd: RawFd, interest: Interest, then: Then<'a>) {
        self.entries.push(Entry { fd, interest, then });
    }

    /// The source is ready once this descriptor is.
    pub(crate) fn mark(&mut self, fd: BorrowedFd<'a>, interest: Interest) {
        let place = self.place;
        self.push(fd.as_raw_fd(), interest, Then::Ready(place));
    }

    /// The source may be ready once this descriptor is readable.
    pub(crate) fn wake(&mut self, fd: BorrowedFd<'a>) {
        self.push(fd.as_raw_fd(), Interest::Read, Then::Ask);
    }

    /// The source may be ready once the other end of this descriptor is gone.
    pub(crate) fn wake_on_hang_up(&mut self, fd: BorrowedFd<'a>) {
        self.push(fd.as_raw_fd(), Interest::HangUp, Then::Ask);
    }

    /// As [`Self::wake`], by number: the caller keeps it open.
    pub(super) fn wake_number(&mut self, fd: RawFd) {
        self.push(fd, Interest::Read, Then::Ask);
    }

    /// As [`Self::wake`], for a descriptor that is kept open meanwhile.
    pub(crate) fn wake_held(&mut self, fd: Arc<OwnedFd>) {
        self.push(fd.as_raw_fd(), Interest::Read, Then::Ask);
        self.held.push(fd);
    }

    /// Acts once this descriptor is readable, before the source is asked again. By number: another thread may close it,
    /// and the wait then ends for nothing.
    pub(crate) fn act(&mut self, fd: RawFd, action: impl FnOnce() -> Result<(), WaitAnyError> + 'a) {
        self.push(fd, Interest::Read, Then::Act(Box::new(action)));
    }

    /// As [`Self::act`], once for all sources that have it in common.
    pub(crate) fn act_once(&mut self, fd: RawFd, action: impl FnOnce() -> Result<(), WaitAnyError> + 'a) {
        if !self.shared.contains(&fd) {
            self.shared.push(fd);
            self.act(fd, action);
        }
    }

    /// The wait ends with an error once this descriptor is readable.
    pub(crate) fn interrupt(&mut self, fd: RawFd) {
        if !self.interrupts.contains(&fd) {
            self.interrupts.push(fd);
        }
    }

    /// Whether the thread will sleep on words, as opposed to asking again soon.
    pub(crate) fn sleeps_on_words(&self) -> bool {
        self.round >= SHORT_ROUNDS
    }

    /// The source may be ready once this word no longer has this value; then all that sleep on it are woken.
    pub(crate) fn wake_by_all(&mut self, word: &'a AtomicU32, value: u32) {
        if self.sleeps_on_words() {
            self.words.push(Expected::new(word, value));
        } else {
            self.look_again();
        }
    }

    /// As [`Self::wake_by_all`], for a word on which one sleeper is woken at a time.
    pub(crate) fn wake_by_one(&mut self, word: &'a AtomicU32, value: u32) {
        self.wake_by_all(word, value);
        self.woken_one_by_one.push(word);
    }

    /// The source has no descriptor: it is asked again soon, and then at growing intervals.
    pub(crate) fn look_again(&mut self) {
        let interval = FIRST_LOOK * 2_u32.saturating_pow(self.round.min(16));
        self.look_again = Some(interval.min(LONGEST));
    }

    /// As [`Self::look_again`], at the latest after this long.
    pub(crate) fn look_again_after(&mut self, interval: Duration) {
        self.look_again = Some(self.look_again.map_or(interval, |known| known.min(interval)));
    }

    /// What would be slept on.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = (RawFd, Interest)> {
        let entries = self.entries.iter().map(|entry| (entry.fd, entry.interest));
        entries.chain(self.interrupts.iter().map(|fd| (*fd, Interest::Read)))
    }

    /// When to look again, and what must stay open.
    pub(super) fn into_rest(self) -> (Option<Duration>, Vec<Arc<OwnedFd>>) {
        (self.look_again, self.held)
    }

    /// Sleeps until a descriptor is ready, it is time to look again, or the deadline has passed.
    pub(super) fn sleep(self, deadline: Deadline) -> Result<Woken, WaitAnyError> {
        let fds: Vec<_> = self.descriptors().collect();
        let until = match (self.look_again, deadline.left()) {
            (None, _) => deadline,
            (Some(interval), left) => Deadline::after(left.map_or(interval, |left| left.min(interval))),
        };
        let is_ready = ready_numbers(&fds, until)?;
        if is_ready[self.entries.len()..].contains(&true) {
            return Err(WaitAnyError::Interrupted);
        }
        let mut woken = Woken::default();
        for (entry, _) in self.entries.into_iter().zip(is_ready).filter(|(_, is_ready)| *is_ready) {
            match entry.then {
                Then::Ask => {}
                Then::Ready(place) => woken.ready.push(place),
                Then::Act(action) => {
                    action()?;
                    woken.acted = true;
                }
            }
        }
        Ok(woken)
    }
}

impl fmt::Debug for Wakers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakers").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}
