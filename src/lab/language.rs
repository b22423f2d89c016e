//! The programming languages of a program part, and how programs in them are built and run.

/// A programming language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C, compiled with `cc`.
    C,
    /// Python.
    Python,
    /// The shell.
    Shell,
    /// Rust, compiled with `rustc`.
    Rust,
}

impl Language {
    const ALL: [Self; 4] = [Self::Python, Self::C, Self::Shell, Self::Rust];

    /// The extension of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Python => "py",
            Self::Shell => "sh",
            Self::Rust => "rs",
        }
    }

    /// The name of the built program. It has an ending, so that the program may use a file named like its source.
    pub(super) fn built(stem: &str) -> String {
        format!("{stem}.out")
    }

    /// The command that builds a program; `None` if the file is run as it is.
    pub(super) fn build(self, stem: &str) -> Option<Vec<String>> {
        let (source, built) = (format!("{stem}.{}", self.ending()), Self::built(stem));
        let words: Vec<&str> = match self {
            Self::C => vec!["cc", "-O1", "-g", "-Wall", "-o", &built, &source, "-pthread"],
            Self::Rust => vec!["rustc", "--edition", "2021", "-O", "-g", "-o", &built, &source],
            Self::Python | Self::Shell => return None,
        };
        Some(words.into_iter().map(str::to_owned).collect())
    }

    /// The command that runs a program. The first line of `source` chooses the shell.
    pub(super) fn run(self, stem: &str, source: &[u8]) -> Vec<String> {
        let file = format!("{stem}.{}", self.ending());
        match self {
            Self::C | Self::Rust => vec![format!("./{}", Self::built(stem))],
            Self::Python => vec!["python3".to_owned(), file],
            Self::Shell => {
                let first = source.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let is_bash = first.starts_with(b"#!") && first.ends_with(b"bash");
                vec![if is_bash { "bash" } else { "sh" }.to_owned(), file]
            }
        }
    }
}

/// The languages in which a part's file may be written: one, or all for `NAME.*`.
pub fn languages(file: &str) -> Vec<Language> {
    match file.rsplit_once('.') {
        Some(("", _)) => Vec::new(),
        Some((_, "*")) => Language::ALL.to_vec(),
        Some((_, ending)) => {
            Language::ALL.into_iter().filter(|language| language.ending() == ending).collect()
        }
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_language_is_found_by_its_ending() {
        assert_eq!(languages("a.py"), [Language::Python]);
        assert_eq!(languages("a.*").len(), 4);
        for none in ["a", ".py", "a.txt", "a."] {
            assert!(languages(none).is_empty(), "{none}");
        }
    }
}
