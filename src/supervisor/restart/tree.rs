//! A running tree: one thread waits for all of its processes, and does what the specification says.

use super::super::shutdown::ShutdownError;
use super::super::supervisor::Supervisor;
use super::event::{ChildState, RunError, TreeEvent};
use super::node::{Context, Entry, GivenUp, Node, State};
use super::spec::{ChildSpec, Tree};
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// A running [`Tree`]. Dropping it ends its children in order.
///
/// It needs no thread: [`run`](RunningTree::run) or [`step`](RunningTree::step) waits for the children in the thread
/// that calls it. While neither is called, nothing is restarted.
pub struct RunningTree {
    root: Node,
    context: Context,
    pid: Pid,
}

impl Tree {
    /// Starts all children in order.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// let mut tree = tree.start()?;
    /// tree.run(|event| println!("{event}"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError::Start`]: the children before the one that failed have been ended.
    pub fn start(self) -> Result<RunningTree, RunError> {
        self.start_with(None)
    }

    /// Starts all children in order. Once `interrupt` is readable, as on Ctrl-C, [`run`](RunningTree::run) ends them and
    /// returns.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// let (stop, _stopper) = std::io::pipe()?;
    /// let mut tree = tree.start_with_interrupt(&stop)?;
    /// tree.run(|event| println!("{event}"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`start`](Tree::start).
    pub fn start_with_interrupt(self, interrupt: impl AsFd) -> Result<RunningTree, RunError> {
        self.start_with(Some(interrupt.as_fd().try_clone_to_owned()?))
    }

    fn start_with(self, interrupt: Option<OwnedFd>) -> Result<RunningTree, RunError> {
        let supervisor = Supervisor::new()?;
        let mut context = Context { supervisor, interrupt, events: VecDeque::new(), left: Vec::new() };
        let mut root = Node::new(self, "");
        root.start_all(&mut context).map_err(|(child, reason)| RunError::Start { child, reason })?;
        Ok(RunningTree { root, context, pid: Pid::this() })
    }
}

impl RunningTree {
    /// Waits for the children and restarts them, until all have ended without a restart, or until the interrupt, after
    /// which they are ended. Each event is passed to `on_event` as it happens.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let mut tree = tree.start()?;
    /// tree.run(|event| println!("{event}"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError::GivenUp`] when the intensity is exceeded.
    pub fn run(&mut self, mut on_event: impl FnMut(&TreeEvent)) -> Result<(), RunError> {
        loop {
            let stepped = self.advance(None);
            while let Some(event) = self.context.events.pop_front() {
                on_event(&event);
            }
            if stepped? {
                continue;
            }
            let stopped = if self.is_at_rest() { Ok(()) } else { self.shutdown().map_err(RunError::from) };
            while let Some(event) = self.context.events.pop_front() {
                on_event(&event);
            }
            return stopped;
        }
    }

    /// Waits until something happens, at most `timeout`, reacts to it, and returns the events since the last call.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let mut tree = tree.start()?;
    /// use std::time::Duration;
    ///
    /// for event in tree.step(Duration::from_secs(1))? {
    ///     println!("{event}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](RunningTree::run).
    pub fn step(&mut self, timeout: Duration) -> Result<Vec<TreeEvent>, RunError> {
        if self.context.events.is_empty() {
            self.advance(Some(timeout))?;
        }
        Ok(self.context.events.drain(..).collect())
    }

    /// Waits for something to do, and does it. False if nothing is left to do: all children have ended, or the wait was
    /// interrupted.
    fn advance(&mut self, timeout: Option<Duration>) -> Result<bool, RunError> {
        if self.is_at_rest() {
            return Ok(false);
        }
        let is_interrupted = {
            let (mut fds, mut due) =
                (Vec::new(), timeout.and_then(|timeout| Instant::now().checked_add(timeout)));
            fds.extend(self.context.interrupt.as_ref().map(AsFd::as_fd));
            let interrupts = fds.len();
            let mut inner = None;
            self.root.sources(&mut fds, &mut inner);
            due = [due, inner].into_iter().flatten().min();
            let deadline = due
                .map_or(Deadline::NEVER, |at| Deadline::after(at.saturating_duration_since(Instant::now())));
            readable(&fds, deadline)?[..interrupts].contains(&true)
        };
        if is_interrupted {
            return Ok(false);
        }
        let (restarts, period) = self.root.intensity;
        self.root.turn(&mut self.context, Instant::now()).map_err(|GivenUp(child)| RunError::GivenUp {
            child,
            restarts,
            period,
        })?;
        Ok(true)
    }

    /// Whether nothing runs, and nothing will be restarted.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let mut tree = tree.start()?;
    /// use std::time::Duration;
    ///
    /// while !tree.is_at_rest() {
    ///     tree.step(Duration::from_secs(1))?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_at_rest(&self) -> bool {
        self.root.is_at_rest()
    }

    /// The children, in order. The children of a tree follow it.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let tree = tree.start()?;
    /// for state in tree.children() {
    ///     println!("{}: {:?}", state.child, state.pid);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn children(&self) -> Vec<ChildState> {
        let mut states = Vec::new();
        self.root.states(&mut states);
        states
    }

    /// Ends a child and does not restart it, whatever its [`Restart`](super::Restart) says.
    /// [`restart_child`](Self::restart_child) starts it again.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let mut tree = tree.start()?;
    /// tree.terminate_child("web")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError::NoChild`].
    pub fn terminate_child(&mut self, child: &str) -> Result<(), RunError> {
        let entry = self.root.find(child).ok_or_else(|| RunError::NoChild { child: child.to_owned() })?;
        entry.stop(&mut self.context);
        Ok(())
    }

    /// Starts a child that is not running; otherwise does nothing.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let mut tree = tree.start()?;
    /// tree.terminate_child("web")?;
    /// tree.restart_child("web")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError::NoChild`], [`RunError::Start`].
    pub fn restart_child(&mut self, child: &str) -> Result<(), RunError> {
        let entry = self.root.find(child).ok_or_else(|| RunError::NoChild { child: child.to_owned() })?;
        if matches!(entry.state, State::Stopped) {
            entry.restart_at = None;
            entry.start(&mut self.context).map_err(|(child, reason)| RunError::Start { child, reason })?;
        }
        Ok(())
    }

    /// Adds a child after the others of the root, and starts it.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let mut tree = tree.start()?;
    /// tree.start_child(ChildSpec::new("another", Process::new(web)))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RunError::Start`]; the child is then not added.
    pub fn start_child(&mut self, spec: ChildSpec) -> Result<(), RunError> {
        let mut entry = Entry::new(spec, "");
        entry.start(&mut self.context).map_err(|(child, reason)| RunError::Start { child, reason })?;
        self.root.entries.push(entry);
        Ok(())
    }

    /// Ends all children, the latest first.
    ///
    /// ```no_run
    /// # use proclab::Process;
    /// # use proclab::supervisor::{ChildSpec, Strategy, Tree};
    /// # fn web() {}
    /// # let tree = Tree::new(Strategy::OneForOne).child(ChildSpec::new("web", Process::new(web)));
    /// # let mut tree = tree.start()?;
    /// tree.shutdown()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ShutdownError`] names processes that could not be ended.
    pub fn shutdown(&mut self) -> Result<(), ShutdownError> {
        self.root.stop_all(&mut self.context);
        let left = std::mem::take(&mut self.context.left);
        if left.is_empty() { Ok(()) } else { Err(ShutdownError { left }) }
    }
}

impl Drop for RunningTree {
    fn drop(&mut self) {
        if self.pid == Pid::this() {
            // A drop returns no error.
            let _ = self.shutdown();
        }
    }
}

impl fmt::Debug for RunningTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningTree").field("children", &self.children()).finish_non_exhaustive()
    }
}
