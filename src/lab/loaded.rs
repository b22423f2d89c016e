//! Loads labs, from this program or from a lecturer's folder. A lab is complete, or refused with the place of its mistake.

use std::io;
use std::path::{Path, PathBuf};

use super::card::{self, Card, Mistake};
use super::files::Files;
use super::lang::Lang;
use super::registry::LABS;
use super::sheet::{self, Sheet};
use super::variant::Variant;
use super::words::is_installed;

/// A lab.
#[derive(Clone, Debug)]
pub struct Lab {
    /// Its name, which is its folder's.
    pub name: String,
    /// Its parts.
    pub card: Card,
    sheets: [Sheet; 2],
    files: Files,
}

/// Why a lab could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No lab has this name.
    #[error("there is no lab called `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// The names of all labs.
        known: Vec<String>,
    },
    /// Its folder cannot be read.
    #[error("cannot read the lab `{name}`")]
    Read {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It has a mistake.
    #[error("the lab `{name}` has a mistake: {mistake}")]
    Mistake {
        /// Its name.
        name: String,
        /// The mistake.
        mistake: Mistake,
    },
}

impl Lab {
    /// All labs; those in `extra` come last.
    ///
    /// # Errors
    /// When `extra` cannot be read. A lab in it that cannot be loaded is an `Err` in the list.
    pub fn all(extra: Option<&Path>) -> io::Result<Vec<Result<Self, LoadError>>> {
        let mut labs: Vec<_> =
            LABS.iter().map(|(name, folder)| Self::of(name, Files::embedded(folder))).collect();
        for folder in folders(extra)? {
            labs.push(Self::read(&folder));
        }
        Ok(labs)
    }

    /// The lab of this name. One in `extra` takes precedence.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn find(name: &str, extra: Option<&Path>) -> Result<Self, LoadError> {
        let read = |source| LoadError::Read { name: name.to_owned(), source };
        let folders = folders(extra).map_err(read)?;
        if let Some(folder) = folders.iter().find(|folder| name_of(folder) == name) {
            return Self::read(folder);
        }
        if let Some((name, folder)) = LABS.iter().find(|(known, _)| *known == name) {
            return Self::of(name, Files::embedded(folder));
        }
        let known = LABS.iter().map(|(name, _)| (*name).to_owned());
        let known = known.chain(folders.iter().map(|folder| name_of(folder))).collect();
        Err(LoadError::Unknown { name: name.to_owned(), known })
    }

    /// The lab in this folder.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn read(folder: &Path) -> Result<Self, LoadError> {
        let name = name_of(folder);
        let files = Files::read(folder).map_err(|source| LoadError::Read { name: name.clone(), source })?;
        Self::of(&name, files)
    }

    fn of(name: &str, files: Files) -> Result<Self, LoadError> {
        let wrong = |mistake| LoadError::Mistake { name: name.to_owned(), mistake };
        let text = |file: &str, most: usize| {
            let what = |what: String, mend: &str| Mistake::at(file, "", 0, what, mend);
            match files.text(file) {
                Some(text) if text.len() <= most => Ok(text),
                Some(_) => {
                    Err(wrong(what(format!("it is longer than {} KiB", most >> 10), "make it shorter")))
                }
                None => Err(wrong(what(
                    "the file does not exist, or is not UTF-8".into(),
                    "a lab has lab.toml, en.md and zh.md",
                ))),
            }
        };
        let card = Card::parse(text("lab.toml", card::LONGEST)?).map_err(wrong)?;
        let sheet = |lang: Lang| {
            let text = text(&format!("{}.md", lang.name()), sheet::LONGEST)?;
            let sheet = Sheet::parse(text);
            sheet.check(&card, lang, text).map_err(wrong)?;
            if let Some(mistake) = card.unknown_placeholder(&format!("{}.md", lang.name()), text) {
                return Err(wrong(mistake));
            }
            Ok(sheet)
        };
        let sheets = [sheet(Lang::En)?, sheet(Lang::Zh)?];
        // Both languages have to offer the same help.
        for part in &card.parts {
            let hints = Lang::ALL.map(|lang| {
                sheets[lang as usize].section(part.id()).map_or(0, |section| section.hints.len())
            });
            if hints[0] != hints[1] {
                let what =
                    format!("part `{}` has {} hints here and {} in en.md", part.id(), hints[1], hints[0]);
                return Err(wrong(Mistake {
                    file: "zh.md".into(),
                    line: 1,
                    column: 1,
                    what,
                    mend: "give each part the same hints in both languages".into(),
                }));
            }
        }
        Ok(Self { name: name.to_owned(), card, sheets, files })
    }

    /// The sheet in a language, with placeholders.
    pub fn sheet(&self, lang: Lang) -> &Sheet {
        &self.sheets[lang as usize]
    }

    /// The text of the sheet with a student's values.
    pub fn sheet_text(&self, lang: Lang, variant: &Variant) -> String {
        variant.fill(self.files.text(&format!("{}.md", lang.name())).unwrap_or_default())
    }

    /// The values that a student gets in this lab.
    pub fn variant(&self, student: &str) -> Variant {
        Variant::of(&self.name, &self.card, student)
    }

    /// The lab's own programs and data, with a student's values.
    pub fn material(&self, variant: &Variant) -> Files {
        self.files.below("files").map(|text| variant.fill(text))
    }

    /// The files that a student begins with.
    pub fn starter(&self, variant: &Variant) -> Files {
        self.files.below("starter").map(|text| variant.fill(text))
    }

    /// The solved programs.
    pub fn solution(&self, variant: &Variant) -> Files {
        self.files.below("solution").map(|text| variant.fill(text))
    }

    /// Whether `word` is the lecturer's word.
    pub fn opens(&self, word: &str) -> bool {
        let hash = blake3::hash(word.as_bytes()).to_hex();
        self.card.key.as_deref().is_some_and(|key| key.eq_ignore_ascii_case(hash.as_str()))
    }

    /// The needed programs that are not installed.
    pub fn missing(&self) -> Vec<&str> {
        self.card.needs.iter().map(String::as_str).filter(|program| !is_installed(program)).collect()
    }
}

fn name_of(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The folders of labs: `extra` itself, or those in it.
fn folders(extra: Option<&Path>) -> io::Result<Vec<PathBuf>> {
    let Some(extra) = extra else { return Ok(Vec::new()) };
    if extra.join("lab.toml").is_file() {
        return Ok(vec![extra.to_owned()]);
    }
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(extra)? {
        let path = entry?.path();
        if path.join("lab.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}
