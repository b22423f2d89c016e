//! The cost of exploration: schedules per second, the overhead of a granted step, a hand-over.
//!
//! `cargo bench --bench explore`
#![expect(clippy::print_stdout, reason = "a bench prints what it has measured")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use proclab::Scratch;
use proclab::explore::engine::System;
use proclab::explore::search::{Tally, search};
use proclab::explore::statistics::quantile;
use proclab::explore::strategy::dfs::Dfs;
use proclab::scenario::run::gate::GatedRun;
use proclab::scenario::tickets::Tickets;
use proclab::scenario::tickets::body::{self, Reading};
use proclab::scenario::tickets::locks::Shop;
use proclab::scenario::tickets::params::{Sale, Store};
use proclab::scenario::tickets::stock_file;
use proclab::scenario::world::free::Free;
use proclab::shm::region::{Region, RegionError};
use proclab::sys::futex;
use proclab::wire::handle::Fd;
use proclab::{Process, Supervisor};

const HANDOVERS: u32 = 20_000;
const PURCHASES: usize = 4_000;
/// Two unlocked buyers, the atomic store: A reads, B reads and writes, A writes.
const TOKEN: &str = "t2k1.no.qr~ab2a~tfvvpt";

fn main() {
    proclab::child_entry();
    println!("{} processors", std::thread::available_parallelism().map_or(0, usize::from));
    let supervisor = Supervisor::new().expect("a supervisor");
    // A lock that refuses nobody, and the atomic store: lock, read, write, unlock.
    let four = |buyers| sale(buyers, "thread-mutex", false);

    let (mut rates, mut step) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        let (schedules, time) = explore(&supervisor, &four(2), false);
        rates.push(schedules as f64 / time.as_secs_f64());
        step.push(time.as_secs_f64() * 1e6 / (schedules * 8) as f64);
    }
    line("2 buyers x 4 steps", "schedules a second", &mut rates);
    let step = line("a granted step, with its share of the reset", "µs", &mut step);

    let three = sale(3, "none", true);
    let mut times: Vec<f64> = (0..5).map(|_| explore(&supervisor, &three, false).1.as_secs_f64()).collect();
    line("3 buyers x 3 steps, 1,680 schedules", "s", &mut times);
    let (schedules, whole) = explore(&supervisor, &four(3), false);
    println!("3 buyers x 4 steps, {schedules} schedules: {:.2} s", whole.as_secs_f64());
    let mut times: Vec<f64> = (0..5).map(|_| explore(&supervisor, &four(3), true).1.as_secs_f64()).collect();
    let reduced = line("the same, one schedule of each class", "s", &mut times);

    let mut times: Vec<f64> = (0..11).map(|_| replay().as_secs_f64() * 1e3).collect();
    line("replay, from start to verdict", "ms", &mut times);

    let (free, bare) = step_points();
    let more = (free / bare - 1.0) * 100.0;
    println!("a free purchase: {free:.2} µs with step points, {bare:.2} µs without: {more:+.2} %");
    let handover = handover(&supervisor);
    println!("a bare futex hand-over, there and back: {handover:.2} µs");
    println!("a granted step over the bare operation: {:.2} µs", step - bare / 3.0);
    println!("figure granted-step proclab/bare-futex {:.2}", handover / step);
    println!("figure free-purchase proclab/bare {:.3}", bare / free);
    println!("figure 3x4 reduced/unreduced {:.1}", whole.as_secs_f64() / reduced);
}

fn sale(buyers: usize, lock: &str, search: bool) -> Sale {
    let lock = lock.parse().expect("a lock");
    Sale { buyers, stock: 1, lock, search, store: Store::Rename, think: Duration::ZERO }
}

/// Explores all schedules, and returns their number and the time without starting the processes.
fn explore(supervisor: &Supervisor, sale: &Sale, reduce: bool) -> (u64, Duration) {
    let scratch = Scratch::new().expect("a directory");
    let mut lab = GatedRun::<Tickets>::new(supervisor, sale, scratch.path()).expect("a lab");
    lab.reset().expect("processes");
    let mut tally = Tally::default();
    let begin = Instant::now();
    search(&mut lab, &mut Dfs::new(reduce), 0, &mut tally, |_, _| true).expect("an exploration");
    (tally.schedules, begin.elapsed())
}

/// The whole command, as a user runs it.
fn replay() -> Duration {
    let begin = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
    let status = command.args(["replay", TOKEN]).stdout(Stdio::null()).status().expect("the program runs");
    assert_eq!(status.code(), Some(3), "the schedule oversells");
    begin.elapsed()
}

/// The median time of a free purchase through the step points, and of the same operations without them, in
/// microseconds. They are measured in turn, so that both are subject to the same noise.
fn step_points() -> (f64, f64) {
    let scratch = Scratch::new().expect("a directory");
    let sale = Sale { store: Store::Truncate, ..sale(1, "none", false) };
    let path = |name| scratch.path().join(name);
    let shop = Shop { lock: path("lock"), stock: path("stock"), opened: None, process: 0 };
    let (mut free, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..PURCHASES {
        free.push(timed(&shop.stock, || drop(body::buy(&mut Free::default(), &sale, &shop))));
        bare.push(timed(&shop.stock, || {
            let Ok(Reading::Count(count, _)) = body::read(&shop, sale.lock) else { return };
            let mut file = File::create(&shop.stock).expect("the stock");
            file.write_all(stock_file::text(count - 1).as_bytes()).expect("the stock");
        }));
    }
    (median(&mut free), median(&mut bare))
}

fn timed(stock: &Path, purchase: impl FnOnce()) -> f64 {
    fs::write(stock, stock_file::text(1)).expect("the stock");
    let begin = Instant::now();
    purchase();
    begin.elapsed().as_secs_f64() * 1e6
}

/// Passes a word back and forth between two processes that sleep in between; microseconds per round.
fn handover(supervisor: &Supervisor) -> f64 {
    let region = Region::create(64, 64).expect("memory");
    let file = Fd::from(region.file().try_clone_to_owned().expect("a descriptor"));
    let child = supervisor.start(Process::new(answer).args(file)).expect("a process");
    let begin = Instant::now();
    for round in 0..HANDOVERS {
        give(&region, 2 * round + 1);
        await_word(&region, 2 * round + 2);
    }
    let time = begin.elapsed();
    child.join().expect("it ends");
    time.as_secs_f64() * 1e6 / f64::from(HANDOVERS)
}

fn answer(file: Fd) {
    let open = |_: &[u8; 1], _| Ok::<_, RegionError>(64);
    let region = Region::open(file.into_owned(), open).expect("memory");
    for round in 0..HANDOVERS {
        await_word(&region, 2 * round + 1);
        give(&region, 2 * round + 2);
    }
}

fn give(region: &Region, value: u32) {
    region.word32(0).store(value, Ordering::Release);
    futex::wake_one(region.word32(0));
}

fn await_word(region: &Region, value: u32) {
    loop {
        let seen = region.word32(0).load(Ordering::Acquire);
        if seen == value {
            return;
        }
        futex::wait(region.word32(0), seen, Duration::from_secs(1));
    }
}

fn line(work: &str, unit: &str, values: &mut [f64]) -> f64 {
    let median = median(values);
    let (low, high) = (quantile(values, 0.25).unwrap_or(0.0), quantile(values, 0.75).unwrap_or(0.0));
    println!("{work}: {median:.2} {unit} in the median, half of them {low:.2} to {high:.2}");
    median
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.5).unwrap_or(0.0)
}
