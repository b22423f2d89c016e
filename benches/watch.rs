//! The cost and the accuracy of watching: `cargo bench --bench watch`.
//!
//! Each program runs several times in turn alone, under `proclab watch`, and under the peers. Medians are compared,
//! because the machines are noisy. Unavailable peers are reported. The floor is the cost of the kernel's records alone:
//! the same events, opened but never read.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use proclab::Pid;
use proclab::sys::perf::event::{Scope, Source, online_cpus, open};
use proclab::sys::perf::ring::Ring;
use serde_json::Value;

const ROUNDS: usize = 15;
/// Rounds of an observer that slows a program down threefold, for which more rounds add no information.
const SLOW_ROUNDS: usize = 3;
const SWITCHES: usize = 30_000;
const CHILDREN: usize = 1_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("ping") => ping(),
        Some("pong") => pong(),
        Some("forks") => forks(),
        Some("phases") => phases(),
        Some("floor") => floor(&args[2]),
        _ => bench(),
    }
}

fn bench() {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("machine: {cpus} CPUs, Linux {}; {ROUNDS} rounds, medians (least to most)", kernel.trim());
    let mut figures = [slow_down("ping"), slow_down("forks")].concat();
    figures.extend(truth());
    println!();
    for figure in figures {
        println!("{figure}");
    }
}

/// The ways in which a program is run: alone, under this library, and under each peer.
fn observers() -> Vec<(&'static str, Vec<&'static str>)> {
    let proclab = env!("CARGO_BIN_EXE_proclab");
    let mut observers = vec![
        ("alone", vec![]),
        ("proclab exact", vec![proclab, "watch", "--tier", "exact", "--format", "json", "--"]),
        ("floor", vec![]),
    ];
    let perf = ["perf", "record", "-q", "-e", "dummy:u", "--switch-events", "-o", "/dev/null", "--"];
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null"];
    for (name, argv) in [("perf record", perf.to_vec()), ("strace -f", strace.to_vec())] {
        let there =
            Command::new(argv[0]).arg("--version").output().is_ok_and(|output| output.status.success());
        if there { observers.push((name, argv)) } else { println!("left out: {name} (not installed)") }
    }
    observers
}

fn slow_down(program: &str) -> Vec<String> {
    let observers = observers();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); observers.len()];
    let (mut lost, mut seen, mut ended) = (0, CHILDREN, CHILDREN);
    for round in 0..ROUNDS {
        for (index, (name, argv)) in observers.iter().enumerate() {
            if round >= SLOW_ROUNDS && times[index][0] > 3.0 * times[0][0] {
                continue;
            }
            let (seconds, stdout) = timed(name, argv, program);
            times[index].push(seconds);
            if *name == "proclab exact" {
                let report: Value = serde_json::from_slice(&stdout).unwrap_or_default();
                lost += report["lost_records"].as_u64().unwrap_or(1);
                let all = report["processes"].as_array().map_or(&[][..], Vec::as_slice);
                let short: Vec<_> = all.iter().filter(|process| process["name"] == "true").collect();
                seen = seen.min(short.len());
                ended = ended.min(short.iter().filter(|process| process["exit"] == 0).count());
            }
        }
    }
    println!("\n{program}:");
    let alone = median(&mut times[0]);
    let fastest = times[0][0];
    let mut slow = Vec::new();
    for ((name, _), times) in observers.iter().zip(&mut times) {
        let middle = median(times);
        slow.push(middle / alone);
        println!(
            "  {name:<14} {:>8.1} ms ({:.1} to {:.1})  {:+.1} %, the fastest {:+.1} %",
            middle * 1e3,
            times[0] * 1e3,
            times[times.len() - 1] * 1e3,
            (middle / alone - 1.0) * 100.0,
            (times[0] / fastest - 1.0) * 100.0
        );
    }
    println!("  records lost: {lost}");
    let mut figures: Vec<String> = observers[2..]
        .iter()
        .zip(&slow[2..])
        .map(|((name, _), peer)| {
            format!("figure {program} OURS/{} {:.3}", name.replace(' ', "-"), peer / slow[1])
        })
        .collect();
    figures.push(format!("figure {program} OURS/alone {:.3}", 1.0 / slow[1]));
    if program == "forks" {
        println!("  children in the report, at least: {seen} of {CHILDREN}; with their exit status: {ended}");
        figures.push(format!("figure children-seen OURS/truth {:.3}", seen as f64 / CHILDREN as f64));
    }
    figures
}

/// The program measures its own time, so that the start and the report of the observer are not counted.
fn timed(name: &str, observer: &[&str], program: &str) -> (f64, Vec<u8>) {
    let own = std::env::current_exe().expect("a running program has a path");
    let result = std::env::temp_dir().join(format!("proclab-bench-{}", std::process::id()));
    let mut command = match observer {
        [] => {
            let mut command = Command::new(&own);
            command.args((name == "floor").then_some(name));
            command
        }
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&own);
            command
        }
    };
    let output =
        command.arg(program).env("RESULT", &result).stderr(Stdio::null()).output().expect("it starts");
    let text = std::fs::read_to_string(&result).unwrap_or_default();
    let _ = std::fs::remove_file(&result);
    (text.trim().parse().unwrap_or(f64::NAN), output.stdout)
}

/// Runs a program with the events of the exact tier open, inherited by it, and never read: once a ring is full,
/// records are dropped at little less than the cost of writing them.
fn floor(program: &str) {
    const RING_BYTES: usize = 4 << 20;
    let record = |cpu| {
        let event = open(Source::Lives, Scope::FromNow(Pid::this()), cpu, u32::MAX)?;
        Ring::new(event, RING_BYTES)
    };
    let _rings: Vec<Ring> =
        online_cpus().into_iter().map(record).collect::<Result<_, _>>().expect("the exact tier is available");
    let own = std::env::current_exe().expect("a running program has a path");
    let _ = Command::new(own).arg(program).status();
}

fn tell(text: impl std::fmt::Display) {
    if let Ok(path) = std::env::var("RESULT") {
        let _ = std::fs::write(path, text.to_string());
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Two processes on one CPU that pass a byte back and forth, with a little work in between: about 100,000 context
/// switches per second.
fn ping() {
    stay_on_one_cpu();
    let own = std::env::current_exe().expect("a running program has a path");
    let mut pong = Command::new(own)
        .arg("pong")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (mut to, mut from) = (pong.stdin.take().expect("piped"), pong.stdout.take().expect("piped"));
    let mut byte = [0];
    let begin = Instant::now();
    for _ in 0..SWITCHES / 2 {
        to.write_all(&[1]).expect("pong reads");
        from.read_exact(&mut byte).expect("pong answers");
        work(Duration::from_micros(6));
    }
    tell(begin.elapsed().as_secs_f64());
    drop(to);
    let _ = pong.wait();
}

fn pong() {
    stay_on_one_cpu();
    let mut byte = [0];
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    while from.read_exact(&mut byte).is_ok() {
        work(Duration::from_micros(6));
        if to.write_all(&byte).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn stay_on_one_cpu() {
    let mut first = CpuSet::new();
    let _ = first.set(0);
    let _ = sched_setaffinity(nix::unistd::Pid::from_raw(0), &first);
}

/// Works for a fixed CPU time, because a fixed amount of work would take longer while watched. This does not hide the
/// cost of context switches, which is paid outside of that time.
fn work(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn forks() {
    let begin = Instant::now();
    for _ in 0..CHILDREN {
        let _ = Command::new("/bin/true").status();
    }
    tell(begin.elapsed().as_secs_f64());
}

const PHASES: usize = 5;

/// Five times 40 ms on the CPU and 40 ms asleep. For each phase it prints its begin and end on the monotonic clock,
/// which the records use too, and the time on the CPU between them by the kernel's own accounting. This is the truth,
/// without the program's start and end.
fn phases() {
    let at = |clock| Duration::from(clock_gettime(clock).expect("the clock is there"));
    let now = || (at(ClockId::CLOCK_MONOTONIC).as_nanos(), at(ClockId::CLOCK_PROCESS_CPUTIME_ID).as_nanos());
    let mut told = String::new();
    for phase in 0..2 * PHASES {
        let (begin, cpu) = now();
        if phase % 2 == 0 {
            while now().1 - cpu < 40_000_000 {}
        } else {
            std::thread::sleep(Duration::from_millis(40));
        }
        let (end, cpu_end) = now();
        told += &format!("{begin} {end} {}\n", cpu_end - cpu);
    }
    tell(told);
}

/// Compares each phase, as the program printed it, with the same interval of the exported trace.
fn truth() -> Vec<String> {
    let own = std::env::current_exe().expect("a running program has a path");
    let name = |what| std::env::temp_dir().join(format!("proclab-bench-{what}-{}", std::process::id()));
    let (told, trace) = (name("truth"), name("trace"));
    let output = Command::new(env!("CARGO_BIN_EXE_proclab"))
        .args(["watch", "--tier", "exact", "--format", "json", "--export"])
        .arg(&trace)
        .arg("--")
        .arg(&own)
        .arg("phases")
        .env("RESULT", &told)
        .stderr(Stdio::null())
        .output()
        .expect("it starts");
    let read = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        text
    };
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let trace: Value = serde_json::from_str(&read(&trace)).unwrap_or_default();
    let told: Vec<Vec<f64>> = read(&told)
        .lines()
        .map(|line| line.split(' ').filter_map(|word| word.parse().ok()).collect())
        .collect();
    let (Some(origin), Some(records)) = (report["origin_ns"].as_f64(), trace["traceEvents"].as_array())
    else {
        println!("\nphases: there is no trace");
        return Vec::new();
    };
    let running = |begin: f64, end: f64| -> f64 {
        let states = records.iter().filter(|record| record["ph"] == "T" && record["name"] == "Running");
        let inside = states.filter_map(|state| {
            let from = origin + state["ts"].as_f64()? * 1e3;
            Some((from + state["dur"].as_f64()? * 1e3).min(end) - from.max(begin))
        });
        inside.filter(|ns| *ns > 0.0).sum()
    };
    println!("\nphases, told by the program and measured from outside, time on the CPU:");
    let (mut sums, mut worst) = ([(0.0, 0.0); 2], 0.0_f64);
    for (nth, phase) in told.iter().enumerate() {
        let &[begin, end, truth] = &phase[..] else { continue };
        let ours = running(begin, end);
        println!(
            "  {} of {:>7.3} ms: {:>7.3} and {:>7.3} ms",
            if nth % 2 == 0 { "busy  " } else { "asleep" },
            (end - begin) / 1e6,
            truth / 1e6,
            ours / 1e6
        );
        worst = worst.max((ours - truth).abs());
        // For a sleep, the time off the CPU counts.
        let (ours, truth) =
            if nth % 2 == 0 { (ours, truth) } else { (end - begin - ours, end - begin - truth) };
        sums[nth % 2].0 += ours;
        sums[nth % 2].1 += truth;
    }
    println!("  the largest difference in a phase: {:.3} ms", worst / 1e6);
    vec![
        format!("figure phases-running OURS/truth {:.4}", sums[0].0 / sums[0].1),
        format!("figure phases-asleep OURS/truth {:.4}", sums[1].0 / sums[1].1),
        // Above 1: every phase is within a millisecond of the truth.
        format!("figure phases-worst OURS/1-ms {:.2}", 1e6 / worst.max(1.0)),
    ]
}
