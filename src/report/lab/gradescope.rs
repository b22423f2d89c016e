//! Gradescope's `results.json`, as its autograder specification has it: one test per part.
//!
//! `execution_time` is optional, and left out: the same submission has the same result.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{part, points};
use crate::lab::lang::Lang;
use crate::lab::mark::{LabMark, State};

/// How wide the output of a test is laid out.
const WIDTH: u16 = 100;

/// The file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Gradescope {
    /// The output for the whole submission.
    pub output: String,
    /// Its format. Without this Gradescope reads it as HTML, and what a student wrote would be markup.
    pub output_format: &'static str,
    /// When students see the tests: always.
    pub visibility: &'static str,
    /// When students see what the grader printed: never. What is for them is in the outputs.
    pub stdout_visibility: &'static str,
    /// The format of the tests' outputs.
    pub test_output_format: &'static str,
    /// The format of the tests' names.
    pub test_name_format: &'static str,
    /// The parts.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Test {
    /// Points.
    pub score: f64,
    /// The points for full marks.
    pub max_score: f64,
    /// `passed` or `failed`.
    pub status: &'static str,
    /// The part's title.
    pub name: String,
    /// Its number.
    pub number: String,
    /// The result in words.
    pub output: String,
    /// When students see it: always.
    pub visibility: &'static str,
}

impl Gradescope {
    /// Of a lab that was marked.
    pub fn new(mark: &LabMark, lang: Lang) -> Self {
        let tests = mark.parts.iter().enumerate().map(|(at, one)| Test {
            score: one.score,
            max_score: f64::from(one.max),
            status: if one.state == State::Right { "passed" } else { "failed" },
            name: one.title.clone(),
            number: (at + 1).to_string(),
            output: anstream::adapter::strip_str(&part(one, lang, WIDTH)).to_string(),
            visibility: "visible",
        });
        let misread =
            mark.answers.iter().map(|one| format!("answers.toml:{}:{}: {}", one.line, one.column, one.what));
        let head = format!("{}: {} / {}", mark.title, points(mark.score), mark.max);
        let output = std::iter::once(head).chain(misread).collect::<Vec<_>>().join("\n");
        Self {
            output,
            output_format: "text",
            visibility: "visible",
            stdout_visibility: "hidden",
            test_output_format: "text",
            test_name_format: "text",
            tests: tests.collect(),
        }
    }
}
