//! A plain value that processes share without holding a lock.
//!
//! A value of up to 8 bytes is one word, and each operation is one atomic step. For a larger value there are two
//! places; the lowest bit of a version says which one is valid. A writer holds the brief lock, writes to the other
//! place, and makes it the valid one by one store to the version. A reader takes no lock: it copies the valid place,
//! and repeats that if the version has changed meanwhile.

use super::error::{MemoryError, SetupError};
use super::patience::{Interrupt, until};
use super::plain::{Plain, code, from_word, from_words, to_word, to_words, update, words};
use super::robust_mutex::{Held, Locked, lock, try_lock};
use super::shared::{BRIEF_LOCK, DATA, Kind, Shared};
use crate::shm::word::{Word64, fence};
use crate::sys::poll::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

/// The value itself, if it fits; otherwise its version.
const WORD: usize = 0;

/// A value in shared memory: Python's `Value`, without a lock to hold.
///
/// Any [`Plain`] type can be shared: numbers, arrays of numbers, and structures that [`plain!`](crate::plain)
/// defines. Each operation takes effect in one atomic step, so a process that is killed has performed it or not: the
/// value is never torn, and no process waits for one that was killed. Values of up to 8 bytes are lock-free; reads of
/// larger ones are, too, and their writers exclude each other for the time of a copy. For a value of any other type
/// use a [`super::Mutex`].
///
/// It is created in a parent and passed to children like a [`super::Mutex`].
///
/// ```
/// let sold = proclab::sync::Value::new(0_u64)?;
/// sold.update(|sold| sold + 1);
/// assert_eq!(sold.get(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// Operations that change a value of more than 8 bytes panic if the kernel does not watch this thread's locks
/// (`set_robust_list(2)`).
pub struct Value<T> {
    pub(super) shared: Shared,
    value: PhantomData<fn() -> T>,
}

const fn is_word<T>() -> bool {
    size_of::<T>() <= 8
}

/// Bytes of each of the two places.
const fn place<T>() -> usize {
    if is_word::<T>() { 0 } else { 8 * words::<T>() }
}

fn sizes<T: Plain>(parameter: u64) -> Option<(u64, usize)> {
    let bytes = 2 * place::<T>();
    (parameter == code::<T>()).then_some((bytes as u64, bytes))
}

impl<T: Plain> Value<T> {
    /// Shared memory with this value.
    ///
    /// ```
    /// let count = proclab::sync::Value::new(0_u64)?;
    /// assert_eq!(count.get(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(value: T) -> Result<Self, SetupError> {
        let bytes = 2 * place::<T>();
        let shared = Shared::create(Kind::Value, code::<T>(), bytes as u64, bytes)?;
        let new = Value { shared, value: PhantomData };
        if is_word::<T>() {
            new.word().store(to_word(value), Ordering::Release);
        } else {
            // No other thread knows of it yet.
            new.write(0, value);
        }
        Ok(new)
    }

    #[inline(always)]
    fn word(&self) -> &Word64 {
        self.shared.word(WORD)
    }

    /// The value now. What another process wrote before it stored that value is seen as well.
    ///
    /// ```
    /// assert_eq!(proclab::sync::Value::new(7_i32)?.get(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get(&self) -> T {
        if is_word::<T>() { from_word(self.word().load(Ordering::Acquire)) } else { self.read().1 }
    }

    /// Stores a value.
    ///
    /// ```
    /// let count = proclab::sync::Value::new(0_u64)?;
    /// count.set(5);
    /// assert_eq!(count.get(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn set(&self, value: T) {
        if is_word::<T>() {
            self.word().store(to_word(value), Ordering::Release);
        } else {
            let _held = self.writing();
            self.write(self.word().load(Ordering::Relaxed), value);
        }
    }

    /// Replaces the value by the result of `change`, in one atomic step, and returns the previous value. `change` is
    /// called again if another process was faster.
    ///
    /// ```
    /// let count = proclab::sync::Value::new(1_u64)?;
    /// assert_eq!(count.update(|count| count + 1), 1);
    /// assert_eq!(count.get(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> T {
        if is_word::<T>() {
            return update(self.word(), change);
        }
        loop {
            // Without the lock, because it runs the caller's code.
            let (version, old) = self.read();
            let new = change(old);
            let _held = self.writing();
            if self.word().load(Ordering::Relaxed) == version {
                self.write(version, new);
                return old;
            }
        }
    }

    /// Stores `new` if the value is `current`, compared by its bytes.
    ///
    /// ```
    /// let count = proclab::sync::Value::new(1_u64)?;
    /// assert_eq!(count.compare_exchange(1, 2), Ok(1));
    /// assert_eq!(count.compare_exchange(1, 3), Err(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The value, if it differs.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        if is_word::<T>() {
            return self
                .word()
                .compare_exchange(to_word(current), to_word(new), Ordering::AcqRel, Ordering::Acquire)
                .map(from_word)
                .map_err(from_word);
        }
        let _held = self.writing();
        let (version, found) = self.read();
        let (mut expected, mut is_equal) = (Vec::with_capacity(words::<T>()), true);
        to_words(&current, |_, word| expected.push(word));
        to_words(&found, |number, word| is_equal &= expected[number] == word);
        if !is_equal {
            return Err(found);
        }
        self.write(version, new);
        Ok(found)
    }

    /// The word `number` of the place that is valid in `version`.
    #[inline]
    fn part(&self, version: u64, number: usize) -> &Word64 {
        self.shared.region().word(DATA + (version & 1) as usize * place::<T>() + 8 * number)
    }

    /// The complete value, and its version.
    fn read(&self) -> (u64, T) {
        loop {
            let version = self.word().load(Ordering::Acquire);
            let value = from_words(|number| self.part(version, number).load(Ordering::Relaxed));
            // Pairs with the fence in `write`: if a word of a later writer was read, its version is seen as well.
            fence(Ordering::Acquire);
            if self.word().load(Ordering::Relaxed) == version {
                return (version, value);
            }
            std::hint::spin_loop();
        }
    }

    /// Stores `value`; `version` is the current one. Only for the holder of the lock.
    fn write(&self, version: u64, value: T) {
        fence(Ordering::Release);
        let next = version.wrapping_add(1);
        to_words(&value, |number, word| self.part(next, number).store(word, Ordering::Relaxed));
        self.word().store(next, Ordering::Release);
    }

    /// The lock between writers. A killed writer has written only to the place that is not valid, or has finished.
    fn writing(&self) -> Held<'_> {
        let words = self.shared.region().words32(BRIEF_LOCK);
        if let Some(held) = try_lock(words) {
            return held;
        }
        let held = until(&Interrupt::default(), Deadline::NEVER, |slice| {
            lock(words, slice).map(|Locked { held, .. }| held)
        });
        held.unwrap_or_else(|error| panic!("a value is unavailable: {error}"))
    }

    /// The value whose memory this is: see [`Self::memory`].
    ///
    /// ```
    /// use proclab::sync::Value;
    ///
    /// let count = Value::new(1_u64)?;
    /// let same = Value::<u64>::attach(count.memory().try_clone_to_owned()?)?;
    /// same.set(2);
    /// assert_eq!(count.get(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError`] if it is the memory of something else, or of another type.
    pub fn attach(memory: OwnedFd) -> Result<Self, MemoryError> {
        Ok(Value { shared: Shared::attach(memory, Kind::Value, sizes::<T>)?, value: PhantomData })
    }

    /// Another handle of the same value.
    ///
    /// ```
    /// let count = proclab::sync::Value::new(1_u64)?;
    /// let same = count.try_clone()?; // for a child
    /// same.set(2);
    /// assert_eq!(count.get(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Value { shared: self.shared.try_clone(Kind::Value, sizes::<T>)?, value: PhantomData })
    }
}

impl<T> Value<T> {
    /// Its sealed memory (`memfd_create(2)`), for a process that did not receive it as an argument: that process
    /// [attaches](Self::attach) it.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    ///
    /// let count = proclab::sync::Value::new(1_u64)?;
    /// println!("its memory is descriptor {}", count.memory().as_raw_fd());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.shared.region().file()
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.get()).finish()
    }
}

impl<T> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Value { shared: Shared::deserialize(deserializer, Kind::Value, sizes::<T>)?, value: PhantomData })
    }
}
