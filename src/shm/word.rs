//! Words in shared memory: the standard library's atomics, which a memory model can replace in unit tests.
//!
//! A word has the methods of the atomic that it wraps. In a unit test that runs under `shm::model`, accesses are
//! recorded instead of executed, and a load returns any value that some processor could return.

#[cfg(test)]
use super::model::recorder;
use crate::sys::futex;
use std::ops::Deref;
use std::sync::atomic::{self, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $atomic:ty, $int:ty) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name($atomic);

        impl $name {
            /// Creates a word with this value.
            pub const fn new(value: $int) -> Self {
                Self(<$atomic>::new(value))
            }

            #[cfg(test)]
            fn recorded(&self) -> recorder::Word {
                recorder::Word { address: self.0.as_ptr().addr(), now: self.0.load(Ordering::Relaxed).into() }
            }

            /// Like the method of the atomic.
            #[inline(always)]
            #[cfg_attr(test, track_caller)]
            pub fn load(&self, order: Ordering) -> $int {
                #[cfg(test)]
                if let Some(value) = recorder::load(self.recorded(), order) {
                    return value as $int;
                }
                self.0.load(order)
            }

            /// Like the method of the atomic.
            #[inline(always)]
            #[cfg_attr(test, track_caller)]
            pub fn store(&self, value: $int, order: Ordering) {
                #[cfg(test)]
                if recorder::store(self.recorded(), value.into(), order) {
                    return;
                }
                self.0.store(value, order);
            }

            /// Like the method of the atomic.
            ///
            /// # Errors
            /// The value found, if it is not `current`.
            #[inline(always)]
            #[cfg_attr(test, track_caller)]
            pub fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                #[cfg(test)]
                {
                    let new = |found| (found == u64::from(current)).then_some(u64::from(new));
                    if let Some((found, changed)) = recorder::update(self.recorded(), success, failure, new) {
                        let found = found as $int;
                        return if changed { Ok(found) } else { Err(found) };
                    }
                }
                self.0.compare_exchange(current, new, success, failure)
            }

            /// Like the method of the atomic.
            #[inline(always)]
            #[cfg_attr(test, track_caller)]
            pub fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                #[cfg(test)]
                {
                    let new = |found| Some(u64::from((found as $int).wrapping_add(value)));
                    if let Some((found, _)) = recorder::update(self.recorded(), order, order, new) {
                        return found as $int;
                    }
                }
                self.0.fetch_add(value, order)
            }
        }

        impl Deref for $name {
            type Target = $atomic;

            #[inline(always)]
            fn deref(&self) -> &$atomic {
                &self.0
            }
        }
    };
}

word!(
    /// A 32-bit word.
    Word32,
    AtomicU32,
    u32
);
word!(
    /// A 64-bit word.
    Word64,
    AtomicU64,
    u64
);

impl Word32 {
    /// Sleeps while the word holds `expected`, at most for `timeout`. May wake spuriously.
    pub fn wait(&self, expected: u32, timeout: Duration) {
        #[cfg(test)]
        if recorder::wait(self.recorded(), expected.into()) {
            return;
        }
        futex::wait(self, expected, timeout);
    }

    /// Wakes one process that sleeps on the word.
    pub fn wake_one(&self) {
        #[cfg(test)]
        if recorder::wake(self.recorded()) {
            return;
        }
        futex::wake_one(self);
    }

    /// Wakes every process that sleeps on the word.
    pub fn wake_all(&self) {
        futex::wake_all(self);
    }
}

/// Like [`std::sync::atomic::fence`].
#[inline(always)]
#[cfg_attr(test, track_caller)]
pub fn fence(order: Ordering) {
    #[cfg(test)]
    if recorder::fence(order) {
        return;
    }
    atomic::fence(order);
}
