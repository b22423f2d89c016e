//! A submitted job and its result.

use super::bytes::Bytes;
use super::dispatcher::deliver;
use super::error::{JobError, ResultTimeoutError};
use super::keeper::Shared;
use super::sink::{Outcome, Sink};
use crate::sys::eventfd::Event;
use crate::sys::poll::Interest;
use crate::wait::{WaitAnyError, Waitable, Wakers};
use crate::wire::codec::{self, Message};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Where the outcome of one job arrives.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    arrived: Condvar,
    /// Rung once the outcome has arrived; created when it is first requested.
    bell: OnceLock<Event>,
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
    /// What is told of the outcome, under this number.
    watcher: Option<(Arc<Arrivals>, usize)>,
}

/// The numbers of handles whose outcomes have arrived, in order.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    numbers: Mutex<Vec<usize>>,
    arrived: Condvar,
}

impl Arrivals {
    fn add(&self, number: usize) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        self.arrived.notify_one();
    }

    /// Those that have arrived since the last call; waits for one until `until`.
    pub(super) fn take(&self, until: Option<Instant>) -> Vec<usize> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        while numbers.is_empty() {
            match wait(&self.arrived, numbers, until) {
                (guard, true) => numbers = guard,
                (mut guard, false) => return std::mem::take(&mut guard),
            }
        }
        std::mem::take(&mut numbers)
    }
}

/// Waits for a notification; false if the time is over.
pub(super) fn wait<'a, T>(
    condition: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> (MutexGuard<'a, T>, bool) {
    match until.map(|until| until.saturating_duration_since(Instant::now())) {
        None => (condition.wait(guard).unwrap_or_else(PoisonError::into_inner), true),
        Some(Duration::ZERO) => (guard, false),
        Some(left) => (condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0, true),
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Slot {
    fn complete(&self, outcomes: &mut Vec<(u64, Outcome)>) {
        let Some((_, outcome)) = outcomes.pop() else { return };
        let (waker, watcher) = {
            let mut state = self.state();
            state.outcome = Some(outcome);
            // It is created under the same lock, so it is rung either here or there.
            if let Some(bell) = self.bell.get() {
                bell.ring();
            }
            (state.waker.take(), state.watcher.take())
        };
        self.arrived.notify_all();
        if let Some((arrivals, number)) = watcher {
            arrivals.add(number);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_wanted(&self) -> bool {
        true
    }
}

/// A submitted job and its future result: `concurrent.futures.Future`.
///
/// It can also be awaited, in any async runtime. Dropping it neither cancels the job nor waits for it.
///
/// ```no_run
/// use proclab::pool::Pool;
///
/// fn add(a: u64, b: u64) -> u64 {
///     a + b
/// }
///
/// proclab::child_entry();
/// let pool = Pool::new()?;
/// let sum = pool.submit(add, (2, 3))?;
/// assert_eq!(sum.result()?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the result of the job is lost with it"]
pub struct JobHandle<T> {
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    returns: PhantomData<fn() -> T>,
}

impl<T: Message> JobHandle<T> {
    pub(super) fn new(slot: Arc<Slot>, shared: Arc<Shared>) -> Self {
        JobHandle { slot, shared, returns: PhantomData }
    }

    /// Waits for the job and returns its result. A result can be taken once, an error repeatedly.
    ///
    /// ```no_run
    /// # let pool = proclab::pool::Pool::new()?;
    /// let job = pool.submit(|n: u64| n * n, 7)?;
    /// assert_eq!(job.result()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JobError`].
    pub fn result(&self) -> Result<T, JobError> {
        match self.wait_until(None) {
            Some(mut state) => take(&mut state),
            None => unreachable!("a wait without a bound ends with the outcome"),
        }
    }

    /// As [`result`](JobHandle::result), but waits at most `timeout`.
    ///
    /// ```no_run
    /// # use proclab::pool::{Pool, ResultTimeoutError};
    /// # use std::time::Duration;
    /// # fn slow() {}
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let job = pool.submit(slow, ())?;
    /// match job.result_timeout(Duration::from_millis(10)) {
    ///     Err(ResultTimeoutError::Timeout) => println!("not yet"),
    ///     other => other?,
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ResultTimeoutError`].
    pub fn result_timeout(&self, timeout: Duration) -> Result<T, ResultTimeoutError> {
        match self.wait_until(Instant::now().checked_add(timeout)) {
            Some(mut state) => take(&mut state).map_err(ResultTimeoutError::Job),
            None => Err(ResultTimeoutError::Timeout),
        }
    }

    fn wait_until(&self, until: Option<Instant>) -> Option<MutexGuard<'_, State>> {
        let mut state = self.slot.state();
        while state.outcome.is_none() {
            let (guard, in_time) = wait(&self.slot.arrived, state, until);
            state = guard;
            if !in_time && state.outcome.is_none() {
                return None;
            }
        }
        Some(state)
    }
}

impl<T> JobHandle<T> {
    /// Cancels the job if it has not begun, and returns whether it is cancelled. A running job, or one that its worker has
    /// already claimed, continues.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # fn work() {}
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let job = pool.submit(work, ())?;
    /// if job.cancel() {
    ///     assert!(job.is_done());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self) -> bool {
        if self.is_done() {
            return self.is_cancelled();
        }
        let sink: Arc<dyn Sink> = self.slot.clone();
        let mut done = Vec::new();
        let is_cancelled = self.shared.dispatcher().cancel(&sink, &mut done);
        deliver(&mut done);
        is_cancelled
    }

    /// Whether it was cancelled.
    ///
    /// ```no_run
    /// # let pool = proclab::pool::Pool::new()?;
    /// let job = pool.submit(|n: u64| n * n, 7)?;
    /// assert_eq!(job.cancel(), job.is_cancelled());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self.slot.state().outcome, Some(Err(JobError::Cancelled)))
    }

    /// Whether it is done: it has returned, failed, or was cancelled. Never blocks.
    ///
    /// ```no_run
    /// # let pool = proclab::pool::Pool::new()?;
    /// let job = pool.submit(|n: u64| n * n, 7)?;
    /// if job.is_done() {
    ///     println!("{}", job.result()?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_done(&self) -> bool {
        self.slot.state().outcome.is_some()
    }

    /// Waits until it is done, at most `timeout`, and returns whether it is.
    ///
    /// ```no_run
    /// # let pool = proclab::pool::Pool::new()?;
    /// let job = pool.submit(|n: u64| n * n, 7)?;
    /// while !job.wait_timeout(std::time::Duration::from_secs(1)) {
    ///     println!("still waiting");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.slot.state();
        while state.outcome.is_none() {
            let (guard, in_time) = wait(&self.slot.arrived, state, until);
            state = guard;
            if !in_time {
                break;
            }
        }
        state.outcome.is_some()
    }

    /// A descriptor that is readable once the job is done, for event loops. It is created by the first call.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # use proclab::{Readable, wait_any};
    /// # fn work() {}
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let job = pool.submit(work, ())?;
    /// wait_any(&[Readable(job.done_fd()?)], None)?;
    /// assert!(job.is_done());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn done_fd(&self) -> io::Result<BorrowedFd<'_>> {
        let state = self.slot.state();
        if self.slot.bell.get().is_none() {
            let bell = Event::new()?;
            if state.outcome.is_some() {
                bell.ring();
            }
            // Under the lock: no other thread has created it meanwhile.
            let _ = self.slot.bell.set(bell);
        }
        drop(state);
        Ok(self.slot.bell.get().expect("it was made above").as_fd())
    }

    /// Adds `number` to `arrivals` once it is done.
    pub(super) fn watch(&self, arrivals: &Arc<Arrivals>, number: usize) {
        let mut state = self.slot.state();
        if state.outcome.is_some() {
            drop(state);
            arrivals.add(number);
        } else {
            state.watcher = Some((Arc::clone(arrivals), number));
        }
    }
}

fn take<T: Message>(state: &mut State) -> Result<T, JobError> {
    match state.outcome.as_ref() {
        Some(Err(error)) => Err(error.clone()),
        Some(Ok(_)) => match state.outcome.replace(Err(JobError::Taken)) {
            Some(Ok(bytes)) => decode(&bytes),
            _ => Err(JobError::Taken),
        },
        None => Err(JobError::Taken),
    }
}

/// The value of a result.
pub(super) fn decode<T: Message>(bytes: &Bytes) -> Result<T, JobError> {
    codec::decode(bytes.as_slice()).map_err(|error| JobError::Unreadable(error.to_string()))
}

/// Ready once the job is done. Dropping it while it is awaited loses nothing but the result.
impl<T: Message> Future for JobHandle<T> {
    type Output = Result<T, JobError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.slot.state();
        if state.outcome.is_some() {
            return Poll::Ready(take(&mut state));
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// Ready once the job is done.
impl<T> Waitable for JobHandle<T> {
    fn enroll<'a>(&'a self, wakers: &mut Wakers<'a>) -> Result<bool, WaitAnyError> {
        if self.is_done() {
            return Ok(true);
        }
        wakers.mark(self.done_fd()?, Interest::Read);
        Ok(false)
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle").field("is_done", &self.is_done()).finish_non_exhaustive()
    }
}
