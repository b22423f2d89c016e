//! Eight processes send and receive while one is killed and replaced every few milliseconds:
//!
//! ```text
//! cargo run --release --example queue_storm [-- SECONDS [MILLISECONDS [CAPACITY]]]
//! ```
#![expect(clippy::print_stdout, reason = "an example that reports")]

#[path = "../tests/it/queue/forked.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod forked;
#[path = "../tests/it/queue/storm.rs"]
mod storm;

use std::time::Duration;

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let seconds = args.next().unwrap_or(60);
    let pause = args.next().unwrap_or(5);
    let capacity = args.next().unwrap_or(64) as usize;
    for leases in [false, true] {
        println!("{seconds} s, a kill every {pause} ms, capacity {capacity}, leases: {leases}");
        let storm = storm::run(Duration::from_secs(seconds), Duration::from_millis(pause), capacity, leases);
        println!("{storm:#?}");
    }
    println!("every message is accounted for");
}
