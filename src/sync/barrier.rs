//! A point that a number of processes pass together.

use super::error::{BarrierError, SetupError, WaitError};
use super::linked::pid_of;
use super::patience::Interrupt;
use super::roster::{MAX_ENTRIES, Place, Seen, TABLE, Table, any_dead};
use super::shared::{Kind, Shared};
use crate::sys::pid::Pid;
use crate::sys::poll::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// The current round.
const ROUND: usize = 0;
/// All rounds before this one have been released.
const PASSED: usize = 1;
/// Why the barrier is broken: the PID above one of the causes; 0 if it is not.
const BROKEN: usize = 2;

const DIED: u64 = 1;
const TIMED_OUT: u64 = 2;
const ABORTED: u64 = 3;
const RESET: u64 = 4;

/// States of a thread. Its `extra` is the round in which it arrived.
const WAITS: u32 = 1;
/// The last to arrive, which runs the action.
const LEADS: u32 = 2;
const PASSES: u32 = 3;
/// The round was broken; the cause is in the bits above.
const FAILS: u32 = 4;
const CAUSE_SHIFT: u32 = 4;

/// A point that a number of threads, of any processes, pass together: Python's `Barrier`.
///
/// When the last thread has arrived, it runs the action (see [`Self::wait_with`]), and then all pass. The barrier
/// *breaks* if one of them is killed, at any instruction, if one times out, or if it is [aborted](Self::abort): each
/// waiting thread gets a [`BarrierError::Broken`] that names the process, within about 10 ms, and so does each thread
/// that arrives later, until [`Self::reset`]. It is sent to other processes like a [`super::Mutex`].
#[derive(Debug)]
pub struct Barrier {
    pub(super) shared: Shared,
    interrupt: Interrupt,
}

/// What [`Barrier::wait`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierPass {
    is_leader: bool,
    index: usize,
}

impl BarrierPass {
    /// Whether this thread was the last to arrive: true for exactly one thread per round.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(1)?;
    /// assert!(barrier.wait()?.is_leader());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }

    /// The position of this thread in the order of arrival, from 0. As in Python, each thread of a round has a
    /// different one. The last one is the leader.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(1)?;
    /// assert_eq!(barrier.wait()?.index(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn index(&self) -> usize {
        self.index
    }
}

fn sizes(parties: u64) -> Option<(u64, usize)> {
    (1..=MAX_ENTRIES as u64).contains(&parties).then_some((TABLE as u64, TABLE))
}

impl Barrier {
    /// Creates a barrier for this many threads, at most 1024.
    ///
    /// ```no_run
    /// let barrier = proclab::sync::Barrier::new(2)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| barrier.wait().unwrap());
    ///     barrier.wait().unwrap();
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(parties: usize) -> Result<Self, SetupError> {
        let (value, max) = (parties as u64, MAX_ENTRIES as u64);
        let out_of_range = SetupError::OutOfRange { what: "a number of parties", value, min: 1, max };
        let (data, mapped) = sizes(value).ok_or(out_of_range)?;
        let shared = Shared::create(Kind::Barrier, value, data, mapped)?;
        Ok(Barrier { shared, interrupt: Interrupt::default() })
    }

    /// The number of threads that pass together.
    ///
    /// ```
    /// assert_eq!(proclab::sync::Barrier::new(3)?.parties(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parties(&self) -> usize {
        self.shared.parameter as usize
    }

    /// Waits until all threads have arrived.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(1)?;
    /// barrier.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait(&self) -> Result<BarrierPass, BarrierError> {
        self.wait_until(Deadline::NEVER, None::<fn()>)
    }

    /// Like [`Self::wait`], but waits for at most `timeout`; after that the barrier breaks.
    ///
    /// ```
    /// use proclab::sync::{Barrier, BarrierError, WaitError};
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2)?;
    /// let alone = barrier.wait_timeout(Duration::from_millis(10));
    /// assert!(matches!(alone, Err(BarrierError::Wait(WaitError::TimedOut))));
    /// assert!(barrier.is_broken()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierPass, BarrierError> {
        self.wait_until(Deadline::after(timeout), None::<fn()>)
    }

    /// Waits until all threads have arrived. The last one runs `action` before any of them passes. If `action` panics, the
    /// barrier breaks.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(1)?;
    /// let mut rounds = 0;
    /// barrier.wait_with(|| rounds += 1)?;
    /// assert_eq!(rounds, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<BarrierPass, BarrierError> {
        self.wait_until(Deadline::NEVER, Some(action))
    }

    /// As [`Self::wait_with`], for up to `timeout`; after that the barrier breaks.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let barrier = proclab::sync::Barrier::new(1)?;
    /// barrier.wait_timeout_with(Duration::from_secs(1), || println!("all have come"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BarrierError`].
    pub fn wait_timeout_with(
        &self,
        timeout: Duration,
        action: impl FnOnce(),
    ) -> Result<BarrierPass, BarrierError> {
        self.wait_until(Deadline::after(timeout), Some(action))
    }

    fn wait_until(
        &self,
        deadline: Deadline,
        action: Option<impl FnOnce()>,
    ) -> Result<BarrierPass, BarrierError> {
        let (coming, is_leader, index) = {
            let table = self.table()?;
            match table.get(BROKEN) {
                0 => {}
                cause => return Err(broken(cause)),
            }
            let round = table.get(ROUND);
            let here = table.live().filter(|seen| seen.state == WAITS && seen.extra == round).count();
            let is_leader = here + 1 == self.parties();
            if is_leader && action.is_none() {
                // It does not wait, so it needs no entry.
                pass(&table, round);
                return Ok(BarrierPass { is_leader, index: here });
            }
            let place = table.enter(if is_leader { LEADS } else { WAITS }, round)?;
            if is_leader {
                table.set(ROUND, round + 1);
            }
            (Coming { barrier: self, place, round }, is_leader, here)
        };
        if let Some(action) = action.filter(|_| is_leader) {
            // If it panics, dropping the entry breaks the barrier.
            action();
            coming.pass()?;
        }
        coming.sleep(deadline)?;
        Ok(BarrierPass { is_leader, index })
    }

    /// The number of waiting threads.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(2)?;
    /// assert_eq!(barrier.waiting()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the barrier's lock is unavailable.
    pub fn waiting(&self) -> Result<usize, WaitError> {
        Ok(self.table()?.count(WAITS))
    }

    /// Whether the barrier is broken.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(2)?;
    /// assert!(!barrier.is_broken()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the barrier's lock is unavailable.
    pub fn is_broken(&self) -> Result<bool, WaitError> {
        Ok(self.table()?.get(BROKEN) != 0)
    }

    /// Breaks the barrier for the waiting threads and for those that arrive later.
    ///
    /// ```
    /// use proclab::sync::{Barrier, BarrierError};
    ///
    /// let barrier = Barrier::new(2)?;
    /// barrier.abort()?;
    /// assert!(matches!(barrier.wait(), Err(BarrierError::Broken { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the barrier's lock is unavailable.
    pub fn abort(&self) -> Result<(), WaitError> {
        break_it(&self.table()?, cause_of_own(ABORTED));
        Ok(())
    }

    /// Resets the barrier: the waiting threads get an error, and those that arrive later form a new round.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(1)?;
    /// barrier.abort()?;
    /// barrier.reset()?;
    /// barrier.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the barrier's lock is unavailable.
    pub fn reset(&self) -> Result<(), WaitError> {
        let table = self.table()?;
        break_it(&table, cause_of_own(RESET));
        table.set(ROUND, table.get(ROUND) + 1);
        table.set(BROKEN, 0);
        Ok(())
    }

    /// The table, after the unfinished work of dead threads was completed.
    fn table(&self) -> Result<Table<'_>, WaitError> {
        let table = Table::lock(&self.shared)?;
        let passed = table.get(PASSED);
        // A process that ended while it let the others pass.
        if table.get(ROUND) < passed {
            table.set(ROUND, passed);
        }
        let dead: Vec<Seen> = table.dead().collect();
        // A leader that ended while it let the others pass, or a process that ended while it broke the barrier.
        let left = table.live().filter(|seen| seen.state == WAITS && has_passed(&table, seen.extra));
        left.for_each(|seen| table.grant(seen, PASSES));
        match table.get(BROKEN) {
            0 => {}
            cause => break_it(&table, cause),
        }
        for dead in dead {
            if matches!(dead.state, WAITS | LEADS) && dead.extra >= passed && table.get(BROKEN) == 0 {
                break_it(&table, u64::from(dead.pid.as_raw().unsigned_abs()) << 32 | DIED);
            }
            table.bury(dead);
        }
        Ok(table)
    }

    /// Makes every wait through this handle fail with [`WaitError::Interrupted`] once `interrupt` is readable, which
    /// breaks the barrier as a timeout does.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let barrier = proclab::sync::Barrier::new(1)?.with_interrupt(&stop)?;
    /// barrier.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same barrier.
    ///
    /// ```
    /// let barrier = proclab::sync::Barrier::new(2)?;
    /// let same = barrier.try_clone()?; // for a child
    /// same.abort()?;
    /// assert!(barrier.is_broken()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        let shared = self.shared.try_clone(Kind::Barrier, sizes)?;
        Ok(Barrier { shared, interrupt: self.interrupt.try_clone()? })
    }
}

fn cause_of_own(why: u64) -> u64 {
    u64::from(std::process::id()) << 32 | why
}

fn broken(cause: u64) -> BarrierError {
    let pid = pid_of(cause >> 32).unwrap_or(Pid::UNKNOWN);
    BarrierError::Broken {
        pid,
        why: match cause & 7 {
            DIED => "ended before all had come",
            TIMED_OUT => "gave up waiting",
            ABORTED => "aborted it",
            _ => "reset it",
        },
    }
}

/// Whether the threads of a round were released. A later round may have been released first if an action takes long.
fn has_passed(table: &Table<'_>, round: u64) -> bool {
    round < table.get(PASSED) && !table.live().any(|seen| seen.state == LEADS && seen.extra == round)
}

/// Lets the threads of a round pass, and ends it.
fn pass(table: &Table<'_>, round: u64) {
    // The store that takes effect: if this process ends after it, the next one that takes the lock completes the
    // rest.
    table.set(PASSED, table.get(PASSED).max(round + 1));
    table.set(ROUND, table.get(ROUND).max(round + 1));
    let waiting = table.live().filter(|seen| seen.state == WAITS && seen.extra == round);
    waiting.for_each(|seen| table.grant(seen, PASSES));
}

/// Stores the mark first: if this process ends here, the next one that takes the lock completes it.
fn break_it(table: &Table<'_>, cause: u64) {
    table.set(BROKEN, cause);
    let why = FAILS | (cause as u32 & 7) << CAUSE_SHIFT;
    for seen in table.live().filter(|seen| matches!(seen.state, WAITS | LEADS)) {
        table.set_extra(seen, cause);
        table.grant(seen, why);
    }
}

/// A thread that has arrived. Its entry is removed in every case; if it leaves early, the barrier breaks.
struct Coming<'a> {
    barrier: &'a Barrier,
    place: Place,
    round: u64,
}

impl Coming<'_> {
    /// Releases the threads of the round.
    fn pass(&self) -> Result<(), WaitError> {
        let table = self.barrier.table()?;
        if table.state(&self.place) == LEADS {
            pass(&table, self.round);
            table.set_state(&self.place, PASSES);
        }
        Ok(())
    }

    fn sleep(&self, deadline: Deadline) -> Result<(), BarrierError> {
        let Barrier { shared, interrupt } = self.barrier;
        let mut has_slept = false;
        loop {
            // Without the lock, which the other threads need.
            let state = self.place.state(shared);
            if state == PASSES {
                return Ok(());
            }
            if has_slept || state != WAITS {
                let table = if any_dead(shared) { self.barrier.table()? } else { Table::lock(shared)? };
                match table.state(&self.place) {
                    PASSES => return Ok(()),
                    WAITS if has_passed(&table, self.round) => return Ok(()),
                    WAITS | LEADS => {}
                    _ => return Err(broken(table.extra(&self.place))),
                }
            }
            interrupt.check(deadline)?;
            self.place.sleep(shared, WAITS, interrupt.slice(deadline));
            has_slept = true;
        }
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        if !self.place.is_own() {
            return;
        }
        if let Ok(table) = self.barrier.table() {
            let early = match table.state(&self.place) {
                WAITS => !has_passed(&table, self.round),
                state => state == LEADS,
            };
            table.leave(&self.place);
            if early && table.get(BROKEN) == 0 {
                break_it(&table, cause_of_own(TIMED_OUT));
            }
        }
    }
}

impl Serialize for Barrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Barrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shared = Shared::deserialize(deserializer, Kind::Barrier, sizes)?;
        Ok(Barrier { shared, interrupt: Interrupt::default() })
    }
}
