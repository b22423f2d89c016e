//! A running tree: one thread waits for all of its processes, and does what the specification says.

use super::super::shutdown::{Left, ShutdownError, shut_down};
use super::super::supervisor::Supervisor;
use super::beat::{BEAT, READY};
use super::spec::{ChildSpec, Restart, Strategy, Tree, What};
use crate::process::{Exit, Handle, Signal, StartError};
use crate::sys::pid::Pid;
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::set_nonblocking;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Something that has happened in a tree. A child is named by its path: the IDs from the root, with `/` between.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeEvent {
    /// A process was started, and is ready if its readiness is required.
    Started {
        /// The child.
        child: String,
        /// Its PID.
        pid: Pid,
    },
    /// A process could not be started, or was not ready in time.
    StartFailed {
        /// The child.
        child: String,
        /// Why.
        reason: String,
    },
    /// A process has ended by itself.
    Exited {
        /// The child.
        child: String,
        /// Its PID.
        pid: Pid,
        /// How.
        exit: Exit,
    },
    /// A process missed its heartbeat, and was killed.
    Unwell {
        /// The child.
        child: String,
        /// Its PID.
        pid: Pid,
    },
    /// A child was ended by its tree.
    Stopped {
        /// The child.
        child: String,
    },
    /// A child will be restarted.
    Restarting {
        /// The child.
        child: String,
        /// After this time.
        after: Duration,
    },
    /// A tree below the root exceeded its intensity, and all of its children were ended.
    GivenUp {
        /// The tree.
        child: String,
    },
}

impl fmt::Display for TreeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TreeEvent::Started { child, pid } => write!(f, "{child}: started (PID {pid})"),
            TreeEvent::StartFailed { child, reason } => write!(f, "{child}: not started: {reason}"),
            TreeEvent::Exited { child, pid, exit } => write!(f, "{child}: ended (PID {pid}): {exit}"),
            TreeEvent::Unwell { child, pid } => write!(f, "{child}: no heartbeat, killed (PID {pid})"),
            TreeEvent::Stopped { child } => write!(f, "{child}: stopped"),
            TreeEvent::Restarting { child, after } if after.is_zero() => write!(f, "{child}: restarting"),
            TreeEvent::Restarting { child, after } => write!(f, "{child}: restarting in {after:?}"),
            TreeEvent::GivenUp { child } => write!(f, "{child}: given up: too many restarts"),
        }
    }
}

/// A tree failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A child could not be started; those that were started before it have been ended.
    #[error("child `{child}` of the tree cannot be started: {reason}")]
    Start {
        /// The child.
        child: String,
        /// Why.
        reason: String,
    },
    /// It exceeded its intensity; all children were ended.
    #[error("the tree was given up: more than {restarts} restarts in {period:?}, the last of `{child}`")]
    GivenUp {
        /// The child that would have been restarted.
        child: String,
        /// The maximum number of restarts …
        restarts: u32,
        /// … in this period.
        period: Duration,
    },
    /// There is no such child.
    #[error("there is no child `{child}` in the tree")]
    NoChild {
        /// The child, as it was requested.
        child: String,
    },
    /// Some processes could not be ended.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
    /// The system refused to wait.
    #[error("waiting for the children failed")]
    Os(#[from] io::Error),
}

/// The present state of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildState {
    /// Its path.
    pub child: String,
    /// When it is restarted.
    pub restart: Restart,
    /// Its PID while it runs; `None` for a tree.
    pub pid: Option<Pid>,
    /// Whether it is a tree.
    pub is_tree: bool,
}

/// A running process.
struct Running {
    handle: Handle,
    pipe: Option<UnixStream>,
    heard: Instant,
}

enum State {
    Stopped,
    Process(Running),
    /// The tree's children run, or are about to.
    Tree,
}

struct Entry {
    spec: ChildSpec,
    /// Of a child that is a tree.
    node: Option<Node>,
    path: String,
    state: State,
    restart_at: Option<Instant>,
}

/// The running side of a [`Tree`].
struct Node {
    strategy: Strategy,
    intensity: (u32, Duration),
    back_off: super::super::back_off::BackOff,
    entries: Vec<Entry>,
    restarts: VecDeque<Instant>,
}

/// The intensity was exceeded by this child.
struct GivenUp(String);

/// What all nodes need.
struct Context {
    supervisor: Supervisor,
    interrupt: Option<OwnedFd>,
    events: VecDeque<TreeEvent>,
    left: Vec<Left>,
}

impl Context {
    /// Records what has happened.
    fn tell(&mut self, event: TreeEvent) {
        event!(INFO, "{event}");
        self.events.push_back(event);
    }
}

impl Node {
    fn new(tree: Tree, prefix: &str) -> Node {
        let Tree { strategy, intensity, back_off, children } = tree;
        let entry = |spec| Entry::new(spec, prefix);
        Node {
            strategy,
            intensity,
            back_off,
            entries: children.into_iter().map(entry).collect(),
            restarts: VecDeque::new(),
        }
    }

    /// Starts all children in order; if one fails, those before it are ended, the latest first.
    fn start_all(&mut self, context: &mut Context) -> Result<(), (String, String)> {
        self.restarts.clear();
        for at in 0..self.entries.len() {
            if let Err(failure) = self.entries[at].start(context) {
                self.stop_all(context);
                return Err(failure);
            }
        }
        Ok(())
    }

    fn stop_all(&mut self, context: &mut Context) {
        for entry in self.entries.iter_mut().rev() {
            entry.stop(context);
        }
    }

    /// Does everything that is due.
    fn turn(&mut self, context: &mut Context, now: Instant) -> Result<(), GivenUp> {
        let mut at = 0;
        while at < self.entries.len() {
            let entry = &mut self.entries[at];
            if entry.restart_at.is_some_and(|due| due <= now) {
                entry.restart_at = None;
                match entry.start(context) {
                    Ok(()) => at += 1,
                    Err((child, reason)) => {
                        context.tell(TreeEvent::StartFailed { child, reason });
                        self.restart(at, context)?;
                        at = 0;
                    }
                }
                continue;
            }
            match entry.look(context, now) {
                None => at += 1,
                Some(has_failed) => {
                    let is_restarted = match entry.spec.restart {
                        Restart::Permanent => true,
                        Restart::Transient => has_failed,
                        Restart::Temporary => false,
                    };
                    entry.state = State::Stopped;
                    if is_restarted {
                        self.restart(at, context)?;
                    } else if entry.spec.restart == Restart::Temporary {
                        self.entries.remove(at);
                    }
                    at = 0;
                }
            }
        }
        Ok(())
    }

    /// Prepares the restart of the child at `at`, and of others with it.
    fn restart(&mut self, at: usize, context: &mut Context) -> Result<(), GivenUp> {
        let now = Instant::now();
        let (most, period) = self.intensity;
        self.restarts.push_back(now);
        while self.restarts.front().is_some_and(|first| now.saturating_duration_since(*first) > period) {
            self.restarts.pop_front();
        }
        let failures = u32::try_from(self.restarts.len()).unwrap_or(u32::MAX);
        if failures > most {
            let child = self.entries[at].path.clone();
            self.stop_all(context);
            return Err(GivenUp(child));
        }
        let after = self.back_off.delay(failures);
        let affected = match self.strategy {
            Strategy::OneForOne => at..at + 1,
            Strategy::OneForAll => 0..self.entries.len(),
            Strategy::RestForOne => at..self.entries.len(),
        };
        for entry in self.entries[affected.clone()].iter_mut().rev() {
            entry.stop(context);
        }
        for entry in &mut self.entries[affected.clone()] {
            if entry.spec.restart != Restart::Temporary {
                entry.restart_at = Some(now + after);
                context.tell(TreeEvent::Restarting { child: entry.path.clone(), after });
            }
        }
        // A temporary child that was ended because of another is not restarted.
        let is_gone =
            |entry: &Entry| entry.spec.restart == Restart::Temporary && matches!(entry.state, State::Stopped);
        self.entries.retain(|entry| !is_gone(entry));
        Ok(())
    }

    /// What to wait for: descriptors, and the time at which something is due.
    fn sources<'a>(&'a self, fds: &mut Vec<std::os::fd::BorrowedFd<'a>>, due: &mut Option<Instant>) {
        let mut at = |time: Option<Instant>| {
            *due = [*due, time].into_iter().flatten().min();
        };
        for entry in &self.entries {
            at(entry.restart_at);
            match &entry.state {
                State::Stopped => {}
                State::Process(running) => {
                    fds.push(running.handle.as_fd());
                    fds.extend(running.pipe.as_ref().map(AsFd::as_fd));
                    at(entry.spec.heartbeat_within.map(|within| running.heard + within));
                }
                State::Tree => {
                    if let Some(node) = &entry.node {
                        let mut inner = None;
                        node.sources(fds, &mut inner);
                        at(inner);
                    }
                }
            }
        }
    }

    /// Whether nothing runs and nothing is about to.
    fn is_at_rest(&self) -> bool {
        self.entries.iter().all(|entry| match &entry.state {
            _ if entry.restart_at.is_some() => false,
            State::Stopped => true,
            State::Process(_) => false,
            State::Tree => entry.node.as_ref().is_none_or(Node::is_at_rest),
        })
    }

    fn states(&self, states: &mut Vec<ChildState>) {
        for entry in &self.entries {
            states.push(ChildState {
                child: entry.path.clone(),
                restart: entry.spec.restart,
                pid: match &entry.state {
                    State::Process(running) => Some(running.handle.pid()),
                    _ => None,
                },
                is_tree: entry.node.is_some(),
            });
            if let Some(node) = &entry.node {
                node.states(states);
            }
        }
    }

    fn find(&mut self, path: &str) -> Option<&mut Entry> {
        for entry in &mut self.entries {
            if entry.path == path {
                return Some(entry);
            }
            if let Some(found) = entry.node.as_mut().and_then(|node| node.find(path)) {
                return Some(found);
            }
        }
        None
    }
}

impl Entry {
    fn new(mut spec: ChildSpec, prefix: &str) -> Entry {
        let path = format!("{prefix}{}", spec.id);
        let node = match &mut spec.what {
            What::Process(_) => None,
            What::Tree(tree) => {
                let tree = std::mem::replace(&mut **tree, Tree::new(Strategy::OneForOne));
                Some(Node::new(tree, &format!("{path}/")))
            }
        };
        Entry { spec, node, path, state: State::Stopped, restart_at: None }
    }

    /// Starts it, and waits until it is ready if that is required.
    fn start(&mut self, context: &mut Context) -> Result<(), (String, String)> {
        if let Some(node) = &mut self.node {
            node.start_all(context)?;
            self.state = State::Tree;
            return Ok(());
        }
        let What::Process(start) = &self.spec.what else { return Ok(()) };
        let failed = |reason: String| (self.path.clone(), reason);
        let pair = if self.spec.wants_pipe() {
            Some(pair().map_err(|error| failed(error.to_string()))?)
        } else {
            None
        };
        let (ours, theirs) = pair.unzip();
        let begun = Instant::now();
        let handle =
            start(&context.supervisor, theirs.map(OwnedFd::from)).map_err(|error| failed(told(&error)))?;
        let mut running = Running { handle, pipe: ours, heard: Instant::now() };
        if let Some(within) = self.spec.ready_within
            && let Err(reason) = running.await_ready(begun + within, within, context.interrupt.as_ref())
        {
            running.end(Duration::ZERO, context);
            return Err((self.path.clone(), reason));
        }
        context.tell(TreeEvent::Started { child: self.path.clone(), pid: running.handle.pid() });
        self.state = State::Process(running);
        Ok(())
    }

    fn stop(&mut self, context: &mut Context) {
        self.restart_at = None;
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Stopped => return,
            State::Process(running) => running.end(self.spec.grace, context),
            State::Tree => {
                if let Some(node) = &mut self.node {
                    node.stop_all(context);
                }
            }
        }
        context.tell(TreeEvent::Stopped { child: self.path.clone() });
    }

    /// Whether it has ended, and if so whether it has failed.
    fn look(&mut self, context: &mut Context, now: Instant) -> Option<bool> {
        match &mut self.state {
            State::Stopped => None,
            State::Tree => {
                let node = self.node.as_mut()?;
                if node.turn(context, now).is_err() {
                    context.tell(TreeEvent::GivenUp { child: self.path.clone() });
                    return Some(true);
                }
                // A tree whose children have all ended, without a restart, has ended without failure.
                node.is_at_rest().then_some(false)
            }
            State::Process(running) => {
                running.hear();
                let pid = running.handle.pid();
                if let Some(exit) = running.handle.exit() {
                    // What the process started and left in its group is ended with it.
                    let _ = running.handle.signal_group(Signal::KILL.0);
                    context.tell(TreeEvent::Exited { child: self.path.clone(), pid, exit });
                    return Some(is_failure(exit));
                }
                if self.spec.heartbeat_within.is_some_and(|within| now >= running.heard + within) {
                    context.tell(TreeEvent::Unwell { child: self.path.clone(), pid });
                    if let State::Process(running) = std::mem::replace(&mut self.state, State::Stopped) {
                        running.end(Duration::ZERO, context);
                    }
                    return Some(true);
                }
                None
            }
        }
    }
}

/// Whether this exit is a failure: the process neither returned nor was asked to end.
fn is_failure(exit: Exit) -> bool {
    !matches!(exit, Exit::Code(0) | Exit::Signal { signal: Signal::TERM, .. })
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    // Neither side ever waits: a heartbeat that is lost is repeated.
    set_nonblocking(&ours)?;
    set_nonblocking(&theirs)?;
    Ok((ours, theirs))
}

/// An error with its causes, in one line.
fn told(error: &StartError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Running {
    /// Receives its reports. Returns whether it is ready.
    fn hear(&mut self) -> bool {
        let Some(pipe) = &mut self.pipe else { return false };
        let mut bytes = [0; 64];
        let mut is_ready = false;
        while let Ok(count) = pipe.read(&mut bytes) {
            if count == 0 {
                // It has closed its end: it has ended, or executed something else.
                self.pipe = None;
                break;
            }
            self.heard = Instant::now();
            is_ready |= bytes[..count].contains(&READY);
            debug_assert!(bytes[..count].iter().all(|byte| [READY, BEAT].contains(byte)));
        }
        is_ready
    }

    fn await_ready(
        &mut self,
        until: Instant,
        within: Duration,
        interrupt: Option<&OwnedFd>,
    ) -> Result<(), String> {
        loop {
            if self.hear() {
                return Ok(());
            }
            if let Some(exit) = self.handle.exit() {
                return Err(format!("it ended before it was ready: {exit}"));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("it was not ready within {within:?}"));
            }
            let mut fds = vec![self.handle.as_fd()];
            fds.extend(interrupt.map(AsFd::as_fd));
            let ended = fds.len();
            fds.extend(self.pipe.as_ref().map(AsFd::as_fd));
            let ready = readable(&fds, Deadline::after(left)).map_err(|error| error.to_string())?;
            if ready[1..ended].contains(&true) {
                return Err("the start was interrupted".to_owned());
            }
        }
    }

    /// Ends it and its group.
    fn end(self, grace: Duration, context: &mut Context) {
        if let Err(error) = shut_down(vec![self.handle], grace, false) {
            context.left.extend(error.left);
        }
    }
}

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

    /// Ends a child and does not restart it, whatever its [`Restart`] says. [`restart_child`](Self::restart_child)
    /// starts it again.
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
