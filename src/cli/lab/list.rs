//! `proclab lab`: lists all labs with the progress in them.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::context::Context;
use crate::cli::fault::Fault;
use crate::cli::output::{Finding, width};
use crate::lab::lang::Lang;
use crate::lab::loaded::Lab;
use crate::report::lab::text::points;

/// The width of a lab's progress bar.
const BAR: usize = 10;

pub(super) fn answer(context: &Context) -> Result<(String, Finding), Fault> {
    let lang = context.lang;
    let mut text = String::new();
    let mut first_open = None;
    let narrow = width() < 70;
    let all = context.all()?;
    let names: Vec<&str> = all.iter().flatten().map(|lab| lab.name.as_str()).collect();
    let column = names.iter().map(|name| name.width()).max().unwrap_or(0);
    for lab in &all {
        let lab = match lab {
            Ok(lab) => lab,
            Err(error) => {
                let _ = writeln!(text, "✗ {error}");
                continue;
            }
        };
        let done = context.done(&lab.name)?;
        let best: f64 =
            lab.card.parts.iter().filter_map(|part| done.parts.get(part.id())).map(|part| part.best).sum();
        let all = lab.card.points();
        let is_full =
            lab.card.parts.iter().all(|part| done.parts.get(part.id()).is_some_and(|part| part.right));
        let filled = ((best / f64::from(all.max(1))) * BAR as f64).floor() as usize;
        let bar = format!("{}{}", "█".repeat(filled.min(BAR)), "░".repeat(BAR - filled.min(BAR)));
        let sign = if is_full {
            "✓"
        } else if best > 0.0 {
            "◐"
        } else {
            "·"
        };
        let minutes = match lang {
            Lang::En => format!("{} min", lab.card.minutes),
            Lang::Zh => format!("{} 分钟", lab.card.minutes),
        };
        let score = format!("{:>5}/{all}", points(best));
        let title = &lab.sheet(lang).title;
        if narrow {
            let _ = writeln!(text, "{sign} {:column$} {score}  {minutes}\n    {title}", lab.name);
        } else {
            let _ = writeln!(text, "{sign} {:column$}  {bar} {score:<9} {minutes:>8}  {title}", lab.name);
        }
        if !is_full && first_open.is_none() {
            first_open = Some(lab.name.clone());
        }
    }
    let next = match first_open {
        Some(name) => format!("{} proclab lab work {name}", lang.say("next:", "下一步：")),
        None => lang.say("All labs are done. Well done!", "所有实验都完成了，做得好！").to_owned(),
    };
    let _ = writeln!(text, "\n{next}");
    Ok((text, Finding::Right))
}

/// Name and title of each lab of this program, for `proclab list`.
pub(in crate::cli) fn lines() -> Vec<(String, String)> {
    let labs = Lab::all(None).unwrap_or_default();
    labs.into_iter().flatten().map(|lab| (lab.name.clone(), lab.sheet(Lang::En).title.clone())).collect()
}
