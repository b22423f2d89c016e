//! `proclab bench`: this library beside its peers on the same work.

#[path = "../../benches/contest/mod.rs"]
mod contest;

use super::fault::{Cause, Fault};
use super::gate::could_not;
use super::output::{Finding, Format, json, print, width};
use super::progress::Progress;
use crate::report::bench::{Bench, Work};
use crate::supervisor::Supervisor;
use crate::sys::signal::Interrupt;
use clap::{Args, ValueEnum};
use std::process::ExitCode;

/// Measure this library and its peers on the same work, in turn, and print the ratios
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  proclab bench start\n  proclab bench queue --capacity 1024\n  proclab bench queue --rounds 3 --format json"
)]
pub(crate) struct BenchArgs {
    /// The work to measure
    #[arg(value_enum)]
    work: WorkArg,
    /// Rounds for each contestant
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// For `queue`: its capacity in items (at most 32767 in Python)
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=32767))]
    capacity: u64,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WorkArg {
    /// Start a process that does nothing, and join it
    Start,
    /// Send small messages from one process to another
    Queue,
}

/// Runs the command.
pub(crate) fn run(args: &BenchArgs) -> ExitCode {
    print(answer(args))
}

fn answer(args: &BenchArgs) -> Result<(String, Finding), Fault> {
    let failed = |error: &Cause| could_not("the measurement failed", error);
    let work = match args.work {
        WorkArg::Start => Work::Start,
        WorkArg::Queue => Work::Queue { capacity: args.capacity as usize },
    };
    let interrupt = Interrupt::install().map_err(|error| failed(&error))?;
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(|error| failed(&error))?;
    let mut progress = Progress::new();
    let count = |over: usize, all: usize| progress.count(over as u64, all as u64, "turns");
    let contest = contest::hold(&supervisor, work, args.rounds as usize, count);
    progress.finish();
    let bench = Bench::new(contest.map_err(|error| failed(&error))?);
    let text = match args.format {
        Format::Text => bench.text(width()),
        Format::Json => json(&bench),
    };
    Ok((text, interrupt.received().map_or(Finding::Right, Finding::Unknown)))
}
