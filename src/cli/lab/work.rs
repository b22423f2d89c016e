//! `proclab lab work`: a loop of question, answer, measurement, and both side by side.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::context::{Context, supervisor, user};
use super::session::Session;
use super::{screen, start};
use crate::cli::fault::Fault;
use crate::cli::output::{self, Finding, width};
use crate::lab::answers::{self, form};
use crate::lab::mark::State;
use crate::lab::question::Kind;

#[derive(Args, Debug)]
pub(super) struct WorkArgs {
    /// The lab
    name: String,
    /// The working folder [default: the one that was started, or a new one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Who you are, if the folder is created [default: your login name]
    #[arg(long, value_name = "ID")]
    student: Option<String>,
    /// Ask parts that are right already, too
    #[arg(long)]
    again: bool,
}

pub(super) fn answer(context: &Context, args: &WorkArgs) -> Result<(String, Finding), Fault> {
    let lab = context.lab(&args.name)?;
    let folder = match context
        .folder(&lab, args.dir.as_deref())?
        .filter(|folder| folder.join(answers::FILE).is_file())
    {
        Some(folder) => folder,
        None => {
            let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&lab.name));
            start::make(context, &lab, &folder, &args.student.clone().unwrap_or_else(user))?;
            folder
        }
    };
    let student = context.student(&folder);
    let variant = lab.variant(&student);
    let mut session = Session {
        context,
        done: context.done(&lab.name)?,
        lab,
        folder,
        student,
        variant,
        again: args.again,
        supervisor: supervisor()?,
    };
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        screen::work(&mut session)?;
        return Ok((session.farewell(), Finding::Right));
    }
    lines(&mut session)
}

/// Asks question by question on standard input.
fn lines(session: &mut Session<'_>) -> Result<(String, Finding), Fault> {
    let lang = session.lang();
    let say = |text: &str| output::write(text);
    say(&format!("{}\n\n{}\n", session.title(), session.intro(width())))?;
    let keys = lang.say("[? hint   > skip   # list   ! quit]", "[? 提示   > 跳过   # 列表   ! 退出]");
    let mut input = std::io::stdin().lock().lines();
    'parts: for at in session.open() {
        let part = session.lab.card.parts[at].clone();
        say(&session.question(at, width()))?;
        if part.kind == Kind::Program {
            let marked = session.check(at, None)?;
            say(&session.result(at, &marked, width()))?;
            continue;
        }
        loop {
            say(&format!("{keys}\n{}> ", form(&part, lang)))?;
            let Some(Ok(line)) = input.next() else {
                say("\n")?;
                break 'parts;
            };
            match line.trim() {
                "" => {}
                "?" | "hint" => say(&format!("{}\n", session.hint(at)?))?,
                ">" | "skip" => {
                    session.skip(at)?;
                    break;
                }
                "#" | "list" => say(&session.list())?,
                "!" | "quit" => break 'parts,
                typed => match session.read(at, typed) {
                    Err(why) => say(&format!("{why}\n"))?,
                    Ok(answer) => {
                        let marked = session.check(at, Some(answer))?;
                        say(&format!("\n{}", session.result(at, &marked, width())))?;
                        if marked.state == State::Right {
                            break;
                        }
                    }
                },
            }
        }
    }
    Ok((session.farewell(), Finding::Right))
}
