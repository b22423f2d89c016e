//! This process, and the parent that started it.

use crate::sys::pid::Pid;
use crate::sys::{pidfd, poll, task};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::start::StartMethod;
use super::unforked::Unforked;

/// What a child learns about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) daemon: bool,
    pub(crate) method: StartMethod,
    pub(crate) parent_pid: Pid,
    pub(crate) parent_name: String,
    pub(crate) die_with_parent: bool,
}

static CURRENT: Mutex<Option<Current>> = Mutex::new(None);

/// This process, as its parent set it up.
#[derive(Debug, Clone)]
pub struct Current {
    name: String,
    daemon: bool,
    method: Option<StartMethod>,
    parent: Option<Parent>,
}

impl Current {
    /// Its name; `MainProcess` for a process that no supervisor started, as in Python.
    ///
    /// ```
    /// assert_eq!(proclab::current().name(), "MainProcess");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a daemon: it may have no children, and ends with its supervisor.
    ///
    /// ```
    /// assert!(!proclab::current().is_daemon());
    /// ```
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// How it was started; `None` if no supervisor started it.
    ///
    /// ```
    /// assert_eq!(proclab::current().start_method(), None);
    /// ```
    pub fn start_method(&self) -> Option<StartMethod> {
        self.method
    }
}

/// The process that started this one.
#[derive(Debug, Clone)]
pub struct Parent {
    pid: Pid,
    name: String,
    pidfd: Arc<Unforked<OwnedFd>>,
}

impl Parent {
    /// Its PID, which may be reused once it has ended.
    ///
    /// ```
    /// if let Some(parent) = proclab::parent() {
    ///     println!("started by {}", parent.pid());
    /// }
    /// ```
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its name.
    ///
    /// ```
    /// if let Some(parent) = proclab::parent() {
    ///     println!("started by {}", parent.name());
    /// }
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is alive. A stopped parent is.
    ///
    /// ```
    /// fn work() {
    ///     while proclab::parent().is_some_and(|parent| parent.is_alive()) {
    ///         // One piece of work …
    ///     }
    /// }
    /// # let _ = work;
    /// ```
    pub fn is_alive(&self) -> bool {
        !self.wait_timeout(Duration::ZERO)
    }

    /// Waits until it has ended, at most `timeout`; returns whether it has.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// fn tidy_up() {
    ///     let parent = proclab::parent().expect("a supervisor started this");
    ///     if parent.wait_timeout(Duration::from_secs(60)) {
    ///         println!("the parent has ended");
    ///     }
    /// }
    /// # let _ = tidy_up;
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let deadline = poll::Deadline::after(timeout);
        poll::readable(&[self.as_fd()], deadline).is_ok_and(|ready| ready[0])
    }
}

/// Readable once the parent has ended.
impl AsFd for Parent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// This process.
///
/// ```
/// println!("this is {}", proclab::current().name());
/// ```
pub fn current() -> Current {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.clone().unwrap_or_else(|| Current {
        name: "MainProcess".to_owned(),
        daemon: false,
        method: None,
        parent: None,
    })
}

/// The process that started this one; `None` in a program that no supervisor started.
///
/// ```
/// assert!(proclab::parent().is_none()); // no supervisor started this program
/// ```
pub fn parent() -> Option<Parent> {
    current().parent
}

/// Sets up this fresh child with `identity`.
///
/// # Errors
/// When the parent has ended.
pub(crate) fn become_child(identity: Identity) -> io::Result<()> {
    task::die_with_parent(identity.die_with_parent)?;
    // The parent may have died before the call above, or before the pidfd was opened, and its PID may have been
    // reused. If it is still our parent *after* both, neither has happened.
    let pidfd = Unforked::new(pidfd::open(identity.parent_pid)?);
    if Pid::parent() != identity.parent_pid {
        return Err(io::Error::from(io::ErrorKind::NotConnected));
    }
    task::set_name(&identity.name);
    let parent = Parent { pid: identity.parent_pid, name: identity.parent_name, pidfd: Arc::new(pidfd) };
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Current {
        name: identity.name,
        daemon: identity.daemon,
        method: Some(identity.method),
        parent: Some(parent),
    });
    Ok(())
}
