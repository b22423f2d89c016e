//! A child without the type of its result: its end, its signals, and the wait for it.

use super::current::Identity;
use super::error::JoinError;
use super::exit::{Exit, Signal};
use super::family::Family;
use super::inbox::SharedInbox;
use super::reap::{forget_child, poll_exit, record_child};
use super::start::{Birth, StartMethod};
use super::unforked::Unforked;
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable, readable_numbers};
use crate::sys::wait::Zombie;
use crate::sys::{pidfd, signal};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// A child process without its result. Clones refer to the same child.
#[derive(Clone)]
pub struct Handle(Arc<Core>);

struct Core {
    pid: Pid,
    /// The process that started it, the only one that can wait for it.
    parent: Pid,
    name: String,
    daemon: bool,
    method: StartMethod,
    leave_zombie: AtomicBool,
    pidfd: Unforked<OwnedFd>,
    status: Mutex<Status>,
    inbox: SharedInbox,
    family: Weak<Family>,
}

/// What is known about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Running,
    /// It has ended and is still a zombie: no other process can have its PID.
    Zombie(Exit),
    Reaped(Exit),
}

impl Handle {
    pub(super) fn new(
        birth: Birth,
        identity: &Identity,
        leave_zombie: bool,
        inbox: SharedInbox,
        family: Weak<Family>,
    ) -> Handle {
        record_child(birth.pid);
        Handle(Arc::new(Core {
            pid: birth.pid,
            parent: identity.parent_pid,
            name: identity.name.clone(),
            daemon: identity.daemon,
            method: identity.method,
            leave_zombie: AtomicBool::new(leave_zombie),
            pidfd: Unforked::new(birth.pidfd),
            status: Mutex::new(Status::Running),
            inbox,
            family,
        }))
    }

    /// The child's PID, which may be reused once the child was reaped.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work))?;
    /// println!("it runs as {}", child.pid());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pid(&self) -> Pid {
        self.0.pid
    }

    /// The PID of its parent, the process that started it.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work))?;
    /// assert_eq!(child.ppid().as_raw().unsigned_abs(), std::process::id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ppid(&self) -> Pid {
        self.0.parent
    }

    /// Its name.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work).name("worker"))?;
    /// assert_eq!(child.name(), "worker");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is a daemon.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work).daemon(true))?;
    /// assert!(child.is_daemon());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.0.daemon
    }

    /// How it was started.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work))?;
    /// assert_eq!(child.start_method(), proclab::StartMethod::Spawn);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start_method(&self) -> StartMethod {
        self.0.method
    }

    /// Whether it is alive, running or stopped. Never blocks.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work))?;
    /// while child.is_alive() {
    ///     std::thread::yield_now();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_alive(&self) -> bool {
        self.exit().is_none() && self.0.parent == Pid::this()
    }

    /// How it ended; `None` while it is alive. Never blocks; reaps it if it has ended.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work))?;
    /// match child.exit() {
    ///     None => println!("it runs"),
    ///     Some(exit) => println!("it has ended: {exit}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exit(&self) -> Option<Exit> {
        self.settle().ok().flatten()
    }

    /// Blocks until it has ended, reaps it, and returns how it ended. Any number of threads may join it, any
    /// number of times.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work))?;
    /// assert_eq!(child.join()?, proclab::Exit::Code(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JoinError`]; the child is unaffected.
    pub fn join(&self) -> Result<Exit, JoinError> {
        self.join_until(Deadline::NEVER).map(|exit| exit.expect("a wait without a bound ends with the child"))
    }

    /// As [`join`](Handle::join), but waits at most `timeout`, and never less: `None` if the child is still alive.
    /// With a timeout of zero it does not wait.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// use std::time::Duration;
    ///
    /// let child = supervisor.start(Process::new(work))?;
    /// if child.join_timeout(Duration::from_secs(5))?.is_none() {
    ///     child.kill()?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`join`](Handle::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<Option<Exit>, JoinError> {
        self.join_until(Deadline::after(timeout))
    }

    pub(crate) fn join_until(&self, deadline: Deadline) -> Result<Option<Exit>, JoinError> {
        loop {
            if let Some(exit) = self.known_exit()? {
                return Ok(Some(exit));
            }
            attend(std::slice::from_ref(self), deadline)?;
            if deadline.is_over() {
                return self.known_exit();
            }
        }
    }

    /// Asks it to end (`SIGTERM`) and returns at once, while it may still be alive. Does nothing if it has already
    /// ended.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn sleep() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(sleep))?;
    /// child.terminate()?;
    /// child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `EPERM` when it has changed to another user.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills it (`SIGKILL`) and returns at once.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn sleep() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(sleep))?;
    /// child.kill()?;
    /// child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`terminate`](Handle::terminate).
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Sends it any signal.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn sleep() {}
    /// # let supervisor = Supervisor::new()?;
    /// use proclab::Signal;
    ///
    /// let child = supervisor.start(Process::new(sleep))?;
    /// child.signal(Signal::STOP)?;
    /// child.signal(Signal::CONT)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`terminate`](Handle::terminate); `EINVAL` for a number that is not a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let sent = pidfd::send_signal(self.as_fd(), signal.0);
        match &sent {
            // A sandbox may refuse this call where it allows `kill`. The number is the child's own while it is
            // unreaped, and it is not reaped while its status is locked.
            Err(error) if !pidfd::is_gone(error) && self.0.parent == Pid::this() => match *self.status() {
                Status::Reaped(_) => Ok(()),
                _ => already_gone_is_fine(signal::kill_process(self.0.pid, signal.0)),
            },
            _ => already_gone_is_fine(sent),
        }
    }

    /// Reaps a child that was started with [`leave_zombie`](super::Process::leave_zombie) and has
    /// ended, and returns how it ended. `None` while it is alive.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work).leave_zombie(true))?;
    /// child.join()?; // `ps` shows a zombie
    /// child.reap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn reap(&self) -> Result<Option<Exit>, JoinError> {
        self.0.leave_zombie.store(false, Ordering::Relaxed);
        self.settle()
    }

    /// Sends `signal` to its process group, which outlives it while a member lives. The group's number
    /// is not reused while the child is unreaped or a member lives; before Linux 6.9, which cannot
    /// signal a group by pidfd, a reaped child's number is used only if no process has it.
    ///
    /// # Errors
    /// `ESRCH` when the group is empty.
    pub(crate) fn signal_group(&self, signal: i32) -> io::Result<()> {
        match pidfd::send_signal_to_group(self.as_fd(), signal) {
            // A sandbox may refuse this call; the other one decides.
            Some(Err(error)) if !pidfd::is_gone(&error) => {}
            Some(answer) => return answer,
            None => {}
        }
        let status = self.status();
        if matches!(*status, Status::Reaped(_)) && signal::process_exists(self.0.pid) {
            return Err(pidfd::gone());
        }
        signal::kill_group(self.0.pid, signal)
    }

    /// Checks, without waiting, whether it has ended; if so, receives its reports and reaps it.
    pub(crate) fn settle(&self) -> Result<Option<Exit>, JoinError> {
        if let Some(exit) = self.known_exit()? {
            return Ok(Some(exit));
        }
        let now = Deadline::now();
        loop {
            // Receive reports first: the child does not end before a large one was received.
            let socket = self.inbox().socket();
            let sources = [Some(self.as_fd().as_raw_fd()), socket];
            let ready = readable_numbers(&sources.into_iter().flatten().collect::<Vec<_>>(), now)?;
            match ready[..] {
                [_, true] => self.inbox().take_one(),
                [true, ..] => return self.take_exit(),
                _ => return Ok(None),
            }
        }
    }

    /// How it ended, if that is already known.
    pub(super) fn known_exit(&self) -> Result<Option<Exit>, JoinError> {
        let status = *self.status();
        match status {
            Status::Reaped(exit) => Ok(Some(exit)),
            _ if self.0.parent != Pid::this() => Err(JoinError::NotOurChild { pid: self.0.pid }),
            Status::Zombie(exit) if self.0.leave_zombie.load(Ordering::Relaxed) => Ok(Some(exit)),
            Status::Zombie(_) => {
                self.take_exit()?;
                self.known_exit()
            }
            Status::Running => Ok(None),
        }
    }

    /// Takes its exit after its pidfd became readable, once for all threads.
    fn take_exit(&self) -> Result<Option<Exit>, JoinError> {
        let mut status = self.status();
        if let Status::Reaped(exit) = *status {
            return Ok(Some(exit));
        }
        let leave = self.0.leave_zombie.load(Ordering::Relaxed);
        let Some(exit) = poll_exit(self.as_fd(), if leave { Zombie::Leave } else { Zombie::Reap })? else {
            return Ok(None);
        };
        if matches!(*status, Status::Running) {
            event!(INFO, name = self.name(), pid = self.pid().as_raw(), %exit, "process ended");
        }
        // Out of its family's set: it is reaped, or it is a zombie that would stay ready forever.
        if let Some(family) = self.0.family.upgrade() {
            family.let_go(self);
        }
        if leave {
            *status = Status::Zombie(exit);
        } else {
            forget_child(self.0.pid);
            *status = Status::Reaped(exit);
        }
        Ok(Some(exit))
    }

    /// Waits for its end and ignores interrupts: for a child that was killed or is about to end.
    pub(crate) fn reap_now(&self) -> Result<Exit, JoinError> {
        loop {
            if let Some(exit) = self.reap()? {
                return Ok(exit);
            }
            readable(&[self.as_fd()], Deadline::NEVER)?;
        }
    }

    /// Runs `action` unless its end was observed; it is not observed meanwhile.
    pub(crate) fn if_running(&self, action: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let status = self.status();
        if matches!(*status, Status::Running) { action() } else { Ok(()) }
    }

    pub(crate) fn is_reaped(&self) -> bool {
        matches!(*self.status(), Status::Reaped(_))
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn family(&self) -> Option<Arc<Family>> {
        self.0.family.upgrade()
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, dyn super::inbox::Drain + Send + 'static> {
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Readable once it has ended; stays open and valid after it was reaped (a pidfd, `pidfd_open(2)`).
impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.pidfd.as_fd()
    }
}

impl AsRef<Handle> for Handle {
    fn as_ref(&self) -> &Handle {
        self
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Core { pid, name, method, daemon, .. } = &*self.0;
        let status = *self.status();
        f.debug_struct("Handle")
            .field("pid", pid)
            .field("name", name)
            .field("method", method)
            .field("daemon", daemon)
            .field("status", &status)
            .finish_non_exhaustive()
    }
}

fn already_gone_is_fine(sent: io::Result<()>) -> io::Result<()> {
    match sent {
        Err(error) if pidfd::is_gone(&error) => Ok(()),
        sent => sent,
    }
}

/// Waits until something has happened to one of `children` or the deadline has passed, and handles it: receives
/// reports, and reaps those that have ended, siblings included.
pub(super) fn attend(children: &[Handle], deadline: Deadline) -> Result<(), JoinError> {
    let mut families: Vec<Arc<Family>> = Vec::new();
    for family in children.iter().filter_map(|child| child.0.family.upgrade()) {
        if !families.iter().any(|known| Arc::ptr_eq(known, &family)) {
            families.push(family);
        }
    }
    // By number, because another thread that takes the last report closes the socket. At worst this wait ends early;
    // the child's end is reported by its pidfd.
    let reports: Vec<(usize, RawFd)> =
        children.iter().enumerate().filter_map(|(at, child)| Some((at, child.inbox().socket()?))).collect();
    let mut sources: Vec<RawFd> = children.iter().map(|child| child.as_fd().as_raw_fd()).collect();
    sources.extend(reports.iter().map(|(_, socket)| *socket));
    sources.extend(families.iter().map(|family| family.ends().as_raw_fd()));
    let interrupts = sources.len();
    sources.extend(families.iter().filter_map(|family| family.interrupt()).map(|fd| fd.as_raw_fd()));
    let ready = readable_numbers(&sources, deadline)?;
    if ready[interrupts..].contains(&true) {
        return Err(JoinError::Interrupted);
    }
    for (place, (at, _)) in reports.iter().enumerate() {
        if ready[children.len() + place] && !ready[*at] {
            children[*at].inbox().take_one();
        }
    }
    for (child, _) in children.iter().zip(&ready).filter(|(_, ended)| **ended) {
        if child.settle()?.is_none() {
            // It has ended, but its tracer (`ptrace(2)`) is notified first, and there is no event for when that was
            // done.
            readable(&[], Deadline::after(Duration::from_millis(1)))?;
        }
    }
    let ends = &ready[children.len() + reports.len()..interrupts];
    for (family, _) in families.iter().zip(ends).filter(|(_, ended)| **ended) {
        family.reap()?;
    }
    Ok(())
}
