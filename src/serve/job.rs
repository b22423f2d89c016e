//! Jobs: a worker each, the log of its messages, and the viewers that read it.
//!
//! A viewer is a position in a job's log, and nothing else is kept for it. A slow viewer falls behind by itself; one
//! that comes back finds the whole picture, because a long log is replaced by one message with the complete state.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::spawn_local;

use super::access::Secret;
use super::protocol::{Command, JobView, Message, Refusal};
use super::worker::{self, Prepared, Update};
use crate::process::{Child, Process, StartError};
use crate::supervisor::Supervisor;
use crate::sys::poll::is_writable;
use crate::wire::control;

/// Workers at once; each may have processes of its own.
pub(super) const MOST_LIVE: usize = 6;
/// Workers that have been told to end and have not, at once.
const MOST_ENDING: usize = 6;
/// Jobs that are remembered.
const MOST_KEPT: usize = 24;
/// From this many bytes on, the worker is asked for the complete state in one message, which replaces the log.
const LONG_LOG: usize = 8 << 20;
/// Where that does not come, the oldest messages are dropped.
const LONGEST_LOG: usize = 24 << 20;
/// How long a job without viewers continues: long enough to reload a page.
const UNSEEN: Duration = Duration::from_secs(10);

/// A message of a job, with its number.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: u64,
    /// Whether it replaces all messages before it.
    pub(super) whole: bool,
    pub(super) text: Rc<str>,
}

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) view: JobView,
    log: RefCell<Log>,
    /// Changes with each message.
    news: watch::Sender<u64>,
    commands: RefCell<Option<control::Sender<Command>>>,
    worker: RefCell<Option<Child<()>>>,
    /// Since when it has no viewer.
    unseen: RefCell<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Log {
    lines: VecDeque<Line>,
    next: u64,
    bytes: usize,
    /// Whether the complete state was asked for.
    asked: bool,
    over: bool,
}

impl Job {
    /// The messages from `from` on, at most `most` bytes of them.
    pub(super) fn read(&self, from: u64, most: usize) -> Vec<Line> {
        let log = self.log.borrow();
        let first = log.lines.front().map_or(log.next, |line| line.number);
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |line: &&Line| {
            let begins = bytes == 0;
            bytes += line.text.len();
            begins || bytes <= most
        };
        log.lines.iter().skip(skip).take_while(fits).cloned().collect()
    }

    /// Whether nothing more will come.
    pub(super) fn is_over(&self) -> bool {
        self.log.borrow().over
    }

    /// Whether its worker has been told to end, and has not.
    fn is_ending(&self) -> bool {
        !self.is_over() && self.commands.borrow().is_none()
    }

    /// A receiver that is notified of each message.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Passes a command to its worker, without waiting: this thread serves all viewers.
    pub(super) fn command(&self, command: Command) -> Result<(), CommandError> {
        let commands = self.commands.borrow();
        let commands = commands.as_ref().ok_or(CommandError::Ended)?;
        if !commands.socket().is_ok_and(is_writable) {
            return Err(CommandError::Busy);
        }
        commands.send(command).map_err(|_| CommandError::Ended)
    }

    fn add(&self, update: Update) {
        let mut log = self.log.borrow_mut();
        if update.whole {
            (log.bytes, log.asked) = (0, false);
            log.lines.clear();
        }
        log.bytes += update.text.len();
        let number = log.next;
        log.next += 1;
        log.lines.push_back(Line { number, whole: update.whole, text: update.text.into() });
        if log.bytes > LONG_LOG && !log.asked && !log.over {
            log.asked = true;
            // Outside of the borrow nothing else can have changed: this is one thread.
            let _ = self.command(Command::Whole);
        }
        while log.bytes > LONGEST_LOG {
            let Some(line) = log.lines.pop_front() else { break };
            log.bytes -= line.text.len();
        }
        let next = log.next;
        drop(log);
        self.news.send_replace(next);
    }

    fn end(&self) {
        self.commands.take();
        let worker = self.worker.take();
        let failed = worker.is_some_and(|worker| worker.result().is_err());
        if failed && !self.is_over() {
            self.add(Update::new(&Message::Failed(Refusal::WorkerKilled.into())));
        }
        self.log.borrow_mut().over = true;
        self.add(Update::new(&Message::End));
    }
}

/// All jobs, and the supervisor that owns their workers.
#[derive(Debug)]
pub(super) struct Jobs {
    supervisor: Supervisor,
    all: RefCell<BTreeMap<String, Rc<Job>>>,
    /// The order in which they began.
    order: RefCell<VecDeque<String>>,
}

/// A command could not be passed to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    /// It has ended.
    #[error("its worker has ended")]
    Ended,
    /// It has not read the previous ones.
    #[error("its worker is busy with earlier commands")]
    Busy,
}

/// A job could not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    /// Too many jobs are running.
    #[error("{MOST_LIVE} jobs are running already")]
    TooMany,
    /// Its worker could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system refused.
    #[error("a channel to the worker is unavailable")]
    Os(#[from] std::io::Error),
}

impl Jobs {
    /// None yet.
    pub(super) fn new(supervisor: Supervisor) -> Self {
        Self { supervisor, all: RefCell::default(), order: RefCell::default() }
    }

    /// The job of this number.
    pub(super) fn find(&self, id: &str) -> Option<Rc<Job>> {
        self.all.borrow().get(id).cloned()
    }

    /// The jobs that are remembered, the latest first.
    pub(super) fn list(&self) -> Vec<JobView> {
        let all = self.all.borrow();
        self.order.borrow().iter().rev().filter_map(|id| Some(all.get(id)?.view.clone())).collect()
    }

    /// Starts a worker for what was prepared.
    pub(super) fn begin(&self, prepared: Prepared) -> Result<Rc<Job>, BeginError> {
        let Prepared { order, title, command, chosen } = prepared;
        let live = || self.all.borrow().values().filter(|job| !job.is_over() && !job.is_ending()).count();
        let ending = || self.all.borrow().values().filter(|job| job.is_ending()).count();
        if live() >= MOST_LIVE {
            self.end_unseen(Duration::ZERO);
        }
        // A worker takes a moment to end, for which the next job does not wait.
        if live() >= MOST_LIVE || ending() > MOST_ENDING {
            return Err(BeginError::TooMany);
        }
        let (updates, reported) = control::channel::<Update>()?;
        let (commands, orders) = control::channel::<Command>()?;
        let (kind, program) = (order.kind(), order.is_of_program());
        let process = Process::new(worker::work).args((order, orders, updates)).name(format!("serve-{kind}"));
        let child = self.supervisor.start(process)?;
        let id = Secret::random(13).as_str().to_owned();
        let view = JobView { job: id.clone(), kind: kind.to_owned(), title, program, command, chosen };
        let job = Rc::new(Job {
            view,
            log: RefCell::default(),
            news: watch::Sender::new(0),
            commands: RefCell::new(Some(commands)),
            worker: RefCell::new(Some(child)),
            unseen: RefCell::new(Some(Instant::now())),
        });
        listen(Rc::clone(&job), reported)?;
        self.order.borrow_mut().push_back(id.clone());
        self.all.borrow_mut().insert(id, Rc::clone(&job));
        self.forget();
        Ok(job)
    }

    /// Forgets the oldest finished jobs without viewers.
    fn forget(&self) {
        let (mut order, mut all) = (self.order.borrow_mut(), self.all.borrow_mut());
        let mut at = 0;
        while order.len() > MOST_KEPT && at < order.len() {
            let job = all.get(&order[at]);
            if job.is_none_or(|job| job.is_over() && job.news.receiver_count() == 0) {
                if let Some(id) = order.remove(at) {
                    all.remove(&id);
                }
            } else {
                at += 1;
            }
        }
    }

    /// Ends the workers that no viewer has followed for `long`.
    fn end_unseen(&self, long: Duration) {
        for job in self.all.borrow().values().filter(|job| !job.is_over()) {
            let mut unseen = job.unseen.borrow_mut();
            if job.news.receiver_count() > 0 {
                *unseen = None;
            } else if unseen.get_or_insert_with(Instant::now).elapsed() >= long {
                // The worker sees its channel close and ends what it has started.
                job.commands.take();
            }
        }
    }

    /// Ends jobs without viewers; never returns.
    pub(super) async fn end_abandoned(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.end_unseen(UNSEEN);
        }
    }

    /// Ends all workers, and with them what they have started.
    pub(super) fn shutdown(&self) -> Result<(), crate::supervisor::ShutdownError> {
        self.supervisor.shutdown()
    }
}

/// Reads the worker's messages until it has ended.
fn listen(job: Rc<Job>, reported: control::Receiver<Update>) -> std::io::Result<()> {
    /// Messages that are read before other tasks get their turn.
    const AT_ONCE: usize = 64;
    // Only its readiness is of use: the messages are taken by the channel itself.
    let ready = pipe::Receiver::from_owned_fd_unchecked(reported.as_fd().try_clone_to_owned()?)?;
    spawn_local(async move {
        'open: while ready.readable().await.is_ok() {
            for _ in 0..AT_ONCE {
                match reported.try_recv() {
                    Ok(update) => job.add(update),
                    Err(control::TryRecvError::Empty) => {
                        let _ = ready.try_io(|| Err::<(), _>(std::io::ErrorKind::WouldBlock.into()));
                        break;
                    }
                    Err(_) => break 'open,
                }
            }
            tokio::task::yield_now().await;
        }
        job.end();
    });
    Ok(())
}
