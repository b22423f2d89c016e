//! Gradescope's `results.json`: a test for each part, with its points and what there is to say of it.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{part, points};
use crate::lab::lang::Lang;
use crate::lab::mark::{LabMark, State};

/// How wide the output of a test may be: it is shown as it is, in a page.
const WIDTH: u16 = 100;

/// The file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Gradescope {
    /// What is said of the whole submission.
    pub output: String,
    /// That a student sees the tests.
    pub visibility: &'static str,
    /// How the outputs of tests are shown.
    pub test_output_format: &'static str,
    /// The parts.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Test {
    /// Points.
    pub score: f64,
    /// Points if all is right.
    pub max_score: f64,
    /// `passed` or `failed`.
    pub status: &'static str,
    /// The part's title.
    pub name: String,
    /// Its number.
    pub number: String,
    /// What there is to say.
    pub output: String,
    /// That a student sees it.
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
        Self { output, visibility: "visible", test_output_format: "text", tests: tests.collect() }
    }
}
