//! `proclab lab reset`: the starter files again.

use std::path::PathBuf;

use clap::Args;

use super::desk::Desk;
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
    /// Only this file
    file: Option<String>,
    /// The working folder [default: the one that was started]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn answer(desk: &Desk, args: &ResetArgs) -> Result<(String, Finding), Fault> {
    let lab = desk.lab(&args.name)?;
    let folder = desk.begun(&lab, args.dir.as_deref())?;
    let student = desk.student(&folder);
    let files = beginning(&lab, &student, desk.lang);
    if let Some(file) = args.file.as_ref().filter(|file| !files.0.contains_key(*file)) {
        let known: Vec<&str> = files.0.keys().map(String::as_str).collect();
        return Err(Fault::bad_arguments(format!("the lab `{}` does not begin with {file}", lab.name))
            .hint(format!("it begins with {}", known.join(", "))));
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
                text.push_str(&match desk.lang {
                    Lang::En => {
                        format!("{name} is as it was at first; what you had is {}\n", aside.display())
                    }
                    Lang::Zh => format!("{name} 已恢复原样；你的内容保存在 {}\n", aside.display()),
                });
            }
            Err(_) => text.push_str(&match desk.lang {
                Lang::En => format!("{name} is there again\n"),
                Lang::Zh => format!("{name} 已恢复\n"),
            }),
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        publish(&path, bytes).map_err(failed)?;
    }
    if text.is_empty() {
        desk.lang
            .say("Nothing was changed: all is as it was at first.\n", "没有改动：一切都是最初的样子。\n")
            .clone_into(&mut text);
    }
    Ok((text, Finding::Right))
}
