//! A lab on the page: its cards, answers and marks. Progress is kept as `proclab lab` keeps it.

mod list;
mod sources;

use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use list::{kept, store};
use sources::Saves;

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
use crate::lab::workplace::{Submission, beginning, student_of, with_answer, working_folder};
use crate::report::lab::told::remarks;
use crate::said::quoted_zh;
use crate::serve::protocol::{Command, LabPart, LabView, Message};
use crate::supervisor::Supervisor;
use crate::sys::signal::Interrupt;
use crate::wire::control::{Receiver, Sender};

pub(in crate::serve) use list::list;

/// How often the folder is looked at.
const PERIOD: Duration = Duration::from_millis(300);

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
    let folder = working_folder(&lab, done.folder.as_deref());
    let variant = lab.variant("");
    let mut card = CardTable {
        lab,
        lang,
        supervisor,
        store,
        done,
        folder: None,
        student: String::new(),
        variant,
        answers: Answers::default(),
        marks: Vec::new(),
        busy: None,
        trouble: None,
    };
    card.enter(folder);
    card.say(updates);
    let mut saves = Saves::new(&card.lab, card.folder.as_deref());
    loop {
        let command = match heard.recv_timeout(PERIOD) {
            Ok(command) => command,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                card.follow(&mut saves, updates)?;
                if interrupt.received().is_some() {
                    return Ok(());
                }
                continue;
            }
        };
        card.trouble = None;
        match command {
            Command::Answer { part, text } => {
                saves.check(&card.lab, card.folder.as_deref(), &part);
                card.answer(&part, &text, updates)?;
            }
            Command::Hint(part) => card.hint(&part)?,
            Command::MakeFolder => card.make_folder()?,
            _ => {}
        }
        if interrupt.received().is_some() {
            return Ok(());
        }
        card.say(updates);
    }
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

    /// Reports the folder and the files as they are now, and checks those that were saved.
    fn follow(&mut self, saves: &mut Saves, updates: &Sender<Update>) -> Result<(), WorkerError> {
        let folder = working_folder(&self.lab, self.done.folder.as_deref());
        let folder = folder.map(|folder| folder.canonicalize().unwrap_or(folder));
        if folder != self.folder {
            *saves = Saves::new(&self.lab, folder.as_deref());
            self.enter(folder);
            self.say(updates);
            return Ok(());
        }
        for part in saves.settled(&self.lab, self.folder.as_deref()) {
            self.answer(&part, "", updates)?;
            self.say(updates);
        }
        Ok(())
    }

    /// Works in this folder from now on, for the student whose it is.
    fn enter(&mut self, folder: Option<PathBuf>) {
        let owner = folder.as_ref().and_then(|folder| student_of(folder)).filter(|name| !name.is_empty());
        let last = Some(self.done.student.clone()).filter(|name| !name.is_empty());
        self.student = owner.or(last).unwrap_or_else(user);
        self.variant = self.lab.variant(&self.student);
        if let Some(folder) = &folder {
            self.answers = Submission::read(folder, &self.lab, self.lang).answers;
        }
        self.folder = folder.map(|folder| folder.canonicalize().unwrap_or(folder));
    }

    /// Makes the folder with the files to begin with, as `proclab lab start` does.
    fn make_folder(&mut self) -> Result<(), WorkerError> {
        if self.folder.is_some() {
            return Ok(());
        }
        let folder = PathBuf::from(&self.lab.name);
        let made = std::fs::create_dir(&folder)
            .and_then(|()| beginning(&self.lab, &self.student, self.lang).write(&folder));
        if let Err(error) = made {
            let part = self.lab.card.parts.iter().find(|part| part.kind == Kind::Program);
            self.trouble = part.map(|part| {
                (
                    part.id().to_owned(),
                    match self.lang {
                        Lang::En => format!("{}: {error}", folder.display()),
                        Lang::Zh => format!("{}：{}", folder.display(), quoted_zh(&error.to_string())),
                    },
                )
            });
            return Ok(());
        }
        let place = folder.canonicalize().ok();
        let student = self.student.clone();
        if let Some(store) = &self.store {
            self.done = store.update(&self.lab.name, |done| {
                done.student = student;
                done.folder = place;
            })?;
        }
        self.enter(Some(folder));
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
        let is_program = part.kind == Kind::Program;
        let file = is_program.then(|| names(part).into_iter().next().unwrap_or_default());
        let sources = self
            .folder
            .as_ref()
            .filter(|_| is_program)
            .map_or(Vec::new(), |folder| sources::of(folder, part, &self.lab.starter(&self.variant)));
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
            sources,
            code: (part.kind == Kind::Schedule)
                .then(|| schedule::experiment(part, &self.variant).ok().map(|experiment| experiment.code()))
                .flatten(),
            is_busy: self.busy.as_deref() == Some(id),
            trouble: self.trouble.as_ref().filter(|(part, _)| part == id).map(|(_, why)| why.clone()),
            told: mark.map_or(Vec::new(), |mark| remarks(mark, self.lang)),
            mark: mark.filter(|mark| mark.state != State::Open).cloned(),
        }
    }
}
