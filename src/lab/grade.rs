//! Marks a submission of a lab.

use super::lang::Lang;
use super::loaded::Lab;
use super::mark::{LabMark, Note, PartMark, State};
use super::program::{self, Marking};
use super::question::{Answer, Kind};
use super::run::RunError;
use super::schedule;
use super::score::compare;
use super::truth::measure;
use super::workplace::Submission;
use crate::supervisor::Supervisor;

/// Marks the parts for which `wanted` holds, in order; `progress` is called with each before it is marked.
///
/// # Errors
/// When nothing can be run here. What a student's program does is not an error.
pub fn mark(
    supervisor: &Supervisor,
    lab: &Lab,
    student: &str,
    lang: Lang,
    submission: &Submission,
    wanted: impl Fn(&str) -> bool,
    mut progress: impl FnMut(&str),
) -> Result<LabMark, RunError> {
    let mut parts = Vec::new();
    for part in &lab.card.parts {
        if wanted(part.id()) {
            progress(part.id());
            parts.push(mark_part(supervisor, lab, student, lang, submission, part.id())?);
        }
    }
    let hundredths: f64 = parts.iter().map(|part| part.score * 100.0).sum();
    Ok(LabMark {
        lab: lab.name.clone(),
        title: lab.variant(student).fill(&lab.sheet(lang).title),
        student: student.to_owned(),
        score: hundredths.round() / 100.0,
        max: parts.iter().map(|part| part.max).sum(),
        parts,
        answers: submission.answers.misread.clone(),
    })
}

fn mark_part(
    supervisor: &Supervisor,
    lab: &Lab,
    student: &str,
    lang: Lang,
    submission: &Submission,
    id: &str,
) -> Result<PartMark, RunError> {
    let variant = lab.variant(student);
    let title = lab.sheet(lang).section(id).map_or(id, |section| section.title.as_str());
    let Some(part) = lab.card.parts.iter().find(|part| part.id() == id) else {
        return Ok(PartMark::open(id, title, Kind::Choose, 0));
    };
    let mut mark = PartMark::open(id, &variant.fill(title), part.kind, part.points);
    let (material, starter) = (lab.material(&variant), lab.starter(&variant));
    if part.kind == Kind::Program {
        let names = program::names(part);
        for (file, why) in submission.unreadable.iter().filter(|(file, _)| names.contains(file)) {
            mark.notes.push(Note::Unreadable { file: file.clone(), why: why.clone() });
        }
        let marking = Marking {
            supervisor,
            material: &material,
            starter: &starter,
            submitted: &submission.files,
            variant: &variant,
        };
        program::mark(&marking, part, &mut mark)?;
        return Ok(mark);
    }
    let Some(answer) = submission.answers.given.get(id) else { return Ok(mark) };
    if let Answer::Schedule(typed) = answer {
        if let Err(error) = schedule::mark(supervisor, part, &variant, typed, &mut mark) {
            fail(&mut mark, lab, &error);
        }
        return Ok(mark);
    }
    match measure(supervisor, part, &material, &variant) {
        Ok(measured) => {
            let comparison = compare(answer, &measured, part.tolerance());
            mark.score(comparison.fraction);
            if comparison.rows.iter().any(|row| row.right.is_none()) {
                mark.notes.push(Note::Varies);
            }
            mark.rows = comparison.rows;
        }
        Err(error) => fail(&mut mark, lab, &error),
    }
    Ok(mark)
}

/// The part cannot be marked on this machine, which lacks something.
fn fail(mark: &mut PartMark, lab: &Lab, error: &dyn std::error::Error) {
    mark.score(0.0);
    mark.state = State::Failed;
    for program in lab.missing() {
        mark.notes.push(Note::Missing { program: program.to_owned() });
    }
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    mark.notes.push(Note::NotMeasured { why });
}
