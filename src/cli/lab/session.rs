//! A student's session in a lab: the open parts, the progress, and marking a part.

use std::path::PathBuf;

use super::context::{Context, cannot_run, uninterrupted};
use crate::cli::fault::Fault;
use crate::lab::answers::{self, told, unfit};
use crate::lab::card::Part;
use crate::lab::files::read_file;
use crate::lab::grade::Grader;
use crate::lab::lang::Lang;
use crate::lab::loaded::Lab;
use crate::lab::mark::{LabMark, PartMark, State};
use crate::lab::program::names;
use crate::lab::progress::{Done, publish};
use crate::lab::question::{Answer, Kind};
use crate::lab::sheet::Section;
use crate::lab::truths::Truths;
use crate::lab::variant::Variant;
use crate::lab::workplace::{Submission, with_answer};
use crate::report::lab::{page, text};
use crate::supervisor::Supervisor;

/// A student's session.
pub(super) struct Session<'d> {
    pub(super) context: &'d Context,
    pub(super) lab: Lab,
    pub(super) folder: PathBuf,
    pub(super) student: String,
    pub(super) variant: Variant,
    pub(super) done: Done,
    pub(super) again: bool,
    pub(super) supervisor: Supervisor,
}

impl Session<'_> {
    pub(super) fn lang(&self) -> Lang {
        self.context.lang
    }

    /// Whether a part is right already.
    pub(super) fn is_right(&self, id: &str) -> bool {
        self.done.parts.get(id).is_some_and(|part| part.right)
    }

    /// The parts to work on, in order; skipped ones come last.
    pub(super) fn open(&self) -> Vec<usize> {
        let parts = &self.lab.card.parts;
        let is_open = |at: &usize| self.again || !self.is_right(parts[*at].id());
        let is_skipped = |at: &usize| self.done.parts.get(parts[*at].id()).is_some_and(|part| part.skipped);
        let (late, first): (Vec<usize>, Vec<usize>) = (0..parts.len()).filter(is_open).partition(is_skipped);
        first.into_iter().chain(late).collect()
    }

    /// The text of a part with the student's values.
    pub(super) fn section(&self, at: usize) -> Section {
        let id = self.lab.card.parts[at].id();
        let fill = |text: &str| self.variant.fill(text);
        self.lab.sheet(self.lang()).section(id).map_or_else(Section::default, |section| Section {
            title: fill(&section.title),
            text: fill(&section.text),
            hints: section.hints.iter().map(|hint| fill(hint)).collect(),
            why: section.why.as_deref().map(fill),
            ..section.clone()
        })
    }

    /// What comes before the first question.
    pub(super) fn intro(&self, width: u16) -> String {
        page::page(&self.variant.fill(&self.lab.sheet(self.lang()).intro), width)
    }

    /// The question as it is shown.
    pub(super) fn question(&self, at: usize, width: u16) -> String {
        let part = &self.lab.card.parts[at];
        let mut text = page::section(
            &self.section(at),
            at + 1,
            self.lab.card.parts.len(),
            part.points,
            self.lang(),
            width,
        );
        if part.kind == Kind::Program {
            let there = self.file(part).unwrap_or_default();
            let what = self.lang().say("Your file:", "你的文件：");
            text.push_str(&format!("\n{what} {}\n", self.folder.join(there).display()));
        }
        text
    }

    /// The name of the student's file, which need not exist yet.
    pub(super) fn file(&self, part: &Part) -> Option<String> {
        let names = names(part);
        names.iter().find(|name| self.folder.join(name).is_file()).or(names.first()).cloned()
    }

    /// The modification times of the files of a part.
    pub(super) fn stamps(&self, part: &Part) -> Vec<Option<std::time::SystemTime>> {
        let stamp =
            |name: &String| std::fs::metadata(self.folder.join(name)).and_then(|about| about.modified()).ok();
        names(part).iter().map(stamp).collect()
    }

    /// Parses what was typed, or says why it is not an answer.
    pub(super) fn read(&self, at: usize, typed: &str) -> Result<Answer, String> {
        let part = &self.lab.card.parts[at];
        let answer = Answer::parse(part.kind, typed).map_err(|error| told(&error, self.lang()))?;
        match unfit(part, &answer, self.lang()) {
            None => Ok(answer),
            Some(why) => Err(why),
        }
    }

    /// Saves an answer in `answers.toml`, marks it, and records the result.
    pub(super) fn check(&mut self, at: usize, answer: Option<Answer>) -> Result<PartMark, Fault> {
        let submission = self.submit(at, answer)?;
        let marked = self.mark(at, &submission)?;
        self.record(at, marked)
    }

    /// Saves an answer in `answers.toml`, and reads what is in the folder.
    pub(super) fn submit(&self, at: usize, answer: Option<Answer>) -> Result<Submission, Fault> {
        let mut submission = Submission::read(&self.folder, &self.lab, self.lang());
        if let Some(answer) = answer {
            let id = self.lab.card.parts[at].id();
            self.write(id, &answer)?;
            submission.answers.given.insert(id.to_owned(), answer);
        }
        Ok(submission)
    }

    /// Marks a part.
    pub(super) fn mark(&self, at: usize, submission: &Submission) -> Result<LabMark, Fault> {
        let id = self.lab.card.parts[at].id();
        // Each attempt is compared with a measurement of its own.
        let truths = Truths::default();
        let grader =
            Grader { supervisor: &self.supervisor, lab: &self.lab, lang: self.lang(), truths: &truths };
        let marked = grader.mark(&self.student, submission, |one| one == id, |_| {});
        uninterrupted(marked.map_err(|error| cannot_run(&error))?)
    }

    /// Records the result.
    pub(super) fn record(&mut self, at: usize, marked: LabMark) -> Result<PartMark, Fault> {
        self.done = self.context.record(&self.lab, &self.folder, &marked)?;
        let id = self.lab.card.parts[at].id();
        let nothing = PartMark::open(id, id, Kind::Choose, 0);
        Ok(marked.parts.into_iter().next().unwrap_or(nothing))
    }

    fn write(&self, id: &str, answer: &Answer) -> Result<(), Fault> {
        let path = self.folder.join(answers::FILE);
        let text =
            read_file(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        publish(&path, with_answer(&text, id, &answer.to_string()).as_bytes())
            .map_err(|error| Fault::could_not_run(&error).context(format!("cannot write {}", path.display())))
    }

    /// The text of a result.
    pub(super) fn result(&self, at: usize, marked: &PartMark, width: u16) -> String {
        let mut text = text::part(marked, self.lang(), width);
        if let Some(why) = self.section(at).why.filter(|_| marked.state == State::Right) {
            text.push_str(&page::page(&why, width));
        }
        text
    }

    /// The next hint, or the last one again.
    pub(super) fn hint(&mut self, at: usize) -> Result<String, Fault> {
        let id = self.lab.card.parts[at].id().to_owned();
        let hints = self.section(at).hints;
        let shown = self.done.parts.get(&id).map_or(0, |part| part.hints);
        let number = shown.min(hints.len().saturating_sub(1));
        self.done = self.context.keep(&self.lab.name, |done| {
            let part = done.parts.entry(id).or_default();
            part.hints = (shown + 1).min(hints.len());
        })?;
        let what = self.lang().say("Hint", "提示");
        Ok(format!(
            "{what} {}/{}: {}",
            number + 1,
            hints.len(),
            hints.get(number).cloned().unwrap_or_default()
        ))
    }

    /// Skips a part for now.
    pub(super) fn skip(&mut self, at: usize) -> Result<(), Fault> {
        let id = self.lab.card.parts[at].id().to_owned();
        self.done =
            self.context.keep(&self.lab.name, |done| done.parts.entry(id).or_default().skipped = true)?;
        Ok(())
    }

    /// All parts with their states.
    pub(super) fn list(&self) -> String {
        let mut text = String::new();
        for (at, part) in self.lab.card.parts.iter().enumerate() {
            let done = self.done.parts.get(part.id());
            let best = done.map_or(0.0, |done| done.best);
            let state = match done {
                Some(done) if done.right => State::Right,
                Some(done) if done.best > 0.0 => State::Partly,
                _ => State::Open,
            };
            let score = format!("{}/{}", text::points(best), part.points);
            text.push_str(&format!(
                "{} {:>2}  {score:>6}  {}\n",
                text::sign(state),
                at + 1,
                self.section(at).title
            ));
        }
        text
    }

    /// The parts that are right, all parts, the points and full marks.
    pub(super) fn score(&self) -> (usize, usize, f64, u32) {
        let parts = &self.lab.card.parts;
        let best = parts.iter().filter_map(|part| self.done.parts.get(part.id())).map(|part| part.best).sum();
        (
            parts.iter().filter(|part| self.is_right(part.id())).count(),
            parts.len(),
            best,
            self.lab.card.points(),
        )
    }

    /// The lab's title with the student's values.
    pub(super) fn title(&self) -> String {
        self.variant.fill(&self.lab.sheet(self.lang()).title)
    }

    /// The text at the end of a session.
    pub(super) fn farewell(&self) -> String {
        let (right, all, best, points) = self.score();
        let score = text::points(best);
        if right == all {
            return match self.lang() {
                Lang::En => format!(
                    "Everything is right: {score} of {points} points. Well done!\nthe solution: proclab lab solution {}\n",
                    self.lab.name
                ),
                Lang::Zh => format!(
                    "全部正确：{points} 分中得了 {score} 分，做得好！\n查看答案：proclab lab solution {}\n",
                    self.lab.name
                ),
            };
        }
        match self.lang() {
            Lang::En => format!(
                "{right} of {all} parts are right, {score} of {points} points. Your work is saved.\nto continue: proclab lab work {}\n",
                self.lab.name
            ),
            Lang::Zh => format!(
                "{all} 题中有 {right} 题正确，{points} 分中得了 {score} 分。进度已保存。\n继续：proclab lab work {}\n",
                self.lab.name
            ),
        }
    }
}
