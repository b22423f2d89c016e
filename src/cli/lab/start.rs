//! `proclab lab start`: creates the working folder.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::context::{Context, user};
use crate::cli::fault::Fault;
use crate::cli::output::Finding;
use crate::lab::lang::Lang;
use crate::lab::loaded::Lab;
use crate::lab::workplace::beginning;

#[derive(Args, Debug)]
pub(super) struct StartArgs {
    /// The lab
    name: String,
    /// Create this folder instead of one with the lab's name
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Who you are: your values follow from it [default: your login name]
    #[arg(long, value_name = "ID")]
    student: Option<String>,
}

pub(super) fn answer(context: &Context, args: &StartArgs) -> Result<(String, Finding), Fault> {
    let lab = context.lab(&args.name)?;
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&lab.name));
    let student = args.student.clone().unwrap_or_else(user);
    make(context, &lab, &folder, &student)?;
    let shown = folder.display();
    let missing = lab.missing();
    let mut text = match context.lang {
        Lang::En => format!(
            "Your folder is {shown}: read sheet.md and fill in answers.toml.\nnext: proclab lab work {}\n",
            lab.name
        ),
        Lang::Zh => format!(
            "你的文件夹是 {shown}：先读 sheet.md，再把答案写进 answers.toml。\n下一步：proclab lab work {}\n",
            lab.name
        ),
    };
    if !missing.is_empty() {
        let what = context.lang.say("Needed, but not installed here:", "这里还缺少：");
        text.push_str(&format!("{what} {}\n", missing.join(", ")));
    }
    Ok((text, Finding::Right))
}

/// Creates the folder and remembers it. Nothing that exists is overwritten.
pub(super) fn make(context: &Context, lab: &Lab, folder: &Path, student: &str) -> Result<(), Fault> {
    let failed = |error: io::Error| {
        Fault::could_not_run(&error)
            .context(format!("cannot create {}", folder.display()))
            .hint("give another folder with --dir DIR")
    };
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let is_empty = std::fs::read_dir(folder).map_err(failed)?.next().is_none();
            if !is_empty {
                let what = match context.lang {
                    Lang::En => format!("{} already exists, and your work in it is kept", folder.display()),
                    Lang::Zh => format!("{} 已经存在，里面的内容不会被覆盖", folder.display()),
                };
                return Err(Fault::bad_arguments(what).hint(format!(
                    "continue with `proclab lab work {0}`, or start again with `proclab lab reset {0}`",
                    lab.name
                )));
            }
        }
        Err(error) => return Err(failed(error)),
    }
    beginning(lab, student, context.lang).write(folder).map_err(failed)?;
    let place = folder.canonicalize().ok();
    context.keep(&lab.name, |done| {
        student.clone_into(&mut done.student);
        done.folder = place;
    })?;
    Ok(())
}
