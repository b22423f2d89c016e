//! A flag that processes wait for.

use super::error::{SetupError, WaitError};
use super::patience::{Interrupt, LOOK_AGAIN};
use super::shared::{Kind, Shared};
use crate::shm::word::Word32;
use crate::sys::poll::Deadline;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Whether it is set, in the lowest bit; above it, how often it was set.
const FLAG: usize = 0;
const SET: u32 = 1;
/// How often a thread checks before it sleeps.
const SPINS: u32 = 200;

/// A flag that one process sets and others wait for: Python's `Event`.
///
/// What a thread wrote to shared memory before [`Self::set`] is seen by those whose [`Self::wait`] returned because of
/// it. All waiting threads are woken, even if the flag is cleared again immediately. A process that is killed while it
/// sets the flag has set it or has not, and waiting threads learn of it within 10 ms. It is sent to other processes like a [`super::Mutex`].
///
/// ```
/// let open = proclab::sync::Event::new()?;
/// assert!(!open.is_set());
/// open.set();
/// open.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Event {
    shared: Shared,
    interrupt: Interrupt,
}

fn sizes(_: u64) -> Option<(u64, usize)> {
    Some((0, 0))
}

impl Event {
    /// Creates an event that is not set.
    ///
    /// ```
    /// let open = proclab::sync::Event::new()?;
    /// assert!(!open.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new() -> Result<Self, SetupError> {
        Ok(Event { shared: Shared::create(Kind::Event, 0, 0, 0)?, interrupt: Interrupt::default() })
    }

    fn flag(&self) -> &Word32 {
        self.shared.word32(FLAG)
    }

    /// Sets the flag, and wakes all waiting threads.
    ///
    /// ```
    /// let open = proclab::sync::Event::new()?;
    /// open.set();
    /// open.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self) {
        let flag = self.flag();
        let mut seen = flag.load(Ordering::Relaxed);
        while seen & SET == 0 {
            match flag.compare_exchange(
                seen,
                (seen | SET).wrapping_add(2),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return flag.wake_all(),
                Err(now) => seen = now,
            }
        }
        // It was set already. If its setter was killed before it woke the others, this wakes them.
        flag.wake_all();
    }

    /// Clears the flag.
    ///
    /// ```
    /// let open = proclab::sync::Event::new()?;
    /// open.set();
    /// open.clear();
    /// assert!(!open.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&self) {
        let flag = self.flag();
        let mut seen = flag.load(Ordering::Relaxed);
        while seen & SET != 0 {
            match flag.compare_exchange(seen, seen & !SET, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Whether the flag is set.
    ///
    /// ```
    /// let open = proclab::sync::Event::new()?;
    /// open.set();
    /// assert!(open.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_set(&self) -> bool {
        self.flag().load(Ordering::Acquire) & SET != 0
    }

    /// The word that changes when the flag is set, and its value until then; `None` if it is set.
    pub(super) fn unset(&self) -> Option<(&Word32, u32)> {
        let seen = self.flag().load(Ordering::Acquire);
        (seen & SET == 0).then(|| (self.flag(), seen))
    }

    /// Waits until the flag is set.
    ///
    /// ```no_run
    /// let open = proclab::sync::Event::new()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| open.set());
    ///     open.wait().unwrap();
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WaitError::Interrupted`].
    pub fn wait(&self) -> Result<(), WaitError> {
        self.wait_until(Deadline::NEVER)
    }

    /// Like [`Self::wait`], but waits for at most `timeout`.
    ///
    /// ```
    /// use proclab::sync::{Event, WaitError};
    /// use std::time::Duration;
    ///
    /// let open = Event::new()?;
    /// assert!(matches!(open.wait_timeout(Duration::from_millis(10)), Err(WaitError::TimedOut)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::wait`], and [`WaitError::TimedOut`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&self, deadline: Deadline) -> Result<(), WaitError> {
        let flag = self.flag();
        let first = flag.load(Ordering::Acquire);
        // Set now, or set since and perhaps cleared again.
        let is_over = || {
            let now = flag.load(Ordering::Acquire);
            now & SET != 0 || now >> 1 != first >> 1
        };
        for _ in 0..SPINS {
            if is_over() {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        while !is_over() {
            self.interrupt.check(deadline)?;
            let left = self.interrupt.slice(deadline).left().map_or(LOOK_AGAIN, |left| left.min(LOOK_AGAIN));
            flag.wait(first, left);
        }
        Ok(())
    }

    /// Makes every wait through this handle fail with [`WaitError::Interrupted`] once `interrupt` is readable.
    ///
    /// ```
    /// use proclab::sync::{Event, WaitError};
    /// use std::io::Write;
    ///
    /// let (stop, mut stopper) = std::io::pipe()?;
    /// let open = Event::new()?.with_interrupt(&stop)?;
    /// stopper.write_all(b"!")?;
    /// assert!(matches!(open.wait(), Err(WaitError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files.
    pub fn with_interrupt(mut self, interrupt: impl AsFd) -> io::Result<Self> {
        self.interrupt = Interrupt::new(&interrupt)?;
        Ok(self)
    }

    /// Another handle of the same event.
    ///
    /// ```
    /// let open = proclab::sync::Event::new()?;
    /// let same = open.try_clone()?; // for a child
    /// same.set();
    /// assert!(open.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// At the limit of open files or of address space.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Event {
            shared: self.shared.try_clone(Kind::Event, sizes)?,
            interrupt: self.interrupt.try_clone()?,
        })
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shared.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shared = Shared::deserialize(deserializer, Kind::Event, sizes)?;
        Ok(Event { shared, interrupt: Interrupt::default() })
    }
}
