//! `proclab replay`: runs a schedule again, on real processes.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::fault::{Cause, Fault};
use super::files;
use super::gate::{could_not, diverged, usage, with_lab};
use super::output::{Finding, Format, json, print, width};
use super::step_by_step;
use super::traced;
use crate::explore::schedule::{Token, arrivals};
use crate::explore::strategy::replay::Replay;
use crate::report::witness::Witness;
use crate::scenario::experiment::Experiment;
use crate::scenario::registry::from_code;
use crate::scenario::run::verdict::Verdict;

/// The maximum size of a schedule file, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Run a schedule again on real processes
#[derive(Args, Debug)]
#[command(
    override_usage = "proclab replay [OPTIONS] TOKEN|FILE\n       proclab replay [OPTIONS] TOKEN|FILE -- COMMAND [ARGUMENTS]…",
    after_help = "Examples:\n  proclab replay t2k1.no.qr~ab2a~tfvvpt\n  proclab replay t2k1.no.qr~ab2a~tfvvpt --step   you are the scheduler\n  proclab replay p~09bf1e22~r,r.1x3,r.2 -- python3 tickets.py"
)]
pub(crate) struct ReplayArgs {
    /// A token, or a file written by `explore --save` or `replay --format json`
    #[arg(value_name = "TOKEN|FILE")]
    schedule: String,
    /// Press a key for each step, and choose which process goes next if you like
    #[arg(long, conflicts_with = "format")]
    step: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    program: traced::replay::Options,
}

/// What to run again, and what to expect.
struct Recorded {
    experiment: Arc<dyn Experiment>,
    replay: Replay,
    token: Token,
}

/// Runs the command.
pub(crate) fn run(args: &ReplayArgs) -> ExitCode {
    print(answer(args))
}

fn answer(args: &ReplayArgs) -> Result<(String, Finding), Fault> {
    if let Some(meant) = traced::replay::is_meant(&args.schedule, &args.program)? {
        return traced::replay::answer(&args.schedule, &meant, &args.program, args.format, args.step);
    }
    let recorded = match args.schedule.parse::<Token>() {
        Ok(token) => by_token(token)?,
        Err(_) if Path::new(&args.schedule).is_file() => by_file(Path::new(&args.schedule))?,
        Err(error) => {
            return Err(usage(error.to_string(), "copy the token that `proclab explore` printed"));
        }
    };
    let kills = recorded.token.kills();
    if args.step {
        let choices = recorded.token.choices.clone();
        return with_lab(&*recorded.experiment, |bench| step_by_step::run(bench, choices));
    }
    let Recorded { experiment, replay, token } = recorded;
    let witness = with_lab(&*experiment, |bench| bench.replay(replay, kills))?;
    compare(&witness, &token, &*experiment)?;
    let text = match args.format {
        Format::Text => witness.text(width()),
        Format::Json => json(&witness),
    };
    Ok((text, Finding::of(witness.verdict == Verdict::Ok)))
}

fn by_token(token: Token) -> Result<Recorded, Fault> {
    let experiment = from_code(&token.parameters).ok_or_else(|| {
        usage(
            format!("the token's scenario or parameters are unknown: `{}`", token.parameters),
            "copy the token that `proclab explore` printed",
        )
    })?;
    Ok(Recorded { experiment, replay: Replay::new(token.choices.clone()), token })
}

fn by_file(file: &Path) -> Result<Recorded, Fault> {
    let shown = file.display();
    let unreadable = |error: &Cause| could_not(&format!("{shown} cannot be read"), error);
    let usage =
        |what: String| usage(what, "give a file written by `explore --save` or `replay --format json`");
    let content = files::read(file, MAX_FILE).map_err(|error| unreadable(&error))?;
    let witness: Witness = serde_json::from_slice(&content)
        .map_err(|error| usage(format!("{shown} is not a schedule: {error}")))?;
    // The code is checked like that of a token: the file may contain anything.
    let token = witness
        .token
        .parse::<Token>()
        .map_err(|error| usage(format!("{shown} is not a schedule: {error}")))?;
    let experiment = from_code(&token.parameters)
        .filter(|experiment| experiment.subject().parameters == witness.subject.parameters)
        .ok_or_else(|| usage(format!("{shown} is not a schedule: its parameters do not match its token")))?;
    let events = witness
        .events(experiment.roles().len(), experiment.steps())
        .map_err(|error| usage(format!("{shown} is not a schedule: {error}")))?;
    let token = Token::new(&experiment.code(), &events);
    Ok(Recorded { experiment, replay: Replay::of(events), token })
}

/// Checks that the processes arrived at the same steps as when the token was made.
fn compare(witness: &Witness, token: &Token, experiment: &dyn Experiment) -> Result<(), Fault> {
    let events = witness.events(witness.processes.len(), experiment.steps()).unwrap_or_default();
    if arrivals(&events) == token.arrivals {
        return Ok(());
    }
    let names: Vec<_> =
        witness.steps.iter().map(|step| format!("{} `{}`", step.process, step.name)).collect();
    Err(diverged(&format!("the steps differ from those of the token; they were {}", names.join(", "))))
}
