//! A child, as its parent sees it.

use super::error::{JoinError, ResultError};
use super::exit::{Exit, Signal};
use super::family::Family;
use super::inbox::{Inbox, NotReady, Outcome, SharedInbox};
use super::lines::Lines;
use super::live::Obstacle;
use super::reap::{forget_child, poll_exit, record_child};
use super::start::{Birth, StartMethod};
use super::stdio::{ChildOutput, ChildStdin, Pipes, Stream};
use super::unforked::Unforked;
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable, readable_numbers};
use crate::sys::wait::Zombie;
use crate::sys::{pidfd, signal};
use crate::wire::control::Message;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// A child process, without its result. Clones are the same child.
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
    /// The child's PID. After it was reaped the number may be another process's.
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
            // A report is taken before its end is looked at: a large one keeps it alive until then.
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
fn attend(children: &[Handle], deadline: Deadline) -> Result<(), JoinError> {
    let mut families: Vec<Arc<Family>> = Vec::new();
    for family in children.iter().filter_map(|child| child.0.family.upgrade()) {
        if !families.iter().any(|known| Arc::ptr_eq(known, &family)) {
            families.push(family);
        }
    }
    // By number: another thread that takes the last report closes the socket. At worst this wait
    // ends without a reason; the child's end is seen on its pidfd.
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
            // It has ended, but its tracer (`ptrace(2)`) is told first, and nothing announces when it was.
            readable(&[], Deadline::after(Duration::from_millis(1)))?;
        }
    }
    let ends = &ready[children.len() + reports.len()..interrupts];
    for (family, _) in families.iter().zip(ends).filter(|(_, ended)| **ended) {
        family.reap()?;
    }
    Ok(())
}

/// Why a child will never be ready.
#[derive(Debug)]
pub(crate) enum Unready {
    /// It reported why.
    Told(NotReady),
    /// It died.
    Died(Exit),
}

/// A child process whose body returns a `T`.
///
/// It derefs to its [`Handle`]. Dropping it neither ends nor joins the child: its supervisor still
/// holds it.
pub struct Child<T> {
    handle: Handle,
    inbox: Arc<Mutex<Inbox<T>>>,
    pipes: Mutex<Pipes>,
}

impl<T: Message + Send + 'static> Child<T> {
    pub(crate) fn new(
        birth: Birth,
        identity: &super::current::Identity,
        leave_zombie: bool,
        inbox: Inbox<T>,
        pipes: Pipes,
        family: Weak<Family>,
    ) -> Child<T> {
        record_child(birth.pid);
        let inbox = Arc::new(Mutex::new(inbox));
        let core = Core {
            pid: birth.pid,
            parent: identity.parent_pid,
            name: identity.name.clone(),
            daemon: identity.daemon,
            method: identity.method,
            leave_zombie: AtomicBool::new(leave_zombie),
            pidfd: Unforked::new(birth.pidfd),
            status: Mutex::new(Status::Running),
            inbox: inbox.clone(),
            family,
        };
        Child { handle: Handle(Arc::new(core)), inbox, pipes: Mutex::new(pipes) }
    }

    /// Waits for the child and returns what its body returned. The value can be taken once.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(|a: u32, b: u32| a + b).args((2, 3)))?;
    /// assert_eq!(child.result()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ResultError`]: it panicked, was killed, or exited.
    pub fn result(&self) -> Result<T, ResultError> {
        let name = || self.name().to_owned();
        let exit = self.join().map_err(|source| ResultError::Join { name: name(), source })?;
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        match inbox.take() {
            Outcome::Returned(value) => Ok(value),
            Outcome::Panicked(panic) => Err(ResultError::Panicked { name: name(), panic }),
            Outcome::Unreadable(Obstacle::Value(reason)) => {
                Err(ResultError::Unreadable { name: name(), reason })
            }
            Outcome::Unreadable(Obstacle::Os(errno)) => {
                Err(ResultError::Os { name: name(), source: io::Error::from_raw_os_error(errno) })
            }
            Outcome::Taken => Err(ResultError::Taken { name: name() }),
            Outcome::Nothing | Outcome::Undecoded(_) => Err(ResultError::Ended { name: name(), exit }),
        }
    }

    /// Waits until the child has its arguments, or returns why it never will; it is then reaped.
    pub(crate) fn await_report(&self) -> Result<Option<Unready>, JoinError> {
        loop {
            let exit = self.known_exit()?;
            let (ready, not_ready) = {
                let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                (inbox.ready().is_some(), inbox.not_ready())
            };
            if ready {
                return Ok(None);
            }
            if let Some(reason) = not_ready {
                self.reap_now()?;
                return Ok(Some(Unready::Told(reason)));
            }
            if let Some(exit) = exit {
                self.reap_now()?;
                return Ok(Some(Unready::Died(exit)));
            }
            attend(std::slice::from_ref(&self.handle), Deadline::NEVER)?;
        }
    }

    /// The panic of the child, if it panicked; known once it has been [joined](Handle::join).
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(work))?;
    /// child.join()?;
    /// if let Some(panic) = child.panic() {
    ///     println!("it panicked: {}", panic.message);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn panic(&self) -> Option<super::Panic> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).panic()
    }
}

impl<T> Child<T> {
    /// The pipe to its standard input, if that is [`piped`](super::Stdio::piped); it can be taken once.
    ///
    /// ```no_run
    /// use proclab::{Process, Stdio, Supervisor};
    /// use std::io::Write;
    ///
    /// fn count() -> usize {
    ///     std::io::stdin().lines().count()
    /// }
    ///
    /// proclab::child_entry();
    /// let supervisor = Supervisor::new()?;
    /// let child = supervisor.start(Process::new(count).stdin(Stdio::piped()))?;
    /// child.take_stdin().expect("it is piped").write_all(b"one\ntwo\n")?;
    /// assert_eq!(child.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        self.pipes().stdin.take()
    }

    /// The pipe from its standard output, if that is [`piped`](super::Stdio::piped); it can be taken once.
    ///
    /// A child that has filled the pipe waits until it is read: read first, then join.
    ///
    /// ```no_run
    /// # use proclab::{Process, Stdio, Supervisor};
    /// # let supervisor = Supervisor::new()?;
    /// use std::io::Read;
    ///
    /// let child = supervisor.start(Process::new(|| println!("hello")).stdout(Stdio::piped()))?;
    /// let mut text = String::new();
    /// child.take_stdout().expect("it is piped").read_to_string(&mut text)?;
    /// assert_eq!(text, "hello\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_stdout(&self) -> Option<ChildOutput> {
        self.pipes().stdout.take()
    }

    /// The pipe from its standard error, as [`take_stdout`](Child::take_stdout).
    ///
    /// ```no_run
    /// # use proclab::{Process, Stdio, Supervisor};
    /// # let supervisor = Supervisor::new()?;
    /// use std::io::Read;
    ///
    /// let child = supervisor.start(Process::new(|| eprintln!("oh")).stderr(Stdio::piped()))?;
    /// let mut text = String::new();
    /// child.take_stderr().expect("it is piped").read_to_string(&mut text)?;
    /// assert_eq!(text, "oh\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_stderr(&self) -> Option<ChildOutput> {
        self.pipes().stderr.take()
    }

    /// What it writes to those of its standard output and error that are [`piped`](super::Stdio::piped) and were not
    /// taken, line by line, with its name.
    ///
    /// ```no_run
    /// use proclab::{Process, Stdio, Supervisor};
    ///
    /// proclab::child_entry();
    /// let supervisor = Supervisor::new()?;
    /// let talker = Process::new(|| println!("hello")).name("talker").stdout(Stdio::piped());
    /// for line in supervisor.start(talker)?.lines() {
    ///     assert_eq!(line?.to_string(), "talker: hello");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lines(&self) -> Lines {
        let mut pipes = self.pipes();
        let outputs = [(Stream::Stdout, pipes.stdout.take()), (Stream::Stderr, pipes.stderr.take())];
        Lines::new(self.name(), outputs)
    }

    fn pipes(&self) -> MutexGuard<'_, Pipes> {
        self.pipes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The child without the type of its result.
    ///
    /// ```no_run
    /// # use proclab::{Process, Supervisor};
    /// # fn work() {}
    /// # let supervisor = Supervisor::new()?;
    /// let children = [supervisor.start(Process::new(work))?.handle().clone()];
    /// proclab::wait_any(&children, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl<T> Deref for Child<T> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> AsRef<Handle> for Child<T> {
    fn as_ref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> AsFd for Child<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl<T> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Child").field(&self.handle).finish()
    }
}
