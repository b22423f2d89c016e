//! Server-sent events for a viewer, a batch at a time, as fast as it reads.

use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::class::{Class, Seat};
use super::job::Job;
use super::reply::{Reply, events};

/// How long messages wait for others to join their batch.
const BATCH: Duration = Duration::from_millis(40);
/// The largest batch.
const LARGEST: usize = 256 << 10;
/// A viewer that reads nothing for this long is disconnected.
const PATIENCE: Duration = Duration::from_secs(60);
/// Something is sent at least this often, so that a broken connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One viewer.
pub(super) struct Viewer {
    /// The job that it follows; of a student, that of the lecturer.
    pub(super) job: Option<Rc<Job>>,
    /// The first message that it has not read.
    pub(super) from: u64,
    /// The class, if there is one.
    pub(super) class: Option<Rc<Class>>,
    /// It is a student, in this seat: it sees what the lecturer sees.
    pub(super) seat: Option<Seat>,
}

/// Begins to send.
pub(super) fn follow(mut viewer: Viewer) -> Reply {
    let (pieces, reply) = mpsc::channel(1);
    let mut news = viewer.job.as_ref().map(|job| job.news());
    let mut changes = viewer.class.as_ref().map(|class| class.changes());
    spawn_local(async move {
        let mut first = format!("retry: 1000\n{}", viewer.introduction());
        first.push('\n');
        let mut text = first;
        loop {
            if changes.as_mut().is_none_or(has_changed) {
                if let Some(changed) = viewer.look_where_the_lecturer_looks() {
                    news = changed;
                }
                text.push_str(&viewer.class_event());
            }
            let more = viewer.job_event(&mut text);
            if !text.is_empty() && !send(&pieces, std::mem::take(&mut text)).await {
                return;
            }
            if more {
                continue;
            }
            tokio::select! {
                () = pieces.closed() => return,
                () = changed(&mut news) => sleep(BATCH).await,
                () = changed(&mut changes) => changes.iter_mut().for_each(watch::Receiver::mark_changed),
                () = sleep(HEARTBEAT) => text.push_str(": \n\n"),
            }
        }
    });
    events(reply)
}

fn has_changed(changes: &mut watch::Receiver<u64>) -> bool {
    let changed = changes.has_changed().unwrap_or(false);
    changes.mark_unchanged();
    changed
}

async fn send(pieces: &mpsc::Sender<Bytes>, text: String) -> bool {
    matches!(timeout(PATIENCE, pieces.send(text.into())).await, Ok(Ok(())))
}

async fn changed(news: &mut Option<watch::Receiver<u64>>) {
    let alive = match news {
        Some(news) => news.changed().await.is_ok(),
        None => false,
    };
    if !alive {
        std::future::pending::<()>().await;
    }
}

impl Viewer {
    fn introduction(&self) -> String {
        self.seat.as_ref().map_or(String::new(), |seat| {
            format!("event: you\ndata: {}\n\n", serde_json::json!({ "voter": seat.voter() }))
        })
    }

    /// A student's job is the lecturer's; where that has changed, its news.
    fn look_where_the_lecturer_looks(&mut self) -> Option<Option<watch::Receiver<u64>>> {
        self.seat.as_ref()?;
        let job = self.class.as_ref()?.looked_at();
        let id = |job: &Option<Rc<Job>>| job.as_ref().map(|job| job.view.job.clone());
        if id(&job) == id(&self.job) {
            return None;
        }
        (self.job, self.from) = (job, 0);
        Some(self.job.as_ref().map(|job| job.news()))
    }

    fn class_event(&self) -> String {
        let Some(class) = &self.class else { return String::new() };
        let view = class.view(self.seat.is_some());
        format!("event: class\ndata: {}\n\n", serde_json::to_string(&view).unwrap_or_default())
    }

    /// Adds a batch of messages; whether there are more.
    fn job_event(&mut self, text: &mut String) -> bool {
        let Some(job) = &self.job else { return false };
        let lines = job.read(self.from, LARGEST);
        let Some(last) = lines.last() else { return false };
        let skipped = lines[0].number > self.from && !lines[0].whole;
        let _ = write!(text, "id: {}.{}\nevent: job\ndata: [", job.view.job, last.number + 1);
        if skipped {
            text.push_str("{\"type\":\"skipped\"},");
        }
        for (place, line) in lines.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(&line.text);
        }
        text.push_str("]\n\n");
        self.from = last.number + 1;
        true
    }
}
