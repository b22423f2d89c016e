//! Plain values that processes share, as a slice.
//!
//! # Safety
//! The slice is in memory that is mapped as long as the array exists, is aligned, and may hold any bytes. The lock
//! excludes every thread that takes it; a process that writes without it, against the rules, may change elements
//! while they are read, as with any mapped file.
#![expect(unsafe_code, reason = "slices of mapped memory")]

use super::error::{MemoryError, MutexError, SetupError};
use super::held_lock::{self, Hold, poisoned_or};
use super::patience::Interrupt;
use super::plain::{Plain, code};
use super::shared::{DATA, Kind, Shared};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The number of elements has this many bits; the code of their type is above it.
const LEN_BITS: u32 = 48;

/// Plain values in shared memory, guarded by a lock: Python's `Array`.
///
/// The elements are numbers, arrays of numbers, or structures that [`plain!`](crate::plain) defines. The holder of
/// the lock accesses them as a slice, without a copy, so an array can be as large as memory. A holder that is killed
/// during an update leaves some elements new and some old, and poisons the lock, like that of a [`super::Mutex`]. An
/// array is sent to other processes in the same way.
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
    elements: PhantomData<fn() -> T>,
}

fn sizes<T: Plain>(parameter: u64) -> Option<(u64, usize)> {
    let (is, len) = (parameter >> LEN_BITS, parameter & ((1 << LEN_BITS) - 1));
    let bytes = usize::try_from(len).ok()?.checked_mul(size_of::<T>())?;
    (is == code::<T>()).then_some((bytes as u64, bytes))
}

impl<T: Plain> Array<T> {
    /// Shared memory with a copy of these elements.
    ///
    /// ```
    /// let prices = proclab::sync::Array::new(&[1.5_f64, 2.0])?;
    /// assert_eq!(prices.lock().unwrap().iter().sum::<f64>(), 3.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(elements: &[T]) -> Result<Self, SetupError> {
        let array = Self::zeroed(elements.len())?;
        match array.lock() {
            Ok(mut slice) => slice.copy_from_slice(elements),
            Err(error) => return Err(SetupError::Os(io::Error::other(error.to_string()))),
        }
        Ok(array)
    }

    /// Shared memory for this many elements, whose bytes are all 0.
    ///
    /// ```
    /// let counts = proclab::sync::Array::<u64>::zeroed(1 << 20)?;
    /// counts.lock().expect("no holder was killed")[5] += 1;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn zeroed(len: usize) -> Result<Self, SetupError> {
        let max = (1_u64 << LEN_BITS) - 1;
        let value = len as u64;
        let out_of_range = SetupError::OutOfRange { what: "a length", value, min: 0, max };
        let parameter = code::<T>() << LEN_BITS | value.min(max);
        let (data, mapped) = sizes::<T>(parameter).filter(|_| value <= max).ok_or(out_of_range)?;
        let shared = Shared::create(Kind::Array, parameter, data, mapped)?;
        Ok(Array { shared, interrupt: Interrupt::default(), elements: PhantomData })
    }

    /// The number of elements.
    ///
    /// ```
    /// assert_eq!(proclab::sync::Array::new(&[1_u8, 2, 3])?.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        (self.shared.parameter & ((1 << LEN_BITS) - 1)) as usize
    }

    /// Whether the array has no elements.
    ///
    /// ```
    /// assert!(proclab::sync::Array::<u8>::zeroed(0)?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until no other thread holds the lock, and takes it.
    ///
    /// ```
    /// let seats = proclab::sync::Array::<u8>::zeroed(4)?;
    /// seats.lock().unwrap()[1..3].fill(1);
    /// assert_eq!(seats.lock().unwrap()[..], [0, 1, 1, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`super::Mutex::lock`].
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, MutexError<ArrayGuard<'_, T>>> {
        self.lock_until(Deadline::NEVER)
    }

    /// Like [`Self::lock`], but waits for at most `timeout`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let seats = proclab::sync::Array::<u8>::zeroed(4)?;
    /// assert!(seats.lock_timeout(Duration::from_millis(100)).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```no_run
    /// let seats = proclab::sync::Array::<u8>::zeroed(4)?;
    /// let held = seats.lock().unwrap();
    /// std::thread::scope(|scope| scope.spawn(|| assert!(seats.try_lock().is_err())).join().unwrap());
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// The PID of the process that holds the lock now; `None` if it is free.
    ///
    /// ```
    /// let seats = proclab::sync::Array::<u8>::zeroed(4)?;
    /// assert!(seats.holder().is_none());
    /// let _held = seats.lock().unwrap();
    /// assert!(seats.holder().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holder(&self) -> Option<Pid> {
        self.shared.lock().holder()
    }

    /// Makes every wait through this handle fail once `interrupt` is readable.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let seats = proclab::sync::Array::<u8>::zeroed(4)?.with_interrupt(&stop)?;
    /// assert!(seats.lock().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same array.
    ///
    /// ```
    /// let seats = proclab::sync::Array::<u8>::zeroed(4)?;
    /// let same = seats.try_clone()?; // for a child
    /// same.lock().unwrap()[0] = 1;
    /// assert_eq!(seats.lock().unwrap()[0], 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        let shared = self.shared.try_clone(Kind::Array, sizes::<T>)?;
        Ok(Array { shared, interrupt: self.interrupt.try_clone()?, elements: PhantomData })
    }

    /// The array whose memory this is: see [`Self::memory`].
    ///
    /// ```
    /// use proclab::sync::Array;
    ///
    /// let seats = Array::new(&[1_u8, 2])?;
    /// let same = Array::<u8>::attach(seats.memory().try_clone_to_owned()?)?;
    /// assert_eq!(same.lock().unwrap()[..], [1, 2]);
    /// assert!(Array::<u64>::attach(seats.memory().try_clone_to_owned()?).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MemoryError`] if it is the memory of something else, or of other elements.
    pub fn attach(memory: OwnedFd) -> Result<Self, MemoryError> {
        let shared = Shared::attach(memory, Kind::Array, sizes::<T>)?;
        Ok(Array { shared, interrupt: Interrupt::default(), elements: PhantomData })
    }

    fn base(&self) -> *mut T {
        self.shared.region().address(DATA, self.len() * size_of::<T>()).cast().as_ptr()
    }
}

impl<T> Array<T> {
    /// The offset of the elements in its [memory](Self::memory), in bytes.
    pub const OFFSET: u64 = DATA as u64;

    /// Its sealed memory (`memfd_create(2)`), for a process that did not receive it as an argument: that process
    /// [attaches](Self::attach) it. A program in another language maps it; the elements begin at [`Self::OFFSET`].
    ///
    /// ```
    /// use proclab::sync::Array;
    ///
    /// let array = Array::new(&[1.0_f64, 2.0])?;
    /// let same = Array::<f64>::attach(array.memory().try_clone_to_owned()?)?;
    /// same.lock().expect("no holder was killed")[1] = 3.0;
    /// assert_eq!(array.lock().expect("no holder was killed")[..], [1.0, 3.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.shared.region().file()
    }
}

/// The lock of an [`Array`] is held, and its elements are a slice, until this is dropped or the process ends.
#[must_use = "the lock is released at once if this is dropped"]
pub struct ArrayGuard<'a, T: Plain> {
    array: &'a Array<T>,
    hold: Hold<'a>,
}

impl<T: Plain> ArrayGuard<'_, T> {
    /// Clears the poison: the elements were checked, and are correct.
    ///
    /// ```
    /// use proclab::sync::{Array, MutexError};
    ///
    /// # fn repair(seats: &Array<u8>) {
    /// if let Err(MutexError::Poisoned(poisoned)) = seats.lock() {
    ///     let mut seats = poisoned.into_guard();
    ///     seats.fill(0);
    ///     seats.clear_poison();
    /// }
    /// # }
    /// ```
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
        Ok(Array { shared, interrupt: Interrupt::default(), elements: PhantomData })
    }
}
