//! The pool's thread: it takes results, dispatches jobs, replaces workers that ended, and ends the others.
//!
//! It sleeps on descriptors only: a bell that workers ring when they have published something and the note says that
//! it sleeps, the workers' pidfds, and the interrupt. Nothing is polled.

use super::dispatcher::{Dispatcher, Done, Phase, deliver};
use super::error::{JobError, Lost};
use super::memory::{Link, Memory};
use super::roster::Worker;
use crate::process::{Child, Handle, StartError};
use crate::shm::region::RegionError;
use crate::shm::word::fence;
use crate::supervisor::{BackOff, ShutdownError, Supervisor};
use crate::sys::eventfd::Event;
use crate::sys::poll::{Deadline, readable};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many workers in a row may end before they are ready; then the pool gives up.
const MOST_UNREADY: u32 = 3;
/// How often in a row the start of a worker may fail while there is no other worker; then the pool gives up.
const MOST_REFUSED: u32 = 5;
const START_BACK_OFF: BackOff = BackOff::new(Duration::from_millis(10), Duration::from_secs(1));
/// How often the workers are looked at while results come so quickly that nothing sleeps.
const LOOK: Duration = Duration::from_millis(1);
/// How long results are looked for before sleeping, where they come quickly.
const SPIN: Duration = Duration::from_micros(40);

/// What the pool, its thread and everything that comes of it share.
#[derive(Debug)]
pub(super) struct Shared {
    dispatcher: Mutex<Dispatcher>,
    /// Wakes the thread.
    pub(super) bell: Event,
}

impl Shared {
    pub(super) fn new() -> io::Result<Shared> {
        Ok(Shared { dispatcher: Mutex::new(Dispatcher::new()), bell: Event::new()? })
    }

    pub(super) fn dispatcher(&self) -> MutexGuard<'_, Dispatcher> {
        // Nothing under the lock leaves it half changed where it might panic.
        self.dispatcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a worker with this link.
pub(super) type Starter = Box<dyn Fn(&Supervisor, Link) -> Result<Child<()>, StartError> + Send>;

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) supervisor: Supervisor,
    pub(super) starter: Starter,
    pub(super) n_workers: usize,
    pub(super) max_jobs: Option<u64>,
    pub(super) interrupt: Option<OwnedFd>,
    /// Starts in a row that were refused, and when the next may be tried.
    refused: u32,
    next_start: Option<Instant>,
    /// Workers in a row that ended before they were ready.
    unready: u32,
    looked: Instant,
    has_deaths: bool,
    /// Until when dismissed workers may take to end.
    leave_by: Option<Instant>,
}

/// What follows a turn.
enum Next {
    Sleep(Option<Instant>),
    Start,
    End,
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        supervisor: Supervisor,
        starter: Starter,
        n_workers: usize,
        max_jobs: Option<u64>,
        interrupt: Option<OwnedFd>,
    ) -> Keeper {
        Keeper {
            shared,
            supervisor,
            starter,
            n_workers,
            max_jobs,
            interrupt,
            refused: 0,
            next_start: None,
            unready: 0,
            looked: Instant::now(),
            has_deaths: false,
            leave_by: None,
        }
    }

    /// Starts a worker and gives it jobs.
    pub(super) fn start_worker(&mut self) -> Result<(), Lost> {
        let (memory, link) = Memory::create(&self.shared.bell).map_err(|error| match error {
            RegionError::Os(error) => Lost::Os(error),
            other => Lost::Os(io::Error::other(other)),
        })?;
        let child = (self.starter)(&self.supervisor, link)?;
        let mut dispatcher = self.shared.dispatcher();
        dispatcher.workers.push(Worker::new(child, memory, self.max_jobs));
        dispatcher.dispatch();
        Ok(())
    }

    /// Runs until the pool is closed and done, or terminated.
    pub(super) fn run(mut self) -> Result<(), ShutdownError> {
        let _guard = FailAll(Arc::clone(&self.shared));
        let mut done = Vec::new();
        loop {
            let shared = Arc::clone(&self.shared);
            let next = self.turn(&mut shared.dispatcher(), &mut done);
            let has_done = !done.is_empty();
            deliver(&mut done);
            match next {
                Next::End => break,
                Next::Start => self.start_or_give_up(),
                Next::Sleep(_) if has_done => {}
                Next::Sleep(until) => self.sleep(until),
            }
        }
        let is_terminated = !matches!(self.shared.dispatcher().phase, Phase::Closing);
        if is_terminated {
            self.supervisor = self.supervisor.grace(Duration::ZERO);
        }
        let ended = self.supervisor.shutdown();
        self.shared.dispatcher().workers.clear();
        ended
    }

    /// Does everything that is due.
    fn turn(&mut self, dispatcher: &mut Dispatcher, done: &mut Vec<Done>) -> Next {
        let now = Instant::now();
        self.take_in(dispatcher, done, now);
        if let Phase::Terminated | Phase::Lost(_) = dispatcher.phase {
            let error = dispatcher.refusal().unwrap_or(JobError::Terminated);
            dispatcher.fail_all(&error, done);
            return Next::End;
        }
        let mut times = [dispatcher.wake_delayed(now), None, None, self.next_start, None, None];
        dispatcher.dispatch();
        times[2] = dispatcher.relieve(now);
        // After the jobs that were just given, for one of them may have the nearest limit.
        times[1] = dispatcher.enforce_timeouts(done);
        // What was taken back from a worker past its limit is given to others, and may be limited too.
        if dispatcher.dispatch() {
            times[5] = dispatcher.enforce_timeouts(done);
        }
        for worker in
            dispatcher.workers.iter_mut().filter(|one| one.jobs_left == Some(0) && one.given.is_empty())
        {
            worker.dismiss();
        }
        let is_over = matches!(dispatcher.phase, Phase::Closing) && dispatcher.is_empty();
        if is_over {
            let by = *self.leave_by.get_or_insert(now + Supervisor::GRACE);
            if dispatcher.workers.is_empty() || now >= by {
                return Next::End;
            }
            dispatcher.workers.iter_mut().for_each(Worker::dismiss);
            times[4] = Some(by);
        } else if dispatcher.workers.len() < self.n_workers && self.next_start.is_none_or(|at| at <= now) {
            return Next::Start;
        }
        Next::Sleep(times.into_iter().flatten().min())
    }

    /// Takes results, and handles workers that have ended.
    fn take_in(&mut self, dispatcher: &mut Dispatcher, done: &mut Vec<Done>, now: Instant) {
        for at in dispatcher.collect(done) {
            // It has overwritten what it shares with the pool: it cannot be given anything any more.
            let _ = dispatcher.workers[at].child.kill();
        }
        if !self.has_deaths && now.saturating_duration_since(self.looked) < LOOK {
            return;
        }
        (self.has_deaths, self.looked) = (false, now);
        if self.unready > 0 && dispatcher.workers.iter().any(Worker::is_ready) {
            self.unready = 0;
        }
        let mut at = 0;
        while at < dispatcher.workers.len() {
            let Some(exit) = dispatcher.workers[at].child.exit() else {
                at += 1;
                continue;
            };
            // Whatever it published, it published before it ended.
            dispatcher.collect(done);
            let worker = dispatcher.workers.swap_remove(at);
            if !worker.is_leaving {
                dispatcher.progress.workers_lost += 1;
            }
            if !worker.is_ready() && !worker.is_leaving {
                self.unready += 1;
                if self.unready >= MOST_UNREADY {
                    dispatcher.phase = Phase::Lost(Arc::new(Lost::Initializer { count: self.unready, exit }));
                }
            }
            dispatcher.bury(worker, exit, done);
        }
    }

    fn start_or_give_up(&mut self) {
        match self.start_worker() {
            Ok(()) => (self.refused, self.next_start) = (0, None),
            Err(error) => {
                self.refused += 1;
                self.next_start = Some(Instant::now() + START_BACK_OFF.delay(self.refused));
                let mut dispatcher = self.shared.dispatcher();
                if dispatcher.workers.is_empty() && self.refused >= MOST_REFUSED {
                    dispatcher.phase = Phase::Lost(Arc::new(error));
                }
            }
        }
    }

    /// Sleeps until there is something to do.
    fn sleep(&mut self, until: Option<Instant>) {
        if self.shared.dispatcher().is_quick() && self.spin() {
            return;
        }
        let handles: Vec<Handle> = {
            let dispatcher = self.shared.dispatcher();
            let workers = &dispatcher.workers;
            workers.iter().for_each(|worker| worker.note_pool_asleep(true));
            // Pairs with the fence in `Memory::ring_if_asleep`.
            fence(Ordering::SeqCst);
            if workers.iter().any(|worker| worker.has_results() || worker.can_write_rest()) {
                workers.iter().for_each(|worker| worker.note_pool_asleep(false));
                return;
            }
            workers.iter().map(|worker| worker.child.handle().clone()).collect()
        };
        let mut sources = vec![self.shared.bell.as_fd()];
        let interrupt = self.interrupt.as_ref().map(AsFd::as_fd);
        sources.extend(interrupt);
        let first = sources.len();
        sources.extend(handles.iter().map(AsFd::as_fd));
        let deadline =
            until.map_or(Deadline::NEVER, |at| Deadline::after(at.saturating_duration_since(Instant::now())));
        // An error is a lack of memory for the call: looking again is all that can be done.
        let ready = readable(&sources, deadline).unwrap_or_else(|_| vec![true; sources.len()]);
        if ready[0] {
            self.shared.bell.silence();
        }
        self.has_deaths = ready[first..].contains(&true);
        let is_interrupted = interrupt.is_some() && ready[1];
        let mut dispatcher = self.shared.dispatcher();
        if is_interrupted {
            dispatcher.phase = Phase::Terminated;
        }
        dispatcher.workers.iter().for_each(|worker| worker.note_pool_asleep(false));
    }

    /// Checks for results for a while. Returns whether there are any.
    fn spin(&self) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < SPIN {
            std::thread::yield_now();
            if self.shared.dispatcher().workers.iter().any(Worker::has_results) {
                return true;
            }
        }
        false
    }
}

/// Fails all remaining jobs when the thread ends, in any way, so that nothing waits for a result forever.
struct FailAll(Arc<Shared>);

impl Drop for FailAll {
    fn drop(&mut self) {
        let mut done = Vec::new();
        {
            let mut dispatcher = self.0.dispatcher();
            if std::thread::panicking() {
                dispatcher.phase = Phase::Lost(Arc::new(Lost::Panicked));
            }
            let error = dispatcher.refusal().unwrap_or(JobError::Terminated);
            dispatcher.fail_all(&error, &mut done);
        }
        deliver(&mut done);
    }
}
