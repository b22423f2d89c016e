//! `_TestPool` and its companions.

use super::{SHORT, SOON, cases};
use crate::common::quietly;
use libtest_mimic::Trial;
use proclab::StartMethod;
use proclab::pool::{BuildError, JobError, Pool, ResultTimeoutError, SubmitError, as_completed};
use proclab::sync::Value;
use serde::{Deserialize, Serialize, Serializer};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

pub(super) fn tests() -> Vec<Trial> {
    let classes = [
        cases!["Pool": apply, map, starmap, starmap_async, map_async, map_async_callbacks, map_unpicklable,
            map_chunksize, map_handle_iterable_exception, async_result, async_timeout, imap,
            imap_handle_iterable_exception, imap_unordered, imap_unordered_handle_iterable_exception, make_pool, terminate, empty_iterable, context,
            traceback, wrapped_exception, map_no_failfast, release_task_refs, enter, resource_warning],
        cases!["PoolWorkerErrors": async_error_callback, unpickleable_result],
        cases!["PoolWorkerLifetime": pool_worker_lifetime, pool_worker_lifetime_early_close],
        cases!["Initializers": pool_initializer],
        cases!["PoolNotLeakOnFailure": release_unused_processes],
    ];
    classes.into_iter().flatten().collect()
}

fn pool(method: StartMethod) -> Pool {
    Pool::builder().workers(2).start_method(method).build().unwrap()
}

fn sqr(x: u64) -> u64 {
    x * x
}

fn mul(x: u64, y: u64) -> u64 {
    x * y
}

fn sleep(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

fn say_why(x: u64) -> u64 {
    assert!(x != 7, "seven is refused");
    x
}

fn apply(method: StartMethod) {
    let pool = pool(method);
    assert_eq!(pool.submit(sqr, 5).unwrap().result().unwrap(), 25);
    assert_eq!(pool.submit(mul, (3, 4)).unwrap().result().unwrap(), 12);
}

fn map(method: StartMethod) {
    let squares: Vec<u64> = pool(method).map(sqr, 0..100).map(Result::unwrap).collect();
    assert_eq!(squares, (0..100).map(sqr).collect::<Vec<_>>());
}

fn starmap(method: StartMethod) {
    let products: Vec<u64> = pool(method).map(mul, (0..20).zip(5..25)).map(Result::unwrap).collect();
    assert_eq!(products, (0..20).zip(5..25).map(|(x, y)| mul(x, y)).collect::<Vec<_>>());
}

fn starmap_async(method: StartMethod) {
    starmap(method);
}

fn map_async(method: StartMethod) {
    let pool = pool(method);
    let results = pool.map(sqr, 0..10);
    // The parent does something else meanwhile.
    let here: u64 = (0..10).map(sqr).sum();
    assert_eq!(results.map(Result::unwrap).sum::<u64>(), here);
}

/// What Python calls back, an iterator gives.
fn map_async_callbacks(method: StartMethod) {
    let pool = pool(method);
    let (mut done, mut failed) = (0, 0);
    for result in pool.map(say_why, 5..9) {
        match result {
            Ok(_) => done += 1,
            Err(JobError::Panicked(_)) => failed += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((done, failed), (3, 1));
}

#[derive(Debug, Deserialize)]
struct Unpicklable;

impl Serialize for Unpicklable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this one"))
    }
}

fn map_unpicklable(method: StartMethod) {
    let pool = pool(method);
    let refused = pool.submit(|_: Unpicklable| (), Unpicklable);
    assert!(matches!(refused, Err(SubmitError::Args(error)) if error.to_string().contains("not this one")));
    let results: Vec<_> = pool.map(|_: Unpicklable| (), [Unpicklable, Unpicklable]).collect();
    assert!(results.len() == 2 && results.iter().all(Result::is_err));
    assert_eq!(pool.submit(sqr, 2).unwrap().result().unwrap(), 4);
}

fn map_chunksize(method: StartMethod) {
    assert_eq!(pool(method).map(sqr, 0..5000).map(Result::unwrap).count(), 5000);
}

fn panics_at_three() -> impl Iterator<Item = u64> {
    (0..6).inspect(|n| assert!(*n != 3, "the iterator fails"))
}

/// The panic of an iterator is its caller's, and the pool goes on.
fn map_handle_iterable_exception(method: StartMethod) {
    let pool = pool(method);
    let sum = || pool.map(sqr, panics_at_three()).map(Result::unwrap).sum::<u64>();
    let caught = quietly(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(sum)));
    assert!(caught.is_err());
    assert_eq!(pool.submit(sqr, 2).unwrap().result().unwrap(), 4);
}

fn async_result(method: StartMethod) {
    let pool = pool(method);
    let (job, begin) = (pool.submit(sleep, 30).unwrap(), Instant::now());
    assert_eq!(job.result_timeout(SOON).unwrap(), 30);
    assert!(begin.elapsed() < SOON && job.is_done());
}

fn async_timeout(method: StartMethod) {
    let pool = pool(method);
    let job = pool.submit(sleep, 100_000).unwrap();
    assert!(
        matches!(job.result_timeout(SHORT), Err(ResultTimeoutError::Timeout)) && !job.wait_timeout(SHORT)
    );
    pool.terminate().unwrap();
}

fn imap(method: StartMethod) {
    let pool = pool(method);
    let mut squares = pool.map(sqr, 0..10);
    for x in 0..10 {
        assert_eq!(squares.next().unwrap().unwrap(), x * x);
    }
    assert!(squares.next().is_none());
}

fn imap_handle_iterable_exception(method: StartMethod) {
    let pool = pool(method);
    let results: Vec<_> = pool.map(say_why, 5..9).collect();
    assert!(results.iter().zip(5..).all(|(result, x)| result.is_ok() == (x != 7)));
}

fn imap_unordered(method: StartMethod) {
    let pool = pool(method);
    let mut squares: Vec<u64> = pool.map_unordered(sqr, 0..100).map(|(_, square)| square.unwrap()).collect();
    squares.sort_unstable();
    assert_eq!(squares, (0..100).map(sqr).collect::<Vec<_>>());
}

fn imap_unordered_handle_iterable_exception(method: StartMethod) {
    let pool = pool(method);
    let results: Vec<_> = pool.map_unordered(say_why, 5..9).collect();
    assert!(results.len() == 4 && results.iter().all(|(place, result)| result.is_ok() == (*place != 2)));
}

fn make_pool(method: StartMethod) {
    assert!(matches!(Pool::builder().workers(0).build(), Err(BuildError::NoWorkers)));
    let pool = Pool::builder().workers(3).start_method(method).build().unwrap();
    assert_eq!((pool.workers(), pool.worker_pids().len()), (3, 3));
    pool.close();
    pool.shutdown().unwrap();
}

fn terminate(method: StartMethod) {
    let (pool, begin) = (pool(method), Instant::now());
    let jobs: Vec<_> = (0..50).map(|_| pool.submit(sleep, 100_000).unwrap()).collect();
    pool.terminate().unwrap();
    assert!(begin.elapsed() < SOON);
    assert!(jobs.iter().all(|job| matches!(job.result(), Err(JobError::Terminated))));
}

fn empty_iterable(method: StartMethod) {
    let pool = pool(method);
    assert_eq!((pool.map(sqr, []).count(), pool.map_unordered(sqr, []).count()), (0, 0));
}

fn context(method: StartMethod) {
    {
        let pool = pool(method);
        assert_eq!(pool.map(sqr, 0..10).map(Result::unwrap).count(), 10);
    }
    let pool = pool(method);
    pool.shutdown().unwrap();
    assert!(matches!(pool.submit(sqr, 1), Err(SubmitError::Closed)));
}

fn traceback(method: StartMethod) {
    let pool = pool(method);
    let Err(JobError::Panicked(panic)) = pool.submit(say_why, 7).unwrap().result() else {
        panic!("it did not panic")
    };
    assert_eq!(panic.message, "seven is refused");
    assert!(panic.location.unwrap().contains("python/pool.rs:"));
}

fn wrapped_exception(method: StartMethod) {
    let pool = pool(method);
    let error = pool.submit(say_why, 7).unwrap().result().unwrap_err();
    assert!(error.to_string().contains("seven is refused"), "{error}");
}

/// A failure does not keep the other items from being run.
fn map_no_failfast(method: StartMethod) {
    let pool = pool(method);
    let results: Vec<_> = pool.map(say_why, [7, 1, 2]).collect();
    assert!(results[0].is_err() && results[1].is_ok() && results[2].is_ok());
}

/// The pool keeps nothing of what is done.
fn release_task_refs(method: StartMethod) {
    let pool = pool(method);
    assert_eq!(pool.map(sqr, 0..10).map(Result::unwrap).count(), 10);
    let progress = pool.progress();
    assert_eq!((progress.done, progress.waiting), (10, 0));
}

fn enter(method: StartMethod) {
    context(method);
}

/// A pool that is dropped leaves no process behind.
fn resource_warning(method: StartMethod) {
    let pool = pool(method);
    let pids = pool.worker_pids();
    drop(pool);
    assert!(pids.into_iter().all(|pid| !std::path::Path::new(&format!("/proc/{}", pid.as_raw())).exists()));
}

fn async_error_callback(method: StartMethod) {
    map_async_callbacks(method);
}

fn returns_unpicklable() -> Unpicklable {
    Unpicklable
}

fn unpickleable_result(method: StartMethod) {
    let pool = pool(method);
    for _ in 0..3 {
        let result = pool.submit(returns_unpicklable, ()).unwrap().result();
        assert!(matches!(result, Err(JobError::Unreadable(why)) if why.contains("not this one")));
    }
    assert_eq!(pool.submit(sqr, 2).unwrap().result().unwrap(), 4);
}

fn pool_worker_lifetime(method: StartMethod) {
    let pool = Pool::builder().workers(2).max_jobs_per_worker(5).start_method(method).build().unwrap();
    let before = pool.worker_pids();
    let jobs: Vec<_> = (0..30).map(|x| pool.submit(sqr, x).unwrap()).collect();
    assert!(jobs.iter().zip(0..).all(|(job, x)| job.result().unwrap() == x * x));
    crate::common::until("the workers are replaced", || {
        let now = pool.worker_pids();
        now.len() == 2 && before.iter().all(|pid| !now.contains(pid))
    });
}

fn pool_worker_lifetime_early_close(method: StartMethod) {
    let pool = Pool::builder().workers(2).max_jobs_per_worker(1).start_method(method).build().unwrap();
    let jobs: Vec<_> = (0..6).map(|_| pool.submit(sleep, 5).unwrap()).collect();
    pool.close();
    pool.shutdown().unwrap();
    assert!(as_completed(jobs).all(|job| job.result().is_ok()));
}

static INITIALIZED: OnceLock<Mutex<u64>> = OnceLock::new();

fn initialize(value: Value<u64>, number: u64) {
    value.update(|count| count + 1);
    INITIALIZED.get_or_init(|| Mutex::new(number));
}

fn pool_initializer(method: StartMethod) {
    let value = Value::new(0).unwrap();
    let pool = Pool::builder().workers(1).start_method(method);
    let pool = pool.initializer(initialize, (value.try_clone().unwrap(), 7)).build().unwrap();
    let found = pool.submit(|| INITIALIZED.get().map(|number| *number.lock().unwrap()), ()).unwrap();
    assert_eq!((found.result().unwrap(), value.get()), (Some(7), 1));
}

/// A pool that cannot be started leaves no process behind.
fn release_unused_processes(method: StartMethod) {
    let pool = Pool::builder().workers(2).start_method(method).current_dir("/no/such/directory").build();
    assert!(matches!(pool, Err(BuildError::Start(_))));
}
