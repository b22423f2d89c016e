//! The specification of a tree: its children, and how they are restarted.

use super::super::back_off::BackOff;
use super::super::supervisor::Supervisor;
use crate::process::{Given, Handle, Process, StartError};
use crate::wire::control::Message;
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// When a child is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Whenever it ends.
    #[default]
    Permanent,
    /// When it fails: unless it exits with code 0, or ends by `SIGTERM`, which is how a process is asked to end.
    Transient,
    /// Never.
    Temporary,
}

/// Which other children are restarted together with a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// No other child.
    #[default]
    OneForOne,
    /// All children; the others are ended first.
    OneForAll,
    /// The children after it, which are ended first.
    RestForOne,
}

/// Starts the process once more, with the pipe on which it says that it is ready and well, if one is wanted.
type Start = Box<dyn Fn(&Supervisor, Option<OwnedFd>) -> Result<Handle, StartError> + Send>;

pub(super) enum What {
    Process(Start),
    Tree(Box<Tree>),
}

/// A child of a [`Tree`]: a process, or a tree of its own.
///
/// ```
/// use proclab::Process;
/// use proclab::supervisor::{ChildSpec, Restart};
/// use std::time::Duration;
///
/// fn serve(port: u16) {
///     # let _ = port;
/// }
///
/// let web = ChildSpec::new("web", Process::new(serve).args(8080))
///     .restart(Restart::Transient)
///     .shutdown(Duration::from_secs(10));
/// # drop(web);
/// ```
#[must_use = "a specification does nothing until its tree is started"]
pub struct ChildSpec {
    pub(super) id: String,
    pub(super) what: What,
    pub(super) restart: Restart,
    pub(super) grace: Duration,
    pub(super) ready_within: Option<Duration>,
    pub(super) heartbeat_within: Option<Duration>,
}

impl ChildSpec {
    /// A child that runs this process, with the same arguments each time; handles in them are duplicated.
    ///
    /// `id` names it within its tree, and is the process's name unless it has one.
    ///
    /// ```
    /// use proclab::Process;
    /// use proclab::supervisor::ChildSpec;
    ///
    /// let web = ChildSpec::new("web", Process::new(|port: u16| println!("serving on {port}")).args(8080));
    /// # drop(web);
    /// ```
    pub fn new<A, T, G>(id: impl Into<String>, process: Process<A, T, G>) -> ChildSpec
    where
        G: Given<A>,
        A: Message + Send + 'static,
        T: Message + Send + 'static,
    {
        let id = id.into();
        let process = process.name_if_none(&id).complete();
        let start: Start = Box::new(move |supervisor, pipe| {
            let once_more = process.duplicate()?.notify_on(pipe);
            supervisor.start(once_more).map(|child| child.handle().clone())
        });
        ChildSpec::of(id, What::Process(start))
    }

    /// A child that is a tree of its own. If it is [given up](Tree::intensity), it is restarted
    /// or not like a process that failed.
    ///
    /// ```
    /// use proclab::supervisor::{ChildSpec, Strategy, Tree};
    ///
    /// let below = ChildSpec::tree("below", Tree::new(Strategy::OneForAll));
    /// # drop(below);
    /// ```
    pub fn tree(id: impl Into<String>, tree: Tree) -> ChildSpec {
        ChildSpec::of(id.into(), What::Tree(Box::new(tree)))
    }

    fn of(id: String, what: What) -> ChildSpec {
        ChildSpec {
            id,
            what,
            restart: Restart::default(),
            grace: Supervisor::GRACE,
            ready_within: None,
            heartbeat_within: None,
        }
    }

    /// Sets when it is restarted; [`Restart::Permanent`] by default.
    ///
    /// ```
    /// use proclab::Process;
    /// use proclab::supervisor::{ChildSpec, Restart};
    ///
    /// let once = ChildSpec::new("once", Process::new(|| ())).restart(Restart::Temporary);
    /// # drop(once);
    /// ```
    pub fn restart(mut self, restart: Restart) -> ChildSpec {
        self.restart = restart;
        self
    }

    /// Sets how long it may take to end after `SIGTERM` before it is killed; 5 s by default, zero to kill it immediately.
    ///
    /// ```
    /// use proclab::Process;
    /// use proclab::supervisor::ChildSpec;
    /// use std::time::Duration;
    ///
    /// let slow = ChildSpec::new("slow", Process::new(|| ())).shutdown(Duration::from_secs(30));
    /// # drop(slow);
    /// ```
    pub fn shutdown(mut self, grace: Duration) -> ChildSpec {
        self.grace = grace;
        self
    }

    /// Requires a call of [`ready`](super::ready) within `timeout` of its start. The next child is started after that. A
    /// child that is not ready in time is killed: its start has failed.
    ///
    /// ```
    /// use proclab::Process;
    /// use proclab::supervisor::{ChildSpec, ready};
    /// use std::time::Duration;
    ///
    /// let web = ChildSpec::new("web", Process::new(ready)).ready_within(Duration::from_secs(5));
    /// # drop(web);
    /// ```
    pub fn ready_within(mut self, timeout: Duration) -> ChildSpec {
        self.ready_within = Some(timeout);
        self
    }

    /// Requires a call of [`heartbeat`](super::heartbeat) at least this often. A child that misses one is killed, and has
    /// failed; so is a stopped one (`SIGSTOP`).
    ///
    /// ```
    /// use proclab::Process;
    /// use proclab::supervisor::{ChildSpec, heartbeat};
    /// use std::time::Duration;
    ///
    /// let web = ChildSpec::new("web", Process::new(heartbeat)).heartbeat_within(Duration::from_secs(5));
    /// # drop(web);
    /// ```
    pub fn heartbeat_within(mut self, interval: Duration) -> ChildSpec {
        self.heartbeat_within = Some(interval);
        self
    }

    pub(super) fn wants_pipe(&self) -> bool {
        self.ready_within.is_some() || self.heartbeat_within.is_some()
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChildSpec { id, restart, grace, .. } = self;
        let mut debug = f.debug_struct("ChildSpec");
        debug.field("id", id).field("restart", restart).field("shutdown", grace).finish_non_exhaustive()
    }
}

/// Ordered children, and what happens when one of them ends: a supervisor of OTP.
///
/// They are started in order and ended in reverse order. A child that ends is restarted as its [`Restart`] says, together
/// with others as the [`Strategy`] says. If that happens too often
/// ([`intensity`](Tree::intensity)) the tree is given up: all children are ended, and the tree with them.
///
/// ```no_run
/// use proclab::Process;
/// use proclab::supervisor::{ChildSpec, Restart, Strategy, Tree};
/// use std::time::Duration;
///
/// fn store() {
///     loop {
///         std::thread::park();
///     }
/// }
///
/// fn web(port: u16) {
///     loop {
///         std::thread::park();
///     }
///     # #[expect(unreachable_code)]
///     # { let _ = port; }
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     proclab::child_entry();
///     let mut tree = Tree::new(Strategy::RestForOne)
///         .intensity(3, Duration::from_secs(5))
///         .child(ChildSpec::new("store", Process::new(store)))
///         .child(ChildSpec::new("web", Process::new(web).args(8080)))
///         .start()?;
///     tree.run(|event| println!("{event}"))?;
///     Ok(())
/// }
/// ```
#[must_use = "a tree does nothing until it is started"]
#[derive(Debug)]
pub struct Tree {
    pub(super) strategy: Strategy,
    pub(super) intensity: (u32, Duration),
    pub(super) back_off: BackOff,
    pub(super) children: Vec<ChildSpec>,
}

impl Tree {
    /// Creates a tree without children, with OTP's intensity: one restart in five seconds.
    ///
    /// ```
    /// use proclab::supervisor::{Strategy, Tree};
    ///
    /// let tree = Tree::new(Strategy::OneForOne);
    /// # drop(tree);
    /// ```
    pub fn new(strategy: Strategy) -> Tree {
        Tree {
            strategy,
            intensity: (1, Duration::from_secs(5)),
            back_off: BackOff::NONE,
            children: Vec::new(),
        }
    }

    /// Sets the maximum number of restarts in a period. If it is exceeded, the tree is given up.
    ///
    /// ```
    /// use proclab::supervisor::{Strategy, Tree};
    /// use std::time::Duration;
    ///
    /// let tree = Tree::new(Strategy::OneForOne).intensity(3, Duration::from_secs(60));
    /// # drop(tree);
    /// ```
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Tree {
        self.intensity = (restarts, period);
        self
    }

    /// Sets how long to wait before a restart; not at all by default. It counts the failures in the period of the
    /// intensity.
    ///
    /// ```
    /// use proclab::supervisor::{BackOff, Strategy, Tree};
    /// use std::time::Duration;
    ///
    /// let back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(10));
    /// let tree = Tree::new(Strategy::OneForOne).back_off(back_off);
    /// # drop(tree);
    /// ```
    pub fn back_off(mut self, back_off: BackOff) -> Tree {
        self.back_off = back_off;
        self
    }

    /// Adds a child after the others.
    ///
    /// ```
    /// use proclab::Process;
    /// use proclab::supervisor::{ChildSpec, Strategy, Tree};
    ///
    /// let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(|| ())));
    /// # drop(tree);
    /// ```
    pub fn child(mut self, child: ChildSpec) -> Tree {
        self.children.push(child);
        self
    }
}
