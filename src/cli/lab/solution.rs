//! `proclab lab solution`: shows the solution after full marks, or to the lecturer.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::context::{Context, cannot_run, supervisor, user};
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, width};
use crate::lab::check::{self, Checked};
use crate::lab::question::Kind;
use crate::lab::truths::Truths;
use crate::report::lab::page::page;
use crate::report::lab::told;

#[derive(Args, Debug)]
pub(super) struct SolutionArgs {
    /// The lab
    name: String,
    /// The lecturer's word, which shows it before full marks
    #[arg(long, value_name = "WORD")]
    key: Option<String>,
    /// Whose values to solve it for [default: yours]
    #[arg(long, value_name = "ID", requires = "key")]
    student: Option<String>,
    /// The working folder [default: the one that was started]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn answer(context: &Context, args: &SolutionArgs) -> Result<(String, Finding), Fault> {
    let lab = context.lab(&args.name)?;
    let lang = context.lang;
    match &args.key {
        Some(word) if lab.opens(word) => {}
        Some(_) => {
            return Err(Fault::bad_arguments(lang.say("this is not the lecturer's word", "这不是教师口令"))
                .hint("see the answer key in docs/labs.md"));
        }
        None => {
            let done = context.done(&lab.name)?;
            let is_full =
                lab.card.parts.iter().all(|part| done.parts.get(part.id()).is_some_and(|part| part.right));
            if !is_full {
                let what =
                    lang.say("the solution is shown once everything is right", "全部做对以后才能看答案");
                return Err(Fault::bad_arguments(what).hint(format!("proclab lab work {}", lab.name)));
            }
        }
    }
    let folder = context.folder(&lab, args.dir.as_deref())?;
    let student =
        args.student.clone().or_else(|| folder.map(|folder| context.student(&folder))).unwrap_or_else(user);
    let mut checked = Checked::default();
    let key = check::key(&supervisor()?, &lab, &student, 1, &Truths::default(), &mut checked)
        .map_err(|error| cannot_run(&error))?;
    let variant = lab.variant(&student);
    let sheet = lab.sheet(lang);
    let mut text = format!("{} ({student})\n\n", variant.fill(&sheet.title));
    for part in &lab.card.parts {
        let Some(section) = sheet.section(part.id()) else { continue };
        let _ = writeln!(text, "## {}", variant.fill(&section.title));
        if let Some(answer) = key.answers.given.get(part.id()) {
            let _ = writeln!(text, "{} {answer}", lang.say("Measured:", "实测："));
        }
        if let Some(why) = &section.why {
            let _ = writeln!(text, "{}", page(&variant.fill(why), width()).trim_end());
        }
        if part.kind == Kind::Program {
            for name in crate::lab::program::names(part) {
                if let Some(code) = key.files.text(&name) {
                    let _ = writeln!(text, "--- {name}\n{code}---");
                }
            }
        }
        text.push('\n');
    }
    for fault in checked.faults {
        let _ = writeln!(text, "✗ {}", told::flaw(&fault));
    }
    Ok((text, Finding::Right))
}
