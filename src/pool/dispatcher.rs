//! Which jobs wait, which worker has which job, and what to do next. All of it is behind one lock, and nothing here
//! waits.

use super::bytes::Bytes;
use super::dead_letter::{DeadJob, MAX_DEAD_LETTERS};
use super::error::{JobError, Lost};
use super::job::Job;
use super::roster::{Given, Worker};
use super::sink::{Outcome, Sink};
use crate::process::Exit;
use crate::sys::clock::monotonic_ns;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much work, in time, is given to a worker in advance: enough to hide the latency of the pool.
const AHEAD: Duration = Duration::from_micros(400);
/// The maximum number of jobs that a worker has in advance.
const MOST_AHEAD: f64 = 1024.0;
/// A job that takes this long is given only to a free worker, so that no job waits behind it.
const LONG: Duration = Duration::from_millis(2);
/// If a worker makes no progress for this long while another is idle, the jobs that it has not begun are taken back.
const STUCK: Duration = Duration::from_millis(1);

/// The phase of a pool's life.
#[derive(Debug, Clone)]
pub(super) enum Phase {
    Open,
    /// It takes no more jobs, and ends once all are done.
    Closing,
    /// It ends now.
    Terminated,
    /// It has ended because workers cannot be started.
    Lost(Arc<Lost>),
}

/// A job that waits for its next attempt.
#[derive(Debug)]
struct Delayed {
    due: Instant,
    order: u64,
    job: Job,
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}

impl Eq for Delayed {}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delayed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// An outcome, and where it goes.
pub(super) type Done = (Arc<dyn Sink>, u64, Outcome);

/// The progress of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Jobs that wait for their first or next attempt.
    pub waiting: u64,
    /// Jobs that were given to workers, whether begun or not.
    pub running: u64,
    /// Jobs that are done, with or without success.
    pub done: u64,
    /// Those of them that have no result.
    pub failed: u64,
    /// Workers that ended unexpectedly and were replaced.
    pub workers_lost: u64,
}

#[derive(Debug)]
pub(super) struct Dispatcher {
    pub(super) phase: Phase,
    waiting: VecDeque<Job>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    order: u64,
    pub(super) workers: Vec<Worker>,
    /// How long a job takes, as measured; `None` before the first is done.
    mean: Option<f64>,
    dead_letters: VecDeque<DeadJob>,
    pub(super) progress: Progress,
}

impl Dispatcher {
    pub(super) fn new() -> Dispatcher {
        Dispatcher {
            phase: Phase::Open,
            waiting: VecDeque::new(),
            delayed: BinaryHeap::new(),
            order: 0,
            workers: Vec::new(),
            mean: None,
            dead_letters: VecDeque::new(),
            progress: Progress::default(),
        }
    }

    /// Why jobs are refused, if they are.
    pub(super) fn refusal(&self) -> Option<JobError> {
        match &self.phase {
            Phase::Open => None,
            Phase::Closing => Some(JobError::Closed),
            Phase::Terminated => Some(JobError::Terminated),
            Phase::Lost(lost) => Some(JobError::NoWorkers(Arc::clone(lost))),
        }
    }

    pub(super) fn add(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// How many jobs a worker may have at a time, its present one included.
    fn allowed(&self) -> usize {
        match self.mean {
            None => 1,
            Some(mean) if mean > LONG.as_secs_f64() => 1,
            Some(mean) => (AHEAD.as_secs_f64() / mean).clamp(2.0, MOST_AHEAD) as usize,
        }
    }

    /// How many jobs are worth submitting before the first is done.
    pub(super) fn window(&self) -> usize {
        2 * self.allowed() * self.workers.len().max(1)
    }

    /// Gives waiting jobs to workers with room, the least busy first. Returns whether a job with a timeout was among them.
    pub(super) fn dispatch(&mut self) -> bool {
        let allowed = self.allowed();
        let mut any_timed = false;
        while !self.waiting.is_empty() {
            // With little left each worker gets its share.
            let share = self.waiting.len().div_ceil(self.workers.len().max(1));
            let Some(worker) = self
                .workers
                .iter_mut()
                .filter(|worker| worker.has_room(allowed))
                .min_by_key(|one| one.given.len())
            else {
                break;
            };
            let mut given = false;
            for _ in 0..share {
                if !worker.has_room(allowed) {
                    break;
                }
                let Some(job) = self.waiting.pop_front() else { break };
                if job.sink.is_wanted() {
                    any_timed |= job.options.timeout.is_some();
                    worker.give(job);
                    given = true;
                }
            }
            if given {
                worker.wake();
            }
        }
        any_timed
    }

    /// Takes the results that workers have published. Returns the workers whose memory is corrupt.
    pub(super) fn collect(&mut self, done: &mut Vec<Done>) -> Vec<usize> {
        let mut corrupt = Vec::new();
        let now = Instant::now();
        for at in 0..self.workers.len() {
            let worker = &mut self.workers[at];
            worker.resume();
            if !worker.has_results() {
                continue;
            }
            let mut outcomes = Vec::new();
            let taken = worker.take_results(|job, outcome| outcomes.push((job, outcome)));
            match taken {
                Ok(0) => {}
                Ok(count) => {
                    let sample =
                        now.saturating_duration_since(worker.busy_since).as_secs_f64() / count as f64;
                    worker.busy_since = now;
                    let weight = (count as f64 / 16.0).clamp(0.1, 0.5);
                    self.mean = Some(self.mean.map_or(sample, |mean| mean + (sample - mean) * weight));
                }
                Err(_) => corrupt.push(at),
            }
            for (job, outcome) in outcomes {
                match outcome {
                    Err(error @ JobError::Panicked(_)) => self.fail(job, error, done),
                    outcome => self.finish(job, outcome, done),
                }
            }
        }
        corrupt
    }

    fn finish(&mut self, job: Job, outcome: Outcome, done: &mut Vec<Done>) {
        self.progress.done += 1;
        self.progress.failed += u64::from(outcome.is_err());
        done.push((job.sink, job.index, outcome));
    }

    /// Handles a failed attempt: the job is tried again later, after the others, or becomes a dead letter.
    pub(super) fn fail(&mut self, mut job: Job, error: JobError, done: &mut Vec<Done>) {
        job.failures += 1;
        event!(WARN, function = job.function.name, attempt = job.failures, %error, "job failed");
        if job.failures <= job.options.retries && !matches!(self.phase, Phase::Terminated | Phase::Lost(_)) {
            let due = Instant::now() + job.options.back_off.delay(job.failures);
            self.order += 1;
            self.delayed.push(Reverse(Delayed { due, order: self.order, job }));
            return;
        }
        if self.dead_letters.len() == MAX_DEAD_LETTERS {
            self.dead_letters.pop_front();
        }
        let args = std::mem::replace(&mut job.args, Bytes::EMPTY);
        self.dead_letters.push_back(DeadJob::new(job.function.name, job.failures, error.clone(), args));
        self.finish(job, Err(error), done);
    }

    pub(super) fn take_dead_letters(&mut self) -> Vec<DeadJob> {
        self.dead_letters.drain(..).collect()
    }

    /// A worker has ended, and its results have been taken: what it had begun has failed, the rest waits again.
    pub(super) fn bury(&mut self, mut worker: Worker, exit: Exit, done: &mut Vec<Done>) {
        event!(DEBUG, pid = worker.child.pid().as_raw(), %exit, "worker ended");
        let (has_begun, _) = worker.begun();
        let mut given = std::mem::take(&mut worker.given);
        let culprit = if has_begun { given.pop_front() } else { None };
        self.wait_again(given);
        if let Some(Given { job, .. }) = culprit {
            let error = match worker.exceeded {
                Some(limit) => JobError::TimedOut { limit },
                None => JobError::Died { pid: worker.child.pid(), exit },
            };
            self.fail(job, error, done);
        }
    }

    /// Jobs that were given to a worker and not begun come before those that were not given yet.
    fn wait_again(&mut self, jobs: VecDeque<Given>) {
        for given in jobs.into_iter().rev() {
            self.waiting.push_front(given.job);
        }
    }

    /// Lets delayed jobs wait with the others once they are due; when the next one is.
    pub(super) fn wake_delayed(&mut self, now: Instant) -> Option<Instant> {
        while let Some(Reverse(next)) = self.delayed.peek() {
            if next.due > now {
                return Some(next.due);
            }
            if let Some(Reverse(Delayed { job, .. })) = self.delayed.pop() {
                self.waiting.push_back(job);
            }
        }
        None
    }

    /// Kills the workers whose job has run for longer than its limit; when the next one will have.
    ///
    /// What such a worker has not begun is taken back first, so that none of it is hit.
    pub(super) fn enforce_timeouts(&mut self, done: &mut Vec<Done>) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for at in 0..self.workers.len() {
            let worker = &mut self.workers[at];
            if worker.exceeded.is_some()
                || !worker.given.iter().any(|given| given.job.options.timeout.is_some())
            {
                continue;
            }
            let left = match worker.running_timed() {
                Some((limit, started)) => {
                    let ran = Duration::from_nanos(monotonic_ns().saturating_sub(started));
                    limit.saturating_sub(ran)
                }
                // One behind another job, or one that is just beginning.
                None => {
                    worker.given.iter().filter_map(|given| given.job.options.timeout).min().unwrap_or(LONG)
                }
            };
            if !left.is_zero() {
                let due = Instant::now() + left.max(Duration::from_micros(50));
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            let back = worker.take_back();
            self.wait_again(back);
            // No job can begin there any more. It may just have been done, and its result published.
            self.collect(done);
            let worker = &mut self.workers[at];
            if let (true, Some(limit)) =
                (worker.begun().0, worker.given.front().and_then(|given| given.job.options.timeout))
            {
                worker.exceeded = Some(limit);
                let _ = worker.child.kill();
            }
        }
        next
    }

    /// Takes jobs back from a worker that stands still while another has nothing to do; when to look again.
    pub(super) fn relieve(&mut self, now: Instant) -> Option<Instant> {
        let is_idle = |worker: &Worker| worker.given.is_empty() && worker.has_room(1);
        if !self.waiting.is_empty() || !self.workers.iter().any(is_idle) {
            return None;
        }
        let mut again = None;
        let mut back = VecDeque::new();
        for worker in self.workers.iter_mut().filter(|worker| worker.given.len() > 1) {
            let (_, begun) = worker.begun();
            if begun == worker.seen_begun && now.saturating_duration_since(worker.busy_since) >= STUCK {
                back.extend(worker.take_back());
            } else {
                again = Some(now + STUCK);
            }
            worker.seen_begun = begun;
        }
        if !back.is_empty() {
            // What was measured does not hold: until it does again, no job waits behind another.
            self.mean = None;
            self.wait_again(back);
            self.dispatch();
        }
        again
    }

    /// Cancels a job that has not begun. Returns whether it could.
    pub(super) fn cancel(&mut self, sink: &Arc<dyn Sink>, done: &mut Vec<Done>) -> bool {
        let is_it = |job: &Job| Arc::ptr_eq(&job.sink, sink);
        if let Some(at) =
            self.workers.iter().position(|worker| worker.given.iter().any(|given| is_it(&given.job)))
        {
            let back = self.workers[at].take_back();
            self.wait_again(back);
        }
        let found =
            self.waiting.iter().position(is_it).and_then(|at| self.waiting.remove(at)).or_else(|| {
                let all = std::mem::take(&mut self.delayed).into_iter();
                let (mut found, rest): (Vec<_>, Vec<_>) = all.partition(|one| is_it(&one.0.job));
                self.delayed = rest.into();
                found.pop().map(|Reverse(one)| one.job)
            });
        self.dispatch();
        let Some(job) = found else { return false };
        self.finish(job, Err(JobError::Cancelled), done);
        true
    }

    /// Fails all jobs that are not done.
    pub(super) fn fail_all(&mut self, error: &JobError, done: &mut Vec<Done>) {
        let given = self.workers.iter_mut().flat_map(|worker| std::mem::take(&mut worker.given));
        let delayed = std::mem::take(&mut self.delayed).into_iter().map(|Reverse(one)| one.job);
        let all: Vec<Job> =
            given.map(|given| given.job).chain(self.waiting.drain(..)).chain(delayed).collect();
        for job in all {
            self.finish(job, Err(error.clone()), done);
        }
    }

    /// Whether no job is left.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
            && self.delayed.is_empty()
            && self.workers.iter().all(|worker| worker.given.is_empty())
    }

    pub(super) fn snapshot(&self) -> Progress {
        Progress {
            waiting: (self.waiting.len() + self.delayed.len()) as u64,
            running: self.workers.iter().map(|worker| worker.given.len() as u64).sum(),
            ..self.progress
        }
    }

    /// Whether results come so quickly that looking for them is cheaper than sleeping.
    pub(super) fn is_quick(&self) -> bool {
        self.mean.is_some_and(|mean| mean < 20e-6)
            && self.workers.iter().any(|worker| !worker.given.is_empty())
    }
}

/// Hands outcomes over, each run of one sink's at once.
pub(super) fn deliver(done: &mut Vec<Done>) {
    let mut outcomes = Vec::new();
    let mut all = done.drain(..).peekable();
    while let Some((sink, index, outcome)) = all.next() {
        outcomes.push((index, outcome));
        while let Some((_, index, outcome)) = all.next_if(|(next, ..)| Arc::ptr_eq(next, &sink)) {
            outcomes.push((index, outcome));
        }
        sink.complete(&mut outcomes);
        outcomes.clear();
    }
}
