//! The truth that a prediction is compared with, measured when it is needed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::answers::told;
use super::card::{Limits, Part};
use super::explore::{Aim, ExploreError, explore};
use super::files::Files;
use super::lang::Lang;
use super::question::{Answer, Kind, Malformed};
use super::run::{Cut, Job, Ran, RunError, Step, run};
use super::variant::Variant;
use super::words::resolved;
use crate::explore::traced::{Criteria, End, Findings, Found, Kind as FileKind, Outcome};
use crate::supervisor::Supervisor;

/// The least limit of an exploration, in seconds.
const LEAST: f64 = 60.0;

/// The truth could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The measurement could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The measurement could not be explored.
    #[error(transparent)]
    Explore(#[from] ExploreError),
    /// The measurement failed.
    #[error("`{command}` {how}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        how: String,
    },
    /// Its output is not an answer.
    #[error("`{command}` printed {said:?}, which is not an answer to this part: {}", told(why, Lang::En))]
    NoAnswer {
        /// The command.
        command: String,
        /// Its output.
        said: String,
        /// What is wrong with it.
        why: Malformed,
    },
    /// The program fails in every schedule.
    #[error("`{command}` ends with {end} in every schedule{}", said.as_ref().map_or(String::new(), |said| format!(": {said}")))]
    Fails {
        /// The command.
        command: String,
        /// How it ends.
        end: String,
        /// The last line that it writes to standard error.
        said: Option<String>,
    },
    /// The file that is to be taken does not exist in any outcome.
    #[error("no execution of `{command}` leaves a file `{file}`: correct `take`")]
    Absent {
        /// The command.
        command: String,
        /// The file.
        file: String,
    },
    /// The search did not finish.
    #[error("the exploration of `{command}` did not finish within its limits: {why}")]
    Unended {
        /// The command.
        command: String,
        /// Why not.
        why: String,
    },
}

/// How long a measurement of a part, or the search of a program part, may take, in seconds. An exploration is given time
/// to finish, even on a busy machine.
pub fn patience(part: &Part) -> f64 {
    let explores = part.kind == Kind::Program || !part.explore.is_empty();
    if explores { part.limits.seconds.max(LEAST) } else { part.limits.seconds }
}

/// Measures the truth of a part as often as the card says.
///
/// # Errors
/// [`TruthError`].
pub fn measure(
    supervisor: &Supervisor,
    part: &Part,
    material: &Files,
    variant: &Variant,
) -> Result<Vec<Answer>, TruthError> {
    if part.explore.is_empty() {
        by_command(supervisor, part, material, variant)
    } else {
        by_exploration(supervisor, part, material, variant)
    }
}

fn by_command(
    supervisor: &Supervisor,
    part: &Part,
    material: &Files,
    variant: &Variant,
) -> Result<Vec<Answer>, TruthError> {
    let argv = variant.fill_all(&part.command);
    let runs = part.runs.unwrap_or(1) as usize;
    let steps = vec![Step::new(argv.clone(), part.limits); runs];
    let all = run(supervisor, Job { files: material.clone(), steps, enclosed: false })?;
    let command = argv.join(" ");
    let take = part.take.as_ref().map_or("stdout", |take| take.get_ref().as_str());
    all.iter().map(|ran| taken(ran, take, part.kind, &command)).collect()
}

fn taken(ran: &Ran, take: &str, kind: Kind, command: &str) -> Result<Answer, TruthError> {
    let failed = |how: String| TruthError::Failed { command: command.to_owned(), how };
    if let Some(cut) = ran.cut {
        return Err(failed(format!("was ended: {}", in_words(cut))));
    }
    let text = match take {
        "exit" => ran.status.map_or_else(String::new, |status| status.to_string()),
        // proclab exits with 3 if it found an invariant broken, which may be the truth that is asked for.
        _ if ran.status == Some(0) || take.starts_with("json:") && ran.status == Some(3) => {
            match take.strip_prefix("json:") {
                None => ran.text(),
                Some(pointer) => {
                    let value: Value = serde_json::from_slice(&ran.stdout)
                        .map_err(|error| failed(format!("did not write JSON: {error}")))?;
                    let mut found = Vec::new();
                    select(&value, pointer.trim_start_matches('/'), &mut found);
                    found.join("\n")
                }
            }
        }
        _ => {
            let said = String::from_utf8_lossy(&ran.stderr);
            let last = said.lines().last().unwrap_or_default();
            return Err(failed(format!("ended with status {}: {last}", ran.status.unwrap_or(-1))));
        }
    };
    Answer::parse(kind, &text).map_err(|why| TruthError::NoAnswer {
        command: command.to_owned(),
        said: text.chars().take(80).collect(),
        why,
    })
}

fn in_words(cut: Cut) -> String {
    match cut {
        Cut::Time(seconds) => format!("it took more than {seconds} s"),
        Cut::Output(kib) => format!("it wrote more than {kib} KiB"),
        Cut::Processes(most) => format!("it had more than {most} processes"),
        Cut::Memory(mib) => format!("it used more than {mib} MiB of memory"),
        Cut::Disk(mib) => format!("it wrote more than {mib} MiB of files"),
        Cut::Interfered => "it killed the process that ran it".to_owned(),
    }
}

/// Collects the values at a JSON pointer in which `*` stands for every element.
fn select(value: &Value, pointer: &str, found: &mut Vec<String>) {
    let (head, rest) = pointer.split_once('/').map_or((pointer, ""), |(head, rest)| (head, rest));
    match (head, value) {
        ("", Value::String(text)) => found.push(text.clone()),
        ("", Value::Array(all)) => all.iter().for_each(|one| select(one, "", found)),
        ("", value) => found.push(value.to_string()),
        ("*", Value::Array(all)) => all.iter().for_each(|one| select(one, rest, found)),
        ("*", Value::Object(all)) => all.values().for_each(|one| select(one, rest, found)),
        (key, Value::Object(all)) => all.get(key).into_iter().for_each(|one| select(one, rest, found)),
        (key, Value::Array(all)) => {
            key.parse::<usize>()
                .ok()
                .and_then(|at| all.get(at))
                .into_iter()
                .for_each(|one| select(one, rest, found));
        }
        _ => {}
    }
}

fn by_exploration(
    supervisor: &Supervisor,
    part: &Part,
    material: &Files,
    variant: &Variant,
) -> Result<Vec<Answer>, TruthError> {
    let argv = resolved(&variant.fill_all(&part.explore));
    let criteria = Criteria::default();
    let limits = Limits { seconds: patience(part), ..part.limits };
    let aim = Aim::Outcomes { executions: part.executions };
    let (_, findings) = explore(supervisor, material, &argv, &criteria, &limits, aim)?;
    if !findings.ended {
        let why =
            findings.uncontrolled.keys().next().cloned().unwrap_or_else(|| "too many schedules".to_owned());
        return Err(TruthError::Unended { command: argv.join(" "), why });
    }
    let take = part.take.as_ref().map_or("stdout", |take| take.get_ref().as_str());
    let takes_end = matches!(take, "exit" | "verdict");
    let fails = |found: &Found| !takes_end && matches!(found.outcome.root(), End::Exited(1..));
    if let Some(first) = findings.outcomes.first().filter(|_| findings.outcomes.iter().all(fails)) {
        let written: Vec<u8> = first.outcome.written(1).into_values().flatten().collect();
        let said = String::from_utf8_lossy(&written).trim().lines().last().map(str::to_owned);
        let end = first.outcome.root().to_string();
        return Err(TruthError::Fails { command: argv.join(" "), end, said });
    }
    if let Some(file) = take.strip_prefix("file:")
        && findings.outcomes.iter().all(|found| entry(&found.outcome, file).is_none())
    {
        return Err(TruthError::Absent { command: argv.join(" "), file: file.to_owned() });
    }
    Ok(vec![of_findings(&findings, take, part.kind)])
}

fn of_findings(findings: &Findings, take: &str, kind: Kind) -> Answer {
    match take {
        "outcomes" => return Answer::Number(findings.outcomes.len() as f64),
        "classes" => return Answer::Number(findings.classes as f64),
        _ => {}
    }
    let values: BTreeSet<String> = findings.outcomes.iter().map(|found| value(found, take)).collect();
    match kind {
        Kind::Set => Answer::Set(values),
        Kind::Number => Answer::Number(values.len() as f64),
        // The first outcome is the most surprising one.
        _ => {
            let first = findings.outcomes.first().map(|found| value(found, take)).unwrap_or_default();
            Answer::parse(kind, &first).unwrap_or(Answer::Choose(first))
        }
    }
}

/// The text that stands for an outcome.
fn value(found: &Found, take: &str) -> String {
    let outcome = &found.outcome;
    match take {
        "exit" => match outcome.root() {
            End::Exited(code) => code.to_string(),
            end => end.to_string(),
        },
        "verdict" => Criteria::default().judge(outcome, None).0.to_string(),
        _ => match take.strip_prefix("file:") {
            Some(name) => file(outcome, name),
            None => {
                let written: Vec<u8> = outcome.written(0).into_values().flatten().collect();
                let text = String::from_utf8_lossy(&written);
                let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                if outcome.deadlock.is_empty() { lines.join(" ") } else { "deadlock".to_owned() }
            }
        },
    }
}

fn entry<'o>(outcome: &'o Outcome, name: &str) -> Option<&'o FileKind> {
    outcome.files.get(std::path::Path::new(name)).map(|entry| &entry.kind)
}

fn file(outcome: &Outcome, name: &str) -> String {
    match entry(outcome, name) {
        Some(FileKind::File(bytes)) if bytes.is_empty() => "empty".to_owned(),
        Some(FileKind::File(bytes)) => {
            String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
        }
        Some(_) => "no file".to_owned(),
        None => "missing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_with_a_star_finds_every_value() {
        let value: Value = serde_json::from_str(
            r#"{"outcomes": [{"verdict": "ok", "n": 3}, {"verdict": "oversold", "n": 4}]}"#,
        )
        .unwrap();
        let found = |pointer: &str| {
            let mut found = Vec::new();
            select(&value, pointer, &mut found);
            found.join(",")
        };
        assert_eq!(found("outcomes/*/verdict"), "ok,oversold");
        assert_eq!(found("outcomes/1/n"), "4");
        assert_eq!(found("outcomes/7/n"), "");
    }
}
