//! Compares the pool with Python's `multiprocessing.Pool` and rayon, in one run.
//!
//! `cargo bench --bench pool`; Python if `python3` is there. `PROCLAB_BENCH_MIB` sets the size of the text to be
//! counted, 256 MiB by default. The last lines are `figure WORK OURS/PEER RATIO`, above 1 where we are better.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use proclab::pool::Pool;
use proclab::{Process, StartMethod, Supervisor};
use rayon::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const WORKERS: usize = 2;
const COUNTERS: usize = 4;
const JOBS: u64 = 200_000;
const PYTHON_JOBS: u64 = 20_000;
const PART: u64 = 4 << 20;

fn square(n: u64) -> u64 {
    n.wrapping_mul(n)
}

fn die() {
    std::process::abort();
}

fn empty() {}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn rounds(name: &str, unit: &str, mut work: impl FnMut() -> f64) -> f64 {
    let samples: Vec<f64> = (0..ROUNDS).map(|_| work()).collect();
    let (low, high) =
        samples.iter().fold((f64::MAX, 0.0_f64), |(low, high), one| (low.min(*one), high.max(*one)));
    let middle = median(samples);
    println!("{name:<44} {middle:>14.0} {unit:<8} ({low:.0} to {high:.0})");
    middle
}

fn per_second(jobs: u64, begin: Instant) -> f64 {
    jobs as f64 / begin.elapsed().as_secs_f64()
}

/// Jobs per second through Python's pool, with this argument to `map`; `None` without Python.
fn python(jobs: u64, chunk: &str) -> Option<f64> {
    let script = format!(
        "import multiprocessing as mp, time, sys\n\
         def f(n): return n * n\n\
         if __name__ == '__main__':\n\
         \x20   with mp.get_context('fork').Pool({WORKERS}) as p:\n\
         \x20       p.map(f, range(1000))\n\
         \x20       t = time.perf_counter()\n\
         \x20       p.map(f, range({jobs}){chunk})\n\
         \x20       print({jobs} / (time.perf_counter() - t))\n"
    );
    let output = Command::new("python3").args(["-c", &script]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn words_in(text: &[u8]) -> HashMap<Vec<u8>, u64> {
    let mut words = HashMap::new();
    for word in text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        match words.get_mut(word) {
            Some(count) => *count += 1,
            None => drop(words.insert(word.to_vec(), 1)),
        }
    }
    words
}

/// The lines of the text are shorter than a part, and parts begin and end at lines.
fn count_part(path: String, begin: u64, end: u64) -> Vec<(Vec<u8>, u64)> {
    let mut file = File::open(path).expect("the text");
    file.seek(SeekFrom::Start(begin)).expect("its part");
    let mut text = Vec::new();
    file.take(end - begin).read_to_end(&mut text).expect("its part");
    words_in(&text).into_iter().collect()
}

/// A text of lines of 64 bytes, and its parts.
fn write_text(path: &std::path::Path, mib: u64) -> Vec<(u64, u64)> {
    let mut file = BufWriter::new(File::create(path).expect("a file for the text"));
    let mut state = 1_u64;
    for _ in 0..(mib << 20) / 64 {
        let mut line = String::new();
        while line.len() < 56 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            line.push_str(&format!("w{} ", state >> 33 & 0xFFF));
        }
        line.truncate(63);
        writeln!(file, "{line:<63}").expect("room for the text");
    }
    file.flush().expect("room for the text");
    (0..mib << 20).step_by(PART as usize).map(|begin| (begin, (begin + PART).min(mib << 20))).collect()
}

fn merge<'a>(total: &mut HashMap<Vec<u8>, u64>, part: impl IntoIterator<Item = (Vec<u8>, u64)> + 'a) {
    for (word, count) in part {
        *total.entry(word).or_default() += count;
    }
}

fn main() {
    proclab::child_entry();
    println!(
        "{} processors; {ROUNDS} rounds each, the median and the spread",
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    );
    let mut figures = Vec::new();
    let pool = Pool::builder().workers(WORKERS).build().expect("a pool");
    let mapped = rounds("ours: map, trivial jobs", "jobs/s", || {
        let begin = Instant::now();
        let sum: u64 = pool.map(square, 0..JOBS).map(|square| square.expect("a square")).sum();
        assert!(sum > 0);
        per_second(JOBS, begin)
    });
    let submitted = rounds("ours: submit each, then result each", "jobs/s", || {
        let begin = Instant::now();
        let jobs: Vec<_> = (0..JOBS).map(|n| pool.submit(square, n).expect("an open pool")).collect();
        for job in &jobs {
            job.result().expect("a square");
        }
        per_second(JOBS, begin)
    });
    rounds("ours: one job at a time", "µs", || {
        let begin = Instant::now();
        (0..2000).for_each(|n| drop(pool.submit(square, n).expect("an open pool").result()));
        begin.elapsed().as_secs_f64() * 1e6 / 2000.0
    });
    drop(pool);
    match (python(PYTHON_JOBS, ", chunksize=1"), python(5 * JOBS, "")) {
        (Some(single), Some(chunked)) => {
            println!("{:<44} {single:>14.0} jobs/s", "Python: Pool.map, chunk 1");
            println!("{:<44} {chunked:>14.0} jobs/s", "Python: Pool.map, its own chunks");
            figures.push(("pool-map", "multiprocessing-chunk-1", mapped / single));
            figures.push(("pool-submit", "multiprocessing-chunk-1", submitted / single));
            figures.push(("pool-map", "multiprocessing-chunked", mapped / chunked));
        }
        _ => println!("left out: Python (no python3)"),
    }

    let supervisor = Supervisor::new().expect("a supervisor");
    let started = rounds("ours: bare start and end of a process", "µs", || {
        let begin = Instant::now();
        let process = Process::new(empty).start_method(StartMethod::ForkServer);
        supervisor.start(process).expect("a child").join().expect("its end");
        begin.elapsed().as_secs_f64() * 1e6
    });
    let pool = Pool::builder().workers(1).rlimit(proclab::Resource::Core, 0, 0).build().expect("a pool");
    let crashed = rounds("ours: crash of the one worker to its next job", "µs", || {
        let (crash, next) = (pool.submit(die, ()).expect("open"), pool.submit(square, 1).expect("open"));
        drop(crash.result());
        let begin = Instant::now();
        next.result().expect("a square");
        begin.elapsed().as_secs_f64() * 1e6
    });
    println!("{:<44} {:>14.0} µs", "over a bare start", crashed - started);
    figures.push(("pool-crash-to-next", "bare-start", started / crashed));
    drop(pool);

    let mib = std::env::var("PROCLAB_BENCH_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(256);
    let path = std::env::temp_dir().join(format!("proclab-bench-text-{}", std::process::id()));
    let parts = write_text(&path, mib);
    let name = path.display().to_string();
    let pool = Pool::builder().workers(COUNTERS).build().expect("a pool");
    let threads = rayon::ThreadPoolBuilder::new().num_threads(COUNTERS).build().expect("threads");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let begin = Instant::now();
        let mut total = HashMap::new();
        let items = parts.iter().map(|(begin, end)| (name.clone(), *begin, *end));
        for (_, part) in pool.map_unordered(count_part, items) {
            merge(&mut total, part.expect("a part"));
        }
        ours.push(begin.elapsed());
        let begin = Instant::now();
        let expected = threads.install(|| {
            parts
                .par_iter()
                .map(|(begin, end)| {
                    count_part(name.clone(), *begin, *end).into_iter().collect::<HashMap<_, _>>()
                })
                .reduce(HashMap::new, |mut one, other| {
                    merge(&mut one, other);
                    one
                })
        });
        theirs.push(begin.elapsed());
        assert!(total == expected, "both counted the same");
    }
    std::fs::remove_file(&path).expect("our own file");
    let seconds = |all: &[Duration]| median(all.iter().map(Duration::as_secs_f64).collect());
    println!(
        "word count of {mib} MiB with {COUNTERS}: ours {:.2} s, rayon {:.2} s",
        seconds(&ours),
        seconds(&theirs)
    );
    figures.push(("pool-word-count", "rayon", seconds(&theirs) / seconds(&ours)));
    println!();
    for (work, peer, ratio) in figures {
        println!("figure {work} ours/{peer} {ratio:.2}");
    }
}
