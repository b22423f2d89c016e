//! The supervisor, which owns children.

use super::idle::Idle;
use super::shutdown::{ShutdownError, shut_down};
use crate::process::{Child, Family, Given, Handle, JoinError, Process, StartError};
use crate::sys::pid::Pid;
use crate::sys::task;
use crate::wait::wait_any;
use crate::wire::control::Message;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long children must have waited for this process, at least, before a dropped supervisor ends them.
const LEAST_IDLE: Duration = Duration::from_secs(1);

/// Starts children, reaps every one of them, and ends them in order.
///
/// # When it is dropped
/// It ends as Python's main process does: its daemons are terminated, and the others are joined, however long they
/// work. [`finish`](Supervisor::finish) does the same and reports errors; [`shutdown`](Supervisor::shutdown) ends
/// all children. In a panic, and after the interrupt, the drop is a shutdown.
///
/// Variables are dropped in the reverse order of their declaration. If this process still has an end of a queue when
/// its supervisor is dropped, a child may wait at that queue for a message that nothing will send. Once all children
/// that are left have waited at queues for the whole [`grace`](Supervisor::grace), at least one second, the drop is a
/// shutdown too, so that `main` returns. To end such children at once and in order, drop your end of the queue first,
/// or declare it after the supervisor. Only queues are recognized: a child that waits for another object of this
/// process (a pipe, a lock) is joined for as long as it waits, as by [`std::thread::scope`].
///
/// ```no_run
/// use proclab::{Process, Supervisor};
///
/// fn add(a: u64, b: u64) -> u64 {
///     a + b
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     proclab::child_entry();
///     let supervisor = Supervisor::new()?;
///     let child = supervisor.start(Process::new(add).args((2, 3)).name("adder"))?;
///     println!("{} runs as PID {}", child.name(), child.pid());
///     assert_eq!(child.result()?, 5);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Supervisor {
    family: Arc<Family>,
    grace: Duration,
    subreaper: bool,
    /// The process it belongs to: in a forked copy it owns no children.
    pid: Pid,
    /// A shutdown has named children that cannot be ended: they are not waited for any more.
    has_given_up: AtomicBool,
}

impl Supervisor {
    /// How long children may take to end after `SIGTERM`, by default.
    pub const GRACE: Duration = Duration::from_secs(5);

    /// Creates a supervisor without children.
    ///
    /// ```
    /// let supervisor = proclab::Supervisor::new()?;
    /// assert!(supervisor.active_children().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn new() -> io::Result<Supervisor> {
        Ok(Self::of(Family::new(None)?))
    }

    /// Creates a supervisor whose waits and starts fail once `interrupt` is readable.
    ///
    /// ```
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let supervisor = proclab::Supervisor::with_interrupt(&stop)?;
    /// # drop(supervisor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn with_interrupt(interrupt: impl AsFd) -> io::Result<Supervisor> {
        let interrupt: OwnedFd = interrupt.as_fd().try_clone_to_owned()?;
        Ok(Self::of(Family::new(Some(interrupt))?))
    }

    fn of(family: Family) -> Supervisor {
        Supervisor {
            family: Arc::new(family),
            grace: Self::GRACE,
            subreaper: false,
            pid: Pid::this(),
            has_given_up: AtomicBool::new(false),
        }
    }

    /// Sets how long all children together may take to end after `SIGTERM` before they are killed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let supervisor = proclab::Supervisor::new()?.grace(Duration::from_secs(30));
    /// # drop(supervisor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Supervisor {
        self.grace = grace;
        self
    }

    /// Makes this process the parent of orphans among its descendants (`PR_SET_CHILD_SUBREAPER(2const)`),
    /// until the supervisor is dropped. It then reaps every child of this process that ends, also ones
    /// that other code started and waits for itself: use it where there are none.
    ///
    /// ```no_run
    /// let supervisor = proclab::Supervisor::new()?.subreaper()?;
    /// # drop(supervisor);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Never fails on supported kernels.
    pub fn subreaper(mut self) -> io::Result<Supervisor> {
        task::set_subreaper(true)?;
        self.subreaper = true;
        Ok(self)
    }

    /// Starts a process and returns once it has its arguments and begins its body.
    ///
    /// ```no_run
    /// use proclab::{Process, Supervisor};
    ///
    /// let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(|a: u32, b: u32| a + b).args((2, 3)))?;
    /// assert_eq!(child.result()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StartError`]: nothing of the process is left. The child's death during the start is reported at once.
    pub fn start<A, T, G>(&self, process: Process<A, T, G>) -> Result<Child<T>, StartError>
    where
        A: Message + 'static,
        T: Message + Send + 'static,
        G: Given<A>,
    {
        // Children that have ended meanwhile are reaped now, as in Python; an error of that shows when
        // the child is joined.
        let _ = self.reap();
        process.complete().launch(Some(&self.family))
    }

    /// The children that are alive, oldest first; those that have ended are reaped.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// supervisor.start(Process::new(work).name("worker"))?;
    /// for child in supervisor.active_children() {
    ///     println!("{} runs as {}", child.name(), child.pid());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn active_children(&self) -> Vec<Handle> {
        let _ = self.reap();
        self.family.unreaped().into_iter().filter(Handle::is_alive).collect()
    }

    /// Reaps every child that has ended, and as a subreaper the orphans too.
    ///
    /// ```
    /// let supervisor = proclab::Supervisor::new()?;
    /// supervisor.reap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of `epoll_wait(2)` and `waitid(2)`, which do not occur in normal operation.
    pub fn reap(&self) -> io::Result<()> {
        self.family.reap()?;
        if self.subreaper {
            super::shutdown::reap_orphans()?;
        }
        Ok(())
    }

    /// Waits for every child that is not a daemon, then terminates the daemons.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// supervisor.start(Process::new(work))?;
    /// supervisor.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JoinError`]: then no daemon is terminated.
    pub fn finish(&self) -> Result<(), JoinError> {
        for child in self.family.unreaped().iter().filter(|child| !child.is_daemon()) {
            child.join()?;
        }
        self.end_daemons();
        Ok(())
    }

    /// Ends all children, the latest first: `SIGTERM` to its process group, until the grace of all is
    /// over, then `SIGKILL`, until nothing of the group is left. Stopped children are continued.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// supervisor.start(Process::new(work))?;
    /// supervisor.shutdown()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ShutdownError`] names those that could not be ended, as one that changed to another user.
    pub fn shutdown(&self) -> Result<(), ShutdownError> {
        shut_down(self.family.all(), self.grace, self.subreaper).inspect_err(|_| {
            self.has_given_up.store(true, Ordering::Relaxed);
        })
    }

    /// Joins every child that is not a daemon. False if they wait for this process, so that none would ever end.
    fn join_others(&self) -> Result<bool, JoinError> {
        let mut idle = Idle::default();
        loop {
            let is_awaited = |child: &Handle| !child.is_daemon() && child.is_alive();
            let others: Vec<Handle> = self.family.unreaped().into_iter().filter(is_awaited).collect();
            if others.is_empty() {
                return Ok(true);
            }
            let interval = Idle::interval();
            wait_any(&others, interval)?;
            if interval.is_some() && idle.time(&others) >= self.grace.max(LEAST_IDLE) {
                return Ok(false);
            }
        }
    }

    fn end_daemons(&self) {
        let daemons = self.family.all().into_iter().filter(Handle::is_daemon).collect();
        // One that cannot be ended is another user's process now; a drop returns no error.
        let _ = shut_down(daemons, self.grace, false);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.pid != Pid::this() {
            return;
        }
        if std::thread::panicking() {
            let _ = self.shutdown();
        } else if !self.has_given_up.load(Ordering::Relaxed) {
            // Daemons end first: a child that is joined may wait forever for one of them.
            self.end_daemons();
            if !self.join_others().is_ok_and(|all| all) {
                let _ = self.shutdown();
            }
        }
        for child in self.family.unreaped() {
            let _ = child.reap();
        }
        if self.subreaper {
            let _ = super::shutdown::end_orphans();
            let _ = task::set_subreaper(false);
        }
    }
}
