//! `proclab lab author check`: is a lab good?

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::desk::{Desk, cannot_run, fault, supervisor};
use crate::cli::fault::Fault;
use crate::cli::output::Finding;
use crate::cli::progress::Progress;
use crate::lab::check::check;
use crate::lab::loaded::Lab;

#[derive(Args, Debug)]
pub(super) struct AuthorArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prove that the starter fails, the solution passes, and every truth holds still
    Check(CheckArgs),
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// The folder of a lab
    #[arg(required_unless_present = "all")]
    dir: Option<PathBuf>,
    /// All labs of this program, and those of --labs
    #[arg(long, conflicts_with = "dir")]
    all: bool,
    /// How many students' variants
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    variants: u32,
    /// How often each truth is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    measurements: u32,
}

pub(super) fn answer(desk: &Desk, args: &AuthorArgs) -> Result<(String, Finding), Fault> {
    let Action::Check(args) = &args.action;
    let labs: Vec<Lab> = match &args.dir {
        Some(dir) => vec![Lab::read(dir).map_err(|error| fault(&error))?],
        None => desk.all()?.into_iter().collect::<Result<_, _>>().map_err(|error| fault(&error))?,
    };
    let supervisor = supervisor()?;
    let (mut text, mut good) = (String::new(), true);
    let mut bar = Progress::new();
    for (number, lab) in labs.iter().enumerate() {
        bar.count(number as u64, labs.len() as u64, &lab.name);
        let checked =
            check(&supervisor, lab, args.variants, args.measurements).map_err(|error| cannot_run(&error))?;
        good &= checked.faults.is_empty();
        if checked.faults.is_empty() {
            let _ = writeln!(
                text,
                "✓ {}: {} variants, each truth measured {} times; the solution is marked in {:.1} s",
                lab.name, args.variants, args.measurements, checked.seconds
            );
        } else {
            let _ = writeln!(text, "✗ {}", lab.name);
            for fault in checked.faults {
                let _ = writeln!(text, "    {fault}");
            }
        }
    }
    bar.finish();
    Ok((text, Finding::of(good)))
}
