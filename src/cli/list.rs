//! `proclab list`: everything that can be run, one line each.

use std::fmt::Write;
use std::process::ExitCode;

use super::output::{Finding, print};
use super::scenario::word;
use crate::net::registry::PROGRAMS;
use crate::scenario::contract::Verb;
use crate::scenario::registry::SCENARIOS;

/// The verbs that do not take a scenario.
const OTHERS: [(&str, &str); 6] = [
    ("explore -- COMMAND", "every interleaving of the system calls of any program, and every outcome"),
    ("trials -- COMMAND", "the same program many times: how often each outcome occurs"),
    ("replay TOKEN", "run a schedule that `explore` found again, on real processes"),
    ("watch -- COMMAND", "observe any program: which processes run, are ready or are blocked, and on what"),
    ("serve", "the page: all of this in a browser, for a lecture hall"),
    ("bench start|queue", "compare this library with others on the same work, as ratios"),
];

/// Lists everything that can be run.
pub(crate) fn list() -> ExitCode {
    print(Ok((text(), Finding::Right)))
}

/// The list, as text.
pub(super) fn text() -> String {
    let mut text = String::new();
    let mut line = |what: &str, about: &str| {
        let _ = writeln!(text, "{what:<19} {about}");
    };
    for entry in SCENARIOS {
        let verbs = [Verb::Run, Verb::Trials, Verb::Explore];
        for verb in verbs.into_iter().filter(|verb| entry.arguments(*verb).is_ok()) {
            let about = match verb {
                Verb::Run => entry.about().to_owned(),
                Verb::Trials => "the same many times: how often each outcome occurs".to_owned(),
                Verb::Explore => format!("every interleaving of its steps, counted{}", entry.explored()),
            };
            let operand = if verb == Verb::Run { entry.operand() } else { "" };
            line(format!("{} {} {operand}", word(verb), entry.name()).trim_end(), &about);
        }
        for (name, question) in entry.parts() {
            line(&format!("  {name}"), &question);
        }
    }
    for (what, about) in OTHERS {
        line(what, about);
    }
    line("lab work LAB", "predict, run the real thing, see the difference, be graded");
    for (name, title) in super::lab::lines() {
        line(&format!("  {name}"), &title);
    }
    line("net all demo", "all network programs, both ends of each, with checks; one by one:");
    for entry in PROGRAMS {
        line(&format!("net {} demo", entry.name()), entry.about());
    }
    text
}
