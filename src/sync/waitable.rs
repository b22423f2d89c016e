//! Primitives as things that are waited for beside others. They have no descriptor: they are asked again.

use super::array::Array;
use super::event::Event;
use super::mutex::Mutex;
use super::rlock::RLock;
use super::semaphore::{BoundedSemaphore, Semaphore};
use super::shared::Shared;
use crate::wait::{WaitAnyError, Waitable, Wakers};

fn ready_or_again(is_ready: bool, wakers: &mut Wakers<'_>) -> Result<bool, WaitAnyError> {
    if !is_ready {
        wakers.look_again();
    }
    Ok(is_ready)
}

fn is_free(shared: &Shared) -> bool {
    shared.lock().is_free() || shared.lock().is_own()
}

impl Waitable for Event {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        ready_or_again(self.is_set(), wakers)
    }
}

impl<T> Waitable for Mutex<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        ready_or_again(self.shared.lock().is_free(), wakers)
    }
}

impl<T> Waitable for Array<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        ready_or_again(self.shared.lock().is_free(), wakers)
    }
}

impl Waitable for RLock {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        ready_or_again(is_free(&self.shared), wakers)
    }
}

impl Waitable for Semaphore {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let available = self.available().map_err(std::io::Error::other)?;
        ready_or_again(available > 0, wakers)
    }
}

impl Waitable for BoundedSemaphore {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        let available = self.available().map_err(std::io::Error::other)?;
        ready_or_again(available > 0, wakers)
    }
}
