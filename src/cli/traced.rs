//! `proclab explore -- COMMAND …` and `proclab replay TOKEN -- COMMAND …`: any program.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use super::fault::{BROKEN, Fault};
use super::output;
use super::output::{Format, json};
use crate::explore::traced::{Answer, Command, Limits, Search, Task, WitnessStep, carry_out};
use crate::report::traced::{TracedExploration, TracedOutcome};
use crate::supervisor::Supervisor;

/// Executions by chance before the search, so that something is seen at once.
const RANDOM: u64 = 20;

#[derive(Debug, Parser)]
#[command(name = "proclab")]
struct Traced {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Every interleaving of the processes of a program, counted
    Explore {
        #[command(flatten)]
        place: Place,
        /// Stop after so many executions (`1000`) or so much time (`10s`); the answer is then bounded
        #[arg(long, value_name = "EXECUTIONS|SECONDS", value_parser = budget)]
        budget: Option<Budget>,
        /// From what the decisions of chance follow
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
        /// Execute every schedule, not one of each class of equivalent ones
        #[arg(long)]
        naive: bool,
    },
    /// One schedule again
    Replay {
        /// The token that `explore` has printed
        token: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct Place {
    /// The folder in a copy of which the program runs; `empty` for none (default: the current one)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Let calls with a time limit run out before others have gone on
    #[arg(long)]
    timeouts: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Budget {
    Executions(u64),
    Time(Duration),
}

fn budget(text: &str) -> Result<Budget, String> {
    let budget = match text.strip_suffix('s') {
        Some(seconds) => seconds
            .parse()
            .ok()
            .filter(|seconds: &f64| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(Budget::Time),
        None => text.parse().ok().filter(|executions| *executions > 0).map(Budget::Executions),
    };
    budget.ok_or_else(|| "a number of executions (1000) or of seconds (10s), above zero".to_owned())
}

/// Runs the command line if it is `explore` or `replay` of a command after `--`.
pub(super) fn run_if_wanted() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let is_verb = arguments.get(1).is_some_and(|verb| verb == "explore" || verb == "replay");
    if !is_verb || !arguments.iter().any(|argument| argument == "--") {
        return None;
    }
    let traced = match Traced::try_parse_from(arguments) {
        Ok(traced) => traced,
        Err(error) => return Some(super::args::refuse(&error)),
    };
    Some(match answer(traced.verb) {
        Ok((text, code)) => match output::write(&text) {
            Ok(()) => ExitCode::from(code),
            Err(fault) => fault.report(),
        },
        Err(fault) => fault.report(),
    })
}

fn command(place: &Place) -> Result<Command, Fault> {
    let directory = match &place.dir {
        Some(dir) if dir.as_os_str() == "empty" => None,
        dir => {
            let dir = dir.clone().unwrap_or_else(|| PathBuf::from("."));
            let path = dir.canonicalize().map_err(|error| {
                Fault::could_not_run(&error).context(format!("cannot read {}", dir.display()))
            })?;
            Some(path)
        }
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if place.dir.is_none() && (directory == home || directory.as_deref() == Some("/".as_ref())) {
        return Err(Fault::bad_arguments(
            "the current folder is a home, and it would be copied for every execution",
        )
        .hint("go to the program's folder, or give --dir DIR or --dir empty"));
    }
    Ok(Command {
        argv: place.command.clone(),
        directory,
        limits: Limits::default(),
        timeouts: place.timeouts,
    })
}

fn answer(verb: Verb) -> Result<(String, u8), Fault> {
    let (place, task) = match &verb {
        Verb::Explore { place, budget, seed, naive } => {
            let mut search =
                Search { random: RANDOM, seed: *seed, exhaustive: true, naive: *naive, ..Search::default() };
            match budget {
                Some(Budget::Executions(most)) => search.executions = Some(*most),
                Some(Budget::Time(time)) => search.time = Some(*time),
                None => {}
            }
            (place, Task::Search(search))
        }
        Verb::Replay { token, place } => {
            let schedule = schedule(token, place).ok_or_else(|| {
                Fault::bad_arguments("the token belongs to another command or is mistyped").hint(
                    "copy the token that `proclab explore` has printed, with the same command and options",
                )
            })?;
            (place, Task::Replay(schedule))
        }
    };
    let supervisor = Supervisor::new().map_err(|error| Fault::could_not_run(&error))?;
    let answer = carry_out(|process| supervisor.start(process), command(place)?, task).map_err(|error| {
        let hint = "tracing needs ptrace: allow it in the container (--cap-add SYS_PTRACE or a seccomp profile that permits it), or set kernel.yama.ptrace_scope to 0 or 1";
        let fault = Fault::could_not_run(&error);
        if error.to_string().contains("ptrace") { fault.hint(hint) } else { fault }
    })?;
    match answer {
        Answer::Findings(findings) => {
            let view = TracedExploration::new(&place.command, &findings, |steps| token_of(steps, place));
            let code = if view.is_suspicious() { BROKEN } else { 0 };
            Ok((if place.format == Format::Json { json(&view) } else { view.text() }, code))
        }
        Answer::Replayed(found) => {
            let view = TracedOutcome::new(&found, token_of(&found.witness, place));
            let code = if view.verdict == "ok" { 0 } else { BROKEN };
            Ok((if place.format == Format::Json { json(&view) } else { view.text(None) }, code))
        }
        Answer::Diverged(step) => Err(Fault::bad_arguments(format!(
            "step {} of the schedule is not possible: the program, its folder or its surroundings have changed",
            step + 1
        ))
        .hint("explore it anew")),
    }
}

/// What a schedule belongs to.
fn signature(place: &Place) -> String {
    let text = place.command.join("\0");
    let hash =
        text.bytes().chain([u8::from(place.timeouts)]).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{:08x}", hash >> 32)
}

/// `p~HASH~root,root.1x3,…`, with `root` as `r`.
fn token_of(steps: &[WitnessStep], place: &Place) -> String {
    let runs = steps.chunk_by(|one, other| one.task == other.task).map(|run| {
        let name = run[0].task.replacen("root", "r", 1);
        if run.len() == 1 { name } else { format!("{name}x{}", run.len()) }
    });
    format!("p~{}~{}", signature(place), runs.collect::<Vec<_>>().join(","))
}

fn schedule(token: &str, place: &Place) -> Option<Vec<String>> {
    const MOST: usize = 100_000;
    let rest = token.strip_prefix("p~")?.strip_prefix(&signature(place))?.strip_prefix('~')?;
    let mut schedule = Vec::new();
    for run in rest.split(',').filter(|run| !run.is_empty()) {
        let (name, count) = match run.split_once('x') {
            Some((name, count)) => (name, count.parse().ok()?),
            None => (run, 1),
        };
        let name = format!("root{}", name.strip_prefix('r')?);
        if schedule.len().saturating_add(count) > MOST {
            return None;
        }
        schedule.extend(std::iter::repeat_n(name, count));
    }
    Some(schedule)
}
