//! Races of well-known kinds, found by itself in unmodified programs: the set of outcomes is known by reason.

mod c;
mod python;
mod shell;

use crate::traced_verbs::Place;
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn tests() -> Vec<Trial> {
    [c::tests(), shell::tests(), python::tests()].into_iter().flatten().collect()
}

/// What an exploration found, each outcome as `told` tells it.
fn explored(view: &Value, told: impl Fn(&Value) -> String) -> BTreeSet<String> {
    view["outcomes"].as_array().unwrap().iter().map(told).collect()
}

/// The text of a file of an outcome; nothing for one that is not there.
fn content(outcome: &Value, file: &str) -> String {
    outcome["files"][file]["text"].as_str().unwrap_or("-").trim_end().replace('\n', ",")
}

/// Whether a program is there; if not, what is left out for it is said.
fn has(program: &str) -> bool {
    let path = ["/bin", "/usr/bin", "/usr/local/bin"];
    let found = path.iter().any(|folder| std::path::Path::new(folder).join(program).exists());
    if !found {
        println!("left out: there is no {program}");
    }
    found
}

fn set(outcomes: &[&str]) -> BTreeSet<String> {
    outcomes.iter().map(|outcome| (*outcome).to_owned()).collect()
}
