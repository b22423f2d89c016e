//! `proclab replay TOKEN -- COMMAND …`: one schedule of a program again.

use clap::Args;

use super::{Place, engine};
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, Format, json};
use crate::explore::traced::token::{self, TokenError};
use crate::explore::traced::{Answer, Task};
use crate::report::traced::TracedOutcome;

/// What a replay of a program's schedule takes beside the token.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for a program")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    place: Place,
    /// The program and its arguments, as they were given to `explore`
    #[arg(last = true, value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

/// Whether a program's schedule is to be replayed, not a scenario's.
pub(in crate::cli) fn is_meant(schedule: &str, options: &Options) -> bool {
    token::is_token(schedule) || !options.command.is_empty()
}

/// Replays.
pub(in crate::cli) fn answer(
    schedule: &str,
    options: &Options,
    format: Format,
) -> Result<(String, Finding), Fault> {
    if options.command.is_empty() {
        return Err(Fault::bad_arguments("the token of a program needs the program's command")
            .hint(format!("proclab replay {schedule} -- COMMAND …, as it was given to `explore`")));
    }
    let command = options.place.command(&options.command)?;
    let steps = token::decode(schedule, &command).map_err(|error| {
        let hint = match error {
            TokenError::OtherCommand => "give the command and the options that `explore` was given",
            TokenError::Malformed => "copy the token that `proclab explore -- COMMAND …` printed",
        };
        Fault::bad_arguments(error).hint(hint)
    })?;
    match engine(command.clone(), Task::Replay(steps))? {
        Answer::Replayed(found) => {
            let steps = found.witness.iter().map(|step| step.task.as_str());
            let view = TracedOutcome::new(&found, token::encode(&command, steps));
            let text = if format == Format::Json { json(&view) } else { view.text(None) };
            Ok((text, Finding::of(view.verdict == "ok")))
        }
        Answer::Diverged(step) => Err(Fault::bad_arguments(format!(
            "step {} of the schedule is not possible: the program, its folder or its surroundings have changed",
            step + 1
        ))
        .hint("explore it anew")),
        Answer::Findings(_) => Err(Fault::bad_arguments("the engine gave another answer")),
    }
}
