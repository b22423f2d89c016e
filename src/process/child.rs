//! A child from its parent's side: its end, its result and its streams.

use super::current::Identity;
use super::error::{JoinError, ResultError};
use super::exit::Exit;
use super::family::Family;
use super::handle::{Handle, attend};
use super::inbox::{Inbox, NotReady, Outcome};
use super::lines::Lines;
use super::live::Obstacle;
use super::start::Birth;
use super::stdio::{ChildOutput, ChildStdin, Pipes, Stream};
use crate::sys::poll::Deadline;
use crate::wire::control::Message;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Why a child will not become ready.
#[derive(Debug)]
pub(crate) enum Unready {
    /// It reported the reason.
    Told(NotReady),
    /// It died.
    Died(Exit),
}

/// A child process whose body returns a `T`.
///
/// It derefs to its [`Handle`]. Dropping it neither ends nor joins the child, which its supervisor still holds.
pub struct Child<T> {
    handle: Handle,
    inbox: Arc<Mutex<Inbox<T>>>,
    pipes: Mutex<Pipes>,
}

impl<T: Message + Send + 'static> Child<T> {
    pub(crate) fn new(
        birth: Birth,
        identity: &Identity,
        leave_zombie: bool,
        inbox: Inbox<T>,
        pipes: Pipes,
        family: Weak<Family>,
    ) -> Child<T> {
        let inbox = Arc::new(Mutex::new(inbox));
        let handle = Handle::new(birth, identity, leave_zombie, inbox.clone(), family);
        Child { handle, inbox, pipes: Mutex::new(pipes) }
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

    /// Waits until the child has its arguments. If it never will, reaps it and returns the reason.
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
    /// A child that has filled the pipe blocks until it is read, so read before joining.
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

    /// The lines that it writes to its standard output and error, with its name. Streams that are not
    /// [`piped`](super::Stdio::piped) or were taken are left out.
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
