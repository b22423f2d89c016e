//! `proclab lab author check`: proves that a lab works.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::{Args, Subcommand};

use super::context::{Context, cannot_run, fault, supervisor};
use crate::cli::fault::Fault;
use crate::cli::output::Finding;
use crate::cli::progress::Progress;
use crate::lab::check::{Checked, check, students};
use crate::lab::loaded::Lab;
use crate::lab::truths::Truths;
use crate::report::lab::told;

#[derive(Args, Debug)]
pub(super) struct AuthorArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prove that the starter fails, the solution passes, and every truth is stable
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
    /// How many variants to check
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    variants: u32,
    /// How often to measure each truth
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    measurements: u32,
}

pub(super) fn answer(context: &Context, args: &AuthorArgs) -> Result<(String, Finding), Fault> {
    let Action::Check(args) = &args.action;
    let labs: Vec<Lab> = match &args.dir {
        Some(dir) => vec![Lab::read(dir).map_err(|error| fault(&error))?],
        None => context.all()?.into_iter().collect::<Result<_, _>>().map_err(|error| fault(&error))?,
    };
    let checked = check_all(&labs, args)?;
    let (mut text, mut good) = (String::new(), true);
    for (lab, checked) in labs.iter().zip(checked) {
        good &= checked.faults.is_empty();
        if checked.faults.is_empty() {
            let _ = writeln!(
                text,
                "✓ {}: {} variants ({} different), each truth measured {} times; the solution is marked in {:.1} s",
                lab.name,
                args.variants,
                students(lab, args.variants).len(),
                args.measurements,
                checked.seconds
            );
        } else {
            let _ = writeln!(text, "✗ {}", lab.name);
            for fault in checked.faults {
                let said = told::flaw(&fault).replace('\n', "\n    ");
                let _ = writeln!(text, "    {said}");
            }
        }
    }
    Ok((text, Finding::of(good)))
}

/// Checks every variant of every lab, several at once: that is the load under which a truth has to be stable.
fn check_all(labs: &[Lab], args: &CheckArgs) -> Result<Vec<Checked>, Fault> {
    let tasks: Vec<(usize, String)> = labs
        .iter()
        .enumerate()
        .flat_map(|(at, lab)| students(lab, args.variants).into_iter().map(move |student| (at, student)))
        .collect();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let truths: Vec<Truths> = labs.iter().map(|_| Truths::default()).collect();
    let state = Mutex::new((Progress::new(), 0, vec![Checked::default(); labs.len()], None));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(tasks.len()) {
            scope.spawn(|| {
                let supervisor = supervisor();
                while let Some((at, student)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = match &supervisor {
                        Ok(supervisor) => {
                            check(supervisor, &labs[*at], student, args.measurements, &truths[*at])
                                .map_err(|error| cannot_run(&error))
                        }
                        Err(_) => return,
                    };
                    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                    let (bar, done, all, fault) = &mut *state;
                    *done += 1;
                    bar.count(*done, tasks.len() as u64, &labs[*at].name);
                    match checked {
                        Ok(checked) => all[*at].add(checked),
                        Err(error) => {
                            *fault = Some(error);
                            next.store(tasks.len(), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let (mut bar, done, all, fault) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    bar.finish();
    match fault {
        Some(fault) => Err(fault),
        // No supervisor could be started, so another attempt fails for the same reason.
        None if done == 0 && !tasks.is_empty() => Err(supervisor()
            .err()
            .unwrap_or_else(|| Fault::could_not_run(&std::io::Error::other("nothing was checked")))),
        None => Ok(all),
    }
}
