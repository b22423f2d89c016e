//! What `lab author check` proves of a lab: that the unsolved starter fails, the solution passes, each truth is the same in
//! several measurements, and every limit holds with time to spare.

use std::time::Instant;

use super::answers::Answers;
use super::card::Part;
use super::files::Files;
use super::grade::Grader;
use super::lang::Lang;
use super::loaded::Lab;
use super::mark::{LabMark, Note, PartMark, State};
use super::program::SEARCH;
use super::question::{Answer, Kind};
use super::run::RunError;
use super::score::compare;
use super::truth::{measure, patience};
use super::truths::Truths;
use super::variant::Variant;
use super::workplace::Submission;
use crate::supervisor::Supervisor;

/// What is left of a limit: three times the time, so that a machine a third as fast still ends in time.
const SPARE: f64 = 3.0;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What is wrong; empty if the lab is good.
    pub faults: Vec<Flaw>,
    /// How long the marking of a solved lab takes, in seconds: the longest.
    pub seconds: f64,
}

/// What is wrong with a lab.
#[derive(Clone, Debug)]
pub enum Flaw {
    /// In words.
    Said(String),
    /// A part of the solution is not right.
    Unsolved {
        /// Whose variant.
        student: String,
        /// Its mark.
        part: Box<PartMark>,
    },
}

impl From<String> for Flaw {
    fn from(said: String) -> Self {
        Self::Said(said)
    }
}

impl Checked {
    /// Adds what another check of the same lab found.
    pub fn add(&mut self, other: Self) {
        self.faults.extend(other.faults);
        self.seconds = self.seconds.max(other.seconds);
    }
}

/// The students whose variants are checked: `count` of them, without those who get the same values as an earlier one.
pub fn students(lab: &Lab, count: u32) -> Vec<String> {
    let mut seen: Vec<Variant> = Vec::new();
    let mut students = Vec::new();
    for student in (0..count).map(|number| format!("variant-{number}")) {
        let variant = lab.variant(&student);
        if !seen.contains(&variant) {
            seen.push(variant);
            students.push(student);
        }
    }
    students
}

/// Checks one student's variant, with each truth measured so many times unless it is among `truths` already: what
/// several variants have in common is measured for all of them.
///
/// # Errors
/// When nothing can be run here.
pub fn check(
    supervisor: &Supervisor,
    lab: &Lab,
    student: &str,
    measurements: u32,
    truths: &Truths,
) -> Result<Checked, RunError> {
    let mut checked = Checked::default();
    for program in lab.missing() {
        checked.faults.push(format!("`{program}` is not installed, and the lab needs it").into());
    }
    if !checked.faults.is_empty() {
        return Ok(checked);
    }
    let key = key(supervisor, lab, student, measurements, truths, &mut checked)?;
    if !checked.faults.is_empty() {
        return Ok(checked);
    }
    let grader = Grader { supervisor, lab, lang: Lang::Zh, truths };
    for part in right_without_work(&grader, student)? {
        checked.faults.push(format!("{student}: part `{part}` is right although nothing was done").into());
    }
    let begin = Instant::now();
    let solved = grader.mark(student, &key, |_| true, |_| {})?;
    checked.seconds = begin.elapsed().as_secs_f64();
    unsolved(&solved, student, &mut checked);
    Ok(checked)
}

/// The parts that are right in a folder as it is started.
fn right_without_work(grader: &Grader<'_>, student: &str) -> Result<Vec<String>, RunError> {
    let lab = grader.lab;
    let starter = Submission { files: lab.starter(&lab.variant(student)), ..Submission::default() };
    // Most starters go wrong in one of the first random executions: only the others are explored further.
    let mut hasty = lab.clone();
    hasty.card.parts.iter_mut().for_each(|part| part.executions = Some(1));
    let right = |lab: &Lab, wanted: &dyn Fn(&str) -> bool| -> Result<Vec<String>, RunError> {
        let marked = Grader { lab, ..*grader }.mark(student, &starter, wanted, |_| {})?;
        let right = marked.parts.into_iter().filter(|part| part.state == State::Right);
        Ok(right.map(|part| part.id).collect())
    };
    let suspects = right(&hasty, &|_| true)?;
    if suspects.is_empty() {
        return Ok(suspects);
    }
    right(lab, &|id| suspects.iter().any(|suspect| suspect == id))
}

fn unsolved(solved: &LabMark, student: &str, checked: &mut Checked) {
    for part in &solved.parts {
        for time in part.times.iter().filter(|time| time.took * SPARE > time.limit) {
            let mend = match time.what.as_str() {
                SEARCH => "bound it with executions = N, or raise limits.seconds",
                _ => "raise seconds of the test",
            };
            checked.faults.push(
                format!(
                    "{student}: part `{}`: {} took {:.1} s, more than a third of {} s: {mend}",
                    part.id, time.what, time.took, time.limit
                )
                .into(),
            );
        }
    }
    for part in solved.parts.iter().filter(|part| part.state != State::Right) {
        if let Some(Note::NoFile { file }) = part.notes.first() {
            checked.faults.push(format!("part `{}`: solution/{file} does not exist", part.id).into());
            continue;
        }
        let part = Box::new(part.clone());
        checked.faults.push(Flaw::Unsolved { student: student.to_owned(), part });
    }
}

/// The key to a variant: every truth, measured and kept in `truths`, and the solution's programs.
///
/// # Errors
/// When nothing can be run here.
pub fn key(
    supervisor: &Supervisor,
    lab: &Lab,
    student: &str,
    measurements: u32,
    truths: &Truths,
    checked: &mut Checked,
) -> Result<Submission, RunError> {
    let variant = lab.variant(student);
    let material = lab.material(&variant);
    let mut answers = Answers::default();
    // Students begin at different parts, so that those who are checked at once do not wait for each other's measurements
    // but are the load under which these are made.
    let (before, after) = lab.card.parts.split_at(begin(student, lab.card.parts.len()));
    for part in after.iter().chain(before) {
        let id = part.id();
        let found = match part.kind {
            Kind::Program => continue,
            Kind::Schedule => match truths.shortest(supervisor, part, &variant) {
                Ok(Some(found)) => Ok(Answer::Schedule(found.typed)),
                Ok(None) => Err("no schedule reaches the goal".to_owned()),
                Err(error) => Err(error.to_string()),
            },
            _ => repeated(supervisor, part, &material, &variant, measurements, truths),
        };
        match found {
            Ok(answer) => drop(answers.given.insert(id.to_owned(), answer)),
            Err(fault) => checked.faults.push(format!("{student}: part `{id}`: {fault}").into()),
        }
    }
    Ok(Submission { answers, files: lab.solution(&variant), unreadable: Vec::new() })
}

/// The part at which a student begins, of so many.
fn begin(student: &str, parts: usize) -> usize {
    student.bytes().map(usize::from).sum::<usize>() % parts.max(1)
}

/// The truth of a prediction, if it is the same in all measurements.
fn repeated(
    supervisor: &Supervisor,
    part: &Part,
    material: &Files,
    variant: &Variant,
    measurements: u32,
    truths: &Truths,
) -> Result<Answer, String> {
    let all = || {
        let mut first: Option<(Answer, Vec<Answer>)> = None;
        for _ in 0..measurements.max(1) {
            let begin = Instant::now();
            let measured = measure(supervisor, part, material, variant).map_err(|error| error.to_string())?;
            let seconds = begin.elapsed().as_secs_f64() / measured.len().max(1) as f64;
            let limit = patience(part);
            if seconds * SPARE > limit {
                return Err(format!(
                    "a measurement took {seconds:.1} s, more than a third of {limit} s: raise limits.seconds"
                ));
            }
            let (first, _) = first.get_or_insert_with(|| (median(measured.clone()), measured.clone()));
            if compare(first, &measured, part.tolerance()).fraction < 1.0 {
                return Err(format!("measured {first} at first, and {} later", measured[0]));
            }
        }
        first.map(|(_, measured)| measured).ok_or_else(|| "nothing was measured".to_owned())
    };
    match median(truths.found_by(part, material, variant, all)?) {
        Answer::Choose(word) if part.kind == Kind::Choose && !part.options.contains(&word) => {
            Err(format!("measured `{word}`, which is not an option"))
        }
        answer => Ok(answer),
    }
}

/// Of numbers the one in the middle, which is what counts.
fn median(mut all: Vec<Answer>) -> Answer {
    let number = |answer: &Answer| if let Answer::Number(number) = answer { *number } else { 0.0 };
    all.sort_by(|a, b| number(a).total_cmp(&number(b)));
    let middle = all.len() / 2;
    all.swap_remove(middle)
}
