//! How far the engine has come, told while it works; and the word to stop.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::sys::poll::{Deadline, readable};
use crate::wire::control::Sender;
use crate::wire::handle::Fd;

/// How often progress is told where nothing new is seen.
const INTERVAL: Duration = Duration::from_millis(50);

/// How far the engine has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Executions or free runs so far.
    pub executions: u64,
    /// Classes of schedules seen so far.
    pub classes: u64,
    /// Different outcomes so far.
    pub outcomes: u64,
    /// The share of the search, or of the runs, that is done: for a search an estimate (D. Knuth, 1975), and
    /// unknown while schedules are drawn by chance.
    pub explored: Option<f64>,
    /// A new outcome in a few words.
    pub new: Option<String>,
}

/// Tells of progress, and hears the word to stop.
pub(super) struct Watcher {
    news: Option<Sender<Progress>>,
    stop: Option<Fd>,
    told: Option<Instant>,
    stopped: bool,
}

impl Watcher {
    /// Tells `news` until `stop` is readable or its other end is gone.
    pub(super) fn new(news: Option<Sender<Progress>>, stop: Option<Fd>) -> Self {
        Self { news, stop, told: None, stopped: false }
    }

    /// Tells how far the work is; whether it is to go on.
    pub(super) fn goes_on(&mut self, progress: &Progress) -> bool {
        let is_due = self.told.is_none_or(|told| told.elapsed() >= INTERVAL);
        if let Some(news) = &self.news
            && (is_due || progress.new.is_some())
        {
            self.told = Some(Instant::now());
            // Nobody to tell is no reason to stop: who is gone has ended the engine.
            let _ = news.send(progress.clone());
        }
        !self.is_stopped()
    }

    /// Whether the work is to end.
    pub(super) fn is_stopped(&mut self) -> bool {
        if !self.stopped
            && let Some(stop) = &self.stop
        {
            self.stopped = readable(&[stop.as_fd()], Deadline::now()).is_ok_and(|ready| ready[0]);
        }
        self.stopped
    }
}
