//! Labs as a lecturer writes them.

use std::path::Path;

use libtest_mimic::Trial;

use super::{CARD, SHEET, lab, place, said};
use crate::common::trials;
use crate::traced_verbs::Place;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["labs":
        a_lab_of_a_lecturer_is_found_and_its_mistake_is_told_with_the_mend,
        what_a_check_finds_is_told_in_words,
        every_lab_is_solved_by_its_solution_and_not_by_its_starter,
    ]
}

fn a_lab_of_a_lecturer_is_found_and_its_mistake_is_told_with_the_mend() {
    let place = place("lab-mistake");
    let card = place.path().join("labs/tiny/lab.toml");
    std::fs::write(&card, CARD.replace("kind = \"set\"", "kind = \"sett\"")).unwrap();
    let output = lab(&place, &["author", "check", "labs/tiny"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("lab.toml:12:8"), "{}", said(&output));
    std::fs::write(&card, CARD).unwrap();
    std::fs::write(place.path().join("labs/tiny/zh.md"), SHEET.replace("> Hint: lock\n", "")).unwrap();
    let output = lab(&place, &["start", "tiny"]).output().unwrap();
    assert!(said(&output).contains("zh.md:10:1: part `add` has no hint"), "{}", said(&output));
    assert!(said(&output).contains("hint: add `> Hint"), "{}", said(&output));
}

fn what_a_check_finds_is_told_in_words() {
    let place = place("lab-flaws");
    let solution = place.path().join("labs/tiny/solution");
    std::fs::create_dir(&solution).unwrap();
    std::fs::write(solution.join("add.sh"), super::RIGHT).unwrap();
    let card = place.path().join("labs/tiny/lab.toml");
    let words = ["author", "check", "--variants", "1", "--measurements", "1", "labs/tiny"];
    for (from, to, expected) in [
        (
            "echo $(({{n}} + {{n}}))",
            "echo two",
            "not an answer to this part: expected a number, found \"two\"",
        ),
        (
            "echo a >> log & echo b >> log; wait",
            "echo no such thing >&2; exit 2",
            "ends with exit 2 in every schedule: no such thing",
        ),
        ("\"$(cat n)\" = 3 ||", "\"$(cat n)\" = 4 ||", "So: n is 3"),
        ("exit = 0", "exit = 5", "✗ it ends well: it ended with exit 0; expected: exit 5"),
    ] {
        std::fs::write(&card, CARD.replace(from, to)).unwrap();
        let output = lab(&place, &words).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{to}: {}", said(&output));
        assert!(said(&output).contains(expected), "{to}: {}", said(&output));
    }
    std::fs::write(&card, CARD).unwrap();
    let output = lab(&place, &words).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// One variant of each lab, so that it stays cheap; `lab author check --all` proves twenty.
fn every_lab_is_solved_by_its_solution_and_not_by_its_starter() {
    for needed in ["python3", "cc"] {
        let is_there = |folder: &str| Path::new(folder).join(needed).exists();
        if !["/usr/local/bin", "/usr/bin", "/bin"].into_iter().any(is_there) {
            println!("left out: {needed} is not installed");
            return;
        }
    }
    let place = Place::new("lab-author", &[]);
    let mut command =
        place.command(&["lab", "author", "check", "--all", "--variants", "1", "--measurements", "1"]);
    let output = command.output().unwrap();
    // On a machine that is busy with other things a limit may have little to spare, which is no fault of the lab.
    let said = said(&output);
    let faults: Vec<&str> =
        said.lines().filter(|line| line.starts_with("    ") && !line.contains("raise")).collect();
    assert!(matches!(output.status.code(), Some(0 | 3)) && faults.is_empty(), "{said}");
    assert_eq!(said.matches(['✓', '✗']).count(), 12, "{said}");
}
