//! Primitives as things that are waited for beside others: each has a word in shared memory that changes when it may be
//! ready.

use super::array::Array;
use super::event::Event;
use super::linked::LinkedLock;
use super::mutex::Mutex;
use super::rlock::RLock;
use super::semaphore::{BoundedSemaphore, Semaphore};
use crate::wait::{WaitAnyError, Waitable, Wakers};

fn is_free<'a>(lock: &'a LinkedLock, wakers: &mut Wakers<'a>) -> bool {
    if lock.is_free() {
        return true;
    }
    if !wakers.sleeps_on_words() {
        wakers.look_again();
        return false;
    }
    match lock.prepare_sleep() {
        Some((word, held)) => {
            wakers.wake_by_one(word, held);
            false
        }
        None => true,
    }
}

impl Waitable for Event {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let Some((word, unset)) = self.unset() else { return Ok(true) };
        wakers.wake_by_all(word, unset);
        Ok(false)
    }
}

impl<T> Waitable for Mutex<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        Ok(is_free(self.shared.lock(), wakers))
    }
}

impl<T> Waitable for Array<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        Ok(is_free(self.shared.lock(), wakers))
    }
}

impl Waitable for RLock {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let lock = self.shared.lock();
        Ok(lock.is_own() || is_free(lock, wakers))
    }
}

impl Waitable for Semaphore {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let exhausted = self.exhausted().map_err(std::io::Error::other)?;
        let Some((word, value)) = exhausted else { return Ok(true) };
        wakers.wake_by_all(word, value);
        Ok(false)
    }
}

impl Waitable for BoundedSemaphore {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        self.inner().enroll(wakers)
    }
}
