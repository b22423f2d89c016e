//! Small programs of every family of calls, in C, shell and Python: the reduced search finds the outcomes and the classes
//! of the naive one, and executes each class once.

use crate::common::trials;
use crate::traced::{Place, outcomes};
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_naive":
        small_programs_in_c_are_explored_as_the_naive_search_does,
        small_programs_in_the_shell_are_explored_as_the_naive_search_does,
        small_programs_in_python_are_explored_as_the_naive_search_does,
    ]
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/traced_naive/programs")
}

/// Explores the programs with this extension both ways, and tells all that differ. `command` makes the command of one.
fn compare_all(extension: &str, least: usize, command: impl Fn(&Place, &Path) -> Option<Vec<String>>) {
    let entries = folder().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut programs: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    programs.sort();
    assert!(programs.len() >= least, "{} programs in {extension}", programs.len());
    let mut differ = Vec::new();
    for program in &programs {
        let name = program.file_name().unwrap().to_string_lossy();
        let place = Place::new("naive", &[("a", "1"), ("b", "")]);
        let Some(command) = command(&place, program) else { return };
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let reduced = place.explore(&[], &command);
        let naive = place.explore(&["--naive"], &command);
        let searched = reduced["executions"].as_u64().unwrap() - reduced["sampled"].as_u64().unwrap();
        for (view, search) in [(&reduced, "reduced"), (&naive, "naive")] {
            if view["complete"] != true {
                differ.push(format!("{name}: the {search} search is not complete: {}", view["uncontrolled"]));
            }
        }
        if outcomes(&reduced) != outcomes(&naive) {
            let [found, all] = [&reduced, &naive].map(|view| outcomes(view).join("\n"));
            differ.push(format!("{name}: the outcomes are\n{all}\nand found were\n{found}"));
        }
        if reduced["classes"] != naive["classes"] || reduced["classes"] != searched {
            let (found, all) = (&reduced["classes"], &naive["classes"]);
            differ.push(format!("{name}: {searched} executions of {found} classes of {all}"));
        }
    }
    assert!(differ.is_empty(), "{} of {}:\n{}", differ.len(), programs.len(), differ.join("\n"));
}

fn small_programs_in_c_are_explored_as_the_naive_search_does() {
    let include = format!("-I{}", folder().display());
    compare_all("c", 55, |place, program| {
        let program = place.compile_with(&[&include], &std::fs::read_to_string(program).unwrap())?;
        Some(vec![program])
    });
}

/// A program in text, run by an interpreter that is given it as an argument.
fn interpreted(interpreter: &[&str], program: &Path) -> Option<Vec<String>> {
    if !Path::new(interpreter[0]).exists() {
        println!("left out: there is no {}", interpreter[0]);
        return None;
    }
    let text = std::fs::read_to_string(program).unwrap();
    Some(interpreter.iter().map(|word| (*word).to_owned()).chain([text]).collect())
}

fn small_programs_in_the_shell_are_explored_as_the_naive_search_does() {
    compare_all("sh", 5, |_, program| interpreted(&["/bin/dash", "-c"], program));
}

fn small_programs_in_python_are_explored_as_the_naive_search_does() {
    // Without the site's modules, which it would look for first.
    compare_all("py", 5, |_, program| interpreted(&["/usr/bin/python3", "-S", "-E", "-c"], program));
}
