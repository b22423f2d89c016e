//! What each kind of part must and must not say.

use std::ops::Range;

use super::{GOALS, Part};
use crate::lab::language::languages;
use crate::lab::question::Kind;
use crate::lab::score::Tolerance;

/// Where, what, and how to correct it.
type Wrong = (Option<Range<usize>>, String, &'static str);

/// The kinds of parts to which a key belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Belongs {
    Program,
    Schedule,
    Prediction,
}

impl Part {
    /// What is missing or wrong.
    pub(super) fn wrong(&self) -> Option<Wrong> {
        let wrong = |what: &str, mend: &'static str| Some((None, what.to_owned(), mend));
        if !(self.limits.seconds > 0.0 && self.limits.seconds <= 600.0) {
            return wrong("limits.seconds is out of range", "give more than 0 and at most 600 seconds");
        }
        if let Some((key, kinds)) = self.misplaced() {
            let what =
                format!("`{key}` has no meaning for a {} part", format!("{:?}", self.kind).to_lowercase());
            let mend = match kinds {
                Belongs::Program => "it belongs to a program part: remove it, or correct the kind",
                Belongs::Schedule => "it belongs to a schedule part: remove it, or correct the kind",
                Belongs::Prediction => "it belongs to a prediction: remove it, or correct the kind",
            };
            return Some((None, what, mend));
        }
        if self.limits.processes == 0 || self.limits.processes > 10_000 {
            return wrong("limits.processes is out of range", "give 1 to 10000");
        }
        match self.kind {
            Kind::Program => {
                let Some(file) = &self.file else {
                    return wrong(
                        "a program part names no file",
                        "add file = \"NAME.py\", or \"NAME.*\" for any language",
                    );
                };
                let name = file.get_ref();
                if name.contains('/') || name.starts_with('.') || languages(name).is_empty() {
                    let mend = "give a name that ends in .c, .py, .sh, .rs or .*";
                    return Some((
                        Some(file.span()),
                        format!("`{name}` cannot be the file of a student's program"),
                        mend,
                    ));
                }
                if self.kills > 3 || self.kills > 0 && !self.explored {
                    return wrong("kills is out of range", "give 0 to 3, of a program that is explored");
                }
                if !self.explored && self.tests.is_empty() {
                    return wrong(
                        "the program is not checked",
                        "add [[part.test]], or leave out explored = false",
                    );
                }
                None
            }
            Kind::Schedule => {
                if self.scenario.is_empty() {
                    return wrong(
                        "a schedule part names no scenario",
                        "add scenario = [\"tickets\", \"--lock\", \"none\"]",
                    );
                }
                match &self.goal {
                    None => wrong("a schedule part has no goal", "add goal = \"oversold\""),
                    Some(goal) if !GOALS.contains(&goal.get_ref().as_str()) => {
                        let what = format!("`{}` is not an outcome of a scenario", goal.get_ref());
                        Some((
                            Some(goal.span()),
                            what,
                            "give ok, oversold, lost-update, torn-read, deadlock or crashed",
                        ))
                    }
                    Some(_) => None,
                }
            }
            _ => self.wrong_prediction(),
        }
    }

    /// A key that is given and has no meaning for the kind of part: the lecturer would wait in vain for its effect.
    fn misplaced(&self) -> Option<(&'static str, Belongs)> {
        let of_program = [
            ("file", self.file.is_some()),
            ("run", !self.run.is_empty()),
            ("check", self.check.is_some()),
            ("expect_exit", self.expect_exit.is_some()),
            ("explored", !self.explored),
            ("kills", self.kills > 0),
            ("test", !self.tests.is_empty()),
        ];
        let of_schedule = [
            ("scenario", !self.scenario.is_empty()),
            ("goal", self.goal.is_some()),
            ("switches", self.switches.is_some()),
        ];
        let of_prediction = [
            ("command", !self.command.is_empty()),
            ("explore", !self.explore.is_empty()),
            ("take", self.take.is_some()),
            ("runs", self.runs.is_some()),
            ("options", !self.options.is_empty()),
            ("tolerance", self.tolerance.is_some()),
        ];
        let own = match self.kind {
            Kind::Program => Belongs::Program,
            Kind::Schedule => Belongs::Schedule,
            _ => Belongs::Prediction,
        };
        let families = [
            (Belongs::Program, &of_program[..]),
            (Belongs::Schedule, &of_schedule[..]),
            (Belongs::Prediction, &of_prediction[..]),
        ];
        families
            .into_iter()
            .filter(|(family, _)| *family != own)
            .find_map(|(family, keys)| keys.iter().find(|(_, given)| *given).map(|(key, _)| (*key, family)))
    }

    fn wrong_prediction(&self) -> Option<Wrong> {
        let wrong = |what: &str, mend: &'static str| Some((None, what.to_owned(), mend));
        if self.command.is_empty() == self.explore.is_empty() {
            return wrong(
                "a prediction needs exactly one measurement",
                "add command = [...] or explore = [...], and not both",
            );
        }
        if self.kind == Kind::Choose && self.options.len() < 2 {
            return wrong(
                "fewer than two options",
                "add options = [\"a\", \"b\"], and each as - `a`: text to the sheets",
            );
        }
        if let Some(tolerance) =
            self.tolerance.as_ref().filter(|text| Tolerance::parse(text.get_ref()).is_none())
        {
            let what = format!("`{}` is not a tolerance", tolerance.get_ref());
            return Some((Some(tolerance.span()), what, "give \"0.5\" or \"10%\""));
        }
        if let Some(take) = &self.take {
            let text = take.get_ref();
            let known: &[&str] = if self.explore.is_empty() {
                &["stdout", "exit", "json:"]
            } else {
                &["stdout", "exit", "verdict", "file:", "outcomes", "classes"]
            };
            let fits =
                known.iter().any(|known| text == known || known.ends_with(':') && text.starts_with(known));
            if !fits {
                let mend = if self.explore.is_empty() {
                    "of a command take stdout, exit, or json:/POINTER"
                } else {
                    "of an exploration take stdout, exit, verdict, file:NAME, outcomes or classes"
                };
                return Some((Some(take.span()), format!("`{text}` cannot be taken"), mend));
            }
        }
        if self.kind != Kind::Choose && !self.options.is_empty() {
            return wrong("only a choose part has options", "remove them, or correct the kind");
        }
        if self.kind != Kind::Number && self.tolerance.is_some() {
            return wrong("only a number has a tolerance", "remove it, or correct the kind");
        }
        if self.runs.is_some_and(|runs| runs == 0 || runs > 100) {
            return wrong("runs is out of range", "give 1 to 100");
        }
        None
    }
}
