//! The pool: results in order, crashes isolated, books that balance under kills.

use crate::common::{PATIENCE, own_pid, trials, until};
use libtest_mimic::Trial;
use nix::sys::signal::Signal as Known;
use proclab::pool::{BuildError, JobError, JobOptions, Pool, ResultTimeoutError, SubmitError, as_completed};
use proclab::supervisor::BackOff;
use proclab::sync::Value;
use proclab::{Exit, Pid, Readable, Resource, Signal, StartMethod, Waitable, wait_any};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["pool":
        jobs_return_their_results_under_every_start_method,
        a_map_keeps_the_order_and_is_lazy,
        an_unordered_map_says_which_item_a_result_is_of,
        large_arguments_and_results_go_through_in_pieces,
        a_panic_costs_its_job_and_says_where,
        a_crash_an_exit_and_a_kill_cost_one_job_each,
        a_job_past_its_limit_is_ended_and_none_behind_it,
        a_limit_of_processor_time_is_per_job,
        a_limit_of_memory_costs_one_job,
        a_job_is_tried_again_and_then_a_dead_letter,
        poison_starves_nobody,
        a_job_that_waits_can_be_cancelled_and_one_that_runs_cannot,
        jobs_come_as_they_are_completed,
        a_result_can_be_awaited,
        a_job_is_waited_for_among_other_things,
        workers_are_initialized_and_replaced_after_a_number_of_jobs,
        an_initializer_that_fails_ends_the_pool_and_not_its_user,
        no_job_waits_behind_a_long_one_while_a_worker_is_idle,
        a_pool_shuts_down_in_order_at_once_and_by_drop,
        an_interrupt_terminates_the_pool,
        a_storm_of_kills_leaves_books_that_balance,
        the_books_balance_wherever_a_worker_is_killed,
        the_next_job_begins_soon_after_a_crash,
        a_map_that_is_dropped_gives_up_what_waits,
        the_function_of_a_job_may_be_a_closure_and_its_arguments_any_value,
    ]
}

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn square(n: u64) -> u64 {
    n * n
}

fn sleep_ms(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

fn worker_pid() -> Pid {
    own_pid()
}

fn jobs_return_their_results_under_every_start_method() {
    for method in StartMethod::ALL {
        let pool = Pool::builder().workers(2).start_method(method).build().unwrap();
        let jobs: Vec<_> = (0..100).map(|n| pool.submit(add, (n, 1)).unwrap()).collect();
        for (n, job) in jobs.iter().enumerate() {
            assert_eq!(job.result_timeout(PATIENCE).unwrap(), n as u64 + 1, "{method}");
            assert!(matches!(job.result(), Err(JobError::Taken)));
        }
        let pid = pool.submit(worker_pid, ()).unwrap().result().unwrap();
        assert!(pid != own_pid() && pool.worker_pids().contains(&pid), "{method}");
        pool.shutdown().unwrap();
        assert!(matches!(pool.submit(add, (1, 1)), Err(SubmitError::Closed)), "{method}");
    }
    assert!(matches!(Pool::builder().workers(0).build(), Err(BuildError::NoWorkers)));
}

fn a_map_keeps_the_order_and_is_lazy() {
    let pool = pool(2);
    let all: Vec<u64> = pool.map(square, 0..20_000).collect::<Result<_, _>>().unwrap();
    assert!(all.iter().zip(0_u64..).all(|(square, n)| *square == n * n) && all.len() == 20_000);
    let mut taken = 0_u64;
    let endless = std::iter::from_fn(|| {
        taken += 1;
        Some(taken)
    });
    let first: Vec<u64> = pool.map(square, endless).take(3).collect::<Result<_, _>>().unwrap();
    assert_eq!(first, [1, 4, 9]);
    assert!(taken < 20_000, "{taken} items were taken for three results");
    assert_eq!(pool.map(square, []).count(), 0);
    pool.close();
    assert!(matches!(pool.map(square, [1]).next(), Some(Err(JobError::Closed))));
}

fn an_unordered_map_says_which_item_a_result_is_of() {
    let pool = pool(2);
    let all: BTreeMap<u64, u64> =
        pool.map_unordered(square, 100..1100).map(|(place, square)| (place, square.unwrap())).collect();
    assert!(all.len() == 1000 && all.iter().all(|(place, square)| *square == (place + 100).pow(2)));
    let first = pool.map_unordered(sleep_ms, [10_000, 1]).next().unwrap();
    assert_eq!((first.0, first.1.unwrap()), (1, 1));
    pool.terminate().unwrap();
}

fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

fn large_arguments_and_results_go_through_in_pieces() {
    let pool = pool(2);
    for len in [0, 1, 22, 23, 1000, 32 << 10, (128 << 10) - 1, 128 << 10, 500_001] {
        let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        let jobs: Vec<_> = (0..3).map(|_| pool.submit(reversed, bytes.clone()).unwrap()).collect();
        let expected = reversed(bytes);
        for job in jobs {
            assert!(job.result().unwrap() == expected, "{len} bytes");
        }
    }
}

fn fail(n: u64) -> u64 {
    assert!(n != 3, "three is not liked");
    n
}

fn a_panic_costs_its_job_and_says_where() {
    let pool = pool(1);
    let pid = pool.submit(worker_pid, ()).unwrap().result().unwrap();
    let results: Vec<_> = pool.map(fail, 0..6).collect();
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Err(JobError::Panicked(panic)) if n == 3 => {
                assert_eq!(panic.message, "three is not liked");
                assert!(panic.location.unwrap().contains("tests/it/pool.rs:"));
            }
            result => assert_eq!(result.unwrap(), n as u64),
        }
    }
    assert_eq!(pool.submit(worker_pid, ()).unwrap().result().unwrap(), pid, "the worker lives on");
}

#[expect(unsafe_code, reason = "a crash on purpose")]
fn end_by(how: u64) -> u64 {
    match how {
        1 => std::process::exit(7),
        2 => crate::common::kill(own_pid(), Known::SIGKILL),
        3 => std::process::abort(),
        // SAFETY: none; that is what is to be survived.
        4 => unsafe { std::ptr::null_mut::<u8>().with_addr(8).write_volatile(1) },
        _ => {}
    }
    how
}

fn a_crash_an_exit_and_a_kill_cost_one_job_each() {
    for method in StartMethod::ALL {
        let pool =
            Pool::builder().workers(2).rlimit(Resource::Core, 0, 0).start_method(method).build().unwrap();
        let hows = [0, 1, 5, 2, 6, 3, 7, 4, 8];
        let results: Vec<_> = pool.map(end_by, hows).collect();
        let mut exits = Vec::new();
        for (how, result) in hows.into_iter().zip(results) {
            match result {
                Ok(value) => assert_eq!(value, how),
                Err(JobError::Died { exit, .. }) => exits.push((how, exit.python().unwrap())),
                Err(error) => panic!("{how}: {error}"),
            }
        }
        assert_eq!(exits, [(1, 7), (2, -9), (3, -6), (4, -11)], "{method}");
        assert_eq!(pool.progress().workers_lost, 4, "{method}");
        assert_eq!(pool.take_dead_letters().len(), 4, "{method}");
    }
}

fn a_job_past_its_limit_is_ended_and_none_behind_it() {
    let pool = pool(1);
    let limit = Duration::from_millis(1500);
    let options = JobOptions::new().timeout(limit);
    // Quick ones first, so that jobs are given ahead.
    assert_eq!(pool.map(sleep_ms, std::iter::repeat_n(0, 500)).filter(Result::is_ok).count(), 500);
    let begin = Instant::now();
    let jobs: Vec<_> =
        [60_000, 0, 1, 2].map(|ms| pool.submit_with(options, sleep_ms, ms).unwrap()).into_iter().collect();
    match jobs[0].result() {
        Err(JobError::TimedOut { limit: told }) => assert_eq!(told, limit),
        other => panic!("{other:?}"),
    }
    assert!(begin.elapsed() >= limit, "never early");
    for (job, ms) in jobs[1..].iter().zip(0..) {
        assert_eq!(job.result().unwrap(), ms);
    }
    // One that the pool's own thread gives out, when its worker is free again, is limited as well.
    let waiting = [1, 60_000].map(|ms| pool.submit_with(options, sleep_ms, ms).unwrap());
    assert_eq!(waiting[0].result().unwrap(), 1);
    assert!(matches!(
        waiting[1].result_timeout(PATIENCE),
        Err(ResultTimeoutError::Job(JobError::TimedOut { .. }))
    ));
}

fn spin_ms(ms: u64) -> u64 {
    let begin = Instant::now();
    let mut n = 1_u64;
    while begin.elapsed() < Duration::from_millis(ms) {
        n = std::hint::black_box(n.wrapping_mul(3));
    }
    ms
}

fn a_limit_of_processor_time_is_per_job() {
    let pool = pool(1);
    let limited = JobOptions::new().cpu_time(Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(pool.submit_with(limited, spin_ms, 600).unwrap().result().unwrap(), 600);
    }
    match pool.submit_with(limited, spin_ms, 60_000).unwrap().result() {
        Err(JobError::Died { exit: Exit::Signal { signal, .. }, .. }) => {
            assert_eq!(signal.to_string(), "SIGXCPU")
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.submit(spin_ms, 1).unwrap().result().unwrap(), 1);
}

fn allocate(megabytes: u64) -> u64 {
    let bytes = vec![1_u8; (megabytes as usize) << 20];
    bytes.iter().step_by(4096).map(|byte| u64::from(*byte)).sum()
}

fn a_limit_of_memory_costs_one_job() {
    let pool = Pool::builder()
        .workers(1)
        .rlimit(Resource::As, 400 << 20, 400 << 20)
        .rlimit(Resource::Core, 0, 0)
        .build()
        .unwrap();
    assert_eq!(pool.submit(allocate, 8).unwrap().result().unwrap(), 2048);
    assert!(matches!(
        pool.submit(allocate, 1000).unwrap().result(),
        Err(JobError::Died { exit: Exit::Signal { signal: Signal(6), .. }, .. })
    ));
    assert_eq!(pool.submit(allocate, 8).unwrap().result().unwrap(), 2048);
}

static COUNTER: OnceLock<Value<u64>> = OnceLock::new();

fn keep_counter(counter: Value<u64>) {
    let _ = COUNTER.set(counter);
}

fn count() -> u64 {
    COUNTER.get().unwrap().update(|count| count + 1)
}

fn die_twice(n: u64) -> u64 {
    if count() < 2 {
        std::process::exit(1);
    }
    n
}

fn a_job_is_tried_again_and_then_a_dead_letter() {
    let counter = Value::new(0_u64).unwrap();
    let pool =
        Pool::builder().workers(2).initializer(keep_counter, counter.try_clone().unwrap()).build().unwrap();
    let back_off = BackOff::new(Duration::from_millis(20), Duration::from_millis(100));
    let options = JobOptions::new().retries(2, back_off);
    let begin = Instant::now();
    assert_eq!(pool.submit_with(options, die_twice, 9).unwrap().result().unwrap(), 9);
    assert!(begin.elapsed() >= Duration::from_millis(30), "a half of 20 ms, then a half of 40 ms at least");
    assert!(pool.take_dead_letters().is_empty());
    let job = pool.submit_with(options, end_by, 1).unwrap();
    assert!(matches!(job.result(), Err(JobError::Died { exit: Exit::Code(7), .. })));
    let letters = pool.take_dead_letters();
    assert_eq!((letters.len(), letters[0].attempts, letters[0].args::<u64>().unwrap()), (1, 3, 1));
    assert!(letters[0].function.ends_with("end_by"), "{}", letters[0].function);
}

fn poison_starves_nobody() {
    let pool = pool(2);
    let options = JobOptions::new().retries(3, BackOff::NONE);
    let poison: Vec<_> = (0..4).map(|_| pool.submit_with(options, end_by, 2).unwrap()).collect();
    let good: Vec<_> = (0..200).map(|n| pool.submit(square, n).unwrap()).collect();
    for (job, n) in good.iter().zip(0..) {
        assert_eq!(job.result_timeout(PATIENCE).unwrap(), n * n);
    }
    assert!(poison.iter().all(|job| job.result().is_err()));
    assert_eq!(pool.take_dead_letters().iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [4; 4]);
}

fn a_job_that_waits_can_be_cancelled_and_one_that_runs_cannot() {
    let counter = Value::new(0_u64).unwrap();
    let pool =
        Pool::builder().workers(1).initializer(keep_counter, counter.try_clone().unwrap()).build().unwrap();
    // Quick ones first, so that jobs are given ahead and have to be taken back.
    assert_eq!(pool.map(count_and, std::iter::repeat_n(0, 500)).filter(Result::is_ok).count(), 500);
    let running = pool.submit(count_and, 3000).unwrap();
    until("the job runs", || counter.get() == 501);
    let waiting: Vec<_> = (0..10).map(|_| pool.submit(count_and, 0).unwrap()).collect();
    assert!(!running.cancel() && !running.is_done());
    assert!(waiting[3].cancel() && waiting[3].is_cancelled() && waiting[3].cancel());
    assert!(matches!(waiting[3].result(), Err(JobError::Cancelled)));
    assert!(matches!(running.result_timeout(Duration::ZERO), Err(ResultTimeoutError::Timeout)));
    assert_eq!(running.result().unwrap(), 3000);
    assert!(!running.cancel());
    assert!(waiting.iter().enumerate().all(|(at, job)| at == 3 || job.result().is_ok()));
    assert_eq!(counter.get(), 510, "the cancelled one never ran");
}

fn count_and(ms: u64) -> u64 {
    count();
    sleep_ms(ms)
}

fn jobs_come_as_they_are_completed() {
    let pool = pool(2);
    let jobs = [2000, 10].map(|ms| pool.submit(sleep_ms, ms).unwrap());
    let mut completed = as_completed(jobs);
    assert_eq!(completed.next().unwrap().result().unwrap(), 10);
    assert!(completed.next_timeout(Duration::from_millis(5)).is_none());
    assert_eq!((completed.next().unwrap().result().unwrap(), completed.next().is_none()), (2000, true));
}

/// Runs a future as the smallest of runtimes would.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park_timeout(PATIENCE);
    }
}

fn a_result_can_be_awaited() {
    let pool = pool(1);
    let mut job = pool.submit(sleep_ms, 700).unwrap();
    // Polled and given up, then awaited: nothing is lost.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(&mut job).poll(&mut context).is_pending());
    assert_eq!(block_on(&mut job).unwrap(), 700);
    assert_eq!(
        block_on(async { pool.submit(square, 5)?.await.map_err(Box::<dyn std::error::Error>::from) })
            .unwrap(),
        25
    );
}

fn workers_are_initialized_and_replaced_after_a_number_of_jobs() {
    let counter = Value::new(0_u64).unwrap();
    let pool = Pool::builder()
        .workers(2)
        .initializer(count_starts, counter.try_clone().unwrap())
        .max_jobs_per_worker(10)
        .build()
        .unwrap();
    let mut by_worker: BTreeMap<Pid, u64> = BTreeMap::new();
    for pid in pool.map(|_: u64| own_pid(), 0..100) {
        *by_worker.entry(pid.unwrap()).or_default() += 1;
    }
    assert!(by_worker.values().all(|jobs| *jobs <= 10) && by_worker.len() >= 10, "{by_worker:?}");
    assert!(counter.get() >= 10);
    assert_eq!(pool.progress().workers_lost, 0);
}

fn count_starts(counter: Value<u64>) {
    counter.update(|count| count + 1);
}

fn an_initializer_that_fails_ends_the_pool_and_not_its_user() {
    let pool = Pool::builder().workers(2).initializer(|| std::process::exit(3), ()).build().unwrap();
    let job = pool.submit(square, 2);
    if let Ok(job) = job {
        match job.result_timeout(PATIENCE) {
            Err(ResultTimeoutError::Job(JobError::NoWorkers(lost))) => {
                assert!(lost.to_string().contains("in their initializer, the last by exit code 3"), "{lost}");
            }
            other => panic!("{other:?}"),
        }
    }
    pool.shutdown().unwrap();
}

fn no_job_waits_behind_a_long_one_while_a_worker_is_idle() {
    let pool = pool(2);
    assert_eq!(pool.map(sleep_ms, std::iter::repeat_n(0, 2000)).filter(Result::is_ok).count(), 2000);
    let begin = Instant::now();
    let long = pool.submit(sleep_ms, 20_000).unwrap();
    let quick: Vec<_> = (0..50).map(|_| pool.submit(sleep_ms, 1).unwrap()).collect();
    assert!(quick.iter().all(|job| job.result().is_ok()));
    assert!(begin.elapsed() < Duration::from_secs(19), "{:?}", begin.elapsed());
    assert!(!long.is_done());
    pool.terminate().unwrap();
}

fn a_pool_shuts_down_in_order_at_once_and_by_drop() {
    let counter = Value::new(0_u64).unwrap();
    let build = || {
        Pool::builder().workers(2).initializer(keep_counter, counter.try_clone().unwrap()).build().unwrap()
    };
    let ordered = build();
    let jobs: Vec<_> = (0..50).map(|_| ordered.submit(count_and, 1).unwrap()).collect();
    let pids = ordered.worker_pids();
    ordered.shutdown().unwrap();
    assert!(jobs.iter().all(|job| job.is_done() && job.result().is_ok()) && counter.get() == 50);
    assert!(pids.iter().all(|pid| !crate::common::lives(*pid)));
    let dropped = build();
    let jobs: Vec<_> = (0..50).map(|_| dropped.submit(count_and, 1).unwrap()).collect();
    drop(dropped);
    assert!(jobs.iter().all(|job| job.result().is_ok()) && counter.get() == 100);
    let at_once = build();
    let jobs: Vec<_> = (0..20).map(|_| at_once.submit(count_and, 3_600_000).unwrap()).collect();
    until("two jobs run", || counter.get() == 102);
    let begin = Instant::now();
    at_once.terminate().unwrap();
    assert!(begin.elapsed() < PATIENCE);
    assert!(jobs.iter().all(|job| matches!(job.result(), Err(JobError::Terminated))));
    assert_eq!(counter.get(), 102);
}

fn an_interrupt_terminates_the_pool() {
    let (reader, writer) = std::io::pipe().unwrap();
    let pool = Pool::builder().workers(2).interrupt(&reader).unwrap().build().unwrap();
    let job = pool.submit(sleep_ms, 3_600_000).unwrap();
    drop(writer);
    assert!(matches!(job.result_timeout(PATIENCE), Err(ResultTimeoutError::Job(JobError::Terminated))));
    assert!(matches!(pool.submit(square, 1), Err(SubmitError::Closed)));
}

fn a_storm_of_kills_leaves_books_that_balance() {
    const JOBS: u64 = 3000;
    let counter = Value::new(0_u64).unwrap();
    let pool =
        Pool::builder().workers(3).initializer(keep_counter, counter.try_clone().unwrap()).build().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut returned, mut died, mut kills) = (BTreeSet::new(), 0_u64, 0_u64);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut kills = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for pid in pool.worker_pids() {
                    // A worker that has just been reaped is not hit: its number is not signalled twice.
                    kills += u64::from(
                        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.as_raw()), Known::SIGKILL)
                            .is_ok(),
                    );
                    std::thread::sleep(Duration::from_millis(7));
                }
            }
            kills
        });
        for (place, result) in pool.map_unordered(count_one, 0..JOBS) {
            match result {
                Ok(n) => assert!(n == place && returned.insert(n), "{n} came twice"),
                Err(JobError::Died { exit, .. }) => {
                    assert_eq!(exit.python(), Some(-9));
                    died += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        kills = killer.join().unwrap();
    });
    let progress = pool.progress();
    assert_eq!((returned.len() as u64 + died, progress.done, progress.failed), (JOBS, JOBS, died));
    assert!(kills > 5 && died <= kills, "{died} jobs were lost to {kills} kills");
    // Each job that returned ran once; one that was lost may have run, or been killed before its first instruction.
    let ran = counter.get();
    assert!(
        ran >= returned.len() as u64 && ran <= JOBS,
        "{ran} ran, {} returned, {died} died",
        returned.len()
    );
}

fn count_one(n: u64) -> u64 {
    count();
    std::thread::sleep(Duration::from_micros(n % 5 * 50));
    n
}

fn the_next_job_begins_soon_after_a_crash() {
    let pool = pool(1);
    pool.submit(square, 1).unwrap().result().unwrap();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        assert!(pool.submit(end_by, 2).unwrap().result().is_err());
        let begin = Instant::now();
        pool.submit(square, 1).unwrap().result().unwrap();
        best = best.min(begin.elapsed());
    }
    assert!(best < PATIENCE, "{best:?}");
}

fn a_map_that_is_dropped_gives_up_what_waits() {
    let counter = Value::new(0_u64).unwrap();
    let pool =
        Pool::builder().workers(1).initializer(keep_counter, counter.try_clone().unwrap()).build().unwrap();
    let mut map = pool.map(count_and, std::iter::repeat(20));
    assert_eq!(map.next().unwrap().unwrap(), 20);
    drop(map);
    assert_eq!(pool.submit(square, 4).unwrap().result().unwrap(), 16);
    assert!(counter.get() < 8, "{}", counter.get());
}

fn the_function_of_a_job_may_be_a_closure_and_its_arguments_any_value() {
    let pool = pool(1);
    let words = |text: String, by: Option<char>| -> Vec<String> {
        text.split(by.unwrap_or(' ')).map(str::to_owned).collect()
    };
    assert_eq!(pool.submit(words, ("a-b".into(), Some('-'))).unwrap().result().unwrap(), ["a", "b"]);
    assert_eq!(pool.submit(|| (), ()).unwrap().result().unwrap(), ());
    let refused = pool.submit(|value: Unsendable| value, Unsendable);
    assert!(matches!(refused, Err(SubmitError::Args(_))));
    assert!(matches!(pool.submit(|| Unsendable, ()).unwrap().result(), Err(JobError::Unreadable(_))));
}

/// A value that refuses to be sent.
#[derive(Debug, serde::Deserialize)]
struct Unsendable;

impl serde::Serialize for Unsendable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("never"))
    }
}

fn the_books_balance_wherever_a_worker_is_killed() {
    if !cfg!(target_arch = "x86_64") {
        println!("left out: a process is driven instruction by instruction only on x86-64");
        return;
    }
    // Not every instruction here: `examples/kill_every_instruction.rs` tries them all.
    let books = crate::pool_kill_points::run(None).unwrap();
    assert!(books.kills >= 10 && books.returned > 0, "{books:?}");
}

fn a_job_is_waited_for_among_other_things() {
    let pool = pool(2);
    let (quick, slow) = (pool.submit(sleep_ms, 1).unwrap(), pool.submit(sleep_ms, 100_000).unwrap());
    let stop = proclab::sync::Event::new().unwrap();
    let sources: [&dyn Waitable; 3] = [&slow, &quick, &stop];
    assert_eq!(wait_any(&sources, Some(PATIENCE)).unwrap(), [1]);
    assert_eq!(quick.result().unwrap(), 1);
    // Made after the job was done, the descriptor is readable at once.
    assert_eq!(wait_any(&[Readable(quick.done_fd().unwrap())], Some(PATIENCE)).unwrap(), [0]);
    assert!(wait_any(&[Readable(slow.done_fd().unwrap())], Some(Duration::ZERO)).unwrap().is_empty());
    pool.terminate().unwrap();
    assert_eq!(wait_any(&[Readable(slow.done_fd().unwrap())], Some(PATIENCE)).unwrap(), [0]);
}
