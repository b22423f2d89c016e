//! What watching costs, and whether what it tells is true: `cargo bench --bench watch`.
//!
//! Each program runs alone, under `proclab watch`, and under the peers in turn, several times over; medians are
//! compared, for these machines are noisy. Peers that are not there are named as left out.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde_json::Value;

const ROUNDS: usize = 7;
const SWITCHES: usize = 30_000;
const CHILDREN: usize = 1_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("ping") => ping(),
        Some("pong") => pong(),
        Some("forks") => forks(),
        Some("phases") => phases(),
        _ => bench(),
    }
}

fn bench() {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("machine: {cpus} CPUs, Linux {}; {ROUNDS} rounds, medians (least to most)", kernel.trim());
    let mut figures = vec![slow_down("ping"), slow_down("forks")].concat();
    figures.extend(truth());
    println!();
    for figure in figures {
        println!("{figure}");
    }
}

/// How a program is run: by itself, by us, by a peer.
fn observers() -> Vec<(&'static str, Vec<&'static str>)> {
    let proclab = env!("CARGO_BIN_EXE_proclab");
    let mut observers = vec![
        ("alone", vec![]),
        ("proclab exact", vec![proclab, "watch", "--tier", "exact", "--format", "json", "--"]),
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
    let (mut lost, mut seen) = (0, CHILDREN);
    for _ in 0..ROUNDS {
        for (index, (name, argv)) in observers.iter().enumerate() {
            let (seconds, stdout) = timed(argv, program);
            times[index].push(seconds);
            if *name == "proclab exact" {
                let report: Value = serde_json::from_slice(&stdout).unwrap_or_default();
                lost += report["lost_records"].as_u64().unwrap_or(1);
                let short = report["processes"]
                    .as_array()
                    .map_or(0, |all| all.iter().filter(|process| process["name"] == "true").count());
                seen = seen.min(short);
            }
        }
    }
    println!("\n{program}:");
    let alone = median(&mut times[0]);
    let mut slow = Vec::new();
    for ((name, _), times) in observers.iter().zip(&mut times) {
        let middle = median(times);
        slow.push(middle / alone);
        println!(
            "  {name:<14} {:>8.1} ms ({:.1} to {:.1})  {:+.1} %",
            middle * 1e3,
            times[0] * 1e3,
            times[times.len() - 1] * 1e3,
            (middle / alone - 1.0) * 100.0
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
        println!("  children in the report, at least: {seen} of {CHILDREN}");
        figures.push(format!("figure children-seen OURS/truth {:.3}", seen as f64 / CHILDREN as f64));
    }
    figures
}

/// The program times itself, so that the observer's own start and report are not counted.
fn timed(observer: &[&str], program: &str) -> (f64, Vec<u8>) {
    let own = std::env::current_exe().expect("a running program has a path");
    let result = std::env::temp_dir().join(format!("proclab-bench-{}", std::process::id()));
    let mut command = match observer {
        [] => Command::new(&own),
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

fn tell(text: impl std::fmt::Display) {
    if let Ok(path) = std::env::var("RESULT") {
        let _ = std::fs::write(path, text.to_string());
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Two processes on one CPU that hand a byte to and fro, with a little work between: about 100,000 switches a
/// second.
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
    let _ = sched_setaffinity(Pid::from_raw(0), &first);
}

/// Work of a fixed amount would take longer while watched; work of a fixed CPU time does not hide the cost of
/// switches, for that is paid outside it.
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

/// Five times 40 ms on the CPU and 40 ms asleep; what the kernel's clocks say of it is the truth.
fn phases() {
    let cpu = || {
        clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(0.0, |at| Duration::from(at).as_secs_f64())
    };
    let (mut busy, mut asleep) = (0.0, 0.0);
    for _ in 0..5 {
        let from = cpu();
        while cpu() - from < 0.04 {}
        busy += cpu() - from;
        let begin = Instant::now();
        std::thread::sleep(Duration::from_millis(40));
        asleep += begin.elapsed().as_secs_f64();
    }
    tell(format!("{} {busy} {asleep}", busy + asleep));
}

fn truth() -> Vec<String> {
    let own = std::env::current_exe().expect("a running program has a path");
    let result = std::env::temp_dir().join(format!("proclab-bench-truth-{}", std::process::id()));
    let argv = ["watch", "--tier", "exact", "--format", "json", "--"];
    let output = Command::new(env!("CARGO_BIN_EXE_proclab"))
        .args(argv)
        .arg(&own)
        .arg("phases")
        .env("RESULT", &result)
        .stderr(Stdio::null())
        .output()
        .expect("it starts");
    let text = std::fs::read_to_string(&result).unwrap_or_default();
    let _ = std::fs::remove_file(&result);
    let told: Vec<f64> = text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let (Some(&busy), Some(&asleep)) = (told.get(1), told.get(2)) else {
        println!("\nphases: the program told nothing");
        return Vec::new();
    };
    let process = &report["processes"][0];
    let timer = process["waits"].as_array().and_then(|waits| waits.iter().find(|wait| wait["on"] == "timer"));
    let ms = |value: &Value| value.as_f64().unwrap_or(0.0) / 1e6;
    let (run, slept) = (ms(&process["running_ns"]), timer.map_or(0.0, |timer| ms(&timer["ns"])));
    println!("\nphases, told by the program and measured from outside:");
    println!("  on the CPU {:>8.3} ms and {run:.3} ms (its start and end included)", busy * 1e3);
    println!("  asleep     {:>8.3} ms and {slept:.3} ms", asleep * 1e3);
    vec![
        format!("figure phases-running OURS/truth {:.4}", run / (busy * 1e3)),
        format!("figure phases-asleep OURS/truth {:.4}", slept / (asleep * 1e3)),
    ]
}
