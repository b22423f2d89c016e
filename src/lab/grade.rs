//! Marks a submission of a lab.

use super::card::Part;
use super::lang::Lang;
use super::loaded::Lab;
use super::mark::{LabMark, Note, PartMark, State};
use super::program;
use super::question::{Answer, Kind};
use super::run::RunError;
use super::schedule;
use super::score::compare;
use super::tested::Marking;
use super::truths::Truths;
use super::variant::Variant;
use super::workplace::Submission;
use crate::supervisor::Supervisor;

/// Marks submissions of a lab.
#[derive(Clone, Copy, Debug)]
pub struct Grader<'a> {
    /// Starts processes.
    pub supervisor: &'a Supervisor,
    /// The lab.
    pub lab: &'a Lab,
    /// The language of titles.
    pub lang: Lang,
    /// What has been measured already.
    pub truths: &'a Truths,
}

impl Grader<'_> {
    /// Marks the parts for which `wanted` holds, in order; `progress` is called with each before it is marked.
    ///
    /// # Errors
    /// When nothing can be run here. What a student's program does is not an error.
    pub fn mark(
        &self,
        student: &str,
        submission: &Submission,
        wanted: impl Fn(&str) -> bool,
        mut progress: impl FnMut(&str),
    ) -> Result<LabMark, RunError> {
        let variant = self.lab.variant(student);
        let mut parts = Vec::new();
        for part in &self.lab.card.parts {
            if wanted(part.id()) {
                progress(part.id());
                parts.push(self.mark_part(part, &variant, submission)?);
            }
        }
        let hundredths: f64 = parts.iter().map(|part| part.score * 100.0).sum();
        Ok(LabMark {
            lab: self.lab.name.clone(),
            title: variant.fill(&self.lab.sheet(self.lang).title),
            student: student.to_owned(),
            score: hundredths.round() / 100.0,
            max: parts.iter().map(|part| part.max).sum(),
            parts,
            answers: submission.answers.misread.clone(),
        })
    }

    fn mark_part(
        &self,
        part: &Part,
        variant: &Variant,
        submission: &Submission,
    ) -> Result<PartMark, RunError> {
        let Self { supervisor, lab, truths, .. } = *self;
        let title = lab.sheet(self.lang).section(part.id()).map_or(part.id(), |section| &section.title);
        let mut mark = PartMark::open(part.id(), &variant.fill(title), part.kind, part.points);
        let (material, starter) = (lab.material(variant), lab.starter(variant));
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
                variant,
            };
            program::mark(&marking, part, &mut mark)?;
            return Ok(mark);
        }
        let Some(answer) = submission.answers.given.get(part.id()) else { return Ok(mark) };
        if let Answer::Schedule(typed) = answer {
            let shortest = || truths.shortest(supervisor, part, variant);
            if let Err(error) = schedule::mark(supervisor, part, variant, typed, shortest, &mut mark) {
                fail(&mut mark, lab, &error);
            }
            return Ok(mark);
        }
        match truths.of_prediction(supervisor, part, &material, variant) {
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
