//! A lab on the page: its cards, answers and marks. Progress is kept as `proclab lab` keeps it.

use std::path::PathBuf;

use super::commands::receive;
use super::update::{Update, WorkerError};
use crate::lab::answers::{self, Answers, form, told, unfit};
use crate::lab::card::Part;
use crate::lab::files::read_file;
use crate::lab::grade::Grader;
use crate::lab::lang::Lang;
use crate::lab::loaded::Lab;
use crate::lab::mark::{PartMark, State};
use crate::lab::program::names;
use crate::lab::progress::{Done, Store, publish};
use crate::lab::question::{Answer, Kind};
use crate::lab::schedule;
use crate::lab::sheet::Section;
use crate::lab::truths::Truths;
use crate::lab::variant::Variant;
use crate::lab::workplace::{Submission, student_of, with_answer};
use crate::report::lab::told::details;
use crate::serve::protocol::{Command, LabLine, LabPart, LabView, Message};
use crate::supervisor::Supervisor;
use crate::sys::signal::Interrupt;
use crate::wire::control::{Receiver, Sender};

/// Lets the page work on the lab `name`, one of `labs` or of this program.
pub(super) fn work(
    name: &str,
    labs: Option<PathBuf>,
    lang: Lang,
    commands: Receiver<Command>,
    updates: &Sender<Update>,
) -> Result<(), WorkerError> {
    let lab = Lab::find(name, labs.as_deref())?;
    let interrupt = Interrupt::install()?;
    let heard = receive(commands, interrupt)?;
    let supervisor = Supervisor::with_interrupt(interrupt)?;
    let store = store();
    let done = kept(store.as_ref(), name);
    let folder = folder(name, &done);
    let student = folder.as_ref().and_then(|folder| student_of(folder)).filter(|name| !name.is_empty());
    let student = student.or(Some(done.student.clone()).filter(|name| !name.is_empty())).unwrap_or_else(user);
    let variant = lab.variant(&student);
    let answers = match &folder {
        Some(folder) => Submission::read(folder, &lab, lang).answers,
        None => Answers::default(),
    };
    let mut card = CardTable {
        lab,
        lang,
        supervisor,
        store,
        done,
        folder,
        student,
        variant,
        answers,
        marks: Vec::new(),
        busy: None,
        trouble: None,
    };
    card.say(updates);
    while let Ok(command) = heard.recv() {
        card.trouble = None;
        match command {
            Command::Answer { part, text } => card.answer(&part, &text, updates)?,
            Command::Hint(part) => card.hint(&part)?,
            _ => {}
        }
        if interrupt.received().is_some() {
            return Ok(());
        }
        card.say(updates);
    }
    Ok(())
}

/// All labs in a line each.
pub(in crate::serve) fn list(labs: Option<&std::path::Path>, lang: Lang) -> Vec<LabLine> {
    let store = store();
    let line = |lab: Result<Lab, _>| match lab {
        Err(error) => {
            let error: crate::lab::loaded::LoadError = error;
            LabLine { error: Some(error.to_string()), ..LabLine::default() }
        }
        Ok(lab) => {
            let done = kept(store.as_ref(), &lab.name);
            let of = |part: &Part| done.parts.get(part.id());
            LabLine {
                title: lab.sheet(lang).title.clone(),
                minutes: lab.card.minutes,
                max: lab.card.points(),
                score: lab.card.parts.iter().filter_map(of).map(|part| part.best).sum(),
                parts: lab.card.parts.len(),
                right: lab.card.parts.iter().filter_map(of).filter(|part| part.right).count(),
                missing: lab.missing().into_iter().map(str::to_owned).collect(),
                name: lab.name,
                error: None,
            }
        }
    };
    match Lab::all(labs) {
        Ok(all) => all.into_iter().map(line).collect(),
        Err(error) => vec![LabLine { error: Some(error.to_string()), ..LabLine::default() }],
    }
}

fn store() -> Option<Store> {
    Store::of_environment(|name| std::env::var_os(name))
}

fn kept(store: Option<&Store>, lab: &str) -> Done {
    store.and_then(|store| store.load(lab).ok()).unwrap_or_default()
}

/// The folder in which the lab is done on the command line: the one of its name here, or the one where it was done last.
fn folder(name: &str, done: &Done) -> Option<PathBuf> {
    let here = std::env::current_dir().ok().map(|here| here.join(name));
    here.into_iter().chain(done.folder.clone()).find(|folder| folder.join(answers::FILE).is_file())
}

fn user() -> String {
    let set = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    ["PROCLAB_STUDENT", "LOGNAME", "USER"].into_iter().find_map(set).unwrap_or_else(|| "student".to_owned())
}

struct CardTable {
    lab: Lab,
    lang: Lang,
    supervisor: Supervisor,
    store: Option<Store>,
    done: Done,
    folder: Option<PathBuf>,
    student: String,
    variant: Variant,
    answers: Answers,
    marks: Vec<PartMark>,
    /// The part that is being measured.
    busy: Option<String>,
    /// A part, and why what was typed is no answer to it.
    trouble: Option<(String, String)>,
}

impl CardTable {
    /// Takes an answer, and measures reality beside it. Of a program part the file in the folder is checked.
    fn answer(&mut self, id: &str, text: &str, updates: &Sender<Update>) -> Result<(), WorkerError> {
        let Some(part) = self.lab.card.parts.iter().find(|part| part.id() == id).cloned() else {
            return Ok(());
        };
        if part.kind != Kind::Program {
            let answer = Answer::parse(part.kind, text).map_err(|error| told(&error, self.lang));
            let answer = answer.and_then(|answer| match unfit(&part, &answer, self.lang) {
                None => Ok(answer),
                Some(why) => Err(why),
            });
            match answer {
                Err(why) => {
                    self.trouble = Some((id.to_owned(), why));
                    return Ok(());
                }
                Ok(answer) => self.keep_answer(id, answer)?,
            }
        }
        self.busy = Some(id.to_owned());
        self.say(updates);
        let mut submission = match &self.folder {
            Some(folder) => Submission::read(folder, &self.lab, self.lang),
            None => Submission::default(),
        };
        submission.answers = self.answers.clone();
        let truths = Truths::default();
        let grader =
            Grader { supervisor: &self.supervisor, lab: &self.lab, lang: self.lang, truths: &truths };
        let marked = grader.mark(&self.student, &submission, |one| one == id, |_| {});
        self.busy = None;
        let marked = marked?;
        if let Some(store) = &self.store {
            let (student, folder) = (self.student.clone(), self.folder.clone());
            self.done = store.update(&self.lab.name, |done| {
                done.student = student;
                done.folder = folder.or(done.folder.take());
                done.record(&marked);
            })?;
        } else {
            self.done.record(&marked);
        }
        self.marks.retain(|mark| mark.id != id);
        self.marks.extend(marked.parts);
        Ok(())
    }

    fn keep_answer(&mut self, id: &str, answer: Answer) -> Result<(), WorkerError> {
        if let Some(folder) = &self.folder {
            let path = folder.join(answers::FILE);
            let text = String::from_utf8_lossy(&read_file(&path)?).into_owned();
            publish(&path, with_answer(&text, id, &answer.to_string()).as_bytes())?;
        }
        self.answers.given.insert(id.to_owned(), answer);
        Ok(())
    }

    fn hint(&mut self, id: &str) -> Result<(), WorkerError> {
        let most = self.section(id).hints.len();
        let more = |done: &mut Done| {
            let part = done.parts.entry(id.to_owned()).or_default();
            part.hints = (part.hints + 1).min(most);
        };
        match &self.store {
            Some(store) => self.done = store.update(&self.lab.name, more)?,
            None => more(&mut self.done),
        }
        Ok(())
    }

    fn section(&self, id: &str) -> Section {
        self.lab.sheet(self.lang).section(id).cloned().unwrap_or_default()
    }

    fn say(&self, updates: &Sender<Update>) {
        let parts: Vec<LabPart> = self.lab.card.parts.iter().map(|part| self.part(part)).collect();
        let files = self.lab.material(&self.variant).0.into_iter();
        let text = |(name, bytes): (String, Vec<u8>)| Some((name, String::from_utf8(bytes).ok()?));
        let view = LabView {
            name: self.lab.name.clone(),
            title: self.variant.fill(&self.lab.sheet(self.lang).title),
            intro: self.variant.fill(&self.lab.sheet(self.lang).intro),
            minutes: self.lab.card.minutes,
            student: self.student.clone(),
            folder: self.folder.as_ref().map(|folder| folder.display().to_string()),
            missing: self.lab.missing().into_iter().map(str::to_owned).collect(),
            score: parts.iter().map(|part| part.best).sum(),
            max: self.lab.card.points(),
            files: files.filter_map(text).collect(),
            parts,
        };
        let _ = updates.send(Update::whole(&Message::Lab(Box::new(view))));
    }

    fn part(&self, part: &Part) -> LabPart {
        let id = part.id();
        let section = self.section(id);
        let done = self.done.parts.get(id);
        let shown = done.map_or(0, |done| done.hints).min(section.hints.len());
        let mark = self.marks.iter().find(|mark| mark.id == id);
        let is_right = done.is_some_and(|done| done.right);
        let file = (part.kind == Kind::Program).then(|| {
            let all = names(part);
            let is_there =
                |name: &&String| self.folder.as_ref().is_some_and(|folder| folder.join(name).is_file());
            all.iter().find(is_there).or(all.first()).cloned().unwrap_or_default()
        });
        LabPart {
            id: id.to_owned(),
            title: self.variant.fill(&section.title),
            text: self.variant.fill(&section.text),
            kind: part.kind,
            options: part.options.clone(),
            form: form(part, self.lang),
            points: part.points,
            best: done.map_or(0.0, |done| done.best),
            is_right,
            hints: section.hints.iter().take(shown).map(|hint| self.variant.fill(hint)).collect(),
            more_hints: section.hints.len() - shown,
            why: section.why.filter(|_| is_right).map(|why| self.variant.fill(&why)),
            answer: self.answers.given.get(id).map(ToString::to_string),
            file,
            code: (part.kind == Kind::Schedule)
                .then(|| schedule::experiment(part, &self.variant).ok().map(|experiment| experiment.code()))
                .flatten(),
            is_busy: self.busy.as_deref() == Some(id),
            trouble: self.trouble.as_ref().filter(|(part, _)| part == id).map(|(_, why)| why.clone()),
            told: mark.map_or(Vec::new(), |mark| details(mark, self.lang)),
            mark: mark.filter(|mark| mark.state != State::Open).cloned(),
        }
    }
}
