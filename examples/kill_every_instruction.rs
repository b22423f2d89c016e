//! Kills a process at every instruction of every queue operation, and checks the queue's promise:
//!
//! ```text
//! cargo run --release --example kill_every_instruction [-- STRIDE [WORD …]]
//! ```
//!
//! A stride of 7 tries every seventh instruction; words choose cases, as in `1 send full`.
#![expect(clippy::print_stdout, reason = "an example that reports")]

#[path = "../tests/it/queue/forked.rs"]
mod forked;
#[path = "../tests/it/queue/kill_points.rs"]
mod kill_points;

use kill_points::{Case, FILLINGS, OPERATIONS, SIZES, run};
use std::process::ExitCode;
use std::time::Instant;

/// Has the C library copy in loops: each repetition of `rep movsb` is a step of its own.
const TUNABLES: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.x86_rep_movsb_threshold=100000000:glibc.cpu.x86_rep_stosb_threshold=100000000",
);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let stride = args.next().map_or(1, |stride| stride.parse().expect("the stride is a number")).max(1);
    let words: Vec<String> = args.map(|word| word.to_lowercase()).collect();
    let begin = Instant::now();
    let (mut points, mut broken) = (0, 0);
    println!("instructions  kill points  asleep  effective  left out  missed  seconds  case");
    for operation in OPERATIONS {
        for filling in FILLINGS {
            for size in SIZES {
                let case = Case { operation, filling, size };
                let name = case.to_string().to_lowercase();
                if !words.iter().all(|word| name.contains(word)) {
                    continue;
                }
                let started = Instant::now();
                match run(case, stride) {
                    Ok(tally) => {
                        points += tally.points + tally.asleep;
                        println!(
                            "{:12}  {:11}  {:6}  {:9}  {:8}  {:6}  {:7.1}  {case}",
                            tally.instructions,
                            tally.points,
                            tally.asleep,
                            tally.effective,
                            tally.repetitions,
                            tally.missed,
                            started.elapsed().as_secs_f64()
                        );
                    }
                    Err(what) => {
                        broken += 1;
                        println!("BROKEN: {what}");
                    }
                }
            }
        }
    }
    println!("{points} kill points in {:.0} s, {broken} cases broken", begin.elapsed().as_secs_f64());
    println!("left out: rounds of a loop after the first twelve, but for the last; and what the kernel does");
    println!("inside a system call, except that a victim that sleeps there was killed asleep");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) }
}
