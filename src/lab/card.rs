//! `lab.toml`: the parts of a lab, their points and limits, and what is run to measure the truth.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::question::Kind;
use super::score::Tolerance;

/// The largest `lab.toml`.
pub const LONGEST: usize = 256 << 10;

/// A lab's parts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// How long a student needs for it.
    pub minutes: u32,
    /// The programs that it needs, looked for in `PATH`.
    #[serde(default)]
    pub needs: Vec<String>,
    /// BLAKE3 hash, in hexadecimal, of the word that shows a lecturer the solution before full marks.
    #[serde(default)]
    pub key: Option<String>,
    /// Lists of values, of each of which a student gets one, by the name that stands for it in `{{name}}`.
    #[serde(default)]
    pub vary: BTreeMap<String, Spanned<Vec<Value>>>,
    /// The parts, in order.
    #[serde(rename = "part", default)]
    pub parts: Vec<Part>,
}

/// A value that varies from student to student.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// One part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name in `answers.toml` and in the sheets.
    pub id: Spanned<String>,
    /// What kind of part it is.
    pub kind: Kind,
    /// Its points.
    pub points: u32,

    /// `choose`: the names of the options.
    #[serde(default)]
    pub options: Vec<String>,
    /// `number`: how far it may be off, as `0.5` or `10%`.
    #[serde(default)]
    pub tolerance: Option<Spanned<String>>,
    /// A prediction: the command that measures the truth. Its standard output is the answer. The word `proclab` is this
    /// program.
    #[serde(default)]
    pub command: Vec<String>,
    /// A prediction: the program whose interleavings are all executed to measure the truth.
    #[serde(default)]
    pub explore: Vec<String>,
    /// Which part of a measurement is the answer.
    #[serde(default)]
    pub take: Option<Spanned<String>>,
    /// How often `command` is run; what differs from run to run does not count.
    #[serde(default)]
    pub runs: Option<u32>,

    /// `program`: the student's file; `NAME.*` for any of the languages.
    #[serde(default)]
    pub file: Option<Spanned<String>>,
    /// `program`: how it is run by the explorer; `{program}` stands for it.
    #[serde(default)]
    pub run: Vec<String>,
    /// `program`: a shell command that exits with 0 if what an interleaving left behind is right.
    #[serde(default)]
    pub check: Option<String>,
    /// `program`: the exit status of every interleaving.
    #[serde(default)]
    pub expect_exit: Option<i32>,
    /// `program`: whether it is explored.
    #[serde(default = "yes")]
    pub explored: bool,
    /// `program`: the most executions of the search.
    #[serde(default)]
    pub executions: Option<u64>,
    /// `program`: the most processes that the explorer kills in one execution.
    #[serde(default)]
    pub kills: usize,
    /// `program`: tests of its behaviour.
    #[serde(rename = "test", default)]
    pub tests: Vec<Test>,

    /// `schedule`: the scenario and its options.
    #[serde(default)]
    pub scenario: Vec<String>,
    /// `schedule`: the verdict to reach.
    #[serde(default)]
    pub goal: Option<Spanned<String>>,
    /// `schedule`: the most switches between processes.
    #[serde(default)]
    pub switches: Option<usize>,

    /// Limits of what is run.
    #[serde(default)]
    pub limits: Limits,
}

fn yes() -> bool {
    true
}

/// One run of a student's program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it shows, in a few words.
    pub name: String,
    /// The same in Chinese.
    #[serde(default)]
    pub zh: Option<String>,
    /// The command; `{program}` stands for the program, which is run alone by default.
    #[serde(default)]
    pub run: Vec<String>,
    /// Its standard input.
    #[serde(default)]
    pub stdin: String,
    /// What it must write to standard output; spaces and newlines at the end do not count.
    #[serde(default)]
    pub stdout: Option<String>,
    /// The exit status that it must have.
    #[serde(default)]
    pub exit: Option<i32>,
    /// A shell command that must exit with 0 in the folder that the run left. It is given `$STDOUT` and `$STATUS`. With a
    /// check, any exit status is accepted unless `exit` is given.
    #[serde(default)]
    pub check: Option<String>,
    /// How long it may take, in seconds.
    #[serde(default = "ten")]
    pub seconds: f64,
}

fn ten() -> f64 {
    10.0
}

/// Limits of one run of a program and everything that it starts.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Seconds, of a run or of a search.
    pub seconds: f64,
    /// The number of processes and threads at a time.
    pub processes: usize,
    /// KiB of standard output and of standard error.
    pub output: u64,
    /// MiB of files.
    pub disk: u64,
    /// MiB of memory, all processes together.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { seconds: 10.0, processes: 64, output: 256, disk: 32, memory: 512 }
    }
}

/// A mistake in a lab: where it is, what it is, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct Mistake {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// How to correct it.
    pub mend: String,
}

impl Mistake {
    /// A mistake at byte `place` of the text of a file.
    pub fn at(
        file: &str,
        text: &str,
        place: usize,
        what: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let (line, column) = position(text, place);
        Self { file: file.to_owned(), line, column, what: what.into(), mend: mend.into() }
    }
}

/// The line and column of a byte, both counted from 1.
pub fn position(text: &str, place: usize) -> (usize, usize) {
    let mut place = place.min(text.len());
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    let before = &text[..place];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The parser's words for types, in those of a file.
const TYPES: [(&str, &str); 8] = [
    ("expected u32", "expected a whole number that is not negative"),
    ("expected u64", "expected a whole number that is not negative"),
    ("expected usize", "expected a whole number that is not negative"),
    ("expected i32", "expected a whole number"),
    ("expected f64", "expected a number"),
    ("expected a sequence", "expected a list, as [\"a\", \"b\"]"),
    ("expected a string", "expected text in quotes"),
    ("expected a map", "expected a table"),
];

fn plain(message: &str) -> String {
    let known = TYPES.iter().find(|(theirs, _)| message.ends_with(theirs));
    known.map_or_else(|| message.to_owned(), |(theirs, ours)| message.replace(theirs, ours))
}

/// The verdicts that can be the goal of a schedule part.
pub const GOALS: [&str; 6] = ["ok", "oversold", "lost-update", "torn-read", "deadlock", "crashed"];

impl Card {
    /// Parses a `lab.toml` and checks that every part is complete.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        const FILE: &str = "lab.toml";
        let card: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(0, |span| span.start);
            let what = plain(&error.message().lines().collect::<Vec<_>>().join(" "));
            Mistake::at(
                FILE,
                text,
                place,
                what,
                "docs/labs.md lists the keys of a lab and of each kind of part",
            )
        })?;
        let mut ids = BTreeSet::new();
        if card.parts.is_empty() {
            return Err(Mistake::at(
                FILE,
                text,
                text.len(),
                "a lab has at least one part",
                "add [[part]] with id, kind and points",
            ));
        }
        for part in &card.parts {
            let id = part.id.get_ref();
            let mistake = |span: Range<usize>, what: String, mend: &str| {
                Mistake::at(FILE, text, span.start, what, mend)
            };
            let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if id.is_empty() || !id.chars().all(is_word) {
                let what = format!("`{id}` cannot be the id of a part");
                return Err(mistake(part.id.span(), what, "use lower-case letters, digits and -"));
            }
            if !ids.insert(id.clone()) {
                let what = format!("two parts are called `{id}`");
                return Err(mistake(part.id.span(), what, "give each part an id of its own"));
            }
            if let Some((span, what, mend)) = part.wrong() {
                return Err(mistake(
                    span.unwrap_or_else(|| part.id.span()),
                    format!("part `{id}`: {what}"),
                    mend,
                ));
            }
        }
        if let Some(mistake) = card.unknown_placeholder(FILE, text) {
            return Err(mistake);
        }
        for (name, values) in &card.vary {
            if values.get_ref().is_empty() {
                let place = values.span().start;
                let what = format!("`{name}` has no values");
                return Err(Mistake::at(FILE, text, place, what, "give at least one value"));
            }
        }
        Ok(card)
    }

    /// The first `{{word}}` in a text for which no value is given. A program may use double braces; a sheet and a card do not.
    pub(super) fn unknown_placeholder(&self, file: &str, text: &str) -> Option<Mistake> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        text.match_indices("{{").find_map(|(place, _)| {
            let (word, _) = text[place + 2..].split_once("}}")?;
            let is_unknown = !word.is_empty() && word.chars().all(is_word) && !self.vary.contains_key(word);
            is_unknown.then(|| {
                let mend = format!("add `{word} = [\u{2026}]` to [vary], or correct the name");
                Mistake::at(file, text, place, format!("no value is given for `{{{{{word}}}}}`"), mend)
            })
        })
    }

    /// The points of all parts.
    pub fn points(&self) -> u32 {
        self.parts.iter().map(|part| part.points).sum()
    }
}

impl Part {
    /// Its name.
    pub fn id(&self) -> &str {
        self.id.get_ref()
    }

    /// How far a number may be off.
    pub fn tolerance(&self) -> Tolerance {
        let given = self.tolerance.as_ref().and_then(|text| Tolerance::parse(text.get_ref()));
        given.unwrap_or(Tolerance::Absolute(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "minutes = 20\n[[part]]\nid = \"a\"\nkind = \"number\"\npoints = 1\ncommand = [\"echo\", \"1\"]\n";

    #[test]
    fn a_mistake_is_reported_with_its_place_and_how_to_correct_it() {
        assert!(Card::parse(GOOD).is_ok());
        for (from, to, place, what) in [
            (
                "points = 1",
                "points = 1\ncheck = \"true\"",
                (3, 6),
                "`check` has no meaning for a number part",
            ),
            ("points = 1", "points = 1\noptions = [\"a\"]", (3, 6), "only a choose part has options"),
            ("\"1\"", "\"{{frist}}\"", (6, 21), "no value is given for `{{frist}}`"),
            ("minutes = 20", "minutes = twenty", (1, 11), ""),
            ("minutes = 20", "minuts = 20", (1, 1), "minuts"),
            ("\"number\"", "\"nmber\"", (4, 8), "nmber"),
            ("id = \"a\"", "id = \"A b\"", (3, 6), "cannot be the id"),
            ("points = 1", "points = -1", (5, 10), "a whole number that is not negative"),
            ("minutes = 20", "minutes = 20\nneeds = \"cc\"", (2, 9), "expected a list"),
            ("[[part]]", "[vary]\nm = []\n[[part]]", (3, 5), "`m` has no values"),
            ("command", "tolerance = \"x%\"\ncommand", (6, 13), "not a tolerance"),
            ("command = [\"echo\", \"1\"]", "take = \"stdout\"", (3, 6), "exactly one measurement"),
            ("command", "take = \"words\"\ncommand", (6, 8), "cannot be taken"),
        ] {
            let mistake = Card::parse(&GOOD.replace(from, to)).unwrap_err();
            assert_eq!((mistake.line, mistake.column), place, "{mistake}");
            assert!(mistake.what.contains(what) && !mistake.mend.is_empty(), "{mistake}");
        }
        let twice = format!("{GOOD}{}", GOOD.split_once('\n').unwrap().1);
        assert!(Card::parse(&twice).unwrap_err().what.contains("two parts"));
    }
}
