//! The pool.

use super::builder::Builder;
use super::bytes::Bytes;
use super::dead_letter::DeadJob;
use super::dispatcher::{Phase, Progress};
use super::error::{BuildError, JobError, SubmitError};
use super::handle::{JobHandle, Slot};
use super::job::{Function, Job, JobOptions};
use super::keeper::Shared;
use super::map::{Map, MapUnordered};
use crate::process::Target;
use crate::supervisor::ShutdownError;
use crate::sys::pid::Pid;
use crate::wire::codec::{self, Message};
use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Worker processes that run jobs, like Python's `concurrent.futures` and `multiprocessing.Pool`.
///
/// A job is a function and its arguments, like the body of a [`Process`](crate::Process): a `fn` or a closure that captures
/// nothing, with up to six arguments; arguments and results are any serde types. Jobs begin in the order in which they
/// were submitted, except those that are tried again.
///
/// # Failure
/// A job that panics, crashes, exits, is killed, or exceeds its limits costs that job alone, and says why
/// ([`JobError`]). Its worker is replaced, and the jobs that the worker had not begun run elsewhere. The pool knows, to
/// the instruction, which job a worker has begun, so no job is run twice or lost because of another.
///
/// # When it is dropped
/// It finishes the submitted jobs, like [`shutdown`](Pool::shutdown). In a panic it is [terminated](Pool::terminate). If
/// this process is killed, the kernel kills the workers.
///
/// # Threads and processes
/// A pool has a thread in this process, so [`StartMethod::Fork`](crate::StartMethod::Fork) is refused while there is one.
/// Its methods may be called from any thread.
///
/// ```no_run
/// use proclab::pool::Pool;
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     proclab::child_entry();
///     let pool = Pool::new()?;
///     let sum: u64 = pool.map(square, 0..1000).sum::<Result<_, _>>()?;
///     assert_eq!(sum, 332_833_500);
///     pool.shutdown()?;
///     Ok(())
/// }
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    workers: usize,
    keeper: Mutex<Option<JoinHandle<Result<(), ShutdownError>>>>,
    /// The process it belongs to: in a forked copy it has neither thread nor workers.
    owner: Pid,
}

impl Pool {
    /// Creates a pool with one worker per processor that this process may use.
    ///
    /// ```no_run
    /// # proclab::child_entry();
    /// let pool = proclab::pool::Pool::new()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn new() -> Result<Pool, BuildError> {
        Pool::builder().build()
    }

    /// The options of a pool.
    ///
    /// ```no_run
    /// let pool = proclab::pool::Pool::builder().workers(2).build()?;
    /// # drop(pool);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Submits a job and returns immediately.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let job = pool.submit(|a: u64, b: u64| a + b, (2, 3))?;
    /// assert_eq!(job.result()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit<F, M>(&self, target: F, args: F::Args) -> Result<JobHandle<F::Output>, SubmitError>
    where
        F: Target<M>,
        F::Args: Message,
        F::Output: Message,
    {
        self.submit_with(JobOptions::new(), target, args)
    }

    /// Submits a job with limits or retries.
    ///
    /// ```no_run
    /// # use proclab::pool::{JobOptions, Pool};
    /// # use proclab::supervisor::BackOff;
    /// # use std::time::Duration;
    /// # fn fetch(_: String) -> String { String::new() }
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let options = JobOptions::new().timeout(Duration::from_secs(5)).retries(3, BackOff::NONE);
    /// let job = pool.submit_with(options, fetch, "address".to_owned())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit_with<F, M>(
        &self,
        options: JobOptions,
        target: F,
        args: F::Args,
    ) -> Result<JobHandle<F::Output>, SubmitError>
    where
        F: Target<M>,
        F::Args: Message,
        F::Output: Message,
    {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let function = Function::of(target).ok_or(SubmitError::NotInExecutable)?;
        // Taken out: code of the arguments' own may submit a job.
        let mut buffer = BUFFER.take();
        buffer.clear();
        let encoded = codec::encode_into(&args, &mut buffer).map(|_| Bytes::copy_of(&buffer));
        buffer.shrink_to(1 << 16);
        BUFFER.set(buffer);
        let slot = Arc::new(Slot::default());
        let job = Job { function, args: encoded?, options, failures: 0, sink: slot.clone(), index: 0 };
        let is_timed = {
            let mut dispatcher = self.shared.dispatcher();
            if dispatcher.refusal().is_some() {
                return Err(SubmitError::Closed);
            }
            dispatcher.add(job);
            dispatcher.dispatch()
        };
        if is_timed {
            self.shared.bell.ring();
        }
        Ok(JobHandle::new(slot, Arc::clone(&self.shared)))
    }

    /// Runs `target` on each item; the results are in the order of the items.
    ///
    /// It is lazy: items are taken from the iterator as workers have room for them, which is measured, so the iterator may
    /// be infinite. An item that fails is an error in its place; the others continue. A function with several arguments
    /// takes tuples. Dropping the map cancels the items that have not begun.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # fn square(n: u64) -> u64 { n * n }
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let squares = pool.map(square, 1..=3).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(squares, [1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<F, M, I>(&self, target: F, items: I) -> Map<'_, I::IntoIter, F::Output>
    where
        F: Target<M>,
        F::Args: Message,
        F::Output: Message,
        I: IntoIterator<Item = F::Args>,
    {
        self.map_with(JobOptions::new(), target, items)
    }

    /// As [`map`](Pool::map), each item with these options.
    ///
    /// ```no_run
    /// # use proclab::pool::{JobOptions, Pool};
    /// # fn square(n: u64) -> u64 { n * n }
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let options = JobOptions::new().timeout(std::time::Duration::from_secs(1));
    /// for square in pool.map_with(options, square, 1..=3) {
    ///     println!("{}", square?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_with<F, M, I>(
        &self,
        options: JobOptions,
        target: F,
        items: I,
    ) -> Map<'_, I::IntoIter, F::Output>
    where
        F: Target<M>,
        F::Args: Message,
        F::Output: Message,
        I: IntoIterator<Item = F::Args>,
    {
        Map::new(&self.shared, function_of(target), options, items.into_iter())
    }

    /// As [`map`](Pool::map), but returns each result as it arrives, with the index of its item.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # fn square(n: u64) -> u64 { n * n }
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// for (place, square) in pool.map_unordered(square, 1..=3) {
    ///     println!("{place}: {}", square?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_unordered<F, M, I>(&self, target: F, items: I) -> MapUnordered<'_, I::IntoIter, F::Output>
    where
        F: Target<M>,
        F::Args: Message,
        F::Output: Message,
        I: IntoIterator<Item = F::Args>,
    {
        self.map_unordered_with(JobOptions::new(), target, items)
    }

    /// As [`map_unordered`](Pool::map_unordered), each item with these options.
    ///
    /// ```no_run
    /// # use proclab::pool::{JobOptions, Pool};
    /// # use proclab::supervisor::BackOff;
    /// # fn square(n: u64) -> u64 { n * n }
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// let options = JobOptions::new().retries(1, BackOff::NONE);
    /// assert_eq!(pool.map_unordered_with(options, square, 1..=3).count(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_unordered_with<F, M, I>(
        &self,
        options: JobOptions,
        target: F,
        items: I,
    ) -> MapUnordered<'_, I::IntoIter, F::Output>
    where
        F: Target<M>,
        F::Args: Message,
        F::Output: Message,
        I: IntoIterator<Item = F::Args>,
    {
        MapUnordered::new(&self.shared, function_of(target), options, items.into_iter())
    }

    /// The number of workers, including those that are being replaced.
    ///
    /// ```no_run
    /// let pool = proclab::pool::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.workers(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The PIDs of the live workers, in no particular order.
    ///
    /// ```no_run
    /// let pool = proclab::pool::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.worker_pids().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker_pids(&self) -> Vec<Pid> {
        self.shared.dispatcher().workers.iter().map(|worker| worker.child.pid()).collect()
    }

    /// The progress of its jobs.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # proclab::child_entry();
    /// let pool = Pool::new()?;
    /// assert_eq!(pool.progress().done, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn progress(&self) -> Progress {
        self.shared.dispatcher().snapshot()
    }

    /// Takes the jobs whose attempts have all failed, oldest first. Up to
    /// [`MAX_DEAD_LETTERS`](super::MAX_DEAD_LETTERS) are kept.
    ///
    /// ```no_run
    /// # use proclab::pool::Pool;
    /// # proclab::child_entry();
    /// # let pool = Pool::new()?;
    /// for letter in pool.take_dead_letters() {
    ///     eprintln!("{} failed {} times: {}", letter.function, letter.attempts, letter.error);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_dead_letters(&self) -> Vec<DeadJob> {
        self.shared.dispatcher().take_dead_letters()
    }

    /// Refuses further jobs; those that were submitted are completed.
    ///
    /// ```no_run
    /// let pool = proclab::pool::Pool::new()?;
    /// pool.close();
    /// assert!(pool.submit(|n: u64| n * n, 7).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.enter(Phase::Closing);
    }

    /// Closes the pool, waits until every job is done, and lets the workers exit.
    ///
    /// ```no_run
    /// let pool = proclab::pool::Pool::new()?;
    /// let job = pool.submit(|n: u64| n * n, 7)?;
    /// pool.shutdown()?;
    /// assert_eq!(job.result()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ShutdownError`] with the workers that could not be ended.
    pub fn shutdown(&self) -> Result<(), ShutdownError> {
        self.enter(Phase::Closing);
        self.join()
    }

    /// Kills the workers, and the programs that they started, immediately. Jobs that are not done fail with
    /// [`JobError::Terminated`].
    ///
    /// ```no_run
    /// let pool = proclab::pool::Pool::new()?;
    /// pool.terminate()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ShutdownError`] with the workers that could not be ended.
    pub fn terminate(&self) -> Result<(), ShutdownError> {
        self.enter(Phase::Terminated);
        self.join()
    }

    fn enter(&self, phase: Phase) {
        {
            let mut dispatcher = self.shared.dispatcher();
            if matches!((&dispatcher.phase, &phase), (Phase::Open, _) | (Phase::Closing, Phase::Terminated)) {
                dispatcher.phase = phase;
            }
        }
        self.shared.bell.ring();
    }

    /// Waits for the pool's thread, which ends the workers.
    fn join(&self) -> Result<(), ShutdownError> {
        // The lock is not held meanwhile: another thread may terminate a pool that this one shuts down.
        let thread = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread {
            // The thread's own panic has been reported by its jobs.
            Some(thread) => thread.join().unwrap_or(Ok(())),
            None => Ok(()),
        }
    }
}

fn function_of<F, M>(target: F) -> Result<Function, JobError>
where
    F: Target<M>,
    F::Args: Message,
    F::Output: Message,
{
    Function::of(target).ok_or_else(|| JobError::Unreadable(SubmitError::NotInExecutable.to_string()))
}

impl Builder {
    /// Starts the workers. They initialize themselves while this process goes on.
    ///
    /// ```no_run
    /// let pool = proclab::pool::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.submit(|n: u64| n * n, 7)?.result()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError`]; no worker is left then.
    pub fn build(self) -> Result<Pool, BuildError> {
        let (shared, workers, keeper) = self.start()?;
        let thread =
            std::thread::Builder::new().name("proclab-pool".to_owned()).spawn(move || keeper.run())?;
        Ok(Pool { shared, workers, keeper: Mutex::new(Some(thread)), owner: Pid::this() })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.owner != Pid::this() {
            return;
        }
        // A drop returns no error.
        let _ = if std::thread::panicking() { self.terminate() } else { self.shutdown() };
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers)
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}
