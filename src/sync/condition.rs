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
/// `notify_one` chose it: if it ends before it wakes, the next one is woken in its place.
const CHOSEN: u32 = 2;
/// `notify_all` woke it.
const WOKEN: u32 = 3;

/// Lets threads wait, without holding a mutex, until another has changed what it guards: Python's `Condition`, the
/// standard library's `Condvar`.
///
/// No wake-up is lost and none is spurious: [`Self::notify_one`] wakes the thread that has waited longest, and
/// if that is killed before it has woken, at any instruction, the next one instead. Check the condition in a loop all
/// the same, or use [`Self::wait_while`]: another thread may take the mutex first. It travels as a
/// [`super::Mutex`] does.
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
    /// A condition for which no thread waits.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new() -> Result<Self, SetupError> {
        let shared = Shared::create(Kind::Condition, 0, TABLE as u64, TABLE)?;
        Ok(Condition { shared, interrupt: Interrupt::default() })
    }

    /// Stores the value and releases the mutex, waits for a notification, and takes the mutex again. A notification
    /// that comes after the mutex was released is never missed.
    ///
    /// # Errors
    /// [`WaitError::Interrupted`], without the mutex; and what [`super::Mutex::lock`] reports.
    pub fn wait<'a, T: Message>(&self, guard: MutexGuard<'a, T>) -> Relocked<'a, T> {
        self.wait_until(guard, Deadline::NEVER).map(|(guard, _)| guard)
    }

    /// The same, for up to `timeout`; then the mutex is taken all the same. Says whether a notification came.
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

    /// Waits as long as the condition holds for the value.
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

    /// The same, for up to `timeout`. Says whether the condition has ceased to hold.
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
        // Among those that wait before the mutex is free: what changes the condition comes later.
        let place = self.table()?.enter(WAITS, 0)?;
        let waiting = Waiting { condition: self, place };
        let mutex = guard.release();
        let notified = waiting.sleep(deadline)?;
        drop(waiting);
        Ok((mutex.lock()?, notified))
    }

    /// Wakes the thread that has waited longest, if any waits.
    ///
    /// # Errors
    /// If the condition's lock is unavailable.
    pub fn notify_one(&self) -> Result<(), WaitError> {
        self.notify(1)
    }

    /// Wakes as many threads, those that have waited longest.
    ///
    /// # Errors
    /// If the condition's lock is unavailable.
    pub fn notify(&self, threads: usize) -> Result<(), WaitError> {
        let table = self.table()?;
        (0..threads).map_while(|_| table.first(WAITS)).for_each(|first| table.grant(first, CHOSEN));
        Ok(())
    }

    /// Wakes all threads that wait.
    ///
    /// # Errors
    /// If the condition's lock is unavailable.
    pub fn notify_all(&self) -> Result<(), WaitError> {
        let table = self.table()?;
        table.live().filter(|seen| seen.state == WAITS).for_each(|seen| table.grant(seen, WOKEN));
        Ok(())
    }

    /// The number of threads that wait now.
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

    /// Has every wait through this handle end with [`WaitError::Interrupted`] once `interrupt` is readable.
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same condition.
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        let shared = self.shared.try_clone(Kind::Condition, sizes)?;
        Ok(Condition { shared, interrupt: self.interrupt.try_clone()? })
    }
}

/// A thread that waits: its entry is removed in every case.
struct Waiting<'a> {
    condition: &'a Condition,
    place: Place,
}

impl Waiting<'_> {
    /// Whether a notification came before the deadline.
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
