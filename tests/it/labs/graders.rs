//! Labs as an autograder meets them.

use libtest_mimic::Trial;
use serde_json::Value;

use super::{CARD, RIGHT, grade, hand_in, json, lab, place, said};
use crate::common::trials;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["labs":
        the_formats_of_autograders_are_those_that_they_publish,
        many_submissions_are_marked_as_each_alone,
    ]
}

/// The fields of Gradescope's `results.json` and of its tests, as its autograder specification lists them.
const GRADESCOPE: [&str; 10] = [
    "score",
    "execution_time",
    "output",
    "output_format",
    "test_output_format",
    "test_name_format",
    "visibility",
    "stdout_visibility",
    "extra_data",
    "tests",
];
const GRADESCOPE_TEST: [&str; 11] = [
    "score",
    "max_score",
    "status",
    "name",
    "name_format",
    "number",
    "output",
    "output_format",
    "tags",
    "visibility",
    "extra_data",
];
/// Those of Exercism's, version 3.
const EXERCISM: [&str; 4] = ["version", "status", "message", "tests"];
const EXERCISM_TEST: [&str; 6] = ["name", "test_code", "status", "message", "output", "task_id"];

/// A program whose output is too long for Exercism, and whose lines would be markup on a page.
const WORDY: &str = "i=0; while [ $i -lt 100 ]; do echo '<b>字</b>'; i=$((i + 1)); done; exit 0\n";

fn has_only(value: &Value, fields: &[&str]) {
    for field in value.as_object().unwrap().keys() {
        assert!(fields.contains(&field.as_str()), "{field} is not published: {value:#}");
    }
}

fn the_formats_of_autograders_are_those_that_they_publish() {
    let place = place("lab-formats");
    let card = CARD.replace("exit = 0\n", "exit = 0\nstdout = \"\"\n");
    std::fs::write(place.path().join("labs/tiny/lab.toml"), card).unwrap();
    hand_in(&place, "in", &[("answers.toml", "all = \"a b,\"\n<b> = 1\n"), ("add.sh", RIGHT)]);
    hand_in(&place, "wordy", &[("add.sh", WORDY)]);
    hand_in(&place, "broken", &[("add.c", "int main(void) { return }\n")]);
    is_gradescopes(&grade(&place, "in", "gradescope"), 5.5);
    is_gradescopes(&grade(&place, "wordy", "gradescope"), 0.0);
    let exercism = grade(&place, "in", "exercism");
    assert_eq!((exercism["version"].as_u64(), exercism["status"].as_str()), (Some(3), Some("fail")));
    let statuses: Vec<_> = is_exercisms(&exercism).iter().map(|test| test["status"].clone()).collect();
    assert_eq!(statuses, ["fail", "fail", "pass"], "{exercism:#}");
    let wordy = grade(&place, "wordy", "exercism");
    let output = is_exercisms(&wordy)[2]["output"].as_str().unwrap();
    assert!(output.starts_with("<b>字</b>\n"), "{output}");
    assert!(output.ends_with("Output was truncated. Please limit to 500 chars"), "{output}");
    let broken = grade(&place, "broken", "exercism");
    let test = &is_exercisms(&broken)[2];
    if test["message"].as_str().unwrap().contains("compile") {
        assert_eq!(test["status"], "error", "no test of it was executed: {test:#}");
    } else {
        println!("left out: cc is not installed");
    }
    let own = grade(&place, "in", "json");
    let schema = json(&place.command(&["schema", "lab"]).output().unwrap());
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&own), "{own:#}");
    assert_eq!(own, grade(&place, "in", "json"), "the same input has the same result");
}

fn is_gradescopes(results: &Value, points: f64) {
    has_only(results, &GRADESCOPE);
    let tests = results["tests"].as_array().unwrap();
    assert_eq!(tests.iter().map(|test| test["score"].as_f64().unwrap()).sum::<f64>(), points, "{results:#}");
    let visible = ["hidden", "after_due_date", "after_published", "visible"];
    // The default of the output for the whole submission is HTML.
    for format in ["output_format", "test_output_format", "test_name_format"] {
        assert_eq!(results[format], "text", "{format}: {results:#}");
    }
    assert!(visible.contains(&results["stdout_visibility"].as_str().unwrap()));
    for (at, test) in tests.iter().enumerate() {
        has_only(test, &GRADESCOPE_TEST);
        let (score, most) = (test["score"].as_f64().unwrap(), test["max_score"].as_f64().unwrap());
        assert!((0.0..=most).contains(&score), "{test:#}");
        assert_eq!(test["status"] == "passed", score == most, "{test:#}");
        assert_eq!(test["number"], (at + 1).to_string());
        assert!(test["output"].is_string() && test["name"].is_string());
        assert!(["passed", "failed"].contains(&test["status"].as_str().unwrap()));
        assert!(visible.contains(&test["visibility"].as_str().unwrap()));
    }
}

fn is_exercisms(results: &Value) -> &Vec<Value> {
    has_only(results, &EXERCISM);
    assert!(results["message"].is_null(), "only of an error: {results:#}");
    let tests = results["tests"].as_array().unwrap();
    for (at, test) in tests.iter().enumerate() {
        has_only(test, &EXERCISM_TEST);
        assert!(["pass", "fail", "error"].contains(&test["status"].as_str().unwrap()), "{test:#}");
        assert!(test["name"].is_string() && test["test_code"].is_string());
        assert_eq!(test["task_id"], at + 1);
        assert!(test["output"].as_str().is_none_or(|output| output.chars().count() <= 500));
        assert_eq!(test["message"].is_string(), test["status"] != "pass", "{test:#}");
    }
    tests
}

fn many_submissions_are_marked_as_each_alone() {
    let place = place("lab-all");
    let log = place.path().join("measured");
    let command = format!("echo once >> '{}'; echo $(({{{{n}}}} + {{{{n}}}}))", log.display());
    let card = CARD.replace("echo $(({{n}} + {{n}}))", &command).replace("n = [2, 3, 4]", "n = [2]");
    std::fs::write(place.path().join("labs/tiny/lab.toml"), card).unwrap();
    for (name, answer) in [("ada", "4"), ("bob", "6"), ("=eve", "8")] {
        hand_in(&place, &format!("all/{name}"), &[("answers.toml", &format!("sum = {answer}\n"))]);
    }
    let table = said(&lab(&place, &["grade", "tiny", "--all", "all", "--csv"]).output().unwrap());
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "student,score,max,sum,all,add,note");
    assert_eq!(lines.len(), 4, "{table}");
    let measured = std::fs::read_to_string(&log).unwrap();
    assert_eq!(measured.lines().count(), 1, "the same truth is measured once for all who are asked for it");
    for name in ["ada", "bob"] {
        let alone = json(
            &lab(&place, &["grade", "tiny", "--student", name, &format!("all/{name}")]).output().unwrap(),
        );
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line.split(',').nth(1).unwrap().parse::<f64>().unwrap(), alone["score"].as_f64().unwrap());
    }
}
