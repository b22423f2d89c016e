//! `answers.toml`: a student's predictions. A malformed line does not affect the others.

use std::collections::BTreeMap;
use std::fmt::Write;

use toml::{Spanned, Value};

use super::card::{Card, Part, position};
use super::lang::Lang;
use super::mark::Misread;
use super::question::{Answer, Kind, Malformed};
use super::sheet::Sheet;

/// The name of the file.
pub const FILE: &str = "answers.toml";
/// The largest file that is read, in bytes.
pub const LONGEST: usize = 256 << 10;

/// Answers, and mistakes in the file.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// By part.
    pub given: BTreeMap<String, Answer>,
    /// In the order of the file.
    pub misread: Vec<Misread>,
}

impl Answers {
    /// Parses the file for the parts of `card`.
    pub fn parse(text: &str, card: &Card, lang: Lang) -> Self {
        let mut answers = Self::default();
        if text.len() > LONGEST {
            let what = lang.say("the file is too long", "文件太长，不可能是答案").to_owned();
            answers.misread.push(Misread { line: 1, column: 1, what });
            return answers;
        }
        match toml::from_str::<Entries>(text) {
            Ok(entries) => answers.take(entries, text, 0, text, card, lang),
            // One mistake makes the whole file invalid TOML, so each statement is parsed by itself.
            Err(_) => {
                for (start, statement) in statements(text) {
                    match toml::from_str::<Entries>(statement) {
                        Ok(entries) => answers.take(entries, text, start, statement, card, lang),
                        Err(error) => {
                            let place =
                                error.span().map_or(0, |span| statement.floor_char_boundary(span.start));
                            // What stands in the lines before a line that is none counts.
                            let line = statement[..place].rfind('\n').map_or(0, |end| end + 1);
                            let before = &statement[..line];
                            if let Ok(entries) = toml::from_str::<Entries>(before) {
                                answers.take(entries, text, start, before, card, lang);
                            }
                            let what = error.message().lines().collect::<Vec<_>>().join(" ");
                            answers.misread(text, start + place, what);
                        }
                    }
                }
            }
        }
        answers.misread.sort_by_key(|one| (one.line, one.column));
        answers
    }

    fn misread(&mut self, text: &str, place: usize, what: String) {
        let (line, column) = position(text, place);
        self.misread.push(Misread { line, column, what });
    }

    fn take(&mut self, entries: Entries, text: &str, start: usize, statement: &str, card: &Card, lang: Lang) {
        for (key, value) in entries {
            let place = start + value.span().start;
            let at_key = start + key_place(statement, &key).unwrap_or(value.span().start);
            let Some(part) = card.parts.iter().find(|part| part.id() == key) else {
                if key != "student" {
                    let what = lang.say("no part is called", "没有这个题目：");
                    self.misread(text, at_key, format!("{what} `{key}`"));
                }
                continue;
            };
            if part.kind == Kind::Program {
                continue;
            }
            if self.given.contains_key(&key) {
                let what = lang.say("this part is answered twice", "这道题回答了两次");
                self.misread(text, at_key, format!("{what}: `{key}`"));
                continue;
            }
            match written(value.get_ref()) {
                // An empty string is an open question.
                Some(words) if words.trim().is_empty() => {}
                Some(words) => match Answer::parse(part.kind, &words).map_err(|error| told(&error, lang)) {
                    Ok(answer) => match unfit(part, &answer, lang) {
                        None => drop(self.given.insert(key, answer)),
                        Some(what) => self.misread(text, place, what),
                    },
                    Err(what) => self.misread(text, place, what),
                },
                None => {
                    let what = lang.say(
                        "not an answer: write a text, a number or a list",
                        "这不是答案：请写文字、数字或列表",
                    );
                    self.misread(text, place, what.to_owned());
                }
            }
        }
    }
}

type Entries = BTreeMap<String, Spanned<Value>>;

/// The position of a key in a statement or a file.
fn key_place(text: &str, key: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start().trim_start_matches('[').trim_start_matches('"');
        if bare.starts_with(key) && !line.trim_start().starts_with('#') {
            return Some(at + (line.len() - line.trim_start().len()));
        }
        at += line.len();
    }
    None
}

/// The statements of a file with their positions: each from one key or table to the next.
fn statements(text: &str) -> Vec<(usize, &str)> {
    let mut starts = vec![0];
    let mut at = 0;
    let mut quoted = false;
    let mut in_table = false;
    for line in text.split_inclusive('\n') {
        let begins_table = line.starts_with('[');
        let is_key = line.split_once('=').is_some_and(|(key, _)| {
            let key = key.trim();
            !key.is_empty()
                && !line.starts_with(char::is_whitespace)
                && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_\"".contains(c))
        });
        if !quoted && (begins_table || is_key && !in_table) && at > 0 {
            starts.push(at);
        }
        if !quoted {
            in_table = begins_table || in_table;
        }
        if (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1 {
            quoted = !quoted;
        }
        at += line.len();
    }
    starts.push(text.len());
    starts
        .windows(2)
        .map(|pair| (pair[0], &text[pair[0]..pair[1]]))
        .filter(|(_, part)| !part.trim().is_empty())
        .collect()
}

/// A value as a person would type it.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(word) => Some(word.to_string()),
        Value::Array(all) if all.is_empty() => Some("none".to_owned()),
        Value::Array(all) => {
            let all: Option<Vec<String>> = all.iter().map(written).collect();
            // A comma at the end keeps the spaces of a single item.
            all.map(|all| format!("{},", all.join(",")))
        }
        Value::Table(all) => {
            let row = |(key, value): (&String, &Value)| {
                let cells = match value {
                    Value::Array(all) => all.iter().map(written).collect::<Option<Vec<_>>>()?.join(" "),
                    value => written(value)?,
                };
                Some(format!("{key}: {cells}"))
            };
            all.iter().map(row).collect::<Option<Vec<_>>>().map(|rows| rows.join("\n"))
        }
        Value::Datetime(_) => None,
    }
}

/// Why an answer cannot be one to this part, whatever the truth is.
pub fn unfit(part: &Part, answer: &Answer, lang: Lang) -> Option<String> {
    match answer {
        Answer::Choose(word) if !part.options.contains(word) => {
            let what = lang.say("is not one of", "不在这些选项中：");
            Some(format!("`{word}` {what} {}", part.options.join(", ")))
        }
        _ => None,
    }
}

/// What is wrong with the text of an answer, in words.
pub fn told(error: &Malformed, lang: Lang) -> String {
    match error {
        Malformed::Empty => lang.say("there is no answer", "没有答案").to_owned(),
        Malformed::NoNumber(text) => {
            format!("{}{text:?}", lang.say("expected a number, found ", "这里要填数字，这不是数字："))
        }
        Malformed::Twice(text) => format!("{text:?} {}", lang.say("occurs twice", "出现了两次")),
        Malformed::NoPair(text) => format!(
            "{text:?}: {}",
            lang.say(
                "write each process and its parent, as B: A, C: A",
                "请写出每个进程和它的父进程，例如 B: A, C: A"
            )
        ),
        Malformed::NoRow(text) => {
            format!("{text:?}: {}", lang.say("write a row as A: R R Z", "每一行请写成 A: R R Z"))
        }
        Malformed::NoSchedule(text) => format!(
            "{text:?}: {}",
            lang.say(
                "write letters with counts, as a2b3a: A twice, B three times, A",
                "请写字母和次数，例如 a2b3a：A 两步，B 三步，A 一步"
            )
        ),
        Malformed::TooLong => lang.say("the answer is too long", "答案太长").to_owned(),
    }
}

/// The initial file: every prediction, unanswered, with its title and form.
pub fn template(card: &Card, sheet: &Sheet, student: &str, lang: Lang) -> String {
    let mut text = String::new();
    let head = lang.say(
        "# Write your answers between the quotes. Lines that begin with # do not count.",
        "# 把答案写在引号里。以 # 开头的行不算。",
    );
    let _ = writeln!(text, "{head}\n\nstudent = {}\n", Value::String(student.to_owned()));
    for part in card.parts.iter().filter(|part| part.kind != Kind::Program) {
        let title = sheet.section(part.id()).map_or("", |section| section.title.as_str());
        let _ = writeln!(text, "# {title} ({})\n{} = \"\"\n", form(part, lang), part.id());
    }
    text
}

/// The form of an answer, in a few words.
pub fn form(part: &Part, lang: Lang) -> String {
    match part.kind {
        Kind::Choose => format!("{}{}", lang.say("one of: ", "任选其一："), part.options.join(", ")),
        Kind::Number => lang.say("a number", "一个数字").to_owned(),
        Kind::Set => {
            lang.say("all values, as 0, 1, 2; or none", "所有的值，例如 0, 1, 2；没有就写 none").to_owned()
        }
        Kind::Order => lang.say("in order, as x, y, z", "按顺序，例如 x, y, z").to_owned(),
        Kind::Tree => lang
            .say("each with its parent, as B: A, C: A", "每个进程和它的父进程，例如 B: A, C: A")
            .to_owned(),
        Kind::Grid => {
            lang.say("row by row, as A: R R Z; B: B B R", "一行一行地写，例如 A: R R Z; B: B B R").to_owned()
        }
        Kind::Schedule => lang.say("letters with counts, as a2b3a", "字母和次数，例如 a2b3a").to_owned(),
        Kind::Program => lang.say("a program", "一个程序").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> Card {
        let part = |id: &str, kind: &str| {
            let options = if kind == "choose" { "options = [\"x\", \"y\"]\n" } else { "" };
            format!("[[part]]\nid = \"{id}\"\nkind = \"{kind}\"\npoints = 1\ncommand = [\"true\"]\n{options}")
        };
        let parts = [
            part("pick", "choose"),
            part("n", "number"),
            part("all", "set"),
            part("who", "tree"),
            part("when", "grid"),
        ];
        Card::parse(&format!("minutes = 1\n{}", parts.concat())).unwrap()
    }

    fn told(text: &str) -> (Vec<String>, Vec<String>) {
        let answers = Answers::parse(text, &card(), Lang::En);
        let given = answers.given.iter().map(|(key, value)| format!("{key}={value}")).collect();
        (given, answers.misread.iter().map(|one| format!("{}:{}", one.line, one.column)).collect())
    }

    #[test]
    fn answers_are_read_as_texts_lists_and_tables() {
        let text = "student = \"ada\"\npick = \"X\"\nn = 12\nall = [0, \"a b\"]\n[who]\nB = \"A\"\n[when]\nA = \"R R\"\nB = [\"B\", \"R\"]\n";
        let (given, misread) = told(text);
        assert_eq!(given, ["all=0, a b", "n=12", "pick=x", "when=A: R R; B: B R", "who=B: A"]);
        assert!(misread.is_empty(), "{misread:?}");
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_the_rest_counts() {
        let (given, misread) = told("pick = \"x\"\nn = 12 apples\nall = [1, 2]\n");
        assert_eq!(given, ["all=1, 2", "pick=x"]);
        assert_eq!(misread.len(), 1);
        assert!(misread[0].starts_with("2:"), "{misread:?}");
        let (given, misread) = told("pick = \"z\"\nn = \"many\"\nwhat = 1\nall = \"\"\n\"who\" = \"B: A\"\n");
        assert_eq!(given, ["who=B: A"]);
        assert_eq!(misread, ["1:8", "2:5", "3:1"]);
        let (given, misread) = told("n = 1\nn = 2\nall = \"1\n");
        assert_eq!(given, ["n=1"]);
        assert_eq!(misread.len(), 2, "{misread:?}");
        let (given, misread) = told("n = 1\n<b> = 2\npick = \"x\"\nI think 3\n[who]\nB = \"A\"\n???\n");
        assert_eq!(given, ["n=1", "pick=x", "who=B: A"]);
        assert_eq!(misread, ["2:1", "4:3", "7:4"]);
    }

    #[test]
    fn the_template_holds_every_question_and_no_answer() {
        let card = card();
        let text = template(&card, &Sheet::default(), "a\"b", Lang::Zh);
        let answers = Answers::parse(&text, &card, Lang::Zh);
        assert!(answers.given.is_empty() && answers.misread.is_empty(), "{text}\n{answers:?}");
    }
}
