//! A store and its clients, started again as OTP would: the clients stand behind the store, and go with it.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use proclab::Process;
use proclab::supervisor::{BackOff, ChildSpec, Restart, Strategy, Tree, TreeEvent, ready};
use std::time::Duration;

fn store() {
    std::thread::sleep(Duration::from_millis(20)); // It loads what it stores.
    ready();
    std::thread::sleep(Duration::from_millis(300));
    panic!("the store is full");
}

fn client(number: u32) {
    let _ = number;
    loop {
        std::thread::park();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proclab::child_entry();
    let clients = Tree::new(Strategy::OneForOne)
        .child(ChildSpec::new("one", Process::new(client).args(1)))
        .child(ChildSpec::new("two", Process::new(client).args(2)).restart(Restart::Transient));
    let mut tree = Tree::new(Strategy::RestForOne)
        .intensity(2, Duration::from_secs(5))
        .back_off(BackOff::new(Duration::from_millis(50), Duration::from_secs(1)))
        .child(ChildSpec::new("store", Process::new(store)).ready_within(Duration::from_secs(5)))
        .child(ChildSpec::tree("clients", clients))
        .start()?;
    let mut starts = 0;
    let ended = tree.run(|event| {
        starts += u32::from(matches!(event, TreeEvent::Started { child, .. } if child == "store"));
        println!("{event}");
    });
    println!("the store was started {starts} times");
    if let Err(error) = ended {
        println!("{error}");
    }
    Ok(())
}
