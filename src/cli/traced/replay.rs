//! `proclab replay TOKEN -- COMMAND …`: one schedule of a program again.

use std::path::Path;

use clap::Args;

use super::departed::departed;
use super::options::{Control, Place, Wishes};
use super::saved::Saved;
use super::{engine, unexpected};
use crate::cli::fault::Fault;
use crate::cli::files;
use crate::cli::output::{Finding, Format, json, width};
use crate::explore::traced::token::{self, TokenError};
use crate::explore::traced::{Answer, Command, Task, Verdict, WitnessStep};
use crate::report::traced::{TracedOutcome, TracedReplay, TracedStep};

/// The largest file that is read.
const MAX_FILE: u64 = 64 << 20;

/// The options of a replay, besides the token.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for a program")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    wishes: Wishes,
    #[command(flatten)]
    control: Control,
    /// The program and its arguments, as they were given to `explore`
    #[arg(last = true, value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

/// The source of a program's schedule; `None` if a scenario's schedule is meant.
pub(in crate::cli) fn is_meant(schedule: &str, options: &Options) -> Result<Option<Meant>, Fault> {
    if token::is_token(schedule) {
        return Ok(Some(Meant::Token));
    }
    let path = Path::new(schedule);
    if path.is_file()
        && let Ok(bytes) = files::read(path, MAX_FILE)
        && let Ok(saved) = Saved::read(&bytes)
    {
        return Ok(Some(Meant::File(Box::new(saved))));
    }
    if options.command.is_empty() {
        return Ok(None);
    }
    Err(Fault::bad_arguments(format!("`{schedule}` is neither a token nor a file of a program's schedule"))
        .hint(
            "copy the token that `proclab explore -- COMMAND …` printed, or give the file that --save wrote",
        ))
}

/// The source of the schedule.
#[derive(Debug)]
pub(in crate::cli) enum Meant {
    Token,
    File(Box<Saved>),
}

/// Runs the replay.
pub(in crate::cli) fn answer(
    schedule: &str,
    meant: &Meant,
    options: &Options,
    format: Format,
    step: bool,
) -> Result<(String, Finding), Fault> {
    let (command, steps, expected) = match meant {
        Meant::Token => by_token(schedule, options)?,
        Meant::File(saved) => by_file(saved, options)?,
    };
    if step {
        return super::step::run(&command, &steps, &options.wishes);
    }
    let criteria = options.wishes.criteria();
    let task = Task::Replay { schedule: steps, expected, criteria: criteria.clone() };
    match engine(command.clone(), task, &mut |_| {})? {
        Answer::Replayed(found) => {
            let steps = found.witness.iter().map(WitnessStep::choice);
            let token = token::encode(&command, steps, &found.facts);
            let view = TracedReplay {
                command: command.argv.clone(),
                outcome: TracedOutcome::of(&found, &criteria, token),
            };
            let text = match format {
                Format::Json => json(&view),
                Format::Text => {
                    format!("{}\n{}", view.outcome.verdict, view.outcome.text(None, width(), ""))
                }
            };
            Ok((text, Finding::of(view.outcome.verdict == Verdict::Ok)))
        }
        Answer::Departed(departure) => {
            let changes = match meant {
                Meant::File(saved) => saved.changes(&command)?,
                Meant::Token => Vec::new(),
            };
            Err(departed(&departure, &changes))
        }
        _ => Err(unexpected()),
    }
}

type Wanted = (Command, Vec<String>, Vec<String>);

fn by_token(schedule: &str, options: &Options) -> Result<Wanted, Fault> {
    if options.command.is_empty() {
        return Err(Fault::bad_arguments("a token of a program requires the program's command")
            .hint(format!("proclab replay {schedule} -- COMMAND …, as it was given to `explore`")));
    }
    let mut command = options.control.over(options.place.command(&options.command)?);
    let (steps, facts) = token::decode(schedule, &command).map_err(|error| {
        let hint = match error {
            TokenError::OtherCommand => "give the command and the options that `explore` was given",
            TokenError::Malformed => "copy the token that `proclab explore -- COMMAND …` printed",
        };
        Fault::bad_arguments(error).hint(hint)
    })?;
    command.facts = facts;
    Ok((command, steps, Vec::new()))
}

/// The command in the file, unless another is given, and the steps as they were saved.
fn by_file(saved: &Saved, options: &Options) -> Result<Wanted, Fault> {
    let mut command = if options.command.is_empty() {
        saved.command.clone()
    } else {
        options.control.over(options.place.command(&options.command)?)
    };
    command.facts.clone_from(&saved.command.facts);
    let steps = saved.steps();
    let schedule = steps.iter().map(TracedStep::choice).collect();
    let expected = steps.iter().map(|step| step.call.clone()).collect();
    Ok((command, schedule, expected))
}
