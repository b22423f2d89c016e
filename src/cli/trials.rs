//! `proclab trials`: the free race, measured.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::explore::{Progress, json};
use super::fault::{Cause, Fault, chain};
use super::files::Output;
use super::lab::{Explorable, Finding, Format, SaleArgs, could_not, print, usage, width};
use crate::explore::gate::GateError;
use crate::report::trials::{Run, Sweep, Swept, Trials, csv_head, csv_line};
use crate::scenario::experiment::Experiment;
use crate::scenario::run::scratch::Scratch;
use crate::scenario::tickets::body::Sale;
use crate::scenario::tickets::judge::SaleLab;
use crate::supervisor::Supervisor;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::Interrupt;

/// A run that has not ended this long after all its thinking is over never will.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so many runs in a row that could not be carried out, the next could not either.
const HOPELESS: usize = 3;
/// The most values of a sweep.
const MAX_VALUES: usize = 100;

/// Run a scenario freely many times, and tell how often what came of it
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  proclab trials tickets -n 200 --lock none --think 1\n  proclab trials tickets --sweep lock=none,flock,mutex --html page.html"
)]
pub(crate) struct TrialsArgs {
    /// What is run
    #[arg(value_enum)]
    scenario: Explorable,
    /// How many times
    #[arg(short = 'n', long = "trials", value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    n: u64,
    #[command(flatten)]
    sale: SaleArgs,
    /// How long a buyer thinks before it reads and again before it writes, in milliseconds
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds)]
    think: Duration,
    /// The same for several values of one parameter: think=0,1,2,5 or buyers=2,3 or lock=none,flock
    #[arg(long, value_name = "PARAMETER=VALUE,…")]
    sweep: Option<String>,
    /// Write a page with charts to FILE; it needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write every run to FILE
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A time from a text in milliseconds.
fn milliseconds(text: &str) -> Result<Duration, String> {
    let ms: Option<f64> = text.parse().ok().filter(|ms| (0.0..=60_000.0).contains(ms));
    ms.map(|ms| Duration::from_secs_f64(ms / 1000.0))
        .ok_or_else(|| "milliseconds, from 0 to 60000".to_owned())
}

/// Runs the command.
pub(crate) fn run(args: &TrialsArgs) -> ExitCode {
    print(answer(args))
}

fn answer(args: &TrialsArgs) -> Result<(String, Finding), Fault> {
    if args.scenario != Explorable::Tickets {
        return Err(usage("trials are of the ticket sale", "proclab trials tickets"));
    }
    let base = Sale { think: args.think, ..args.sale.sale() };
    let (parameter, sales) = match &args.sweep {
        None => (String::new(), vec![(String::new(), base)]),
        Some(sweep) => values(sweep, &base)?,
    };
    let failed = |error: &Cause| could_not("the processes cannot be set up", error);
    let interrupt = Interrupt::install().map_err(|error| failed(&error))?;
    // Beforehand: a file that cannot be written costs nobody the trials.
    let page = args.html.as_deref().map(Output::create).transpose()?;
    let table = args.csv.as_deref().map(Output::create).transpose()?;
    let most = sales.iter().map(|(_, sale)| sale.buyers).max().unwrap_or(0);
    let mut csv = csv_head(most);
    let mut rows = Vec::new();
    let mut progress = Progress::new();
    for (value, sale) in sales {
        let (runs, failures) = measure(&sale, args.n, interrupt, &mut progress)?;
        for (trial, run) in runs.iter().enumerate() {
            let _ = csv.write_str(&csv_line(&parameter, &value, trial + 1, run, most));
        }
        let is_cut = interrupt.received().is_some();
        let trials = Trials::new(&Experiment::Tickets(sale), &runs, &failures, is_cut);
        rows.push(Swept { value, trials });
        if is_cut {
            break;
        }
    }
    progress.finish();
    let right = rows.iter().all(|row| row.trials.is_right());
    let sweep = Sweep { parameter: if parameter.is_empty() { "all".into() } else { parameter }, rows };
    if let Some(table) = table {
        table.publish(csv.as_bytes())?;
    }
    if let Some(page) = page {
        page.publish(sweep.html().as_bytes())?;
    }
    let text = match (&args.sweep, args.format) {
        (None, Format::Text) => sweep.rows[0].trials.text(width()),
        (None, Format::Json) => json(&sweep.rows[0].trials),
        (Some(_), Format::Text) => sweep.text(width()),
        (Some(_), Format::Json) => json(&sweep),
    };
    Ok((text, interrupt.received().map_or(Finding::of(right), Finding::Unknown)))
}

/// The sales of a sweep, each with its value.
fn values(sweep: &str, base: &Sale) -> Result<(String, Vec<(String, Sale)>), Fault> {
    let hint = "for example --sweep think=0,1,2,5,10,20 or --sweep lock=none,flock";
    let Some((parameter, values)) = sweep.split_once('=') else {
        return Err(usage(format!("`{sweep}` is no sweep"), hint));
    };
    let values: Vec<&str> = values.split(',').collect();
    if values.len() > MAX_VALUES {
        return Err(usage(format!("a sweep has at most {MAX_VALUES} values"), hint));
    }
    let sale = |value: &str| {
        let bad = |why: String| usage(format!("`{value}` is no value of {parameter}: {why}"), hint);
        let mut sale = base.clone();
        match parameter {
            "think" => sale.think = milliseconds(value).map_err(bad)?,
            "buyers" => {
                let buyers =
                    value.parse().ok().filter(|n| (1..=crate::explore::schedule::MAX_PROCESSES).contains(n));
                sale.buyers = buyers.ok_or_else(|| bad("a number from 1 to 26".into()))?;
            }
            "stock" => {
                let stock =
                    value.parse().ok().filter(|n| (0..=crate::scenario::experiment::MAX_STOCK).contains(n));
                sale.stock = stock.ok_or_else(|| bad("a number from 0 to 1000000".into()))?;
            }
            "lock" => sale.lock = value.parse().map_err(|error| bad(format!("{error}")))?,
            _ => {
                return Err(usage(
                    format!("`{parameter}` cannot be swept"),
                    "think, buyers, stock or lock can",
                ));
            }
        }
        Ok((value.to_owned(), sale))
    };
    let sales: Result<Vec<_>, Fault> = values.into_iter().map(sale).collect();
    Ok((parameter.to_owned(), sales?))
}

/// Runs a sale freely `n` times, or until Ctrl-C; the runs, and why others could not be carried out.
fn measure(
    sale: &Sale,
    n: u64,
    interrupt: Interrupt,
    progress: &mut Progress,
) -> Result<(Vec<Run>, Vec<String>), Fault> {
    let interrupted = || interrupt.received();
    let failed = |error: &Cause| could_not("the processes cannot be set up", error);
    let _ = raise_open_file_limit();
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(|error| failed(&error))?;
    let scratch = Scratch::new().map_err(|error| failed(&error))?;
    let mut lab = SaleLab::free(&supervisor, sale, scratch.path()).map_err(|error| failed(&error))?;
    let thinking = sale.think * 2 * sale.buyers as u32;
    let (mut runs, mut failures, mut in_a_row) = (Vec::new(), Vec::new(), 0);
    while (runs.len() + failures.len()) < n as usize && in_a_row < HOPELESS && interrupted().is_none() {
        match lab.trial(PATIENCE + thinking) {
            Ok(trial) => {
                in_a_row = 0;
                let us = |duration: Duration| duration.as_secs_f64() * 1e6;
                runs.push(Run {
                    verdict: trial.verdict,
                    duration_us: us(trial.duration),
                    waited_us: trial.waited.into_iter().map(|waited| waited.map(us)).collect(),
                });
            }
            // This trial is none that could not be carried out: it was called off.
            Err(_) if interrupted().is_some() => break,
            Err(error) => {
                in_a_row += 1;
                failures.push(chain(&error));
                // Its processes are in no known state: new ones for the next.
                lab = renewed(lab, &supervisor, sale, &scratch).map_err(|error| failed(&error))?;
            }
        }
        progress.count((runs.len() + failures.len()) as u64, n, "trials");
    }
    if runs.is_empty() {
        return Err(interrupted().map_or_else(|| hopeless(&failures), Fault::interrupted));
    }
    Ok((runs, failures))
}

fn renewed<'s>(
    lab: SaleLab<'s>,
    supervisor: &'s Supervisor,
    sale: &Sale,
    scratch: &Scratch,
) -> Result<SaleLab<'s>, GateError> {
    drop(lab);
    SaleLab::free(supervisor, sale, scratch.path())
}

#[derive(Debug, thiserror::Error)]
#[error("no trial could be carried out: {0}")]
struct Hopeless(String);

fn hopeless(failures: &[String]) -> Fault {
    Fault::could_not_run(&Hopeless(failures.last().cloned().unwrap_or_default()))
}
