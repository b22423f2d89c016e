//! A pool's progress, drawn by `indicatif`.

use indicatif::{ProgressBar, ProgressStyle};
use proclab::pool::Pool;
use std::time::Duration;

fn work(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proclab::child_entry();
    let pool = Pool::new()?;
    let bar = ProgressBar::new(200).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}")?);
    for (_, result) in pool.map_unordered(work, (0..200).map(|n| n % 20)) {
        result?;
        bar.set_position(pool.progress().done);
        bar.set_message(format!("{} run", pool.progress().running));
    }
    bar.finish();
    Ok(())
}
