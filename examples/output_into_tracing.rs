//! A child's output, line by line, as events of `tracing`, among the library's own.
//!
//! Run it with `cargo run --example output_into_tracing --features tracing`.

use proclab::{Process, Stdio, Stream, Supervisor};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

fn talk() {
    println!("ready");
    eprintln!("something is odd");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    proclab::child_entry();
    // Your program has one already, of `tracing-subscriber`.
    tracing::subscriber::set_global_default(Printer)?;
    let supervisor = Supervisor::new()?;
    let talker = Process::new(talk).name("talker").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = supervisor.start(talker)?;
    for line in child.lines() {
        let line = line?;
        match line.stream {
            Stream::Stderr => tracing::warn!(child = %line.name, "{}", line.text),
            _ => tracing::info!(child = %line.name, "{}", line.text),
        }
    }
    child.join()?;
    Ok(())
}

/// Prints events, one a line.
struct Printer;

impl Subscriber for Printer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = String::new();
        event.record(&mut Words(&mut line));
        println!("{:5} {}{line}", event.metadata().level(), event.metadata().target());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Words<'a>(&'a mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = if field.name() == "message" { String::new() } else { format!("{}=", field.name()) };
        self.0.push_str(&format!(" {name}{value:?}"));
    }
}
