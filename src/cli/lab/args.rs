//! `proclab lab …`: its subcommands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::desk::Desk;
use super::{author, check, grade, list, reset, solution, start, work};
use crate::cli::output::print;
use crate::lab::lang::Lang;

/// Labs: predict, run reality, see the difference, be graded
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = false,
    after_help = "Examples:\n  proclab lab                          all labs, with what is done\n  proclab lab work whose-child         begin, or go on\n  proclab lab check whose-child        mark all of it\n  proclab lab grade whose-child --format gradescope --student ada submission > results.json"
)]
pub(crate) struct LabArgs {
    /// The language of sheets and answers [default: that of LANG]
    #[arg(long, global = true, value_enum)]
    lang: Option<LangArg>,
    /// Also the labs in DIR: one lab's folder, or a folder of such
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
    /// All labs, with what is done, points and minutes
    List,
    /// Make the working folder: sheet, programs, answers.toml
    Start(start::StartArgs),
    /// Question by question: predict, then see what is so
    Work(work::WorkArgs),
    /// Mark everything in the working folder; exit 0 only at full marks
    Check(check::CheckArgs),
    /// Mark submissions for an autograder; exit 0 whatever the marks
    Grade(grade::GradeArgs),
    /// Put the starter files back; what was there is kept beside them
    Reset(reset::ResetArgs),
    /// The solution, after full marks or with the lecturer's word
    Solution(solution::SolutionArgs),
    /// For authors of labs
    Author(author::AuthorArgs),
}

/// Runs `proclab lab …`.
pub(crate) fn run(args: &LabArgs) -> ExitCode {
    let lang = match args.lang {
        Some(LangArg::En) => Lang::En,
        Some(LangArg::Zh) => Lang::Zh,
        None => Lang::of_environment(|name| std::env::var_os(name)),
    };
    let desk = Desk::new(lang, args.labs.clone());
    print(match &args.action {
        None | Some(Action::List) => list::answer(&desk),
        Some(Action::Start(args)) => start::answer(&desk, args),
        Some(Action::Work(args)) => work::answer(&desk, args),
        Some(Action::Check(args)) => check::answer(&desk, args),
        Some(Action::Grade(args)) => grade::answer(&desk, args),
        Some(Action::Reset(args)) => reset::answer(&desk, args),
        Some(Action::Solution(args)) => solution::answer(&desk, args),
        Some(Action::Author(args)) => author::answer(&desk, args),
    })
}
