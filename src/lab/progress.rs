//! A student's progress, in `$XDG_STATE_HOME/proclab/labs`: one file per lab.
//!
//! A file is written aside and renamed, so a kill at any moment leaves the old one or the new one. Fields and parts that
//! this version does not know are kept, and a file that cannot be parsed is set aside instead of replaced.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::mark::{LabMark, State};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// The progress in one lab.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The student.
    #[serde(default)]
    pub student: String,
    /// The folder in which it is done.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// By part.
    #[serde(default)]
    pub parts: BTreeMap<String, PartDone>,
    /// Fields of a later version.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// The progress in one part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartDone {
    /// The points of the best answer.
    #[serde(default)]
    pub best: f64,
    /// Whether an answer was right.
    #[serde(default)]
    pub right: bool,
    /// Whether it was skipped.
    #[serde(default)]
    pub skipped: bool,
    /// How many hints were shown.
    #[serde(default)]
    pub hints: usize,
    /// Fields of a later version.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl Done {
    /// Records a result. The best one counts.
    pub fn record(&mut self, mark: &LabMark) {
        for part in mark.parts.iter().filter(|part| !matches!(part.state, State::Open | State::Failed)) {
            let done = self.parts.entry(part.id.clone()).or_default();
            done.best = done.best.max(part.score);
            done.right |= part.state == State::Right;
        }
    }
}

/// The place where progress is kept.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

impl Store {
    /// The place that the environment names: `$XDG_STATE_HOME`, else `~/.local/state`; `None` without either.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(Self(base.join("proclab/labs")))
    }

    fn file(&self, lab: &str) -> PathBuf {
        // The name is that of a lecturer's folder, and must stay a single file name.
        let name: String = lab.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
        self.0.join(format!("{}.json", name.trim_start_matches('.')))
    }

    /// The progress in a lab; the default if it was never started.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn load(&self, lab: &str) -> io::Result<Done> {
        let path = self.file(lab);
        let bytes = match crate::sys::tmpfile::open_to_read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Done::default()),
            Err(error) => return Err(error),
            Ok(file) => {
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut io::Read::take(file, LARGEST), &mut bytes)?;
                bytes
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(done) => Ok(done),
            Err(_) => {
                fs::rename(&path, path.with_extension("json.unreadable"))?;
                Ok(Done::default())
            }
        }
    }

    /// Changes the progress in a lab. Processes that do so at the same time take turns.
    ///
    /// # Errors
    /// When the folder cannot be created or written.
    pub fn update(&self, lab: &str, change: impl FnOnce(&mut Done)) -> io::Result<Done> {
        fs::create_dir_all(&self.0)?;
        let lock = File::options().create(true).append(true).open(self.0.join(".lock"))?;
        lock.lock()?;
        let mut done = self.load(lab)?;
        change(&mut done);
        publish(&self.file(lab), serde_json::to_string_pretty(&done)?.as_bytes())?;
        Ok(done)
    }
}

/// Replaces the content of a file atomically: a reader sees the old one or the new one, even after a kill.
///
/// # Errors
/// As `open(2)`, `write(2)`, `fsync(2)` and `rename(2)`; the file is then unchanged.
pub fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = parent.join(format!(".proclab-{:032x}.part", rand::random::<u128>()));
    let written = File::options().write(true).create_new(true).open(&aside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    });
    written.inspect_err(|_| drop(fs::remove_file(&aside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_kept_with_what_others_wrote_and_damage_is_set_aside() {
        let home = std::env::temp_dir().join(format!("proclab-progress-{}", std::process::id()));
        let variable = |name: &str| (name == "XDG_STATE_HOME").then(|| home.clone().into_os_string());
        let store = Store::of_environment(variable).unwrap();
        assert_eq!(store.load("a").unwrap(), Done::default());
        fs::create_dir_all(home.join("proclab/labs")).unwrap();
        let file = home.join("proclab/labs/a.json");
        fs::write(&file, r#"{"student": "ada", "later": 1, "parts": {"gone": {"best": 2, "more": [1]}}}"#)
            .unwrap();
        let done = store.update("a", |done| done.parts.entry("new".into()).or_default().hints = 1).unwrap();
        assert_eq!((done.student.as_str(), done.parts["gone"].best), ("ada", 2.0));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("\"later\": 1") && text.contains("more") && text.contains("new"), "{text}");
        fs::write(&file, "{ half").unwrap();
        assert_eq!(store.load("a").unwrap(), Done::default());
        assert_eq!(fs::read_to_string(home.join("proclab/labs/a.json.unreadable")).unwrap(), "{ half");
        fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn without_a_home_nothing_is_kept() {
        assert!(Store::of_environment(|_| None).is_none());
        assert!(
            Store::of_environment(|name| (name == "XDG_STATE_HOME").then(|| "relative".into())).is_none()
        );
    }
}
