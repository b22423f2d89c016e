//! Permits that processes share.

use super::error::{ReleaseError, SetupError, WaitError};
use super::patience::Interrupt;
use super::roster::{Place, TABLE, Table, any_dead};
use super::shared::{Kind, Shared};
use crate::shm::word::Word32;
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The number of permits, held or not.
const PERMITS: usize = 0;
/// A word for threads that wait until a permit is available without taking it: the lowest bit says that there may be
/// such threads, and the upper bits change when they have to check.
const WATCH: usize = 1;
const WATCHED: u32 = 1;
/// The maximum number of permits of a semaphore.
pub const MAX_PERMITS: u64 = u32::MAX as u64;

/// States of a thread.
const WAITS: u32 = 1;
const HOLDS: u32 = 2;

/// A number of permits that processes share: Python's `Semaphore`.
///
/// Unlike a POSIX semaphore's, a permit has an owner, the thread that acquired it: it returns when its [`Permit`] is
/// dropped, and when the thread ends or its process is killed, at any instruction, within about 10 ms for a waiting
/// thread. [`Permit::forget`] and [`Self::release`] take and add permits without an owner.
///
/// Waiting threads are served in the order in which they arrived. It is sent to other processes like a [`super::Mutex`].
///
/// ```
/// let seats = proclab::sync::Semaphore::new(2)?;
/// let first = seats.acquire()?;
/// let second = seats.acquire()?;
/// assert!(seats.try_acquire().is_err());
/// drop(first);
/// assert_eq!(seats.available()?, 1);
/// # drop(second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Semaphore {
    pub(super) shared: Shared,
    interrupt: Interrupt,
}

/// A [`Semaphore`] that never has more permits than initially: Python's `BoundedSemaphore`.
#[derive(Debug)]
pub struct BoundedSemaphore(Semaphore);

/// One permit, held until this is dropped or its thread ends.
#[derive(Debug)]
#[must_use = "the permit is given back at once if this is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    place: Place,
}

fn sizes(permits: u64) -> Option<(u64, usize)> {
    (permits <= MAX_PERMITS).then_some((TABLE as u64, TABLE))
}

impl Semaphore {
    /// Creates a semaphore with this many permits.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(2)?;
    /// assert_eq!(permits.available()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(permits: u64) -> Result<Self, SetupError> {
        Self::create(Kind::Semaphore, permits)
    }

    fn create(kind: Kind, permits: u64) -> Result<Self, SetupError> {
        let out_of_range =
            SetupError::OutOfRange { what: "a number of permits", value: permits, min: 0, max: MAX_PERMITS };
        let (data, mapped) = sizes(permits).ok_or(out_of_range)?;
        let shared = Shared::create(kind, permits, data, mapped)?;
        shared.word(PERMITS).store(permits, Ordering::Relaxed);
        Ok(Semaphore { shared, interrupt: Interrupt::default() })
    }

    /// Waits for a permit, and takes it.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(2)?;
    /// let permit = permits.acquire()?;
    /// assert_eq!(permits.available()?, 1);
    /// drop(permit);
    /// assert_eq!(permits.available()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WaitError::Interrupted`]; [`WaitError::TooMany`] if 1024 threads hold or wait.
    pub fn acquire(&self) -> Result<Permit<'_>, WaitError> {
        self.acquire_until(Deadline::NEVER)
    }

    /// Like [`Self::acquire`], but waits for at most `timeout`.
    ///
    /// ```
    /// use proclab::sync::{Semaphore, WaitError};
    /// use std::time::Duration;
    ///
    /// let permits = Semaphore::new(1)?;
    /// let _permit = permits.acquire()?;
    /// let late = permits.acquire_timeout(Duration::from_millis(10));
    /// assert!(matches!(late, Err(WaitError::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::acquire`], and [`WaitError::TimedOut`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, WaitError> {
        self.acquire_until(Deadline::after(timeout))
    }

    /// Takes a permit if one is available and no thread waits for it.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(1)?;
    /// let _permit = permits.try_acquire()?;
    /// assert!(permits.try_acquire().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::acquire_timeout`]; it does not wait.
    pub fn try_acquire(&self) -> Result<Permit<'_>, WaitError> {
        let table = self.table()?;
        match free(&table) {
            0 => Err(WaitError::TimedOut),
            _ => self.permit(table.enter(HOLDS, 0)),
        }
    }

    fn permit(&self, place: Result<Place, WaitError>) -> Result<Permit<'_>, WaitError> {
        Ok(Permit { semaphore: self, place: place? })
    }

    fn acquire_until(&self, deadline: Deadline) -> Result<Permit<'_>, WaitError> {
        let place = {
            let table = self.table()?;
            if free(&table) > 0 {
                return self.permit(table.enter(HOLDS, 0));
            }
            table.enter(WAITS, 0)?
        };
        // From here on the permit returns in every case.
        let permit = Permit { semaphore: self, place };
        loop {
            permit.place.sleep(&self.shared, WAITS, self.interrupt.slice(deadline));
            if any_dead(&self.shared) {
                drop(self.table()?);
            }
            if Table::lock(&self.shared)?.state(&permit.place) == HOLDS {
                return Ok(permit);
            }
            self.interrupt.check(deadline)?;
        }
    }

    /// The table, after the permits of dead threads were given to waiting threads.
    fn table(&self) -> Result<Table<'_>, WaitError> {
        let table = Table::lock(&self.shared)?;
        table.dead().for_each(|dead| table.bury(dead));
        serve(&table);
        Ok(table)
    }

    /// Adds a permit without an owner, whether or not the caller holds one.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(1)?;
    /// permits.acquire()?.forget()?; // as Python's `acquire`
    /// permits.release()?;
    /// assert_eq!(permits.available()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.add_permits(1)
    }

    /// Adds permits.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(1)?;
    /// permits.add_permits(2)?;
    /// assert_eq!(permits.available()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReleaseError::TooMany`] above [`MAX_PERMITS`]; none was added then.
    pub fn add_permits(&self, permits: u64) -> Result<(), ReleaseError> {
        self.add(permits, MAX_PERMITS)
    }

    fn add(&self, permits: u64, max: u64) -> Result<(), ReleaseError> {
        let table = self.table()?;
        let sum = table.get(PERMITS).checked_add(permits).filter(|sum| *sum <= max);
        table.set(PERMITS, sum.ok_or(ReleaseError::TooMany { max })?);
        serve(&table);
        wake_watchers(&self.shared);
        Ok(())
    }

    /// The word that changes when a permit may be available, and its value until then; `None` if one is.
    pub(super) fn exhausted(&self) -> Result<Option<(&Word32, u32)>, WaitError> {
        let table = self.table()?;
        if free(&table) > 0 {
            return Ok(None);
        }
        let watch = self.shared.word32(WATCH);
        let value = watch.load(Ordering::Relaxed) | WATCHED;
        watch.store(value, Ordering::Relaxed);
        Ok(Some((watch, value)))
    }

    /// The number of permits that are available now.
    ///
    /// ```
    /// assert_eq!(proclab::sync::Semaphore::new(3)?.available()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the semaphore's lock is unavailable.
    pub fn available(&self) -> Result<u64, WaitError> {
        Ok(free(&self.table()?))
    }

    /// The PIDs of the processes that hold permits, one per permit.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(2)?;
    /// let _permit = permits.acquire()?;
    /// assert_eq!(permits.holders()?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the semaphore's lock is unavailable.
    pub fn holders(&self) -> Result<Vec<Pid>, WaitError> {
        Ok(self.table()?.live().filter(|seen| seen.state == HOLDS).map(|seen| seen.pid).collect())
    }

    /// Makes every wait through this handle fail with [`WaitError::Interrupted`] once `interrupt` is readable.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let permits = proclab::sync::Semaphore::new(1)?.with_interrupt(&stop)?;
    /// let _permit = permits.acquire()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same semaphore.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(2)?;
    /// let same = permits.try_clone()?; // for a child
    /// let _permit = same.acquire()?;
    /// assert_eq!(permits.available()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.clone_as(Kind::Semaphore)
    }

    fn clone_as(&self, kind: Kind) -> io::Result<Self> {
        Ok(Semaphore { shared: self.shared.try_clone(kind, sizes)?, interrupt: self.interrupt.try_clone()? })
    }
}

/// Wakes the threads that wait until a permit is available without taking it. Called under the lock, after waiting
/// threads were served.
fn wake_watchers(shared: &Shared) {
    let watch = shared.word32(WATCH);
    let seen = watch.load(Ordering::Relaxed);
    if seen & WATCHED != 0 {
        watch.store((seen & !WATCHED).wrapping_add(2), Ordering::Relaxed);
        watch.wake_all();
    }
}

/// The number of permits that no live thread holds.
fn free(table: &Table<'_>) -> u64 {
    table.get(PERMITS).saturating_sub(table.count(HOLDS) as u64)
}

/// Gives free permits to waiting threads, in order.
fn serve(table: &Table<'_>) {
    let mut free = free(table);
    while free > 0
        && let Some(first) = table.first(WAITS)
    {
        table.grant(first, HOLDS);
        free -= 1;
    }
}

impl Permit<'_> {
    /// Uses up the permit: it does not return to the semaphore. [`Semaphore::release`] adds one.
    ///
    /// ```
    /// let permits = proclab::sync::Semaphore::new(1)?;
    /// permits.acquire()?.forget()?;
    /// assert_eq!(permits.available()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the semaphore's lock is unavailable; the permit returns then.
    pub fn forget(self) -> Result<(), WaitError> {
        let table = self.semaphore.table()?;
        if self.place.is_own() {
            // If the thread is killed between this and the removal of its entry, the permit is used up, too.
            table.set(PERMITS, table.get(PERMITS).saturating_sub(1));
            table.leave(&self.place);
        }
        drop(table);
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.place.is_own()
            && let Ok(table) = self.semaphore.table()
        {
            table.leave(&self.place);
            serve(&table);
            wake_watchers(&self.semaphore.shared);
        }
    }
}

impl BoundedSemaphore {
    /// A semaphore with this many permits, which is also its maximum.
    ///
    /// ```
    /// let permits = proclab::sync::BoundedSemaphore::new(2)?;
    /// assert_eq!(permits.available()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(permits: u64) -> Result<Self, SetupError> {
        Semaphore::create(Kind::BoundedSemaphore, permits).map(BoundedSemaphore)
    }

    /// As [`Semaphore::acquire`].
    ///
    /// ```
    /// let permits = proclab::sync::BoundedSemaphore::new(2)?;
    /// let permit = permits.acquire()?;
    /// assert_eq!(permits.available()?, 1);
    /// drop(permit);
    /// assert_eq!(permits.available()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Semaphore::acquire`].
    pub fn acquire(&self) -> Result<Permit<'_>, WaitError> {
        self.0.acquire()
    }

    /// As [`Semaphore::acquire_timeout`].
    ///
    /// ```
    /// use proclab::sync::{BoundedSemaphore, WaitError};
    /// use std::time::Duration;
    ///
    /// let permits = BoundedSemaphore::new(1)?;
    /// let _permit = permits.acquire()?;
    /// let late = permits.acquire_timeout(Duration::from_millis(10));
    /// assert!(matches!(late, Err(WaitError::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Semaphore::acquire_timeout`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, WaitError> {
        self.0.acquire_timeout(timeout)
    }

    /// As [`Semaphore::try_acquire`].
    ///
    /// ```
    /// let permits = proclab::sync::BoundedSemaphore::new(1)?;
    /// let _permit = permits.try_acquire()?;
    /// assert!(permits.try_acquire().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Semaphore::try_acquire`].
    pub fn try_acquire(&self) -> Result<Permit<'_>, WaitError> {
        self.0.try_acquire()
    }

    /// Adds a permit that was [forgotten](Permit::forget).
    ///
    /// ```
    /// let permits = proclab::sync::BoundedSemaphore::new(1)?;
    /// permits.acquire()?.forget()?; // as Python's `acquire`
    /// permits.release()?;
    /// assert_eq!(permits.available()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReleaseError::TooMany`] if none is missing.
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.0.add(1, self.0.shared.parameter)
    }

    /// As [`Semaphore::available`].
    ///
    /// ```
    /// assert_eq!(proclab::sync::BoundedSemaphore::new(3)?.available()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Semaphore::available`].
    pub fn available(&self) -> Result<u64, WaitError> {
        self.0.available()
    }

    /// As [`Semaphore::holders`].
    ///
    /// ```
    /// let permits = proclab::sync::BoundedSemaphore::new(2)?;
    /// let _permit = permits.acquire()?;
    /// assert_eq!(permits.holders()?.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Semaphore::holders`].
    pub fn holders(&self) -> Result<Vec<Pid>, WaitError> {
        self.0.holders()
    }

    /// As [`Semaphore::with_interrupt`].
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let permits = proclab::sync::BoundedSemaphore::new(1)?.with_interrupt(&stop)?;
    /// let _permit = permits.acquire()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Semaphore::with_interrupt`].
    pub fn with_interrupt(self, interrupt: impl AsFd) -> io::Result<Self> {
        self.0.with_interrupt(interrupt).map(BoundedSemaphore)
    }

    /// Another handle of the same semaphore.
    ///
    /// ```
    /// let permits = proclab::sync::BoundedSemaphore::new(2)?;
    /// let same = permits.try_clone()?; // for a child
    /// let _permit = same.acquire()?;
    /// assert_eq!(permits.available()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.clone_as(Kind::BoundedSemaphore).map(BoundedSemaphore)
    }

    pub(super) fn inner(&self) -> &Semaphore {
        &self.0
    }
}

impl Serialize for Semaphore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl Serialize for BoundedSemaphore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, kind: Kind) -> Result<Semaphore, D::Error> {
    let shared = Shared::deserialize(deserializer, kind, sizes)?;
    Ok(Semaphore { shared, interrupt: Interrupt::default() })
}

impl<'de> Deserialize<'de> for Semaphore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, Kind::Semaphore)
    }
}

impl<'de> Deserialize<'de> for BoundedSemaphore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, Kind::BoundedSemaphore).map(BoundedSemaphore)
    }
}
