//! The record of a run, as plain data: the same for text, JSON and pages.

use crate::sys::pid::Pid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::verdict::Verdict;
use crate::observe::notes::{Fact, Note};
use crate::process::{Exit, Handle};
use crate::said::Said;
use crate::sys::clock::monotonic_ns;

/// A whole run: its parameters, processes, events and verdict.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Record {
    /// The scenario's name.
    pub scenario: String,
    /// Its parameters, including the seed: the same value gives the same decisions.
    pub parameters: serde_json::Value,
    /// Every process that was started, in order.
    pub processes: Vec<ProcessRecord>,
    /// What happened, in chronological order.
    pub events: Vec<Event>,
    /// The fields of this scenario.
    #[serde(flatten)]
    pub detail: Detail,
    /// The worst verdict of its runs.
    pub verdict: Verdict,
    /// The sentences of the summary.
    #[serde(serialize_with = "sentences")]
    #[schemars(with = "Vec<Said>")]
    pub summary: Summary,
}

/// The field of a lesson's record.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProofRecord {
    /// The claim, and whether it held.
    pub proof: Proof,
}

/// The fields of one scenario.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Detail(Map<String, Value>);

impl Detail {
    /// The fields of a struct.
    pub fn of(fields: &impl Serialize) -> Detail {
        match serde_json::to_value(fields) {
            Ok(Value::Object(fields)) => Detail(fields),
            _ => Detail::default(),
        }
    }
}

/// The summary at the end of a run: a table, and lines below it.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The table.
    pub table: Option<Table>,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A summary as its sentences: the numbers of its table are fields of the record.
fn sentences<S: Serializer>(summary: &Summary, serializer: S) -> Result<S::Ok, S::Error> {
    let sentences = summary.lines.iter().filter_map(|line| match line {
        Line::Text(said) | Line::Verdict(_, said) => Some(said.clone()),
        Line::Proof(proof) => Some(match &proof.seen {
            Some(seen) => proof.claim.clone().quoting(seen),
            None => proof.claim.clone(),
        }),
        Line::Series { .. } => None,
    });
    serializer.collect_seq(sentences)
}

/// A table with a header row.
#[derive(Debug, Clone)]
pub struct Table {
    /// The names of its columns.
    pub head: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub enum Cell {
    /// A word.
    Text(String),
    /// A number, with its unit.
    Number(String),
    /// A verdict.
    Verdict(Verdict),
}

/// A line of a summary.
#[derive(Debug, Clone)]
pub enum Line {
    /// A sentence.
    Text(Said),
    /// A verdict and the evidence for it.
    Verdict(Verdict, Said),
    /// The result of a lesson.
    Proof(Proof),
    /// How a value changed over the run.
    Series {
        /// The name of the value.
        name: String,
        /// Its values, in chronological order.
        values: Vec<usize>,
    },
}

/// The claim of a lesson, and whether the run has shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// The claim.
    #[serde(flatten)]
    pub claim: Said,
    /// Whether it held.
    pub holds: bool,
    /// What was seen instead, if it did not hold.
    pub seen: Option<String>,
}

/// An action or an observation of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The time, in nanoseconds of `CLOCK_MONOTONIC`, the same clock for all processes.
    pub at_ns: u64,
    /// Which of the record's runs it belongs to, counted from 0.
    pub run: usize,
    /// The name of the process.
    pub process: String,
    /// Its PID.
    pub pid: Pid,
    /// The PID of its parent at that moment.
    pub ppid: Pid,
    /// What it did, in one word.
    pub what: String,
    /// What it saw or did, in words.
    pub text: String,
    /// What it did, for programs: locks and messages; null for all else.
    pub fact: Option<Fact>,
}

impl Event {
    /// Whether it is of interest to `watch` only: in text, the event that follows says the same.
    pub fn is_for_watchers(&self) -> bool {
        matches!(self.fact, Some(Fact::Taken(_)))
    }

    /// The event as a note for a watching `proclab`.
    pub fn note(&self) -> Note {
        Note {
            at_ns: self.at_ns,
            pid: self.pid,
            process: self.process.clone(),
            what: self.what.clone(),
            text: self.text.clone(),
            fact: self.fact.clone(),
        }
    }

    /// The event with its fact for programs.
    pub fn with_fact(self, fact: Fact) -> Event {
        Event { fact: Some(fact), ..self }
    }

    /// An event of the calling process, now.
    pub fn now(process: &str, what: &str, text: impl Into<String>) -> Event {
        Event {
            at_ns: monotonic_ns(),
            run: 0,
            process: process.to_owned(),
            pid: Pid::this(),
            ppid: Pid::parent(),
            what: what.to_owned(),
            text: text.into(),
            fact: None,
        }
    }
}

/// A process that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessRecord {
    /// Its name.
    pub name: String,
    /// Its PID.
    pub pid: Pid,
    /// Its parent's PID when it began.
    pub ppid: Pid,
    /// `spawn`, `fork` or `forkserver`.
    pub start_method: String,
    /// Whether it was a daemon.
    pub daemon: bool,
    /// Which of the record's runs it belongs to, counted from 0.
    pub run: usize,
    /// How it ended; null while it lives.
    pub exit: Option<ExitRecord>,
}

impl ProcessRecord {
    /// The current state of a child.
    pub fn of(child: &Handle, run: usize) -> ProcessRecord {
        ProcessRecord {
            name: child.name().to_owned(),
            pid: child.pid(),
            ppid: child.ppid(),
            start_method: child.start_method().to_string(),
            daemon: child.is_daemon(),
            run,
            exit: child.exit().map(ExitRecord::from),
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExitRecord {
    /// The code, if it exited.
    pub code: Option<i32>,
    /// The signal's name, if one ended it.
    pub signal: Option<String>,
    /// Whether there was a core dump.
    pub core_dumped: bool,
    /// The number that Python's `exitcode` gives; null if another process reaped it.
    pub python: Option<i32>,
}

impl From<Exit> for ExitRecord {
    fn from(exit: Exit) -> Self {
        let (code, signal, core_dumped) = match exit {
            Exit::Code(code) => (Some(code), None, false),
            Exit::Signal { signal, core_dumped } => (None, Some(signal.to_string()), core_dumped),
            Exit::Stolen => (None, None, false),
        };
        ExitRecord { code, signal, core_dumped, python: exit.python() }
    }
}
