//! A value that several processes share, one at a time.
//!
//! There are two places for the encoded value in shared memory. A holder works on its own copy; when it releases the
//! lock, the new bytes are written to the place that is not valid, and one store makes that place the valid one. So a
//! killed holder leaves the old value or the new one, never a torn one.

use super::error::{MutexError, SetupError, StoreError, UnreadableValue};
use super::held_lock::{self, Hold, poisoned_or};
use super::patience::Interrupt;
use super::shared::{DATA, Kind, Shared};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use crate::wire::codec::{self, Message, number};
use crate::wire::scratch::with_buffer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The default size limit of a value, in encoded bytes.
pub const DEFAULT_VALUE_LIMIT: u64 = 64 << 20;
const MAX_VALUE_LIMIT: u64 = 1 << 40;
/// The length of the value; the highest bit says which of the two places is valid.
const CURRENT: usize = 1;
const SECOND: u64 = 1 << 63;
/// The size up to which a value is in mapped memory.
const SMALL: usize = 1792;
/// The size up to which a value is one word: one of these two, next to [`CURRENT`].
const TINY: usize = 8;
const TINIES: usize = 2;
const SMALLS: usize = 2 * SMALL;

/// A value that processes share, guarded by a lock that a killed holder cannot keep.
///
/// It is created in a parent and passed to children as an argument, or part of one, under every start method. The value
/// can have any serde type.
///
/// ```no_run
/// use proclab::{Process, Supervisor, sync::Mutex};
///
/// fn sell(stock: Mutex<u32>) {
///     let mut stock = stock.lock().expect("no seller was killed");
///     *stock -= 1;
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # proclab::child_entry();
/// let supervisor = Supervisor::new()?;
/// let stock = Mutex::new(10)?;
/// let child = supervisor.start(Process::new(sell).args(stock.try_clone()?))?;
/// child.join()?;
/// assert_eq!(*stock.lock().expect("no seller was killed"), 9);
/// # Ok(())
/// # }
/// ```
///
/// # A killed holder
/// If a process is killed while it holds the lock, at any instruction, the next holder takes it as soon as the kernel
/// reports the death, and gets [`MutexError::Poisoned`] with the guard and the PID of the dead process. The value is
/// the last one that was stored. The lock stays poisoned until [`MutexGuard::clear_poison`], as in the standard
/// library. A thread that panics while it holds the lock poisons it too, and its changes are not stored. A stopped
/// holder keeps the lock.
///
/// # Order
/// The lock is not fair: a thread that finds it free takes it, even if others have waited longer. A thread can hold
/// several mutexes, and release them in any order. A thread that locks a mutex that it already holds waits forever: use
/// an [`super::RLock`].
pub struct Mutex<T> {
    pub(super) shared: Shared,
    interrupt: Interrupt,
    guards: PhantomData<fn() -> T>,
}

// Only bytes are shared; each thread has its own value.
impl<T: Message> Mutex<T> {
    /// Creates a mutex with this value, for values of up to [`DEFAULT_VALUE_LIMIT`] encoded bytes. It uses memory for
    /// the current value, not for the largest possible one.
    ///
    /// ```
    /// let stock = proclab::sync::Mutex::new(10)?;
    /// assert_eq!(*stock.lock().unwrap(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(value: T) -> Result<Self, SetupError> {
        Self::with_limit(value, DEFAULT_VALUE_LIMIT)
    }

    /// Like [`Self::new`], with another size limit, in encoded bytes.
    ///
    /// ```
    /// use proclab::sync::{Mutex, StoreError};
    ///
    /// let name = Mutex::with_limit("Ann".to_owned(), 64)?;
    /// let mut long = name.lock().unwrap();
    /// *long = "x".repeat(100);
    /// assert!(matches!(long.store(), Err(StoreError::TooLarge { limit: 64, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn with_limit(value: T, limit: u64) -> Result<Self, SetupError> {
        if !(1..=MAX_VALUE_LIMIT).contains(&limit) {
            let what = "a limit";
            return Err(SetupError::OutOfRange { what, value: limit, min: 1, max: MAX_VALUE_LIMIT });
        }
        let (data, mapped) = sizes(limit).expect("the limit is in range");
        let shared = Shared::create(Kind::Mutex, limit, data, mapped)?;
        store(&shared, &value)?;
        Ok(Mutex { shared, interrupt: Interrupt::default(), guards: PhantomData })
    }

    /// Waits until no other thread holds the lock, and takes it.
    ///
    /// ```
    /// let stock = proclab::sync::Mutex::new(10)?;
    /// *stock.lock().unwrap() -= 1;
    /// assert_eq!(*stock.lock().unwrap(), 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MutexError::Poisoned`], with the guard, if an earlier holder ended while it held the lock;
    /// [`WaitError::Interrupted`](super::WaitError::Interrupted) if the handle was interrupted.
    #[inline(always)]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, MutexError<MutexGuard<'_, T>>> {
        match self.try_take() {
            Some(guard) => Ok(guard),
            None => *self.lock_boxed(),
        }
    }

    /// The slow path. Separate from the fast path, so that their results are not written to the same place in memory:
    /// a processor stalls when it loads together what was stored word by word.
    #[cold]
    #[inline(never)]
    fn lock_boxed(&self) -> Box<Result<MutexGuard<'_, T>, MutexError<MutexGuard<'_, T>>>> {
        Box::new(self.lock_until(Deadline::NEVER))
    }

    /// The fast path.
    #[inline(always)]
    fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        let hold = held_lock::try_take(&self.shared)?;
        let value = load(&self.shared).ok()?;
        Some(MutexGuard { mutex: self, value, changed: 0, hold: Some(hold) })
    }

    /// Like [`Self::lock`], but waits for at most `timeout`.
    ///
    /// ```
    /// use proclab::sync::{Mutex, MutexError, WaitError};
    /// use std::time::Duration;
    ///
    /// let stock = Mutex::new(10)?;
    /// let _held = stock.lock().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let late = stock.lock_timeout(Duration::from_millis(10));
    ///         assert!(matches!(late, Err(MutexError::Wait(WaitError::TimedOut))));
    ///     });
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::lock`], and [`WaitError::TimedOut`](super::WaitError::TimedOut).
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MutexGuard<'_, T>, MutexError<MutexGuard<'_, T>>> {
        self.lock_until(Deadline::after(timeout))
    }

    /// Takes the lock if no thread holds it.
    ///
    /// ```
    /// let stock = proclab::sync::Mutex::new(10)?;
    /// if let Ok(mut stock) = stock.try_lock() {
    ///     *stock -= 1;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::lock_timeout`]; it does not wait.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, MutexError<MutexGuard<'_, T>>> {
        self.lock_until(Deadline::now())
    }

    #[cold]
    pub(super) fn lock_until(
        &self,
        deadline: Deadline,
    ) -> Result<MutexGuard<'_, T>, MutexError<MutexGuard<'_, T>>> {
        let (hold, pid) = held_lock::take(&self.shared, &self.interrupt, deadline)?;
        let value = load(&self.shared).map_err(MutexError::Unreadable)?;
        poisoned_or(MutexGuard { mutex: self, value, changed: 0, hold: Some(hold) }, pid)
    }

    /// The PID of the process that holds the lock now; `None` if it is free.
    ///
    /// ```
    /// let stock = proclab::sync::Mutex::new(10)?;
    /// assert_eq!(stock.holder(), None);
    /// let _held = stock.lock().unwrap();
    /// assert_eq!(stock.holder().unwrap().as_raw().unsigned_abs(), std::process::id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holder(&self) -> Option<Pid> {
        self.shared.lock().holder()
    }

    /// The PID of the process that poisoned the lock; `None` if it is not poisoned.
    ///
    /// ```
    /// let stock = proclab::sync::Mutex::new(10)?;
    /// assert_eq!(stock.poisoned_by(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poisoned_by(&self) -> Option<Pid> {
        held_lock::poison(&self.shared)
    }
}

impl<T> Mutex<T> {
    /// Makes every wait through this handle fail with [`WaitError::Interrupted`](super::WaitError::Interrupted) once `interrupt` is readable.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let stock = proclab::sync::Mutex::new(10)?.with_interrupt(&stop)?;
    /// assert_eq!(*stock.lock().unwrap(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same mutex.
    ///
    /// ```
    /// let stock = proclab::sync::Mutex::new(10)?;
    /// let same = stock.try_clone()?; // for a child
    /// *same.lock().unwrap() -= 1;
    /// assert_eq!(*stock.lock().unwrap(), 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        let shared = self.shared.try_clone(Kind::Mutex, sizes)?;
        Ok(Mutex { shared, interrupt: self.interrupt.try_clone()?, guards: PhantomData })
    }
}

fn sizes(limit: u64) -> Option<(u64, usize)> {
    (1..=MAX_VALUE_LIMIT).contains(&limit).then_some((SMALLS as u64 + 2 * limit, SMALLS))
}

/// Where a value of more than one word is.
#[inline(always)]
fn place(shared: &Shared, second: bool, len: usize) -> u64 {
    if len <= SMALL {
        return (DATA + if second { SMALL } else { 0 }) as u64;
    }
    (DATA + SMALLS) as u64 + if second { shared.parameter } else { 0 }
}

#[inline(always)]
fn load<T: Message>(shared: &Shared) -> Result<T, UnreadableValue> {
    let current = shared.word(CURRENT).load(Ordering::Relaxed);
    let (second, len) = (current & SECOND != 0, current & !SECOND);
    if len > TINY as u64 {
        return load_long(shared, len, second);
    }
    let len = len as usize;
    let word = shared.word(TINIES + usize::from(second)).load(Ordering::Relaxed);
    match number::from_word(word, len) {
        Some(value) => Ok(value),
        None => load_short(&word.to_le_bytes()[..len]),
    }
}

#[inline(never)]
fn load_short<T: Message>(bytes: &[u8]) -> Result<T, UnreadableValue> {
    Ok(codec::decode(bytes)?)
}

#[inline(never)]
fn load_long<T: Message>(shared: &Shared, len: u64, second: bool) -> Result<T, UnreadableValue> {
    if len > shared.parameter {
        return Err(UnreadableValue::Corrupt("the value is longer than the limit"));
    }
    let len = len as usize;
    let at = place(shared, second, len);
    with_buffer(|bytes| {
        if len <= SMALL {
            shared.region().append_to(bytes, at as usize, len);
        } else {
            bytes.try_reserve_exact(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            bytes.resize(len, 0);
            shared.region().read(bytes, at)?;
        }
        Ok(codec::decode(bytes)?)
    })
}

/// Writes the value to the place that is not valid, and makes it the valid one.
#[inline(always)]
fn store<T: Message>(shared: &Shared, value: &T) -> Result<(), StoreError> {
    match number::to_word(value) {
        Some((word, len)) if shared.word(CURRENT).load(Ordering::Relaxed) & !SECOND <= TINY as u64 => {
            store_word(shared, word, len as u64)
        }
        _ => store_any(shared, value),
    }
}

/// The same for a value of one word that replaces another one.
#[inline(always)]
fn store_word(shared: &Shared, word: u64, size: u64) -> Result<(), StoreError> {
    let limit = shared.parameter;
    if size > limit {
        return Err(StoreError::TooLarge { size, limit });
    }
    let second = shared.word(CURRENT).load(Ordering::Relaxed) & SECOND == 0;
    shared.word(TINIES + usize::from(second)).store(word, Ordering::Relaxed);
    make_valid(shared, size, second);
    Ok(())
}

/// The store that takes effect: release, after the bytes.
#[inline(always)]
fn make_valid(shared: &Shared, size: u64, second: bool) {
    shared.word(CURRENT).store(size | if second { SECOND } else { 0 }, Ordering::Release);
}

#[inline(never)]
fn store_any<T: Message>(shared: &Shared, value: &T) -> Result<(), StoreError> {
    with_buffer(|bytes| {
        codec::encode_into(value, bytes)?;
        store_bytes(shared, bytes)
    })
}

#[inline]
fn store_bytes(shared: &Shared, bytes: &[u8]) -> Result<(), StoreError> {
    let size = bytes.len() as u64;
    let limit = shared.parameter;
    if size > limit {
        return Err(StoreError::TooLarge { size, limit });
    }
    let old = shared.word(CURRENT).load(Ordering::Relaxed);
    let second = old & SECOND == 0;
    let at = place(shared, second, bytes.len());
    if bytes.len() <= TINY {
        let mut word = [0; TINY];
        word[..bytes.len()].copy_from_slice(bytes);
        shared.word(TINIES + usize::from(second)).store(u64::from_le_bytes(word), Ordering::Relaxed);
    } else if bytes.len() <= SMALL {
        shared.region().put(at as usize, bytes);
    } else {
        shared.region().write(bytes, at)?;
    }
    make_valid(shared, size, second);
    if old & !SECOND > SMALL as u64 {
        let (offset, len) = (place(shared, !second, SMALL + 1), (old & !SECOND).min(limit));
        let _ = shared.region().release(offset, len);
    }
    Ok(())
}

/// The lock is held until this is dropped or its process ends. Changes are stored when it is dropped.
///
/// If the value cannot be stored (it is too large, or cannot be encoded), the old one stays, and the mutex is poisoned;
/// [`MutexGuard::store`] reports why instead.
#[must_use = "the lock is released at once if this is dropped"]
pub struct MutexGuard<'a, T: Message> {
    mutex: &'a Mutex<T>,
    value: T,
    /// 1 if it was borrowed mutably. A whole word, as in [`Hold`].
    changed: usize,
    /// `None` once it is released.
    hold: Option<Hold<'a>>,
}

impl<'a, T: Message> MutexGuard<'a, T> {
    /// Stores the value, and releases the lock.
    ///
    /// ```
    /// let stock = proclab::sync::Mutex::new(10)?;
    /// let mut held = stock.lock().unwrap();
    /// *held -= 1;
    /// held.store()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError`]; the old value stays, and the lock is released.
    pub fn store(mut self) -> Result<(), StoreError> {
        let result = store(&self.mutex.shared, &self.value);
        self.changed = 0;
        result
    }

    /// Clears the poison: the value was checked, and is correct.
    ///
    /// ```
    /// use proclab::sync::{Mutex, MutexError};
    ///
    /// let stock = Mutex::new(10).unwrap();
    /// match stock.lock() {
    ///     Ok(stock) => println!("{} are left", *stock),
    ///     Err(MutexError::Poisoned(poisoned)) => {
    ///         println!("{} ended while it held the lock", poisoned.pid());
    ///         // The value was checked, and is right.
    ///         poisoned.into_guard().clear_poison();
    ///     }
    ///     Err(error) => panic!("{error}"),
    /// };
    /// ```
    pub fn clear_poison(&self) {
        if let Some(hold) = &self.hold {
            hold.clear_poison();
        }
    }

    /// Releases the lock, and returns its mutex.
    pub(super) fn release(self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: Message> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Message> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.changed = 1;
        &mut self.value
    }
}

impl<T: Message> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        hold.release_after(|hold| {
            if self.changed != 0 && store(&self.mutex.shared, &self.value).is_err() {
                hold.set_poison();
            }
        });
    }
}

impl<T: Message + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("holder", &self.shared.lock().holder()).finish_non_exhaustive()
    }
}

impl<T> Serialize for Mutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Mutex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shared = Shared::deserialize(deserializer, Kind::Mutex, sizes)?;
        Ok(Mutex { shared, interrupt: Interrupt::default(), guards: PhantomData })
    }
}
