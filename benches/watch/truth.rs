//! Phases of known length, told by the program itself and measured from outside.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::tell;

const PHASES: usize = 5;

/// Five times 40 ms on the CPU and 40 ms asleep. For each phase it prints its begin and end on the monotonic clock,
/// which the records use too, and the time on the CPU between them by the kernel's own accounting. This is the truth,
/// without the program's start and end.
pub(super) fn phases() {
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
pub(super) fn truth() -> Vec<String> {
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
