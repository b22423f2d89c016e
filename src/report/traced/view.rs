//! The data: what an exploration of a command found, as it is published in JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explore::traced::{Checked, Criteria, Findings, Found, Kind, Outcome, Verdict, Why, WitnessStep};
use crate::said::Said;

/// What an exploration of a command found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedExploration {
    /// The command.
    pub command: Vec<String>,
    /// Whether one schedule of every class was executed and everything was under control.
    pub complete: bool,
    /// Whether the search came to its end, whatever was not under control.
    pub ended: bool,
    /// Why it is not complete, a reason each; empty if it is.
    pub bounded_by: Vec<String>,
    /// What was not under control.
    pub uncontrolled: Vec<Uncontrolled>,
    /// Executions carried out to their end, those by chance included.
    pub executions: u64,
    /// Executions whose schedule was drawn by chance, before the search.
    pub sampled: u64,
    /// Executions given up because all that was left had been executed elsewhere.
    pub given_up: u64,
    /// Classes of equivalent schedules seen.
    pub classes: u64,
    /// Schedules that these classes hold; null if there are too many to count.
    pub schedules: Option<u64>,
    /// Outcomes that are deadlocks.
    pub deadlocks: u64,
    /// How long it took.
    pub seconds: f64,
    /// The outcomes, the most surprising first.
    pub outcomes: Vec<TracedOutcome>,
}

/// Something that was not under control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Uncontrolled {
    /// What.
    pub what: String,
    /// How often it occurred.
    pub count: u64,
}

/// One outcome.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedOutcome {
    /// `deadlock`, `crashed`, `check-failed`, `outlived`, `cut-short` or `ok`.
    #[schemars(with = "String")]
    pub verdict: Verdict,
    /// Why, if it is not `ok`.
    pub why: Option<Said>,
    /// How each process ended, by its place in the tree: the exit status, a signal's number made negative, or
    /// null for one that had not ended.
    pub exit: BTreeMap<String, Option<i32>>,
    /// Standard output by process.
    pub stdout: BTreeMap<String, String>,
    /// Standard error by process.
    pub stderr: BTreeMap<String, String>,
    /// The files that were left, by path, without those that are called noise.
    pub files: BTreeMap<String, TracedFile>,
    /// Who waits for what, and who holds it.
    pub deadlock: Vec<TracedWait>,
    /// What the check wrote, if one was run.
    pub check: Option<String>,
    /// Executions that ended so.
    pub executions: u64,
    /// Classes that end so.
    pub classes: u64,
    /// Schedules in these classes; null if there are too many to count.
    pub schedules: Option<u64>,
    /// What `proclab replay` follows.
    pub token: String,
    /// How often the witness changes from one process to another.
    pub switches: usize,
    /// The steps.
    pub witness: Vec<TracedStep>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracedFile {
    /// `file`, `folder`, `link`, `fifo` or `other`.
    pub kind: String,
    /// Permission bits.
    pub mode: u32,
    /// Bytes; 0 for what is no regular file.
    pub size: u64,
    /// The content, if it is short and text; a link's target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of other content, a hash (BLAKE3, in hexadecimal digits).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// A process that waits for ever.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedWait {
    /// The process or thread, by its place in the tree.
    pub task: String,
    /// The call in which it waits.
    pub call: String,
    /// What it waits for.
    pub object: String,
    /// Who holds that.
    pub held_by: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracedStep {
    /// The process or thread, by its place in the tree.
    pub task: String,
    /// The call.
    pub call: String,
    /// What it is about.
    pub object: String,
    /// Whether the process was killed there instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kill: bool,
    /// The source line, as `program.c:12`, if the program has debugging information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Whether it only passed a place between two calls, where a signal handler could have run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub between_calls: bool,
}

impl TracedStep {
    /// The step as a schedule names it.
    pub fn choice(&self) -> String {
        let Self { task, call, object, kill, line, between_calls } = self.clone();
        WitnessStep { task, words: call, object, kill, line, between_calls }.choice()
    }
}

/// What a replay showed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TracedReplay {
    /// The command.
    pub command: Vec<String>,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: TracedOutcome,
}

/// How often an outcome was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Executions.
    pub executions: u64,
    /// Classes.
    pub classes: u64,
    /// Schedules, if they can be counted.
    pub schedules: Option<u64>,
    /// Switches of the witness.
    pub switches: usize,
}

/// The longest content that is told, in bytes.
const SHORT: usize = 4096;

impl TracedExploration {
    /// The view of `findings`, judged by `criteria`; `token` makes the token of a schedule.
    pub fn new(
        command: &[String],
        findings: &Findings,
        criteria: &Criteria,
        token: impl Fn(&Found) -> String,
        seconds: f64,
    ) -> Self {
        let uncontrolled = findings
            .uncontrolled
            .iter()
            .map(|(what, count)| Uncontrolled { what: what.clone(), count: *count });
        let mut view = Self {
            command: command.to_vec(),
            complete: findings.complete,
            ended: findings.ended,
            bounded_by: Vec::new(),
            uncontrolled: uncontrolled.collect(),
            executions: findings.executions + findings.sampled,
            sampled: findings.sampled,
            given_up: findings.given_up,
            classes: findings.classes,
            schedules: findings
                .outcomes
                .iter()
                .try_fold(0_u64, |sum, found| sum.checked_add(found.schedules?)),
            deadlocks: 0,
            seconds,
            outcomes: findings
                .outcomes
                .iter()
                .map(|found| TracedOutcome::of(found, criteria, token(found)))
                .collect(),
        };
        if criteria.expect_same {
            view.tell_apart();
        }
        // The most surprising first: what is wrong, and of that what is rarest.
        view.outcomes.sort_by_key(|outcome| (outcome.verdict, outcome.classes, outcome.executions));
        let is_deadlock = |outcome: &&TracedOutcome| outcome.verdict == Verdict::Deadlock;
        view.deadlocks = view.outcomes.iter().filter(is_deadlock).count() as u64;
        if !view.ended {
            view.bounded_by.push("the search did not come to its end".to_owned());
        }
        let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
        view.bounded_by.extend(
            view.uncontrolled
                .iter()
                .map(|it| format!("not under control: {} ({})", it.what, times(it.count))),
        );
        view
    }

    /// Where all outcomes should be one, each but the most frequent is wrong.
    fn tell_apart(&mut self) {
        let usual = (0..self.outcomes.len()).max_by_key(|at| self.outcomes[*at].frequency());
        for (at, outcome) in self.outcomes.iter_mut().enumerate() {
            if Some(at) != usual && outcome.verdict == Verdict::Ok {
                outcome.verdict = Verdict::CheckFailed;
                outcome.why = Some(Why::NotTheSame.into());
            }
        }
    }

    /// Whether every outcome is right.
    pub fn is_right(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.verdict == Verdict::Ok)
    }

    /// The outcome with which others are compared: the most frequent of those that are right, or of all.
    pub fn usual(&self) -> Option<&TracedOutcome> {
        self.outcomes.iter().max_by_key(|outcome| (outcome.verdict == Verdict::Ok, outcome.frequency()))
    }
}

impl TracedOutcome {
    /// The view of an outcome that was found.
    pub fn of(found: &Found, criteria: &Criteria, token: String) -> Self {
        let counts = Counts {
            executions: found.executions,
            classes: found.classes,
            schedules: found.schedules,
            switches: found.switches,
        };
        Self::new(&found.outcome, found.checked.as_ref(), criteria, counts, token, &found.witness)
    }

    /// The view of an outcome.
    pub fn new(
        outcome: &Outcome,
        checked: Option<&Checked>,
        criteria: &Criteria,
        counts: Counts,
        token: String,
        witness: &[WitnessStep],
    ) -> Self {
        let (verdict, why) = criteria.judge(outcome, checked);
        let words = |stream| {
            let written = outcome.written(stream);
            let words = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
            let mut words: BTreeMap<String, String> =
                written.iter().map(|(task, bytes)| (task.clone(), words(bytes))).collect();
            // So that a program that reads it need not ask whether it is there.
            words.entry("root".to_owned()).or_default();
            words
        };
        let step = |step: &WitnessStep| TracedStep {
            task: step.task.clone(),
            call: step.words.clone(),
            object: step.object.clone(),
            kill: step.kill,
            line: step.line.clone(),
            between_calls: step.between_calls,
        };
        Self {
            verdict,
            why,
            exit: outcome.ends.iter().map(|(task, end)| (task.clone(), end.code())).collect(),
            stdout: words(0),
            stderr: words(1),
            files: outcome
                .files
                .iter()
                .map(|(path, entry)| (path.display().to_string(), TracedFile::new(entry.mode, &entry.kind)))
                .collect(),
            deadlock: outcome
                .deadlock
                .iter()
                .map(|wait| TracedWait {
                    task: wait.task.clone(),
                    call: wait.call.clone(),
                    object: wait.object.clone(),
                    held_by: wait.holders.clone(),
                })
                .collect(),
            check: checked.map(|checked| checked.output.clone()),
            executions: counts.executions,
            classes: counts.classes,
            schedules: counts.schedules,
            token,
            switches: counts.switches,
            witness: witness.iter().map(step).collect(),
        }
    }

    /// How frequent it is: by schedules, and where these cannot be counted by what was executed.
    fn frequency(&self) -> (u64, u64, u64) {
        (self.schedules.unwrap_or(u64::MAX), self.classes, self.executions)
    }
}

impl TracedFile {
    fn new(mode: u32, kind: &Kind) -> Self {
        let of = |kind: &str| Self { kind: kind.to_owned(), mode, size: 0, text: None, hash: None };
        match kind {
            Kind::Directory => of("folder"),
            Kind::Fifo => of("fifo"),
            Kind::Other => of("other"),
            Kind::Link(to) => Self { text: Some(to.clone()), ..of("link") },
            Kind::File(content) => {
                let text = (content.len() <= SHORT).then(|| std::str::from_utf8(content).ok()).flatten();
                let hash = text.is_none().then(|| blake3::hash(content).to_hex().to_string());
                Self { size: content.len() as u64, text: text.map(ToOwned::to_owned), hash, ..of("file") }
            }
        }
    }

    /// What it is, in a few words.
    pub(super) fn shown(&self) -> String {
        match (self.kind.as_str(), &self.text, &self.hash) {
            ("link", Some(to), _) => format!("a link to {to}"),
            ("file", Some(text), _) if text.is_empty() => "an empty file".to_owned(),
            ("file", ..) => format!("a file of {} bytes", self.size),
            (kind, ..) => format!("a {kind}"),
        }
    }
}
