//! The sleep on words in shared memory during one wait.

use super::sentry::Sentry;
use super::wakers::Wakers;
use crate::sys::futex;
use crate::sys::poll::Deadline;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// How long a sleep on words lasts at most: what a process that was killed has not woken is found then.
const LOOK_AGAIN: Duration = Duration::from_millis(if cfg!(test) { NEVER_IN_A_TEST } else { 10 });
/// Tests of this library show that nothing else wakes too late.
const NEVER_IN_A_TEST: u64 = 600_000;
/// The maximum number of words. One more belongs to the sentry.
const MOST_WORDS: usize = 127;

/// How a wait sleeps on words: in the kernel, if it has no descriptors; by a [`Sentry`] beside them; or by asking again
/// at intervals, where the kernel has no `futex_waitv(2)` or no thread is available.
#[derive(Debug, Default)]
pub(super) struct WordSleep<'a> {
    sentry: Option<Sentry>,
    /// Locks that wake one sleeper at a time. One that was woken here does not take the lock, so it wakes the next.
    pass_on: Vec<&'a AtomicU32>,
}

impl<'a> WordSleep<'a> {
    /// Sleeps on the words of `wakers`, if it has nothing else. Returns whether it did.
    pub(super) fn sleep(&mut self, wakers: &mut Wakers<'a>, deadline: Deadline) -> bool {
        if !wakers.is_empty() || wakers.words.is_empty() || !futex::can_wait_any() {
            return false;
        }
        self.stop();
        self.pass_on = std::mem::take(&mut wakers.woken_one_by_one);
        let left = deadline.left().map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
        let slept = futex::wait_any(&wakers.words, Some(left)).is_ok();
        self.stop();
        slept
    }

    /// Arranges for the words of `wakers` to end its sleep on descriptors.
    pub(super) fn arrange(&mut self, wakers: &mut Wakers<'a>) {
        if wakers.words.is_empty() {
            return;
        }
        if !self.sentry.as_ref().is_some_and(|sentry| sentry.sleeps_on(&wakers.words)) {
            // After a change that made nothing ready the sources are asked again at intervals for one round, so that
            // words which change all the time do not start a thread each time.
            let had_changed = self.sentry.as_ref().is_some_and(Sentry::has_changed);
            self.stop();
            if !had_changed && futex::can_wait_any() && wakers.words.len() <= MOST_WORDS {
                self.sentry = Sentry::start(wakers.words.clone()).ok();
            }
        }
        self.pass_on = std::mem::take(&mut wakers.woken_one_by_one);
        match &self.sentry {
            Some(sentry) => {
                wakers.wake_number(sentry.as_fd().as_raw_fd());
                wakers.look_again_after(LOOK_AGAIN);
            }
            None => wakers.look_again(),
        }
    }

    fn stop(&mut self) {
        drop(self.sentry.take());
        self.pass_on.drain(..).for_each(futex::wake_one);
    }
}

impl Drop for WordSleep<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
