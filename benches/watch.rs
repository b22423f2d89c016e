//! The cost and the accuracy of watching: `cargo bench --bench watch [-- LOAD]`.
//!
//! Each load runs several times in turn alone, under `proclab watch` in each tier, and under the peers. Medians are
//! compared, because the machines are noisy. Unavailable peers and loads are reported. The floor is the cost of the
//! kernel's records alone: the same events, opened but never read.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

#[path = "watch/loads.rs"]
mod loads;
#[path = "watch/truth.rs"]
mod truth;

use std::process::{Command, Stdio};
use std::time::Instant;

use proclab::Pid;
use proclab::sys::perf::event::{Scope, Source, online_cpus, open};
use proclab::sys::perf::ring::Ring;
use serde_json::Value;

use loads::{CHILDREN, Folder, is_there};

const ROUNDS: usize = 15;
/// Rounds of an observer that slows a program down threefold, for which more rounds add no information.
const SLOW_ROUNDS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("ping") => loads::ping(),
        Some("pong") => loads::pong(),
        Some("forks") => loads::forks(),
        Some("redis") => loads::redis(),
        Some("pgbench") => loads::pgbench(),
        Some("phases") => truth::phases(),
        Some("floor") => floor(&args[2]),
        _ => bench(args.iter().skip(1).find(|arg| !arg.starts_with('-')).map(String::as_str)),
    }
}

/// A program to watch.
struct Load {
    name: &'static str,
    rounds: usize,
    /// What must be installed for it.
    needs: &'static [&'static str],
}

const LOADS: [Load; 4] = [
    Load { name: "ping", rounds: ROUNDS, needs: &[] },
    Load { name: "forks", rounds: ROUNDS, needs: &[] },
    Load { name: "redis", rounds: 7, needs: &["redis-server", "redis-benchmark"] },
    Load { name: "pgbench", rounds: 7, needs: &["initdb", "postgres", "pgbench", "pg_isready"] },
];

/// Benches one load, which `run-` stands before in the arguments (`run-redis`), or all of them.
fn bench(only: Option<&str>) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("machine: {cpus} CPUs, Linux {}; up to {ROUNDS} rounds, medians (least to most)", kernel.trim());
    let observers = observers();
    let wanted = |name: &str| only.is_none_or(|only| only == format!("run-{name}"));
    let mut figures = Vec::new();
    for load in LOADS.iter().filter(|load| wanted(load.name)) {
        if let Some(missing) = load.needs.iter().find(|program| !is_there(program)) {
            println!("left out: {} ({missing} is not installed)", load.name);
            continue;
        }
        let folder = Folder::new(load.name).expect("there is a temporary folder");
        if load.name == "pgbench" && !loads::init_database(&folder) {
            println!("left out: pgbench (no database could be made)");
            continue;
        }
        figures.extend(slow_down(load, &observers, &folder));
    }
    if wanted("fixed") {
        figures.extend(fixed_cost(&observers));
    }
    if wanted("phases") {
        figures.extend(truth::truth());
    }
    println!();
    for figure in figures {
        println!("{figure}");
    }
}

/// A way in which a program is run.
struct Observer {
    name: &'static str,
    argv: Vec<&'static str>,
}

const ALONE: usize = 0;
const EXACT: usize = 1;
const SAMPLED: usize = 2;

/// The ways in which a program is run: alone, under this library, and under each peer.
fn observers() -> Vec<Observer> {
    let proclab = env!("CARGO_BIN_EXE_proclab");
    let tier = |tier| vec![proclab, "watch", "--tier", tier, "--format", "json", "--"];
    let mut observers = vec![
        Observer { name: "alone", argv: vec![] },
        Observer { name: "proclab exact", argv: tier("exact") },
        Observer { name: "proclab sampled", argv: tier("sampled") },
        Observer { name: "floor", argv: vec![] },
    ];
    let perf = ["perf", "record", "-q", "-e", "dummy:u", "--switch-events", "-o", "/dev/null", "--"];
    let sched = ["perf", "sched", "record", "-q", "-o", "/dev/null", "--"];
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null"];
    let others = [
        ("perf record", perf.to_vec()),
        ("proclab root", tier("root")),
        ("perf sched record", sched.to_vec()),
        ("strace -f", strace.to_vec()),
    ];
    for (name, argv) in others {
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => observers.push(Observer { name, argv }),
            Ok(_) => println!("left out: {name} (refused here)"),
            Err(_) => println!("left out: {name} (not installed)"),
        }
    }
    observers
}

fn slow_down(load: &Load, observers: &[Observer], folder: &Folder) -> Vec<String> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); observers.len()];
    let (mut lost, mut seen, mut ended) = (0, CHILDREN, CHILDREN);
    for round in 0..load.rounds {
        for (index, observer) in observers.iter().enumerate() {
            if round >= SLOW_ROUNDS && times[index][0] > 3.0 * times[ALONE][0] {
                continue;
            }
            let (seconds, stdout) = timed(observer, load.name, folder);
            times[index].push(seconds);
            if index == EXACT {
                let report: Value = serde_json::from_slice(&stdout).unwrap_or_default();
                lost += report["lost_records"].as_u64().unwrap_or(1);
                let all = report["processes"].as_array().map_or(&[][..], Vec::as_slice);
                let short: Vec<_> = all.iter().filter(|process| process["name"] == "true").collect();
                seen = seen.min(short.len());
                ended = ended.min(short.iter().filter(|process| process["exit"] == 0).count());
            }
        }
    }
    println!("\n{}:", load.name);
    let alone = median(&mut times[ALONE]);
    let fastest = times[ALONE][0];
    let mut medians = Vec::new();
    for (Observer { name, .. }, times) in observers.iter().zip(&mut times) {
        let middle = median(times);
        medians.push(middle);
        println!(
            "  {name:<17} {:>8.1} ms ({:.1} to {:.1})  {:+.1} %, the fastest {:+.1} %",
            middle * 1e3,
            times[0] * 1e3,
            times[times.len() - 1] * 1e3,
            (middle / alone - 1.0) * 100.0,
            (times[0] / fastest - 1.0) * 100.0
        );
    }
    println!("  records lost: {lost}");
    let mut figures = ratios(load.name, observers, &medians);
    if load.name == "forks" {
        println!("  children in the report, at least: {seen} of {CHILDREN}; with their exit status: {ended}");
        figures.push(format!("figure children-seen OURS/truth {:.3}", seen as f64 / CHILDREN as f64));
    }
    figures
}

/// Each of our tiers beside what it is to be compared with; above 1 it costs less.
fn ratios(load: &str, observers: &[Observer], medians: &[f64]) -> Vec<String> {
    let of = |name: &str| Some(medians[observers.iter().position(|observer| observer.name == name)?]);
    let mut figures = Vec::new();
    for (ours, own, peers) in [
        ("OURS", EXACT, &["floor", "perf record", "strace -f", "alone"][..]),
        ("SAMPLED", SAMPLED, &["proclab exact", "alone"][..]),
    ] {
        for peer in peers {
            if let Some(peer_s) = of(peer) {
                figures.push(format!(
                    "figure {load} {ours}/{} {:.3}",
                    peer.replace(' ', "-"),
                    peer_s / medians[own]
                ));
            }
        }
    }
    if let (Some(root), Some(sched)) = (of("proclab root"), of("perf sched record")) {
        figures.push(format!("figure {load} ROOT/perf-sched-record {:.3}", sched / root));
    }
    figures
}

/// A program that measures its own time, under an observer.
fn timed(observer: &Observer, load: &str, folder: &Folder) -> (f64, Vec<u8>) {
    let own = std::env::current_exe().expect("a running program has a path");
    let result = std::env::temp_dir().join(format!("proclab-bench-{}", std::process::id()));
    let mut command = match &observer.argv[..] {
        [] => {
            let mut command = Command::new(&own);
            command.args((observer.name == "floor").then_some("floor"));
            command
        }
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&own);
            command
        }
    };
    command.arg(load).env("RESULT", &result).env("DATABASE", folder.path().join("data"));
    let output = command.stderr(Stdio::null()).output().expect("it starts");
    let text = std::fs::read_to_string(&result).unwrap_or_default();
    let _ = std::fs::remove_file(&result);
    (text.trim().parse().unwrap_or(f64::NAN), output.stdout)
}

/// What each observer costs a program that does nothing, from its start to its report.
fn fixed_cost(observers: &[Observer]) -> Vec<String> {
    println!("\nfixed cost of a run (`true`):");
    let mut figures = Vec::new();
    let mut alone = 0.0;
    for Observer { name, argv } in observers.iter().filter(|observer| observer.name != "floor") {
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let argv = [&argv[..], &["true"]].concat();
                let begin = Instant::now();
                let _ = Command::new(argv[0])
                    .args(&argv[1..])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status();
                begin.elapsed().as_secs_f64()
            })
            .collect();
        let middle = median(&mut times);
        if *name == "alone" {
            alone = middle;
        }
        println!("  {name:<17} {:>6.1} ms", (middle - alone) * 1e3);
        if name.starts_with("proclab") {
            // Above 1: no more than 20 ms.
            figures.push(format!(
                "figure fixed-{} OURS/20-ms {:.2}",
                &name[8..],
                0.020 / (middle - alone).max(1e-6)
            ));
        }
    }
    figures
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
