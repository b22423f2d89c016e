//! Numbers that processes share, as a slice.
//!
//! # Safety
//! The slice lies in memory that is mapped as long as the array, is aligned, and of which any bytes are numbers. The
//! lock keeps out every thread that takes it; a process that writes without it, against the rules, may change
//! numbers under a reader's eyes, as with any mapped file.
#![expect(unsafe_code, reason = "slices of mapped memory")]

use super::error::{MutexError, SetupError};
use super::held_lock::{self, Hold, poisoned_or};
use super::patience::Interrupt;
use super::plain::Plain;
use super::shared::{DATA, Kind, Shared};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::time::Duration;

/// The code of the type above the number of elements, which has this many bits.
const LEN_BITS: u32 = 48;

/// Numbers in shared memory, guarded by a lock: Python's `Array`.
///
/// A holder of the lock has them as a slice, without a copy, so an array may be as large as memory. A holder that is
/// killed in the middle leaves some numbers new and some old, and poisons the lock: see [`super::Mutex`], as which it
/// travels.
///
/// ```
/// let seats = proclab::sync::Array::new(&[0_u8; 100])?;
/// seats.lock().expect("no holder was killed")[17] = 1;
/// let seats = seats.lock().expect("no holder was killed");
/// assert_eq!(seats.iter().filter(|seat| **seat == 1).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Array<T> {
    pub(super) shared: Shared,
    interrupt: Interrupt,
    numbers: PhantomData<fn() -> T>,
}

fn sizes<T: Plain>(parameter: u64) -> Option<(u64, usize)> {
    let (code, len) = (parameter >> LEN_BITS, parameter & ((1 << LEN_BITS) - 1));
    let bytes = usize::try_from(len).ok()?.checked_mul(size_of::<T>())?;
    (code == T::CODE).then_some((bytes as u64, bytes))
}

impl<T: Plain> Array<T> {
    /// Shared memory with a copy of these numbers.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(numbers: &[T]) -> Result<Self, SetupError> {
        let array = Self::zeroed(numbers.len())?;
        if let Ok(mut slice) = array.lock() {
            slice.copy_from_slice(numbers);
        }
        Ok(array)
    }

    /// Shared memory for this many numbers, all of them 0.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn zeroed(len: usize) -> Result<Self, SetupError> {
        let max = (1_u64 << LEN_BITS) - 1;
        let value = len as u64;
        let out_of_range = SetupError::OutOfRange { what: "a length", value, min: 0, max };
        let parameter = T::CODE << LEN_BITS | value.min(max);
        let (data, mapped) = sizes::<T>(parameter).filter(|_| value <= max).ok_or(out_of_range)?;
        let shared = Shared::create(Kind::Array, parameter, data, mapped)?;
        Ok(Array { shared, interrupt: Interrupt::default(), numbers: PhantomData })
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        (self.shared.parameter & ((1 << LEN_BITS) - 1)) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until no other thread holds the lock, and takes it.
    ///
    /// # Errors
    /// As [`super::Mutex::lock`].
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, MutexError<ArrayGuard<'_, T>>> {
        self.lock_until(Deadline::NEVER)
    }

    /// The same, for up to `timeout`.
    ///
    /// # Errors
    /// As [`super::Mutex::lock_timeout`].
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ArrayGuard<'_, T>, MutexError<ArrayGuard<'_, T>>> {
        self.lock_until(Deadline::after(timeout))
    }

    /// Takes the lock if no thread holds it.
    ///
    /// # Errors
    /// As [`super::Mutex::try_lock`].
    pub fn try_lock(&self) -> Result<ArrayGuard<'_, T>, MutexError<ArrayGuard<'_, T>>> {
        self.lock_until(Deadline::now())
    }

    #[inline(always)]
    fn lock_until(&self, deadline: Deadline) -> Result<ArrayGuard<'_, T>, MutexError<ArrayGuard<'_, T>>> {
        if let Some(hold) = held_lock::try_take(&self.shared) {
            return Ok(ArrayGuard { array: self, hold });
        }
        let (hold, pid) = held_lock::take(&self.shared, &self.interrupt, deadline)?;
        poisoned_or(ArrayGuard { array: self, hold }, pid)
    }

    /// The PID of the process that holds the lock now, if any does.
    pub fn holder(&self) -> Option<Pid> {
        self.shared.lock().holder()
    }

    /// Has every wait through this handle end with an error once `interrupt` is readable.
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same array.
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        let shared = self.shared.try_clone(Kind::Array, sizes::<T>)?;
        Ok(Array { shared, interrupt: self.interrupt.try_clone()?, numbers: PhantomData })
    }

    fn base(&self) -> *mut T {
        self.shared.region().address(DATA, self.len() * size_of::<T>()).cast().as_ptr()
    }
}

/// The lock of an [`Array`] is held, and its numbers are a slice, until this is dropped or the process ends.
#[must_use = "the lock is released at once if this is dropped"]
pub struct ArrayGuard<'a, T: Plain> {
    array: &'a Array<T>,
    hold: Hold<'a>,
}

impl<T: Plain> ArrayGuard<'_, T> {
    /// Takes the poison away: the numbers have been looked at, and are right.
    pub fn clear_poison(&self) {
        self.hold.clear_poison();
    }
}

impl<T: Plain> Deref for ArrayGuard<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: see above; the guard borrows the array, and a writer needs the lock.
        unsafe { std::slice::from_raw_parts(self.array.base(), self.array.len()) }
    }
}

impl<T: Plain> DerefMut for ArrayGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and this thread holds the lock.
        unsafe { std::slice::from_raw_parts_mut(self.array.base(), self.array.len()) }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Plain> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shared = Shared::deserialize(deserializer, Kind::Array, sizes::<T>)?;
        Ok(Array { shared, interrupt: Interrupt::default(), numbers: PhantomData })
    }
}
