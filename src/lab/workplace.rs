//! A student's folder: the sheet, `answers.toml` and the programs to work on.

use std::io;
use std::path::{Path, PathBuf};

use super::answers::{self, Answers};
use super::files::{Files, read_file};
use super::lang::Lang;
use super::loaded::Lab;
use super::mark::Misread;
use super::program::names;
use super::question::Kind;

/// The name of the sheet in the folder.
pub const SHEET: &str = "sheet.md";

/// What a student hands in.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// The predictions.
    pub answers: Answers,
    /// The programs.
    pub files: Files,
    /// Programs that cannot be read, and why.
    pub unreadable: Vec<(String, String)>,
}

impl Submission {
    /// Reads the answers and programs for the parts of `lab`, and nothing else in the folder.
    pub fn read(folder: &Path, lab: &Lab, lang: Lang) -> Self {
        let mut submission = Self::default();
        match read_file(&folder.join(answers::FILE)) {
            Ok(bytes) => {
                submission.answers = Answers::parse(&String::from_utf8_lossy(&bytes), &lab.card, lang);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let said = lang.say("the file cannot be read", "文件无法读取");
                let what = format!("{said}: {error}");
                submission.answers.misread.push(Misread { line: 1, column: 1, what });
            }
        }
        for part in lab.card.parts.iter().filter(|part| part.kind == Kind::Program) {
            for name in names(part) {
                match read_file(&folder.join(&name)) {
                    Ok(bytes) => drop(submission.files.0.insert(name, bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => submission.unreadable.push((name, error.to_string())),
                }
            }
        }
        submission
    }
}

/// All files that a student begins with.
pub fn beginning(lab: &Lab, student: &str, lang: Lang) -> Files {
    let variant = lab.variant(student);
    let own = [
        (SHEET.to_owned(), lab.sheet_text(lang, &variant).into_bytes()),
        (answers::FILE.to_owned(), answers::template(&lab.card, lab.sheet(lang), student, lang).into_bytes()),
    ];
    lab.material(&variant).with(lab.starter(&variant)).with(Files(own.into()))
}

/// The working folder of a lab that was started: the one with its name here, the current one, or `last`, the one used
/// last.
pub fn working_folder(lab: &Lab, last: Option<&Path>) -> Option<PathBuf> {
    let has = |path: &Path| path.join(answers::FILE).is_file();
    let here = std::env::current_dir().unwrap_or_default();
    let is_here = here.file_name().is_some_and(|name| name == lab.name.as_str());
    let named = PathBuf::from(&lab.name);
    let places = [Some(named), is_here.then_some(here), last.map(Path::to_owned)];
    places.into_iter().flatten().find(|place| has(place))
}

/// The student that the folder's `answers.toml` names.
pub fn student_of(folder: &Path) -> Option<String> {
    let bytes = read_file(&folder.join(answers::FILE)).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().find_map(|line| {
        let value = line.strip_prefix("student")?.trim_start().strip_prefix('=')?;
        let table: toml::Table = toml::from_str(&format!("student = {value}")).ok()?;
        table.get("student")?.as_str().map(str::to_owned)
    })
}

/// The text of `answers.toml` with the answer to one part set, and everything else unchanged.
pub fn with_answer(text: &str, id: &str, answer: &str) -> String {
    let line = format!("{id} = {}", toml::Value::String(answer.to_owned()));
    let mut found = false;
    let mut lines: Vec<String> = Vec::new();
    for old in text.lines() {
        let is_it = old.split_once('=').is_some_and(|(key, _)| key.trim() == id);
        if is_it && !found {
            found = true;
            lines.push(line.clone());
        } else {
            lines.push(old.to_owned());
        }
    }
    if !found {
        // A key after a table would belong to the table.
        let at = lines.iter().position(|line| line.starts_with('[')).unwrap_or(lines.len());
        lines.insert(at, line);
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_written_beside_what_was_there() {
        let text = "# x\nstudent = \"a\"\n\nn = \"\"\n[who]\nB = \"A\"\n";
        assert_eq!(
            with_answer(text, "n", "1 \"2\""),
            "# x\nstudent = \"a\"\n\nn = '1 \"2\"'\n[who]\nB = \"A\"\n"
        );
        assert_eq!(
            with_answer(text, "m", "3"),
            "# x\nstudent = \"a\"\n\nn = \"\"\nm = \"3\"\n[who]\nB = \"A\"\n"
        );
    }
}
