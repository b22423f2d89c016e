//! `proclab lab reset`: restores the starter files.

use std::path::PathBuf;

use clap::Args;

use super::context::Context;
use crate::cli::fault::Fault;
use crate::cli::output::Finding;
use crate::lab::files::read_file;
use crate::lab::lang::Lang;
use crate::lab::progress::publish;
use crate::lab::workplace::beginning;

#[derive(Args, Debug)]
pub(super) struct ResetArgs {
    /// The lab
    name: String,
    /// Restore only this file
    file: Option<String>,
    /// The working folder [default: the one that was started]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn answer(context: &Context, args: &ResetArgs) -> Result<(String, Finding), Fault> {
    let lab = context.lab(&args.name)?;
    let folder = context.begun(&lab, args.dir.as_deref())?;
    let student = context.student(&folder);
    let files = beginning(&lab, &student, context.lang);
    if let Some(file) = args.file.as_ref().filter(|file| !files.0.contains_key(*file)) {
        let known: Vec<&str> = files.0.keys().map(String::as_str).collect();
        return Err(Fault::bad_arguments(format!("the lab `{}` has no starter file {file}", lab.name))
            .hint(format!("it has {}", known.join(", "))));
    }
    let mut text = String::new();
    for (name, bytes) in
        files.0.iter().filter(|(name, _)| args.file.as_ref().is_none_or(|file| file == *name))
    {
        let path = folder.join(name);
        let failed = |error: std::io::Error| {
            Fault::could_not_run(&error).context(format!("cannot write {}", path.display()))
        };
        match read_file(&path) {
            Ok(old) if old == *bytes => continue,
            Ok(_) => {
                let aside = folder.join(format!("{name}.before"));
                std::fs::rename(&path, &aside).map_err(failed)?;
                text.push_str(&match context.lang {
                    Lang::En => {
                        format!("{name} is restored; yours is kept as {}\n", aside.display())
                    }
                    Lang::Zh => format!("{name} 已恢复原样；你的内容保存在 {}\n", aside.display()),
                });
            }
            Err(_) => text.push_str(&match context.lang {
                Lang::En => format!("{name} is restored\n"),
                Lang::Zh => format!("{name} 已恢复\n"),
            }),
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        publish(&path, bytes).map_err(failed)?;
    }
    if text.is_empty() {
        context
            .lang
            .say(
                "Nothing to restore: no file differs from its starter.\n",
                "没有改动：一切都是最初的样子。\n",
            )
            .clone_into(&mut text);
    }
    Ok((text, Finding::Right))
}
