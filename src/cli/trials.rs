//! `proclab trials`: runs a race freely many times, and measures it.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::fault::{Cause, Fault};
use super::files::Output;
use super::gate::{could_not, usage};
use super::output::{Finding, Format, json, print, width};
use super::progress::Progress;
use super::scenario::{chosen, fault, offer, or_command};
use super::traced;
use crate::explore::gate::GateError;
use crate::process::{Scratch, chain};
use crate::report::trials::{Run, Sweep, Swept, Trials, csv_head, csv_line};
use crate::scenario::contract::Verb;
use crate::scenario::entry::Entry;
use crate::scenario::experiment::Experiment;
use crate::scenario::experiment::TrialRun;
use crate::supervisor::Supervisor;
use crate::sys::resource::raise_open_file_limit;
use crate::sys::signal::Interrupt;

/// A run counts as never ending when it takes this much longer than its thinking time.
const RUN_TIMEOUT: Duration = Duration::from_secs(2);
/// Give up after this many consecutive runs that could not be carried out.
const MAX_CONSECUTIVE_FAILURES: usize = 3;
/// The maximum number of values of a sweep.
const MAX_VALUES: usize = 100;

/// `proclab trials SCENARIO …`.
#[derive(Clone, Debug)]
pub(crate) struct TrialsArgs(ArgMatches);

/// The options of all trials.
#[derive(Args, Clone, Debug)]
struct Options {
    /// How many runs
    #[arg(short = 'n', long = "trials", value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    n: u64,
    /// Repeat the trials for several values of one option: think=0,1,2,5 or lock=none,flock
    #[arg(long, value_name = "OPTION=VALUE,…")]
    sweep: Option<String>,
    /// Write a self-contained HTML page with charts to FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a table with every run to FILE
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Args for TrialsArgs {
    fn augment_args(command: Command) -> Command {
        let command = command.after_help(
            "Examples:\n  proclab trials tickets -n 200 --lock flock\n  \
             proclab trials tickets --sweep lock=none,flock,mutex --html page.html\n  \
             proclab trials -n 1000 -- python3 tickets.py",
        );
        or_command::<traced::trials::Options>(
            offer(command, Verb::Trials, Options::augment_args),
            Verb::Trials,
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TrialsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

/// Runs the command.
pub(crate) fn run(args: &TrialsArgs) -> ExitCode {
    if args.0.subcommand_name().is_none() {
        return print(traced::trials::answer(&args.0));
    }
    print(answer(args))
}

/// A value of the swept option, and the experiment with that value.
type Tried = (String, Arc<dyn Experiment>);

fn answer(args: &TrialsArgs) -> Result<(String, Finding), Fault> {
    let (entry, matches) = chosen(&args.0)?;
    let args = Options::from_arg_matches(matches).map_err(|error| Fault::bad_arguments(error.to_string()))?;
    let base = entry.experiment(Verb::Trials, matches).map_err(fault)?;
    let (parameter, tried) = match &args.sweep {
        None => (String::new(), vec![(String::new(), base)]),
        Some(sweep) => values(sweep, entry)?,
    };
    let failed = |error: &Cause| could_not("the processes could not be set up", error);
    let interrupt = Interrupt::install().map_err(|error| failed(&error))?;
    // Created first, so that an unwritable path does not cost the trials.
    let page = args.html.as_deref().map(Output::create).transpose()?;
    let table = args.csv.as_deref().map(Output::create).transpose()?;
    let most = tried.iter().map(|(_, experiment)| experiment.roles().len()).max().unwrap_or(0);
    let mut csv = csv_head(most);
    let mut rows = Vec::new();
    let mut progress = Progress::new();
    for (value, experiment) in tried {
        let (runs, failures) = measure(&*experiment, args.n, interrupt, &mut progress)?;
        for (trial, run) in runs.iter().enumerate() {
            let _ = csv.write_str(&csv_line(&parameter, &value, trial + 1, run, most));
        }
        let is_cut = interrupt.received().is_some();
        let trials = Trials::new(experiment.subject(), &experiment.roles(), &runs, &failures, is_cut);
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

/// The experiments of a sweep, each with its value. Each is parsed from the command line with the option set to it.
fn values(sweep: &str, entry: &dyn Entry) -> Result<(String, Vec<Tried>), Fault> {
    let hint = "for example --sweep think=0,1,2,5,10,20 or --sweep lock=none,flock";
    let Some((option, values)) = sweep.split_once('=') else {
        return Err(usage(format!("`{sweep}` is not OPTION=VALUE,…"), hint));
    };
    let values: Vec<&str> = values.split(',').collect();
    if values.len() > MAX_VALUES {
        return Err(usage(format!("a sweep has at most {MAX_VALUES} values"), hint));
    }
    let own = entry.arguments(Verb::Trials).map_err(|why| usage(why, hint))?;
    let own: Vec<&str> = own
        .get_arguments()
        .filter(|arg| arg.get_action().takes_values())
        .filter_map(|arg| arg.get_long())
        .collect();
    if !own.contains(&option) {
        return Err(usage(format!("`{option}` cannot be swept"), format!("{} can", own.join(", "))));
    }
    let given: Vec<OsString> = std::env::args_os().skip(2).collect();
    let tried = |value: &&str| {
        let bad = |why: &str| usage(format!("`{value}` is not a valid value of {option}: {why}"), hint);
        let command =
            Options::augment_args(entry.arguments(Verb::Trials).map_err(bad)?).args_override_self(true);
        let set = OsString::from(format!("--{option}={value}"));
        let matches = command.try_get_matches_from(given.iter().cloned().chain([set])).map_err(|error| {
            let text = error.render().to_string();
            bad(text.lines().next().unwrap_or_default().trim_start_matches("error: "))
        })?;
        Ok(((*value).to_owned(), entry.experiment(Verb::Trials, &matches).map_err(fault)?))
    };
    let tried: Result<Vec<_>, Fault> = values.iter().map(tried).collect();
    Ok((option.to_owned(), tried?))
}

/// Runs an experiment freely `n` times, or until Ctrl-C. Returns the runs, and why others could not be carried out.
fn measure(
    experiment: &dyn Experiment,
    n: u64,
    interrupt: Interrupt,
    progress: &mut Progress,
) -> Result<(Vec<Run>, Vec<String>), Fault> {
    let interrupted = || interrupt.received();
    let failed = |error: &Cause| could_not("the processes could not be set up", error);
    let _ = raise_open_file_limit();
    let supervisor = Supervisor::with_interrupt(interrupt).map_err(|error| failed(&error))?;
    let scratch = Scratch::new().map_err(|error| failed(&error))?;
    let mut lab = experiment.free(&supervisor, scratch.path()).map_err(|error| failed(&error))?;
    let thinking = experiment.slack();
    let (mut runs, mut failures, mut in_a_row, mut last_failure) = (Vec::new(), Vec::new(), 0, None);
    while (runs.len() + failures.len()) < n as usize
        && in_a_row < MAX_CONSECUTIVE_FAILURES
        && interrupted().is_none()
    {
        match lab.trial(RUN_TIMEOUT + thinking) {
            Ok(trial) => {
                in_a_row = 0;
                let us = |duration: Duration| duration.as_secs_f64() * 1e6;
                runs.push(Run {
                    verdict: trial.verdict,
                    duration_us: us(trial.duration),
                    waited_us: trial.waited.into_iter().map(|waited| waited.map(us)).collect(),
                });
            }
            // The interrupt made it fail.
            Err(_) if interrupted().is_some() => break,
            Err(error) => {
                in_a_row += 1;
                failures.push(chain(&error));
                last_failure = Some(error);
                // The state of its processes is unknown: start new ones.
                lab = renewed(lab, &supervisor, experiment, &scratch).map_err(|error| failed(&error))?;
            }
        }
        progress.count((runs.len() + failures.len()) as u64, n, "trials");
    }
    if runs.is_empty() {
        return Err(match last_failure {
            Some(error) => could_not("no trial could be carried out", &error),
            None => Fault::interrupted(interrupted().unwrap_or_default()),
        });
    }
    Ok((runs, failures))
}

fn renewed<'s>(
    old: Box<dyn TrialRun + 's>,
    supervisor: &'s Supervisor,
    experiment: &dyn Experiment,
    scratch: &Scratch,
) -> Result<Box<dyn TrialRun + 's>, GateError> {
    drop(old);
    experiment.free(supervisor, scratch.path())
}
