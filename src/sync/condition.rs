//! Waiting until another process has changed what a mutex guards.

use super::error::{MutexError, SetupError, WaitError};
use super::mutex::MutexGuard;
use super::patience::Interrupt;
use super::roster::{Place, TABLE, Table, any_dead};
use super::shared::{Kind, Shared};
use crate::sys::poll::Deadline;
use crate::wire::codec::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// States of a thread.
const WAITS: u32 = 1;
/// Chosen by `notify`. If it ends before it wakes, the next one is woken instead.
const CHOSEN: u32 = 2;
/// `notify_all` woke it.
const WOKEN: u32 = 3;

/// Lets threads wait, without holding a mutex, until another thread has changed the value that it guards: Python's `Condition`, the
/// standard library's `Condvar`.
///
/// No wake-up is lost and none is spurious: [`Self::notify_one`] wakes the thread that has waited longest, and
/// if that thread is killed before it has woken, at any instruction, the next one is woken instead. Still, check the
/// condition in a loop, or use [`Self::wait_while`]: another thread may take the mutex first. It is sent to other processes like a [`super::Mutex`].
#[derive(Debug)]
pub struct Condition {
    pub(super) shared: Shared,
    interrupt: Interrupt,
}

fn sizes(_: u64) -> Option<(u64, usize)> {
    Some((TABLE as u64, TABLE))
}

type Relocked<'a, T> = Result<MutexGuard<'a, T>, MutexError<MutexGuard<'a, T>>>;

impl Condition {
    /// Creates a condition.
    ///
    /// ```
    /// let changed = proclab::sync::Condition::new()?;
    /// assert_eq!(changed.waiting()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new() -> Result<Self, SetupError> {
        let shared = Shared::create(Kind::Condition, 0, TABLE as u64, TABLE)?;
        Ok(Condition { shared, interrupt: Interrupt::default() })
    }

    /// Stores the value and releases the mutex, waits for a notification, and takes the mutex again. A notification
    /// sent after the mutex was released is never missed.
    ///
    /// ```no_run
    /// use proclab::sync::{Condition, Mutex};
    ///
    /// let (ready, changed) = (Mutex::new(false)?, Condition::new()?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *ready.lock().unwrap() = true;
    ///         changed.notify_all().unwrap();
    ///     });
    ///     let mut guard = ready.lock().unwrap();
    ///     while !*guard {
    ///         guard = changed.wait(guard).unwrap();
    ///     }
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WaitError::Interrupted`], without the mutex; and what [`super::Mutex::lock`] reports.
    pub fn wait<'a, T: Message>(&self, guard: MutexGuard<'a, T>) -> Relocked<'a, T> {
        self.wait_until(guard, Deadline::NEVER).map(|(guard, _)| guard)
    }

    /// Like [`Self::wait`], but waits for at most `timeout`. The mutex is taken again in any case; the result says
    /// whether a notification arrived.
    ///
    /// ```
    /// use proclab::sync::{Condition, Mutex};
    /// use std::time::Duration;
    ///
    /// let (count, changed) = (Mutex::new(0)?, Condition::new()?);
    /// let (_guard, was_notified) = changed.wait_timeout(count.lock().unwrap(), Duration::from_millis(10)).unwrap();
    /// assert!(!was_notified);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn wait_timeout<'a, T: Message>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'a, T>, bool), MutexError<MutexGuard<'a, T>>> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// Waits while `condition` is true for the value.
    ///
    /// ```no_run
    /// use proclab::sync::{Condition, Mutex};
    ///
    /// let (stock, changed) = (Mutex::new(0)?, Condition::new()?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         *stock.lock().unwrap() += 1;
    ///         changed.notify_one().unwrap();
    ///     });
    ///     let mut stock = changed.wait_while(stock.lock().unwrap(), |stock| *stock == 0).unwrap();
    ///     *stock -= 1;
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn wait_while<'a, T: Message>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Relocked<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Like [`Self::wait_while`], but waits for at most `timeout`. The result says whether the condition has become false.
    ///
    /// ```
    /// use proclab::sync::{Condition, Mutex};
    /// use std::time::Duration;
    ///
    /// let (stock, changed) = (Mutex::new(0)?, Condition::new()?);
    /// let wait = changed.wait_timeout_while(stock.lock().unwrap(), Duration::from_millis(10), |stock| *stock == 0);
    /// let (_stock, is_there) = wait.unwrap();
    /// assert!(!is_there);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn wait_timeout_while<'a, T: Message>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(MutexGuard<'a, T>, bool), MutexError<MutexGuard<'a, T>>> {
        let deadline = Deadline::after(timeout);
        loop {
            if !condition(&mut guard) {
                return Ok((guard, true));
            }
            if deadline.is_over() {
                return Ok((guard, false));
            }
            (guard, _) = self.wait_until(guard, deadline)?;
        }
    }

    fn wait_until<'a, T: Message>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> Result<(MutexGuard<'a, T>, bool), MutexError<MutexGuard<'a, T>>> {
        // It has an entry before the mutex is released, and the condition cannot change before that.
        let place = self.table()?.enter(WAITS, 0)?;
        let waiting = Waiting { condition: self, place };
        let mutex = guard.release();
        let notified = waiting.sleep(deadline)?;
        drop(waiting);
        Ok((mutex.lock()?, notified))
    }

    /// Wakes the thread that has waited longest, if there is one.
    ///
    /// ```
    /// let changed = proclab::sync::Condition::new()?;
    /// changed.notify_one()?; // no thread waits: it has no effect
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the condition's lock is unavailable.
    pub fn notify_one(&self) -> Result<(), WaitError> {
        self.notify(1)
    }

    /// Wakes up to this many threads, those that have waited longest.
    ///
    /// ```
    /// let changed = proclab::sync::Condition::new()?;
    /// changed.notify(2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the condition's lock is unavailable.
    pub fn notify(&self, threads: usize) -> Result<(), WaitError> {
        let table = self.table()?;
        (0..threads).map_while(|_| table.first(WAITS)).for_each(|first| table.grant(first, CHOSEN));
        Ok(())
    }

    /// Wakes all waiting threads.
    ///
    /// ```
    /// let changed = proclab::sync::Condition::new()?;
    /// changed.notify_all()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the condition's lock is unavailable.
    pub fn notify_all(&self) -> Result<(), WaitError> {
        let table = self.table()?;
        table.live().filter(|seen| seen.state == WAITS).for_each(|seen| table.grant(seen, WOKEN));
        Ok(())
    }

    /// The number of waiting threads.
    ///
    /// ```
    /// let changed = proclab::sync::Condition::new()?;
    /// assert_eq!(changed.waiting()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the condition's lock is unavailable.
    pub fn waiting(&self) -> Result<usize, WaitError> {
        Ok(self.table()?.count(WAITS))
    }

    /// The table, after the notifications of dead threads were passed on.
    fn table(&self) -> Result<Table<'_>, WaitError> {
        let table = Table::lock(&self.shared)?;
        let dead: Vec<_> = table.dead().collect();
        for dead in dead {
            if dead.state == CHOSEN
                && let Some(first) = table.first(WAITS)
            {
                table.grant(first, CHOSEN);
            }
            // Killed between the two, this process has passed it on twice, at worst.
            table.bury(dead);
        }
        Ok(table)
    }

    /// Makes every wait through this handle fail with [`WaitError::Interrupted`] once `interrupt` is readable.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let changed = proclab::sync::Condition::new()?.with_interrupt(&stop)?;
    /// changed.notify_all()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same condition.
    ///
    /// ```
    /// let changed = proclab::sync::Condition::new()?;
    /// let same = changed.try_clone()?; // for a child
    /// same.notify_all()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        let shared = self.shared.try_clone(Kind::Condition, sizes)?;
        Ok(Condition { shared, interrupt: self.interrupt.try_clone()? })
    }
}

/// A waiting thread, whose entry is removed in every case.
struct Waiting<'a> {
    condition: &'a Condition,
    place: Place,
}

impl Waiting<'_> {
    /// Whether a notification arrived before the deadline.
    fn sleep(&self, deadline: Deadline) -> Result<bool, WaitError> {
        let Condition { shared, interrupt } = self.condition;
        loop {
            self.place.sleep(shared, WAITS, interrupt.slice(deadline));
            if any_dead(shared) {
                drop(self.condition.table()?);
            }
            if Table::lock(shared)?.state(&self.place) != WAITS {
                return Ok(true);
            }
            match interrupt.check(deadline) {
                Err(WaitError::TimedOut) => return Ok(false),
                other => other?,
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Ok(table) = self.condition.table() {
            table.leave(&self.place);
        }
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shared = Shared::deserialize(deserializer, Kind::Condition, sizes)?;
        Ok(Condition { shared, interrupt: Interrupt::default() })
    }
}
