//! `proclab VERB …`: the verbs, and the function that carries out each.

use super::fault::{BAD_ARGUMENTS, COULD_NOT_RUN, Fault};
use super::scenario::{owner, refusal, verb};
#[cfg(feature = "serve")]
use super::serve;
use super::{bench, completions, explore, lab, list, net, output, replay, run, schema, trials, watch};
use crate::scenario::registry::find;
use crate::sys::futex;
use crate::sys::resource::raise_stack_limit;
use crate::sys::signal::{keep_ended_children, let_requests_through, outlive_file_size_limit};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// See how an operating system runs processes: start real ones, race them, replay them, watch them.
#[derive(Debug, Parser)]
#[command(
    name = "proclab",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Begin with:  proclab run tickets"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the scenarios, lessons, labs and programs, one line each
    #[command(after_help = "Examples:\n  proclab list\n  proclab list | grep queue")]
    List,
    /// Run a scenario once on real processes: each event as it happens, then a summary
    Run(run::RunArgs),
    /// Run a scenario or any program many times, and count how often each outcome occurs
    Trials(trials::TrialsArgs),
    /// Try every interleaving of a scenario, or of the system calls of any program
    Explore(explore::ExploreArgs),
    /// Run one schedule again, on real processes
    Replay(replay::ReplayArgs),
    /// Observe any program: which processes run, are ready or are blocked, and on what
    Watch(watch::WatchArgs),
    /// The page: everything above in a browser, for a lecture hall
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    /// Network programs, each with a server, a client and a demo
    Net(net::NetArgs),
    /// Labs: predict, run reality, see the difference, be graded
    Lab(lab::LabArgs),
    /// Compare this library with others on the same work, as ratios
    Bench(bench::BenchArgs),
    /// Print the JSON schema of a view
    Schema(schema::SchemaArgs),
    /// Print the completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// The stack that the command line needs for the deepest of its calls, in bytes.
const STACK: usize = 8 << 20;

/// Runs the command line and returns the exit code.
///
/// If the stack limit is too low (`ulimit -s 64`) and cannot be raised, the command line runs in a thread with a
/// stack of its own.
pub fn main() -> ExitCode {
    if raise_stack_limit(STACK as u64) {
        return carry_out();
    }
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(carry_out);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        _ => ExitCode::from(COULD_NOT_RUN),
    }
}

/// Separate from [`main`], whose frame must fit into the smallest stack.
#[inline(never)]
fn carry_out() -> ExitCode {
    // Whatever signal settings it inherited, this program must end on request, learn that its children have ended,
    // and get an error instead of a signal at the file size limit. A command that it runs for the user gets the
    // inherited settings.
    let_requests_through();
    keep_ended_children();
    let _ = outlive_file_size_limit();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    if let Some(error) = futex::is_refused() {
        return Fault::could_not_run(&error)
            .context("futex(2) is refused")
            .hint("a sandbox must allow it: without it no thread can wait for another")
            .report();
    }
    match cli.verb {
        Verb::List => list::list(),
        Verb::Run(args) => run::run(&args),
        Verb::Trials(args) => trials::run(&args),
        Verb::Explore(args) => explore::run(&args),
        Verb::Replay(args) => replay::run(&args),
        Verb::Watch(args) => watch::run(&args),
        #[cfg(feature = "serve")]
        Verb::Serve(args) => serve::run(&args),
        Verb::Net(args) => net::run(&args),
        Verb::Lab(args) => lab::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Schema(args) => schema::run(&args),
        Verb::Completions(args) => completions::run(&args, &mut Cli::command()),
    }
}

/// Reports invalid arguments like every other error: one line that says what is wrong, one that says what to do.
/// Help and version are not errors.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(BAD_ARGUMENTS);
    }
    if !error.use_stderr() {
        return output::judge(error.print()).map_or_else(|fault| fault.report(), |()| ExitCode::SUCCESS);
    }
    if let Some(fault) = by_scenario(error) {
        return fault.report();
    }
    let text = error.render().to_string();
    let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let what: Vec<&str> = what.split_whitespace().collect();
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    Fault::bad_arguments(what.join(" ")).hint(tip.unwrap_or("`--help` lists the arguments")).report()
}

/// The fault if a scenario is unknown or an option belongs to another scenario; `None` for any other error.
fn by_scenario(error: &clap::Error) -> Option<Fault> {
    let word = std::env::args().nth(1)?;
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => Some(refusal(verb(&word)?, named(ContextKind::InvalidSubcommand)?)),
        ErrorKind::UnknownArgument => {
            let option = named(ContextKind::InvalidArg)?;
            if word == "replay" {
                let what = format!("unexpected argument '{option}': a token already contains the parameters");
                return Some(Fault::bad_arguments(what).hint("leave it out"));
            }
            let scenario = std::env::args().nth(2).filter(|word| !word.starts_with('-'))?;
            if option == scenario && !option.starts_with('-') {
                return Some(refusal(verb(&word)?, &scenario));
            }
            if find(&scenario).is_none() {
                let what = format!("unexpected argument '{option}'");
                return Some(Fault::bad_arguments(what).hint(format!("proclab {word} --help")));
            }
            let owner = owner(verb(&word)?, option).filter(|owner| *owner != scenario)?;
            let what = format!("{option} is an option of {owner}, not of {scenario}");
            Some(Fault::bad_arguments(what).hint(format!("proclab {word} {scenario} --help")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_explored_and_replayed_with_the_same_grammar_as_a_scenario() {
        Cli::command().debug_assert();
        for good in [
            "proclab explore --dir empty --budget 10s -- sh -c true",
            "proclab explore tickets --budget 10",
            "proclab replay --dir . p~0~r -- tickets --lock none",
            "proclab replay p~0~r --format json",
        ] {
            let parsed = Cli::try_parse_from(good.split(' '));
            assert!(
                parsed.is_ok(),
                "{good}: {}",
                parsed.err().map(|error| error.to_string()).unwrap_or_default()
            );
        }
        for bad in [
            "proclab explore --dir empty",
            "proclab explore --dir empty tickets",
            "proclab explore sh -c true",
            "proclab explore --lock none -- true",
        ] {
            assert!(Cli::try_parse_from(bad.split(' ')).is_err(), "{bad}");
        }
    }
}
