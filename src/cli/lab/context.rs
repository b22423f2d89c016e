//! What the subcommands share: the language, the labs, the working folder and the progress.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::fault::Fault;
use crate::lab::lang::Lang;
use crate::lab::loaded::{Lab, LoadError};
use crate::lab::mark::LabMark;
use crate::lab::progress::{Done, Store};
use crate::lab::run::RunError;
use crate::lab::workplace::{student_of, working_folder};
use crate::supervisor::Supervisor;
use crate::sys::signal::Interrupt;

/// The language, the labs and the progress.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) lang: Lang,
    pub(super) labs: Option<PathBuf>,
    store: Option<Store>,
}

impl Context {
    pub(super) fn new(lang: Lang, labs: Option<PathBuf>) -> Self {
        Self { lang, labs, store: Store::of_environment(|name| std::env::var_os(name)) }
    }

    /// The lab of this name.
    pub(super) fn lab(&self, name: &str) -> Result<Lab, Fault> {
        Lab::find(name, self.labs.as_deref()).map_err(|error| fault(&error))
    }

    /// All labs. One that cannot be loaded is an `Err` in the list.
    pub(super) fn all(&self) -> Result<Vec<Result<Lab, LoadError>>, Fault> {
        Lab::all(self.labs.as_deref()).map_err(|error| {
            let folder = self.labs.as_deref().unwrap_or(Path::new("")).display().to_string();
            Fault::could_not_run(&error)
                .context(format!("cannot read {folder}"))
                .hint("give the folder of a lab, or a folder of labs, with --labs DIR")
        })
    }

    /// The progress in a lab.
    pub(super) fn done(&self, lab: &str) -> Result<Done, Fault> {
        match &self.store {
            None => Ok(Done::default()),
            Some(store) => store.load(lab).map_err(|error| unkept(&error)),
        }
    }

    /// Changes the progress in a lab.
    pub(super) fn keep(&self, lab: &str, change: impl FnOnce(&mut Done)) -> Result<Done, Fault> {
        match &self.store {
            None => Ok(Done::default()),
            Some(store) => store.update(lab, change).map_err(|error| unkept(&error)),
        }
    }

    /// Records a result and the working folder.
    pub(super) fn record(&self, lab: &Lab, folder: &Path, mark: &LabMark) -> Result<Done, Fault> {
        let folder = folder.canonicalize().ok();
        self.keep(&lab.name, |done| {
            done.student.clone_from(&mark.student);
            done.folder = folder;
            done.record(mark);
        })
    }

    /// The working folder of a lab: the given one, the one with its name here, the current one, or the last one used.
    pub(super) fn folder(&self, lab: &Lab, given: Option<&Path>) -> Result<Option<PathBuf>, Fault> {
        if let Some(given) = given {
            return Ok(Some(given.to_owned()));
        }
        Ok(working_folder(lab, self.done(&lab.name)?.folder.as_deref()))
    }

    /// The working folder, which must exist.
    pub(super) fn begun(&self, lab: &Lab, given: Option<&Path>) -> Result<PathBuf, Fault> {
        self.folder(lab, given)?.filter(|folder| folder.is_dir()).ok_or_else(|| {
            let what = match self.lang {
                Lang::En => format!("the lab `{}` has not been started here", lab.name),
                Lang::Zh => format!("这里还没有开始实验 `{}`", lab.name),
            };
            Fault::bad_arguments(what).hint(format!("proclab lab start {}", lab.name))
        })
    }

    /// The student whose folder it is.
    pub(super) fn student(&self, folder: &Path) -> String {
        student_of(folder).filter(|name| !name.is_empty()).unwrap_or_else(user)
    }
}

/// The name of the current user.
pub(super) fn user() -> String {
    ["PROCLAB_STUDENT", "LOGNAME", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "student".to_owned())
}

/// A supervisor whose waits end on Ctrl-C.
pub(super) fn supervisor() -> Result<Supervisor, Fault> {
    let interrupt = Interrupt::install().map_err(|error| Fault::could_not_run(&error))?;
    Supervisor::with_interrupt(interrupt).map_err(|error| Fault::could_not_run(&error))
}

/// A signal that ended runs and searches made marks that are too low, so none are reported.
pub(super) fn uninterrupted<T>(marked: T) -> Result<T, Fault> {
    match Interrupt::installed().and_then(Interrupt::received) {
        Some(signal) => Err(Fault::interrupted(signal)),
        None => Ok(marked),
    }
}

/// The fault of a run that could not be carried out.
pub(super) fn cannot_run(error: &RunError) -> Fault {
    match Interrupt::installed().and_then(Interrupt::received) {
        Some(signal) => Fault::interrupted(signal),
        None => Fault::could_not_run(error).context("cannot run the lab"),
    }
}

/// The fault of a lab that could not be loaded.
pub(super) fn fault(error: &LoadError) -> Fault {
    match error {
        LoadError::Unknown { known, .. } => {
            Fault::bad_arguments(error).hint(format!("there are {}", known.join(", ")))
        }
        LoadError::Read { .. } => {
            Fault::could_not_run(error).hint("give the folder of a lab: lab.toml, en.md and zh.md")
        }
        LoadError::Mistake { mistake, .. } => Fault::bad_arguments(error).hint(mistake.mend.clone()),
    }
}

fn unkept(error: &io::Error) -> Fault {
    Fault::could_not_run(error)
        .context("cannot save your progress")
        .hint("set XDG_STATE_HOME to a folder that you may write to")
}
