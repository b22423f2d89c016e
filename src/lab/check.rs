//! What an author's lab is checked for: that the unsolved starter fails, the solution passes, every truth is the same
//! in several measurements, and the limits hold with room to spare.

use std::time::Instant;

use super::answers::Answers;
use super::grade::mark;
use super::lang::Lang;
use super::loaded::Lab;
use super::mark::{LabMark, State};
use super::question::{Answer, Kind};
use super::run::RunError;
use super::schedule;
use super::score::compare;
use super::truth::measure;
use super::workplace::Submission;
use crate::supervisor::Supervisor;

/// How much of its limit a measurement may take: a third, so that a machine three times as slow still ends in time.
const SPARE: f64 = 3.0;

/// What a check found wrong; empty if the lab is good.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Each fault in one line.
    pub faults: Vec<String>,
    /// How long a solved lab takes to be marked, in seconds: the longest.
    pub seconds: f64,
}

/// Checks so many variants, each truth measured so many times.
///
/// # Errors
/// When nothing can be run here.
pub fn check(
    supervisor: &Supervisor,
    lab: &Lab,
    variants: u32,
    measurements: u32,
) -> Result<Checked, RunError> {
    let mut checked = Checked::default();
    for program in lab.missing() {
        checked.faults.push(format!("`{program}` is not installed, and the lab needs it"));
    }
    if !checked.faults.is_empty() {
        return Ok(checked);
    }
    for number in 0..variants {
        let student = format!("variant-{number}");
        let before = checked.faults.len();
        let key = truths(supervisor, lab, &student, measurements, &mut checked)?;
        if checked.faults.len() > before {
            continue;
        }
        let variant = lab.variant(&student);
        let starter = Submission { files: lab.starter(&variant), ..Submission::default() };
        for part in mark(supervisor, lab, &student, Lang::En, &starter, |_| true, |_| {})?.parts {
            if part.state == State::Right {
                checked
                    .faults
                    .push(format!("{student}: part `{}` is right although nothing was done", part.id));
            }
        }
        let begin = Instant::now();
        let solved = mark(supervisor, lab, &student, Lang::Zh, &key, |_| true, |_| {})?;
        checked.seconds = checked.seconds.max(begin.elapsed().as_secs_f64());
        unsolved(&solved, &student, &mut checked);
    }
    Ok(checked)
}

fn unsolved(solved: &LabMark, student: &str, checked: &mut Checked) {
    for part in solved.parts.iter().filter(|part| part.state != State::Right) {
        let failed: Vec<String> = part
            .tests
            .iter()
            .filter_map(|test| Some(format!("{}: {:?}", test.name, test.failed.as_ref()?)))
            .collect();
        let schedule = part.schedule.as_ref().map(|bad| format!("{}: {}", bad.verdict, bad.why));
        checked.faults.push(format!(
            "{student}: the solution of part `{}` has {} of {} points: {failed:?} {schedule:?} {:?} {:?}",
            part.id, part.score, part.max, part.notes, part.rows
        ));
    }
}

/// The key to a variant: every truth, measured, and the solution's programs.
///
/// # Errors
/// When nothing can be run here.
pub fn truths(
    supervisor: &Supervisor,
    lab: &Lab,
    student: &str,
    measurements: u32,
    checked: &mut Checked,
) -> Result<Submission, RunError> {
    let variant = lab.variant(student);
    let material = lab.material(&variant);
    let mut answers = Answers::default();
    for part in &lab.card.parts {
        let id = part.id();
        let mut fault = |what: String| checked.faults.push(format!("{student}: part `{id}`: {what}"));
        match part.kind {
            Kind::Program => {}
            Kind::Schedule => match schedule::shortest(supervisor, part, &variant) {
                Ok(Some((_, typed))) => drop(answers.given.insert(id.to_owned(), Answer::Schedule(typed))),
                Ok(None) => fault("no schedule reaches the goal".to_owned()),
                Err(error) => fault(error.to_string()),
            },
            _ => {
                let mut first: Option<Vec<Answer>> = None;
                for _ in 0..measurements.max(1) {
                    let begin = Instant::now();
                    let measured = match measure(supervisor, part, &material, &variant) {
                        Ok(measured) => measured,
                        Err(error) => {
                            fault(error.to_string());
                            break;
                        }
                    };
                    let seconds = begin.elapsed().as_secs_f64() / measured.len().max(1) as f64;
                    if seconds * SPARE > part.limits.seconds {
                        fault(format!(
                            "a measurement took {seconds:.1} s of {} s: raise limits.seconds",
                            part.limits.seconds
                        ));
                    }
                    let first = first.get_or_insert_with(|| measured.clone());
                    let same = compare(&first[0], &measured, part.tolerance());
                    if same.fraction < 1.0 {
                        fault(format!("measured {} at first, and {} later", first[0], measured[0]));
                        break;
                    }
                }
                if let Some(all) = first {
                    if let (Kind::Choose, Answer::Choose(word)) = (part.kind, &all[0])
                        && !part.options.contains(word)
                    {
                        fault(format!("measured `{word}`, which is none of the options"));
                    }
                    answers.given.insert(id.to_owned(), median(all));
                }
            }
        }
    }
    Ok(Submission { answers, files: lab.solution(&variant), unreadable: Vec::new() })
}

/// Of numbers the one in the middle, which is what counts.
fn median(mut all: Vec<Answer>) -> Answer {
    let number = |answer: &Answer| if let Answer::Number(number) = answer { *number } else { 0.0 };
    all.sort_by(|a, b| number(a).total_cmp(&number(b)));
    let middle = all.len() / 2;
    all.swap_remove(middle)
}
