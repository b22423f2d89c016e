//! Labs as a student, a lecturer and an autograder meet them.

use std::process::{Command, Output};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::traced_verbs::Place;

mod graders;
mod hostile;
mod lecturer;
mod programs;
mod student;
mod students;
mod subtle;

pub(crate) fn tests() -> Vec<Trial> {
    [
        student::tests(),
        lecturer::tests(),
        graders::tests(),
        programs::tests(),
        students::tests(),
        subtle::tests(),
        hostile::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A lab that needs nothing but a shell.
const CARD: &str = r#"
minutes = 5
[vary]
n = [2, 3, 4]
[[part]]
id = "sum"
kind = "number"
points = 2
command = ["sh", "-c", "echo $(({{n}} + {{n}}))"]
[[part]]
id = "all"
kind = "set"
points = 3
explore = ["sh", "-c", "echo a >> log & echo b >> log; wait"]
take = "file:log"
[[part]]
id = "add"
kind = "program"
points = 4
file = "add.*"
limits = { seconds = 30, processes = 40 }
check = 'test "$(cat n)" = 3 || { echo "n is $(cat n)"; exit 1; }'
[[part.test]]
name = "it ends well"
seconds = 2
exit = 0
"#;

const SHEET: &str = "# A lab\nHello.\n## sum: A sum\nHow much is {{n}} and {{n}}?\n> Hint: add\n> Why: so\n\
    ## all: All\nWhat can log hold?\n> Hint: two\n## add: Add\nAdd one twice.\n> Hint: lock\n";

/// Adds one twice, by two processes; wrong without a lock.
const RACE: &str = "inc() { read x < n; echo $((x + 1)) > n; }\ninc & inc & wait\n";

/// One after the other.
const RIGHT: &str = "inc() { read x < n; echo $((x + 1)) > n; }\n(inc); (inc)\n";

pub(crate) fn place(name: &str) -> Place {
    let place = Place::new(name, &[]);
    for (file, text) in [("lab.toml", CARD), ("en.md", SHEET), ("zh.md", SHEET), ("files/n", "1\n")] {
        let path = place.path().join("labs/tiny").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    place
}

pub(crate) fn lab(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command(&["lab", "--lang", "en", "--labs", "labs"]);
    command.args(words).env("XDG_STATE_HOME", place.path().join("state")).env("LOGNAME", "ada");
    command
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

pub(crate) fn hand_in(place: &Place, folder: &str, files: &[(&str, &str)]) {
    let folder = place.path().join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

pub(crate) fn grade(place: &Place, folder: &str, format: &str) -> Value {
    json(&lab(place, &["grade", "tiny", "--student", "ada", "--format", format, folder]).output().unwrap())
}

pub(crate) fn part<'v>(mark: &'v Value, id: &str) -> &'v Value {
    mark["parts"].as_array().unwrap().iter().find(|part| part["id"] == id).unwrap()
}
