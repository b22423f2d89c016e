//! Counts words with one process for each processor: pieces of a text go through one queue, counts come back through
//! another. A worker that is killed loses nothing, for it holds its piece as a lease.
//!
//! ```text
//! cargo run --example map_reduce
//! ```
#![expect(clippy::print_stdout, reason = "an example that reports")]

use proclab::queue::{Receiver, Sender, bounded};
use proclab::{Process, Supervisor};
use std::collections::BTreeMap;
use std::error::Error;

type Counts = BTreeMap<String, u64>;

const TEXT: &str =
    "the queue is full\nthe queue is empty\na process waits\na process is killed\nnothing is lost\n";

fn count(lines: Receiver<String>, counts: Sender<Counts>) {
    while let Ok(line) = lines.lease() {
        let mut found = Counts::new();
        for word in line.split_whitespace() {
            *found.entry(word.to_owned()).or_default() += 1;
        }
        if counts.send(found).is_err() || line.done().is_err() {
            return;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    proclab::child_entry();
    let supervisor = Supervisor::new()?;
    let (lines, pieces) = bounded(8)?;
    let (sender, counts) = bounded::<Counts>(8)?;
    for _ in 0..std::thread::available_parallelism()?.get() {
        supervisor.start(Process::new(count).args((pieces.clone(), sender.clone())))?;
    }
    // What the workers have is theirs now: the queues end when the workers do.
    drop((pieces, sender));
    let mut total = Counts::new();
    let mut sent = 0;
    for line in TEXT.lines() {
        lines.send(line.to_owned())?;
        sent += 1;
    }
    drop(lines);
    for found in counts.iter().take(sent) {
        for (word, count) in found? {
            *total.entry(word).or_default() += count;
        }
    }
    supervisor.finish()?;
    total.iter().for_each(|(word, count)| println!("{count} {word}"));
    assert_eq!(total["is"], 4);
    Ok(())
}
