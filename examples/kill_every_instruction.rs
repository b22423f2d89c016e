//! Kills a process at every instruction of every operation on a queue and on the primitives, and a worker of a pool at
//! every instruction between two jobs, and checks their guarantees:
//!
//! ```text
//! cargo run --release --example kill_every_instruction [-- STRIDE [WORD …]]
//! ```
//!
//! A stride of 7 tries every seventh instruction. Words select cases, as in `1 send full`.
#![expect(clippy::print_stdout, reason = "an example that reports")]

#[path = "../tests/it/queue/forked.rs"]
mod forked;
#[path = "../tests/it/queue/kill_points.rs"]
mod kill_points;
#[path = "../tests/it/pool_kill_points.rs"]
mod pool_kill_points;
#[path = "../tests/it/sync/kill_points.rs"]
mod primitives;
#[path = "../tests/it/queue/victim.rs"]
mod victim;

use kill_points::{Case, FILLINGS, OPERATIONS, SIZES, run};
use std::process::ExitCode;
use std::time::Instant;
use victim::Tally;

fn main() -> ExitCode {
    // A worker of the pool begins here.
    proclab::child_entry();
    let mut args = std::env::args().skip(1);
    let stride = args.next().map_or(1, |stride| stride.parse().expect("the stride is a number")).max(1);
    let words: Vec<String> = args.map(|word| word.to_lowercase()).collect();
    let begin = Instant::now();
    let (mut points, mut broken) = (0, 0);
    println!("instructions  kill points  asleep  effective  left out  missed  seconds  case");
    let is_wanted = |name: &str| words.iter().all(|word| name.to_lowercase().contains(word));
    let mut report = |name: &str, attempt: &dyn Fn() -> Result<Tally, String>| {
        if !is_wanted(name) {
            return;
        }
        let started = Instant::now();
        match attempt() {
            Ok(tally) => {
                points += tally.points + tally.asleep;
                println!(
                    "{:12}  {:11}  {:6}  {:9}  {:8}  {:6}  {:7.1}  {name}",
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
                println!("BROKEN: {name}: {what}");
            }
        }
    };
    for (name, make) in primitives::CASES {
        report(name, &|| primitives::run(make, stride));
    }
    for operation in OPERATIONS {
        for filling in FILLINGS {
            for size in SIZES {
                let case = Case { operation, filling, size };
                report(&case.to_string(), &|| run(case, stride));
            }
        }
    }
    if is_wanted("pool") {
        // Last, for a pool has a thread and victims are forked.
        match pool_kill_points::run(Some(stride)) {
            Ok(books) => {
                points += books.kills;
                let pool_kill_points::Books { instructions, kills, returned, lost } = books;
                println!(
                    "pool: {kills} of {instructions} instructions, {returned} jobs returned, {lost} lost"
                );
            }
            Err(what) => {
                broken += 1;
                println!("BROKEN: pool: {what}");
            }
        }
    }
    println!("{points} kill points in {:.0} s, {broken} cases broken", begin.elapsed().as_secs_f64());
    println!(
        "not tested: iterations of a loop after the twelfth, except for the last; and the inside of system calls,"
    );
    println!("except that victims that sleep in one were killed there");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) }
}
