//! Jobs in the order in which they complete.

use super::handle::{Arrivals, JobHandle};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Returns the jobs in the order in which they complete: `concurrent.futures.as_completed`.
///
/// ```no_run
/// use proclab::pool::{Pool, as_completed};
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// proclab::child_entry();
/// let pool = Pool::new()?;
/// let jobs = (0..10).map(|n| pool.submit(square, n)).collect::<Result<Vec<_>, _>>()?;
/// for job in as_completed(jobs) {
///     println!("{}", job.result()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn as_completed<T>(jobs: impl IntoIterator<Item = JobHandle<T>>) -> AsCompleted<T> {
    let arrivals = Arc::new(Arrivals::default());
    let jobs: Vec<_> = jobs.into_iter().map(Some).collect();
    for (number, job) in jobs.iter().enumerate() {
        if let Some(job) = job {
            job.watch(&arrivals, number);
        }
    }
    AsCompleted { left: jobs.len(), jobs, arrivals, ready: Vec::new() }
}

/// The iterator of [`as_completed`].
#[must_use = "an iterator does nothing until it is used"]
pub struct AsCompleted<T> {
    jobs: Vec<Option<JobHandle<T>>>,
    arrivals: Arc<Arrivals>,
    /// The numbers of jobs that are done, the latest first.
    ready: Vec<usize>,
    left: usize,
}

impl<T> AsCompleted<T> {
    /// The next job that completes, waiting at most `timeout`. `None` also if all jobs were returned.
    ///
    /// ```no_run
    /// # use proclab::pool::{Pool, as_completed};
    /// # let pool = Pool::new()?;
    /// use std::time::Duration;
    ///
    /// let jobs = vec![pool.submit(|n: u64| n * n, 7)?];
    /// let mut completed = as_completed(jobs);
    /// if let Some(job) = completed.next_timeout(Duration::from_secs(1)) {
    ///     println!("{}", job.result()?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<JobHandle<T>> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, until: Option<Instant>) -> Option<JobHandle<T>> {
        if self.left == 0 {
            return None;
        }
        if self.ready.is_empty() {
            self.ready = self.arrivals.take(until);
            self.ready.reverse();
        }
        let number = self.ready.pop()?;
        self.left -= 1;
        self.jobs[number].take()
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = JobHandle<T>;

    fn next(&mut self) -> Option<JobHandle<T>> {
        self.next_until(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for AsCompleted<T> {}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.left).finish_non_exhaustive()
    }
}
