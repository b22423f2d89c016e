//! Exercism's `results.json`, version 3: what its test runners write.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::part;
use crate::lab::lang::Lang;
use crate::lab::mark::{LabMark, State};

/// The longest output that Exercism shows.
const LONGEST: usize = 500;
const WIDTH: u16 = 80;

/// The file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Exercism {
    /// Of the form.
    pub version: u32,
    /// `pass`, `fail`, or `error` where nothing could be tested.
    pub status: &'static str,
    /// Why nothing could be tested; null otherwise.
    pub message: Option<String>,
    /// The parts; none where nothing could be tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Vec<Test>>,
}

/// One test.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Test {
    /// The part's title.
    pub name: String,
    /// `pass`, `fail` or `error`.
    pub status: &'static str,
    /// The task that it belongs to, counted from 1.
    pub task_id: u32,
    /// What is asked.
    pub test_code: String,
    /// Why it is not right; null if it is.
    pub message: Option<String>,
    /// The beginning of what there is to say.
    pub output: Option<String>,
}

impl Exercism {
    /// Of a lab that was marked.
    pub fn new(mark: &LabMark, lang: Lang) -> Self {
        let tests: Vec<Test> = (1..)
            .zip(&mark.parts)
            .map(|(number, one)| {
                let said = anstream::adapter::strip_str(&part(one, lang, WIDTH)).to_string();
                let is_right = one.state == State::Right;
                Test {
                    name: one.title.clone(),
                    status: match one.state {
                        State::Right => "pass",
                        State::Failed => "error",
                        _ => "fail",
                    },
                    task_id: number,
                    test_code: format!("proclab lab check {} # {}", mark.lab, one.id),
                    message: (!is_right).then(|| said.clone()),
                    output: Some(said.chars().take(LONGEST).collect()),
                }
            })
            .collect();
        let nothing = !mark.parts.is_empty() && mark.parts.iter().all(|one| one.state == State::Failed);
        let message = nothing
            .then(|| tests.iter().filter_map(|test| test.message.clone()).collect::<Vec<_>>().join("\n"));
        let status = if nothing {
            "error"
        } else if mark.is_full() {
            "pass"
        } else {
            "fail"
        };
        Self { version: 3, status, message, tests: (!nothing).then_some(tests) }
    }
}
