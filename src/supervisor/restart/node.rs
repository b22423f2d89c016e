//! One supervisor of a tree with its children: how they are started, watched, restarted and stopped.

use super::super::shutdown::{Left, shut_down};
use super::super::supervisor::Supervisor;
use super::beat::{BEAT, READY};
use super::event::{ChildState, TreeEvent};
use super::spec::{ChildSpec, Restart, Strategy, Tree, What};
use crate::process::{Exit, Handle, Signal, StartError};
use crate::sys::poll::{Deadline, readable};
use crate::sys::socket::set_nonblocking;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A running process.
pub(super) struct Running {
    pub(super) handle: Handle,
    pub(super) pipe: Option<UnixStream>,
    pub(super) heard: Instant,
}

pub(super) enum State {
    Stopped,
    Process(Running),
    /// The tree's children run, or are about to.
    Tree,
}

pub(super) struct Entry {
    pub(super) spec: ChildSpec,
    /// Of a child that is a tree.
    pub(super) node: Option<Node>,
    pub(super) path: String,
    pub(super) state: State,
    pub(super) restart_at: Option<Instant>,
}

/// The running side of a [`Tree`].
pub(super) struct Node {
    pub(super) strategy: Strategy,
    pub(super) intensity: (u32, Duration),
    pub(super) back_off: super::super::back_off::BackOff,
    pub(super) entries: Vec<Entry>,
    pub(super) restarts: VecDeque<Instant>,
}

/// The intensity was exceeded by this child.
pub(super) struct GivenUp(pub(super) String);

/// What all nodes need.
pub(super) struct Context {
    pub(super) supervisor: Supervisor,
    pub(super) interrupt: Option<OwnedFd>,
    pub(super) events: VecDeque<TreeEvent>,
    pub(super) left: Vec<Left>,
}

impl Context {
    /// Records what has happened.
    pub(super) fn tell(&mut self, event: TreeEvent) {
        event!(INFO, "{event}");
        self.events.push_back(event);
    }
}

impl Node {
    pub(super) fn new(tree: Tree, prefix: &str) -> Node {
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
    pub(super) fn start_all(&mut self, context: &mut Context) -> Result<(), (String, String)> {
        self.restarts.clear();
        for at in 0..self.entries.len() {
            if let Err(failure) = self.entries[at].start(context) {
                self.stop_all(context);
                return Err(failure);
            }
        }
        Ok(())
    }

    pub(super) fn stop_all(&mut self, context: &mut Context) {
        for entry in self.entries.iter_mut().rev() {
            entry.stop(context);
        }
    }

    /// Does everything that is due.
    pub(super) fn turn(&mut self, context: &mut Context, now: Instant) -> Result<(), GivenUp> {
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
    pub(super) fn restart(&mut self, at: usize, context: &mut Context) -> Result<(), GivenUp> {
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
    pub(super) fn sources<'a>(
        &'a self,
        fds: &mut Vec<std::os::fd::BorrowedFd<'a>>,
        due: &mut Option<Instant>,
    ) {
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
    pub(super) fn is_at_rest(&self) -> bool {
        self.entries.iter().all(|entry| match &entry.state {
            _ if entry.restart_at.is_some() => false,
            State::Stopped => true,
            State::Process(_) => false,
            State::Tree => entry.node.as_ref().is_none_or(Node::is_at_rest),
        })
    }

    pub(super) fn states(&self, states: &mut Vec<ChildState>) {
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

    pub(super) fn find(&mut self, path: &str) -> Option<&mut Entry> {
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
    pub(super) fn new(mut spec: ChildSpec, prefix: &str) -> Entry {
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
    pub(super) fn start(&mut self, context: &mut Context) -> Result<(), (String, String)> {
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

    pub(super) fn stop(&mut self, context: &mut Context) {
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
    pub(super) fn look(&mut self, context: &mut Context, now: Instant) -> Option<bool> {
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
    pub(super) fn hear(&mut self) -> bool {
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

    pub(super) fn await_ready(
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
    pub(super) fn end(self, grace: Duration, context: &mut Context) {
        if let Err(error) = shut_down(vec![self.handle], grace, false) {
            context.left.extend(error.left);
        }
    }
}
