//! Kinds of questions, and the one text form in which an answer is typed, stored and measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest answer, in bytes.
pub const LONGEST: usize = 16 << 10;

/// The kind of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One of several options.
    Choose,
    /// A number, within a tolerance.
    Number,
    /// All values that can occur.
    Set,
    /// Things in order.
    Order,
    /// Each process with its parent.
    Tree,
    /// The state of each process in each slot of time.
    Grid,
    /// A program to correct.
    Program,
    /// A schedule that reaches an outcome.
    Schedule,
}

impl Kind {
    /// Whether an answer is compared with a measurement.
    pub fn is_prediction(self) -> bool {
        !matches!(self, Self::Program | Self::Schedule)
    }
}

/// An answer, by a student or by a measurement.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The name of an option.
    Choose(String),
    /// A number.
    Number(f64),
    /// Values.
    Set(BTreeSet<String>),
    /// Things in order.
    Order(Vec<String>),
    /// The parent of each process.
    Tree(BTreeMap<String, String>),
    /// The cells of each row.
    Grid(BTreeMap<String, Vec<String>>),
    /// A schedule, as it is typed: `a2b3a`.
    Schedule(String),
}

/// What is wrong with the text of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is empty.
    Empty,
    /// It is not a number.
    NoNumber(String),
    /// A thing occurs twice.
    Twice(String),
    /// It is not a pair of a process and its parent.
    NoPair(String),
    /// It is not a row: a name, a colon, and cells.
    NoRow(String),
    /// It is not a schedule.
    NoSchedule(String),
    /// It is too long.
    TooLong,
}

impl Answer {
    /// Parses the text of an answer. Newlines, `;` and `,` separate items; spaces do, if the text has none of these.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(kind: Kind, text: &str) -> Result<Self, Malformed> {
        if text.len() > LONGEST {
            return Err(Malformed::TooLong);
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(Malformed::Empty);
        }
        match kind {
            Kind::Choose => Ok(Self::Choose(text.trim_matches('`').to_lowercase())),
            Kind::Number => {
                let number = text.replace(['_', ' '], "").parse::<f64>().ok();
                let number = number.filter(|number| number.is_finite());
                number.map(Self::Number).ok_or_else(|| Malformed::NoNumber(short(text)))
            }
            Kind::Set if is_none(text) => Ok(Self::Set(BTreeSet::new())),
            Kind::Set => Ok(Self::Set(items(text).into_iter().collect())),
            Kind::Order => {
                let text = text.replace("->", ",").replace(['→', '<'], ",");
                let items = items(&text);
                let twice = items.iter().enumerate().find(|(at, item)| items[..*at].contains(item));
                match twice {
                    Some((_, item)) => Err(Malformed::Twice(short(item))),
                    None => Ok(Self::Order(items)),
                }
            }
            Kind::Tree => parse_tree(text),
            Kind::Grid => parse_grid(text),
            Kind::Schedule | Kind::Program => {
                let word: String = text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect();
                let fits = word.starts_with(|c: char| c.is_ascii_alphabetic())
                    && word.chars().all(|c| c.is_ascii_alphanumeric());
                if fits { Ok(Self::Schedule(word)) } else { Err(Malformed::NoSchedule(short(text))) }
            }
        }
    }
}

/// Whether the text stands for the empty set.
fn is_none(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "none" | "{}" | "[]" | "∅" | "无" | "空")
}

/// The items of a list.
fn items(text: &str) -> Vec<String> {
    let is_mark = |c: char| matches!(c, ',' | ';' | '\n' | '，' | '、' | '；');
    let parts: Vec<&str> = if text.contains(is_mark) {
        text.split(is_mark).collect()
    } else {
        text.split_whitespace().collect()
    };
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn parse_tree(text: &str) -> Result<Answer, Malformed> {
    let mut tree = BTreeMap::new();
    for pair in text.split([',', ';', '\n', '，', '；']).map(str::trim).filter(|pair| !pair.is_empty()) {
        let words: Vec<&str> =
            pair.split([':', '=', '<', '：', ' ', '\t']).filter(|word| !word.is_empty()).collect();
        // `B: A C: A` on one line.
        if words.len() < 2 || !words.len().is_multiple_of(2) {
            return Err(Malformed::NoPair(short(pair)));
        }
        for pair in words.chunks(2) {
            if tree.insert(pair[0].to_owned(), pair[1].to_owned()).is_some() {
                return Err(Malformed::Twice(short(pair[0])));
            }
        }
    }
    Ok(Answer::Tree(tree))
}

fn parse_grid(text: &str) -> Result<Answer, Malformed> {
    let mut grid = BTreeMap::new();
    for row in text.split([';', '\n', '；']).map(str::trim).filter(|row| !row.is_empty()) {
        let (name, cells) = row.split_once([':', '=', '：']).ok_or_else(|| Malformed::NoRow(short(row)))?;
        if grid.insert(name.trim().to_owned(), items(cells)).is_some() {
            return Err(Malformed::Twice(short(name)));
        }
    }
    Ok(Answer::Grid(grid))
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// Items as they are typed. A comma after a single item keeps its spaces from separating.
fn listed(items: &[String]) -> String {
    match items {
        [one] if one.contains(char::is_whitespace) => format!("{one},"),
        _ => items.join(", "),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Choose(text) | Self::Schedule(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Set(set) if set.is_empty() => "none".to_owned(),
            Self::Set(set) => listed(&set.iter().cloned().collect::<Vec<_>>()),
            Self::Order(items) => listed(items),
            Self::Tree(tree) => {
                tree.iter().map(|(child, parent)| format!("{child}: {parent}")).collect::<Vec<_>>().join(", ")
            }
            Self::Grid(grid) => grid
                .iter()
                .map(|(row, cells)| format!("{row}: {}", cells.join(" ")))
                .collect::<Vec<_>>()
                .join("; "),
        };
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(kind: Kind, text: &str) -> String {
        Answer::parse(kind, text).map_or_else(|error| format!("{error:?}"), |answer| answer.to_string())
    }

    #[test]
    fn an_answer_is_read_however_a_person_writes_it() {
        for (kind, text, expected) in [
            (Kind::Choose, " `Zombie` ", "zombie"),
            (Kind::Number, "1 000", "1000"),
            (Kind::Set, "2, 1,1", "1, 2"),
            (Kind::Set, "1 2", "1, 2"),
            (Kind::Set, "exit 0\nexit 1\n", "exit 0, exit 1"),
            (Kind::Set, "无", "none"),
            (Kind::Order, "b -> a → c", "b, a, c"),
            (Kind::Tree, "B: A, C=A\nD B", "B: A, C: A, D: B"),
            (Kind::Tree, "B:A C:A", "B: A, C: A"),
            (Kind::Grid, "A: R R Z; B： B, B, R", "A: R R Z; B: B B R"),
            (Kind::Schedule, "a2 b3, a", "a2b3a"),
        ] {
            assert_eq!(parsed(kind, text), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_that_is_written_down_is_read_as_the_same_answer() {
        for (kind, text) in [
            (Kind::Set, "add delete,"),
            (Kind::Set, "add delete, delete add"),
            (Kind::Set, "one"),
            (Kind::Set, "none"),
            (Kind::Order, "the first,"),
            (Kind::Tree, "B: A; C: B"),
            (Kind::Grid, "A: R R Z; B: B B R"),
            (Kind::Number, "-0.5"),
        ] {
            let answer = Answer::parse(kind, text).unwrap();
            assert_eq!(Answer::parse(kind, &answer.to_string()), Ok(answer), "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_named() {
        for (kind, text, expected) in [
            (Kind::Number, "many", "NoNumber(\"many\")"),
            (Kind::Number, "nan", "NoNumber(\"nan\")"),
            (Kind::Order, "a, b, a", "Twice(\"a\")"),
            (Kind::Tree, "B", "NoPair(\"B\")"),
            (Kind::Grid, "A R R", "NoRow(\"A R R\")"),
            (Kind::Schedule, "2a", "NoSchedule(\"2a\")"),
            (Kind::Set, "  ", "Empty"),
        ] {
            assert_eq!(parsed(kind, text), expected, "{text}");
        }
        assert_eq!(Answer::parse(Kind::Set, &"x,".repeat(LONGEST)), Err(Malformed::TooLong));
    }
}
