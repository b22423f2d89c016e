//! Exercism's `results.json`, version 3, as its documentation of test runners specifies it.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::part;
use crate::lab::lang::Lang;
use crate::lab::mark::{LabMark, Note, PartMark, Reason, State};

/// The longest `output`, in characters, including the notice that it was truncated.
const OUTPUT: usize = 500;
const TRUNCATED: &str = "\nOutput was truncated. Please limit to 500 chars";
/// The longest `message` of the whole file: as many characters if each is a byte, and fewer otherwise.
const MESSAGE: usize = 65_535;
/// How wide a message is laid out.
const WIDTH: u16 = 80;

/// The file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Exercism {
    /// The version of the format.
    pub version: u32,
    /// `pass`, `fail`, or `error` if no part could be tested, also because no program compiles.
    pub status: &'static str,
    /// Why no part could be tested; null otherwise.
    pub message: Option<String>,
    /// The parts; absent if none could be tested.
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
    /// The command that tests it.
    pub test_code: String,
    /// Why it is not right; null if it is.
    pub message: Option<String>,
    /// What the student's own program wrote, if it differs from what was expected.
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
                        _ if is_untested(one) => "error",
                        _ => "fail",
                    },
                    task_id: number,
                    test_code: format!("proclab lab check {} --part {}", mark.lab, one.id),
                    message: (!is_right).then(|| said.clone()),
                    output: written(one),
                }
            })
            .collect();
        let nothing = !mark.parts.is_empty() && mark.parts.iter().all(is_untested);
        let message = nothing.then(|| {
            let mut all =
                tests.iter().filter_map(|test| test.message.as_deref()).collect::<Vec<_>>().join("\n");
            all.truncate(all.floor_char_boundary(MESSAGE));
            all
        });
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

/// Whether no test of the part was executed.
fn is_untested(one: &PartMark) -> bool {
    one.state == State::Failed || one.notes.iter().any(|note| matches!(note, Note::NotBuilt { .. }))
}

/// What the student's program wrote in the first test whose output is not the expected one. In other tests a harness may have
/// written it, and that is no output of the student's.
fn written(one: &PartMark) -> Option<String> {
    let found = one.tests.iter().find_map(|test| match &test.failed {
        Some(Reason::Output { found, .. }) if !found.is_empty() => Some(found),
        _ => None,
    })?;
    if found.chars().count() <= OUTPUT {
        return Some(found.clone());
    }
    let room = OUTPUT - TRUNCATED.chars().count();
    Some(found.chars().take(room).collect::<String>() + TRUNCATED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::mark::TestMark;
    use crate::lab::question::Kind;

    fn mark(states: &[State]) -> LabMark {
        let part = |(at, state): (usize, &State)| PartMark {
            state: *state,
            ..PartMark::open(&format!("p{at}"), "A part", Kind::Program, 1)
        };
        LabMark {
            lab: "lab".into(),
            title: "Lab".into(),
            student: "ada".into(),
            score: 0.0,
            max: 1,
            parts: states.iter().enumerate().map(part).collect(),
            answers: Vec::new(),
        }
    }

    #[test]
    fn an_error_has_a_message_and_no_tests_and_a_failure_has_tests_with_messages() {
        let error = Exercism::new(&mark(&[State::Failed]), Lang::En);
        assert!(error.status == "error" && error.message.is_some() && error.tests.is_none());
        let failed = Exercism::new(&mark(&[State::Right, State::Failed, State::Open]), Lang::En);
        assert!(failed.status == "fail" && failed.message.is_none());
        let tests: Vec<_> =
            failed.tests.unwrap().iter().map(|test| (test.status, test.message.is_some())).collect();
        assert_eq!(tests, [("pass", false), ("error", true), ("fail", true)]);
        assert_eq!(Exercism::new(&mark(&[State::Right]), Lang::En).status, "pass");
    }

    #[test]
    fn a_program_that_does_not_compile_is_an_error_and_what_the_compiler_says_is_bounded() {
        let mut one = mark(&[State::Wrong]);
        one.parts[0].notes.push(Note::NotBuilt { said: "字".repeat(40_000), ended: None });
        let error = Exercism::new(&one, Lang::Zh);
        assert!(error.status == "error" && error.tests.is_none());
        let length = error.message.unwrap().len();
        assert!((MESSAGE - 3..=MESSAGE).contains(&length), "{length}");
        let mut two = mark(&[State::Wrong, State::Right]);
        two.parts[0].notes.push(Note::NotBuilt { said: "no".into(), ended: None });
        let failed = Exercism::new(&two, Lang::En);
        assert_eq!((failed.status, failed.tests.unwrap()[0].status), ("fail", "error"));
    }

    #[test]
    fn only_what_the_program_wrote_is_its_output_and_a_long_one_says_that_it_was_truncated() {
        let mut one = mark(&[State::Wrong]);
        let output = |one: &LabMark| Exercism::new(one, Lang::En).tests.unwrap()[0].output.clone();
        assert_eq!(output(&one), None);
        let failed = Some(Reason::Output { expected: "a".into(), found: "字".repeat(900) });
        one.parts[0].tests.push(TestMark { name: "t".into(), zh: None, failed });
        let output = output(&one).unwrap();
        assert_eq!(output.chars().count(), OUTPUT);
        assert!(output.starts_with('字') && output.ends_with("Please limit to 500 chars"));
    }
}
