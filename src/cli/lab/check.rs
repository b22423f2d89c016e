//! `proclab lab check`: marks the whole lab.

use std::path::PathBuf;

use clap::Args;

use super::context::{Context, cannot_run, supervisor, uninterrupted};
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, Format, json, width};
use crate::cli::progress::Progress;
use crate::lab::grade::Grader;
use crate::lab::truths::Truths;
use crate::lab::workplace::Submission;
use crate::report::lab::text;

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The lab
    name: String,
    /// Mark only this part
    #[arg(long, value_name = "ID")]
    part: Option<String>,
    /// The working folder [default: the one that was started]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn answer(context: &Context, args: &CheckArgs) -> Result<(String, Finding), Fault> {
    let lab = context.lab(&args.name)?;
    let folder = context.begun(&lab, args.dir.as_deref())?;
    if let Some(part) =
        args.part.as_ref().filter(|part| lab.card.parts.iter().all(|one| one.id() != part.as_str()))
    {
        let ids: Vec<&str> = lab.card.parts.iter().map(|part| part.id()).collect();
        return Err(Fault::bad_arguments(format!("the lab `{}` has no part `{part}`", lab.name))
            .hint(format!("it has {}", ids.join(", "))));
    }
    let student = context.student(&folder);
    let submission = Submission::read(&folder, &lab, context.lang);
    let supervisor = supervisor()?;
    let mut bar = Progress::new();
    let (mut begun, all) = (0, lab.card.parts.len() as u64);
    let wanted = |id: &str| args.part.as_deref().is_none_or(|part| part == id);
    let truths = Truths::default();
    let grader = Grader { supervisor: &supervisor, lab: &lab, lang: context.lang, truths: &truths };
    let marked = grader.mark(&student, &submission, wanted, |id| {
        bar.count(begun, all, id);
        begun += 1;
    });
    bar.finish();
    let marked = uninterrupted(marked.map_err(|error| cannot_run(&error))?)?;
    context.record(&lab, &folder, &marked)?;
    let text = match args.format {
        Format::Text => text::lab(&marked, context.lang, width()),
        Format::Json => json(&marked),
    };
    Ok((text, Finding::of(marked.is_full())))
}
