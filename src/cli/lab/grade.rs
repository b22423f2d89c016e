//! `proclab lab grade`: for an autograder. No terminal, bounded time, the same result for the same input.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::{Args, ValueEnum};

use super::context::{Context, cannot_run, supervisor, uninterrupted};
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, json};
use crate::cli::progress::Progress;
use crate::lab::grade::Grader;
use crate::lab::loaded::Lab;
use crate::lab::mark::LabMark;
use crate::lab::truths::Truths;
use crate::lab::workplace::Submission;
use crate::report::lab::csv;
use crate::report::lab::exercism::Exercism;
use crate::report::lab::gradescope::Gradescope;
use crate::sys::signal::Interrupt;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  proclab lab grade whose-child --format gradescope --student ada /autograder/submission > /autograder/results/results.json\n  proclab lab grade whose-child --all submissions --csv > marks.csv"
)]
pub(super) struct GradeArgs {
    /// The lab
    name: String,
    /// The submitted folder
    #[arg(default_value = ".", conflicts_with = "all")]
    submission: PathBuf,
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: FormArg,
    /// Who submitted it: the values of the lab follow from it
    #[arg(long, value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    student: Option<String>,
    /// Mark every folder in DIR; its name is the student's
    #[arg(long, value_name = "DIR")]
    all: Option<PathBuf>,
    /// With --all: print a table, one line per student
    #[arg(long, requires = "all")]
    csv: bool,
    /// With --all: how many to mark at a time [default: one per processor]
    #[arg(long, value_name = "N", requires = "all", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FormArg {
    /// Gradescope's results.json
    Gradescope,
    /// Exercism's results.json, version 3
    Exercism,
    /// This program's own: `proclab schema lab`
    #[default]
    Json,
}

pub(super) fn answer(context: &Context, args: &GradeArgs) -> Result<(String, Finding), Fault> {
    // The lab is read completely before any student's program runs, so that none can change card, tests or key.
    let lab = context.lab(&args.name)?;
    if let Some(all) = &args.all {
        return grade_all(context, &lab, all, args);
    }
    let student = args.student.clone().unwrap_or_default();
    if !args.submission.is_dir() {
        return Err(Fault::bad_arguments(format!("{} is not a folder", args.submission.display()))
            .hint("give the submitted folder"));
    }
    let supervisor = supervisor()?;
    let truths = Truths::default();
    let grader = Grader { supervisor: &supervisor, lab: &lab, lang: context.lang, truths: &truths };
    let marked = uninterrupted(grade(&grader, &args.submission, &student)?)?;
    Ok((form(&marked, context, args.format), Finding::Right))
}

fn form(marked: &LabMark, context: &Context, form: FormArg) -> String {
    match form {
        FormArg::Gradescope => json(&Gradescope::new(marked, context.lang)),
        FormArg::Exercism => json(&Exercism::new(marked, context.lang)),
        FormArg::Json => json(marked),
    }
}

fn grade(grader: &Grader<'_>, folder: &Path, student: &str) -> Result<LabMark, Fault> {
    let submission = Submission::read(folder, grader.lab, grader.lang);
    grader.mark(student, &submission, |_| true, |_| {}).map_err(|error| cannot_run(&error))
}

/// Marks one folder per student, several at a time.
fn grade_all(context: &Context, lab: &Lab, all: &Path, args: &GradeArgs) -> Result<(String, Finding), Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::could_not_run(&error).context(format!("cannot read {}", all.display()))
    };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(all).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A link could lead into another student's folder.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    let interrupt = Interrupt::install().map_err(|error| Fault::could_not_run(&error))?;
    let jobs =
        args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let bar = Mutex::new(Progress::new());
    let truths = Truths::default();
    let results: Mutex<Vec<Option<Result<LabMark, Fault>>>> =
        Mutex::new(folders.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(folders.len().max(1)) {
            scope.spawn(|| {
                while interrupt.received().is_none() {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(folder) = folders.get(at) else { break };
                    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let marked = supervisor().and_then(|supervisor| {
                        let grader =
                            Grader { supervisor: &supervisor, lab, lang: context.lang, truths: &truths };
                        grade(&grader, folder, &name)
                    });
                    if let Ok(mut results) = results.lock() {
                        results[at] = Some(marked);
                    }
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if let Ok(mut bar) = bar.lock() {
                        bar.count(done as u64, folders.len() as u64, "submissions");
                    }
                }
            });
        }
    });
    if let Ok(mut bar) = bar.lock() {
        bar.finish();
    }
    if let Some(signal) = interrupt.received() {
        return Err(Fault::interrupted(signal));
    }
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ids: Vec<&str> = lab.card.parts.iter().map(|part| part.id()).collect();
    let mut text = if args.csv { csv::head(&ids) } else { String::new() };
    let mut marks = Vec::new();
    for (folder, result) in folders.iter().zip(results) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match result {
            Some(Ok(mark)) => {
                let misread = mark.answers.first().map_or_else(String::new, |one| {
                    format!("answers.toml:{}:{}: {}", one.line, one.column, one.what)
                });
                text.push_str(&if args.csv { csv::row(&name, &mark, &misread) } else { String::new() });
                marks.push(mark);
            }
            // One that could not be marked gets a line too, and the others are not lost.
            Some(Err(fault)) => {
                let nothing = LabMark {
                    lab: lab.name.clone(),
                    title: String::new(),
                    student: name.clone(),
                    score: 0.0,
                    max: lab.card.points(),
                    parts: Vec::new(),
                    answers: Vec::new(),
                };
                let _ = write!(
                    text,
                    "{}",
                    if args.csv { csv::row(&name, &nothing, &fault.to_string()) } else { String::new() }
                );
                marks.push(nothing);
            }
            None => {}
        }
    }
    if !args.csv {
        text = match args.format {
            FormArg::Json => json(&marks),
            FormArg::Gradescope => {
                json(&marks.iter().map(|mark| Gradescope::new(mark, context.lang)).collect::<Vec<_>>())
            }
            FormArg::Exercism => {
                json(&marks.iter().map(|mark| Exercism::new(mark, context.lang)).collect::<Vec<_>>())
            }
        };
    }
    Ok((text, Finding::Right))
}
