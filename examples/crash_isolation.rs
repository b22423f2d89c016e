//! A pool whose jobs crash in every way: each costs itself and nothing else.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use proclab::Resource;
use proclab::pool::{JobOptions, Pool};
use proclab::supervisor::BackOff;
use std::time::Duration;

fn work(n: u64) -> u64 {
    match n {
        3 => panic!("three is not liked"),
        5 => std::process::abort(),
        7 => std::process::exit(7),
        9 => std::thread::sleep(Duration::from_secs(60)),
        _ => {}
    }
    n * n
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proclab::child_entry();
    let pool = Pool::builder().workers(2).rlimit(Resource::Core, 0, 0).build()?;
    let options = JobOptions::new().timeout(Duration::from_millis(500)).retries(1, BackOff::NONE);
    for (n, result) in pool.map_with(options, work, 0..12).enumerate() {
        match result {
            Ok(square) => println!("{n:>2}: {square}"),
            Err(error) => println!("{n:>2}: {error}"),
        }
    }
    for letter in pool.take_dead_letters() {
        println!("dead letter: {}({}), {} attempts", letter.function, letter.args::<u64>()?, letter.attempts);
    }
    pool.shutdown()?;
    Ok(())
}
