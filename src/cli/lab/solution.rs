//! `proclab lab solution`: after full marks, or for the lecturer.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use super::desk::{Desk, cannot_run, supervisor, user};
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, width};
use crate::lab::check::{Checked, truths};
use crate::lab::question::Kind;
use crate::report::lab::page::page;

#[derive(Args, Debug)]
pub(super) struct SolutionArgs {
    /// The lab
    name: String,
    /// The lecturer's word, which shows it before full marks
    #[arg(long, value_name = "WORD")]
    key: Option<String>,
    /// Whose numbers to solve [default: yours]
    #[arg(long, value_name = "ID", requires = "key")]
    student: Option<String>,
    /// The working folder [default: the one that was started]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn answer(desk: &Desk, args: &SolutionArgs) -> Result<(String, Finding), Fault> {
    let lab = desk.lab(&args.name)?;
    let lang = desk.lang;
    match &args.key {
        Some(word) if lab.opens(word) => {}
        Some(_) => {
            return Err(Fault::bad_arguments(lang.say("this is not the lecturer's word", "这不是教师口令"))
                .hint("docs/labs.md says how a lab gets its word"));
        }
        None => {
            let done = desk.done(&lab.name)?;
            let is_full =
                lab.card.parts.iter().all(|part| done.parts.get(part.id()).is_some_and(|part| part.right));
            if !is_full {
                let what =
                    lang.say("the solution is shown once all of it is right", "全部做对以后才能看答案");
                return Err(Fault::bad_arguments(what).hint(format!("proclab lab work {}", lab.name)));
            }
        }
    }
    let folder = desk.folder(&lab, args.dir.as_deref())?;
    let student =
        args.student.clone().or_else(|| folder.map(|folder| desk.student(&folder))).unwrap_or_else(user);
    let mut checked = Checked::default();
    let key = truths(&supervisor()?, &lab, &student, 1, &mut checked).map_err(|error| cannot_run(&error))?;
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
        let _ = writeln!(text, "✗ {fault}");
    }
    Ok((text, Finding::Right))
}
