//! The result of marking: plain data, worded in either language where it is shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::question::Kind;
use super::score::Row;

/// A whole lab, marked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LabMark {
    /// The lab's name.
    pub lab: String,
    /// Its title in the language of the report.
    pub title: String,
    /// Whose answers these are.
    pub student: String,
    /// Points.
    pub score: f64,
    /// The points for full marks.
    pub max: u32,
    /// The parts, in order.
    pub parts: Vec<PartMark>,
    /// What is wrong with `answers.toml`.
    pub answers: Vec<Misread>,
}

impl LabMark {
    /// Whether every part is right.
    pub fn is_full(&self) -> bool {
        self.parts.iter().all(|part| part.state == State::Right)
    }
}

/// A place in `answers.toml` that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Misread {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

/// The state of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All of it is right.
    Right,
    /// Some of it is.
    Partly,
    /// None of it is.
    Wrong,
    /// There is no answer.
    Open,
    /// It could not be marked.
    Failed,
}

/// One part, marked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PartMark {
    /// Its name.
    pub id: String,
    /// Its title in the language of the report.
    pub title: String,
    /// Its kind.
    pub kind: Kind,
    /// Points.
    pub score: f64,
    /// The points for full marks.
    pub max: u32,
    /// Its state.
    pub state: State,
    /// Predictions beside measurements.
    pub rows: Vec<Row>,
    /// Tests of a program.
    pub tests: Vec<TestMark>,
    /// A schedule under which a program is wrong.
    pub schedule: Option<BadSchedule>,
    /// Remarks.
    pub notes: Vec<Note>,
    /// How long each run and search took. It differs from one marking to the next, so it is not part of the result.
    #[serde(skip)]
    pub times: Vec<Timing>,
}

/// How long a run or a search took, and how long it may take.
#[derive(Clone, Debug)]
pub struct Timing {
    /// What ran.
    pub what: String,
    /// Seconds that it took.
    pub took: f64,
    /// Seconds that it may take.
    pub limit: f64,
}

impl PartMark {
    /// A part without an answer.
    pub fn open(id: &str, title: &str, kind: Kind, max: u32) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            kind,
            score: 0.0,
            max,
            state: State::Open,
            rows: Vec::new(),
            tests: Vec::new(),
            schedule: None,
            notes: Vec::new(),
            times: Vec::new(),
        }
    }

    /// Sets points and state: `fraction` of it is right.
    pub fn score(&mut self, fraction: f64) {
        let fraction = fraction.clamp(0.0, 1.0);
        // Two decimals, so that a sum is what a person gets by adding.
        self.score = (fraction * f64::from(self.max) * 100.0).round() / 100.0;
        self.state = match fraction {
            1.0 => State::Right,
            0.0 => State::Wrong,
            _ => State::Partly,
        };
    }
}

/// A test of a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestMark {
    /// What it shows.
    pub name: String,
    /// The same in Chinese, where the lab has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zh: Option<String>,
    /// Why it failed; `None` if it passed.
    pub failed: Option<Reason>,
}

/// Why a run of a program is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Reason {
    /// It had another exit status than expected.
    Status {
        /// The exit status that was expected.
        expected: i32,
        /// What it ended with.
        found: String,
        /// What it wrote to standard error, or to standard output if that is empty.
        stderr: String,
    },
    /// It wrote something else.
    Output {
        /// What was expected.
        expected: String,
        /// What it wrote.
        found: String,
    },
    /// The lab's check does not pass.
    Check {
        /// What the check said.
        said: String,
    },
    /// It exceeded a limit and was ended.
    Bound {
        /// The limit.
        bound: Bound,
        /// Its value.
        most: f64,
    },
    /// It killed the process that ran it.
    Interfered,
    /// It left processes behind; they were killed.
    Left {
        /// How many.
        processes: usize,
    },
}

/// A limit that a program exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Seconds.
    Time,
    /// KiB of output.
    Output,
    /// Processes at once.
    Processes,
    /// MiB of memory.
    Memory,
    /// MiB of files.
    Disk,
}

/// The shortest schedule found under which a program is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BadSchedule {
    /// The verdict: `deadlock`, `crashed`, `check-failed`, `outlived`, `cut-short`.
    pub verdict: String,
    /// Why that is so.
    pub why: String,
    /// The number of switches from one process to another.
    pub switches: usize,
    /// The steps.
    pub steps: Vec<BadStep>,
    /// How many further steps are left out, because they repeat these or are too many.
    #[serde(default)]
    pub left_out: usize,
    /// The command that replays it in the student's folder.
    pub replay: String,
}

/// A step of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BadStep {
    /// The process, by its place in the tree.
    pub task: String,
    /// The call.
    pub call: String,
    /// Whether the process was killed before it.
    #[serde(default)]
    pub killed: bool,
    /// The source line, as `sale.c:12`, if the program has debugging information.
    #[serde(default)]
    pub line: Option<String>,
    /// What the student's file says there.
    #[serde(default)]
    pub source: Option<String>,
}

/// A remark on a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "note")]
pub enum Note {
    /// Part of it varies from run to run, and does not count.
    Varies,
    /// The truth could not be measured here.
    NotMeasured {
        /// Why.
        why: String,
    },
    /// A program that the lab needs is not installed.
    Missing {
        /// Its name.
        program: String,
    },
    /// The student's file does not exist.
    NoFile {
        /// Its name.
        file: String,
    },
    /// The student's file cannot be read.
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        why: String,
    },
    /// This file was marked.
    Marked {
        /// Its name.
        file: String,
    },
    /// It does not compile.
    NotBuilt {
        /// What the compiler said.
        said: String,
        /// Why the compiler was ended, if it was: a program can be too much for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<Reason>,
    },
    /// No schedule is wrong: all were executed.
    Proved {
        /// Executions.
        executions: u64,
    },
    /// No executed schedule is wrong, but not all were executed.
    Bounded {
        /// Executions.
        executions: u64,
        /// What could not be controlled, if that is the reason.
        uncontrolled: Vec<String>,
    },
    /// It was not explored, because its tests fail.
    NotExplored,
    /// The explorer could not run it.
    ExplorerFailed {
        /// Why.
        why: String,
    },
    /// The goal was reached.
    Reached {
        /// The number of switches.
        switches: usize,
        /// The fewest with which it can be reached.
        shortest: usize,
        /// The most that get full marks.
        most: usize,
    },
    /// Another outcome was reached.
    NotReached {
        /// The outcome.
        verdict: String,
        /// The goal.
        goal: String,
    },
    /// A process could not continue where the schedule says so.
    CannotGoOn {
        /// The number of the step, counted from 1.
        step: usize,
        /// The process's letter.
        process: char,
    },
}
