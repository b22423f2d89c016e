//! `proclab lab …`: its subcommands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::context::Context;
use super::{author, check, grade, list, reset, solution, start, work};
use crate::cli::output::print;
use crate::lab::lang::Lang;

/// Labs: predict, run reality, see the difference, be graded
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = false,
    after_help = "Examples:\n  proclab lab                          all labs, with progress\n  proclab lab work whose-child         start, or continue\n  proclab lab check whose-child        mark the whole lab\n  proclab lab grade whose-child --format gradescope --student ada submission > results.json"
)]
pub(crate) struct LabArgs {
    /// The language of sheets and answers [default: that of LANG]
    #[arg(long, global = true, value_enum)]
    lang: Option<LangArg>,
    /// Add the labs in DIR: the folder of a lab, or a folder of labs
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    labs: Option<PathBuf>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LangArg {
    En,
    Zh,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all labs with progress, points and minutes
    List,
    /// Create the working folder: sheet, programs, answers.toml
    Start(start::StartArgs),
    /// Work through a lab: predict, measure, compare
    Work(work::WorkArgs),
    /// Mark everything in the working folder; exit 0 only at full marks
    Check(check::CheckArgs),
    /// Mark submissions for an autograder; exit 0 whatever the marks
    Grade(grade::GradeArgs),
    /// Restore the starter files; yours are kept as FILE.before
    Reset(reset::ResetArgs),
    /// Show the solution, after full marks or with the lecturer's word
    Solution(solution::SolutionArgs),
    /// Check labs that you write
    Author(author::AuthorArgs),
}

/// Runs `proclab lab …`.
pub(crate) fn run(args: &LabArgs) -> ExitCode {
    let lang = match args.lang {
        Some(LangArg::En) => Lang::En,
        Some(LangArg::Zh) => Lang::Zh,
        None => Lang::of_environment(|name| std::env::var_os(name)),
    };
    let context = Context::new(lang, args.labs.clone());
    print(match &args.action {
        None | Some(Action::List) => list::answer(&context),
        Some(Action::Start(args)) => start::answer(&context, args),
        Some(Action::Work(args)) => work::answer(&context, args),
        Some(Action::Check(args)) => check::answer(&context, args),
        Some(Action::Grade(args)) => grade::answer(&context, args),
        Some(Action::Reset(args)) => reset::answer(&context, args),
        Some(Action::Solution(args)) => solution::answer(&context, args),
        Some(Action::Author(args)) => author::answer(&context, args),
    })
}
