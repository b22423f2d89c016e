//! What an exploration of any program found: outcomes, each with what it left behind and a witness.

use std::collections::BTreeMap;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explore::traced::{End, Findings, Found, Kind, WitnessStep};

/// What an exploration of a command found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedExploration {
    /// The command.
    pub command: Vec<String>,
    /// Whether one schedule of every class was executed and everything was under control.
    pub complete: bool,
    /// Whether the search came to its end, whatever was not under control.
    pub ended: bool,
    /// What was not under control, and how often.
    pub uncontrolled: BTreeMap<String, u64>,
    /// Executions carried out to their end.
    pub executions: u64,
    /// Executions given up because the rest was known.
    pub given_up: u64,
    /// Classes of equivalent schedules seen.
    pub classes: u64,
    /// Schedules that these classes hold; null if there are too many to count.
    pub schedules: Option<u64>,
    /// Outcomes that are deadlocks.
    pub deadlocks: u64,
    /// The outcomes, the most surprising first.
    pub outcomes: Vec<TracedOutcome>,
}

/// One outcome.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedOutcome {
    /// `ok`, `deadlock`, `crashed`, `outlived`, `cut-short`.
    pub verdict: String,
    /// How each process ended, by its place in the tree: `exit 0`, `signal 11`, `left`.
    pub exit: BTreeMap<String, String>,
    /// Standard output by process.
    pub stdout: BTreeMap<String, String>,
    /// Standard error by process.
    pub stderr: BTreeMap<String, String>,
    /// The files that were left, by path.
    pub files: BTreeMap<String, TracedFile>,
    /// Who waits for what, and who holds it.
    pub deadlock: Vec<String>,
    /// Executions that ended so.
    pub executions: u64,
    /// Classes that end so.
    pub classes: u64,
    /// Schedules in these classes.
    pub schedules: Option<u64>,
    /// What `proclab replay` follows.
    pub token: String,
    /// The steps.
    pub witness: Vec<TracedStep>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracedFile {
    /// Permission bits.
    pub mode: u32,
    /// Bytes; 0 for what is no regular file.
    pub size: u64,
    /// The content, if it is short; a link's target; or what it is.
    pub text: String,
}

/// A step.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedStep {
    /// The process or thread, by its place in the tree.
    pub task: String,
    /// The call.
    pub call: String,
}

/// The longest content that is shown.
const SHORT: usize = 4096;

impl TracedExploration {
    /// The view of `findings`; `token` makes the token of a schedule.
    pub fn new(command: &[String], findings: &Findings, token: impl Fn(&[WitnessStep]) -> String) -> Self {
        let mut schedules = findings.outcomes.iter().map(|found| found.schedules);
        Self {
            command: command.to_vec(),
            complete: findings.complete,
            ended: findings.ended,
            uncontrolled: findings.uncontrolled.clone(),
            executions: findings.executions,
            given_up: findings.given_up,
            classes: findings.classes,
            schedules: schedules.try_fold(0_u64, |sum, next| Some(sum.saturating_add(next?))),
            deadlocks: findings.outcomes.iter().filter(|found| !found.outcome.deadlock.is_empty()).count()
                as u64,
            outcomes: findings
                .outcomes
                .iter()
                .map(|found| TracedOutcome::new(found, token(&found.witness)))
                .collect(),
        }
    }

    /// Whether an outcome is a finding by itself.
    pub fn is_suspicious(&self) -> bool {
        self.outcomes.iter().any(|outcome| outcome.verdict != "ok")
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.command.join(" "));
        let word = if self.complete { "complete" } else { "bounded" };
        let _ = writeln!(
            text,
            "{word}: {} executions, {} classes of schedules, {} different outcomes",
            self.executions,
            self.classes,
            self.outcomes.len()
        );
        if let Some(schedules) = self.schedules.filter(|_| self.complete) {
            let _ = writeln!(text, "the classes hold {schedules} schedules");
        }
        if !self.ended {
            text.push_str("  the search did not come to its end\n");
        }
        for (what, count) in &self.uncontrolled {
            let _ = writeln!(text, "  not under control: {what} ({count} times)");
        }
        let first = self.outcomes.last();
        for (number, outcome) in self.outcomes.iter().enumerate() {
            let _ = write!(text, "\noutcome {}: {}", number + 1, outcome.text(first));
        }
        text
    }
}

impl TracedOutcome {
    /// The view of one outcome.
    pub fn new(found: &Found, token: String) -> Self {
        let outcome = &found.outcome;
        let words = |streams: &BTreeMap<String, Vec<u8>>| {
            let words = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
            streams.iter().map(|(task, bytes)| (task.clone(), words(bytes))).collect()
        };
        let verdict = if outcome.cut.is_some() {
            "cut-short"
        } else if !outcome.deadlock.is_empty() {
            "deadlock"
        } else if outcome.ends.values().any(|end| matches!(end, End::Signal(_))) {
            "crashed"
        } else if outcome.ends.values().any(|end| *end == End::Left) {
            "outlived"
        } else {
            "ok"
        };
        let exit = |end: &End| match end {
            End::Exited(code) => format!("exit {code}"),
            End::Signal(signal) => format!("signal {signal}"),
            End::Left => "left".to_owned(),
        };
        let mut deadlock: Vec<String> = outcome
            .deadlock
            .iter()
            .map(|wait| {
                let held = if wait.holders.is_empty() {
                    String::new()
                } else {
                    format!(", held by {}", wait.holders.join(", "))
                };
                format!("{} waits in {} for {}{held}", wait.task, wait.call, wait.object)
            })
            .collect();
        deadlock.extend(outcome.cut.clone());
        Self {
            verdict: verdict.to_owned(),
            exit: outcome.ends.iter().map(|(task, end)| (task.clone(), exit(end))).collect(),
            stdout: words(&outcome.stdout),
            stderr: words(&outcome.stderr),
            files: outcome
                .files
                .iter()
                .map(|(path, entry)| {
                    let (size, text) = match &entry.kind {
                        Kind::File(content) if content.len() <= SHORT => {
                            (content.len(), String::from_utf8_lossy(content).into_owned())
                        }
                        Kind::File(content) => (content.len(), "(long)".to_owned()),
                        Kind::Link(to) => (0, format!("-> {to}")),
                        Kind::Directory => (0, "(folder)".to_owned()),
                        Kind::Fifo => (0, "(named pipe)".to_owned()),
                        Kind::Other => (0, "(other)".to_owned()),
                    };
                    (path.display().to_string(), TracedFile { mode: entry.mode, size: size as u64, text })
                })
                .collect(),
            deadlock,
            executions: found.executions,
            classes: found.classes,
            schedules: found.schedules,
            token,
            witness: found
                .witness
                .iter()
                .map(|step| TracedStep { task: step.task.clone(), call: step.words.clone() })
                .collect(),
        }
    }

    /// For people: how it differs from `usual`, the witness, and how to see it again.
    pub fn text(&self, usual: Option<&Self>) -> String {
        let mut text =
            format!("{}: {} executions, {} classes\n", self.verdict, self.executions, self.classes);
        for line in &self.deadlock {
            let _ = writeln!(text, "  {line}");
        }
        for (task, end) in self.exit.iter().filter(|(_, end)| *end != "exit 0") {
            let _ = writeln!(text, "  {task}: {end}");
        }
        for (name, streams) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            for (task, bytes) in streams {
                let short: String = bytes.chars().take(200).collect();
                let more = if short.len() < bytes.len() { ", and more" } else { "" };
                let _ = writeln!(text, "  {name} of {task}: {short:?}{more}");
            }
        }
        let other = usual.filter(|usual| usual.token != self.token).map(|usual| &usual.files);
        for (path, file) in &self.files {
            if other.is_none_or(|files| files.get(path) != Some(file)) {
                let short: String = file.text.chars().take(200).collect();
                let _ = writeln!(text, "  {path}: {short:?}");
            }
        }
        for path in other.into_iter().flat_map(BTreeMap::keys).filter(|path| !self.files.contains_key(*path))
        {
            let _ = writeln!(text, "  {path}: missing");
        }
        let width = self.witness.iter().map(|step| step.task.len()).max().unwrap_or(0);
        for (number, step) in self.witness.iter().enumerate() {
            let _ = writeln!(text, "  {:>3}  {:width$}  {}", number + 1, step.task, step.call);
        }
        let _ = writeln!(text, "again: proclab replay '{}' -- the same command", self.token);
        text
    }
}
