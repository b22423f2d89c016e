//! The progress of the engine, and the request to stop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::graph::GraphGrowth;
use crate::sys::poll::{Deadline, readable};
use crate::wire::control::Sender;
use crate::wire::handle::Fd;

/// How often progress is reported while there is no new outcome.
const INTERVAL: Duration = Duration::from_millis(50);

/// The progress of the engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Executions or free runs so far.
    pub executions: u64,
    /// Classes of schedules seen so far.
    pub classes: u64,
    /// Different outcomes so far.
    pub outcomes: u64,
    /// The share of the search, or of the runs, that is done. For a search it is an estimate (D. Knuth, 1975), and unknown
    /// while schedules are random.
    pub explored: Option<f64>,
    /// A new outcome, in a few words.
    pub new: Option<String>,
    /// Whether the search rests until it may continue.
    pub rests: bool,
    /// Whether other engines would help, because the search is long.
    #[serde(default)]
    pub wants_jobs: bool,
    /// What is new in the graph of the executions, if it was asked for.
    pub graph: Option<Box<GraphGrowth>>,
}

/// The time that is left for an execution. It is asked often, and checks rarely.
#[derive(Debug, Default)]
pub(super) struct Patience {
    deadline: Option<Instant>,
    stop: Option<OwnedFd>,
    /// How long it goes on after the request to stop, and since when that was made.
    grace: Duration,
    heard: Option<Instant>,
    looked: Option<Instant>,
    is_over: bool,
}

impl Patience {
    /// How often it checks.
    const PERIOD: Duration = Duration::from_millis(5);

    /// Lets executions take until `deadline`, or until `stop` is readable.
    pub(super) fn begin(&mut self, deadline: Option<Instant>, stop: Option<OwnedFd>) {
        *self = Self { deadline, stop, ..Self::default() };
    }

    /// Lets an execution end within this time after the request to stop.
    pub(super) fn with_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    /// Whether the execution must end.
    pub(super) fn is_over(&mut self) -> bool {
        if self.is_over || self.looked.is_some_and(|looked| looked.elapsed() < Self::PERIOD) {
            return self.is_over;
        }
        let now = Instant::now();
        self.looked = Some(now);
        let is_heard =
            |stop: &OwnedFd| readable(&[stop.as_fd()], Deadline::now()).is_ok_and(|ready| ready[0]);
        if self.heard.is_none() && self.stop.as_ref().is_some_and(is_heard) {
            self.heard = Some(now);
        }
        self.is_over = self.deadline.is_some_and(|deadline| deadline <= now)
            || self.heard.is_some_and(|heard| now - heard >= self.grace);
        self.is_over
    }
}

/// Reports progress, and receives the request to stop.
pub(super) struct Watcher {
    news: Option<Sender<Progress>>,
    stop: Option<Fd>,
    gate: Option<Fd>,
    told: Option<Instant>,
    stopped: bool,
}

impl Watcher {
    /// Reports to `news` until `stop` is readable or closed. An execution begins only while `gate`, if there is one, is
    /// readable or closed.
    pub(super) fn new(news: Option<Sender<Progress>>, stop: Option<Fd>, gate: Option<Fd>) -> Self {
        Self { news, stop, gate, told: None, stopped: false }
    }

    /// Whether the time for a report has come.
    pub(super) fn is_due(&self) -> bool {
        self.told.is_none_or(|told| told.elapsed() >= INTERVAL)
    }

    /// Reports the next progress in any case.
    pub(super) fn hurry(&mut self) {
        self.told = None;
    }

    /// Whether the search must rest.
    pub(super) fn must_rest(&self) -> bool {
        let is_shut = |gate: &Fd| readable(&[gate.as_fd()], Deadline::now()).is_ok_and(|open| !open[0]);
        self.gate.as_ref().is_some_and(is_shut)
    }

    /// Waits until the search may continue or must stop.
    pub(super) fn rest(&self) {
        let fds: Vec<_> = [&self.gate, &self.stop].into_iter().flatten().map(AsFd::as_fd).collect();
        let _ = readable(&fds, Deadline::NEVER);
    }

    /// Waits for a moment until one of these, or the request to stop, is readable.
    pub(super) fn await_any(&self, fds: &[BorrowedFd<'_>]) {
        let fds: Vec<_> = fds.iter().copied().chain(self.stop.as_ref().map(AsFd::as_fd)).collect();
        let _ = readable(&fds, Deadline::after(INTERVAL));
    }

    /// Reports progress; returns whether to continue.
    pub(super) fn goes_on(&mut self, progress: &Progress) -> bool {
        if let Some(news) = &self.news
            && (self.is_due() || progress.new.is_some())
        {
            self.told = Some(Instant::now());
            // A receiver that is gone has ended the engine anyway.
            let _ = news.send(progress.clone());
        }
        !self.is_stopped()
    }

    /// A duplicate of the descriptor that is readable once the work must end.
    pub(super) fn stop(&self) -> Option<OwnedFd> {
        self.stop.as_ref().and_then(|stop| stop.as_fd().try_clone_to_owned().ok())
    }

    /// Whether the work must end.
    pub(super) fn is_stopped(&mut self) -> bool {
        if !self.stopped
            && let Some(stop) = &self.stop
        {
            self.stopped = readable(&[stop.as_fd()], Deadline::now()).is_ok_and(|ready| ready[0]);
        }
        self.stopped
    }
}
