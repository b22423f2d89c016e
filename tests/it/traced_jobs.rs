//! Long searches: in several engines at once, and continued from a file.

use crate::common::{trials, until};
use crate::traced::{HEAD, Place, outcomes};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::process::{Command, Stdio};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_jobs":
        engines_side_by_side_execute_what_one_executes,
        a_search_goes_on_without_an_engine_that_was_killed,
        a_search_is_continued_where_it_was_interrupted,
        a_file_of_another_search_is_refused,
    ]
}

/// Two processes that write the same byte five times: `C(12, 6)` orders, of which those of the first two writes are two
/// outcomes.
const WRITERS: &str = r#"
int main(void) {
    int f = open("n", O_RDWR | O_CREAT, 0644);
    for (int i = 0; i < 2; i++) if (!fork()) {
        for (int k = 0; k < 5; k++) pwrite(f, i ? "a" : "b", 1, 0);
        _exit(0);
    }
    int first = wait(0);
    return waitpid(-1, 0, 0) < first;
}"#;

fn found(view: &Value) -> (Vec<String>, &Value, &Value, Vec<&Value>) {
    let mut tokens: Vec<&Value> =
        view["outcomes"].as_array().unwrap().iter().map(|it| &it["token"]).collect();
    tokens.sort_by_key(|token| token.to_string());
    (outcomes(view), &view["classes"], &view["complete"], tokens)
}

fn engines_side_by_side_execute_what_one_executes() {
    let place = Place::new("jobs", &[]);
    let Some(program) = place.compile(&format!("{HEAD}{WRITERS}")) else { return };
    let alone = place.explore(&["--jobs", "1"], &[&program]);
    let together = place.explore(&["--jobs", "3"], &[&program]);
    assert_eq!(alone["complete"], true, "{}", alone["uncontrolled"]);
    assert_eq!(found(&together), found(&alone));
    assert_eq!(together["executions"], alone["executions"]);
}

/// The engines of an exploration, the first one first.
fn engines(of: u32) -> Vec<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let mut pids: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    pids.sort_unstable();
    pids.into_iter().map(Pid::from_raw).collect()
}

fn a_search_goes_on_without_an_engine_that_was_killed() {
    let place = Place::new("jobs-killed", &[]);
    let Some(program) = place.compile(&format!("{HEAD}{WRITERS}")) else { return };
    let alone = place.explore(&["--jobs", "1"], &[&program]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
    command.args(["explore", "--format", "json", "--dir", "empty", "--jobs", "2", "--", &program]);
    let child = command.env_remove("LD_LIBRARY_PATH").stdout(Stdio::piped()).spawn().unwrap();
    let mut last = None;
    until("other engines", || {
        last = engines(child.id()).get(2).copied();
        last.is_some()
    });
    kill(last.unwrap(), Signal::SIGKILL).unwrap();
    let output = child.wait_with_output().unwrap();
    let view: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found(&view), found(&alone));
}

fn a_search_is_continued_where_it_was_interrupted() {
    let place = Place::new("resume", &[]);
    let Some(program) = place.compile(&format!("{HEAD}{WRITERS}")) else { return };
    let whole = place.explore(&["--jobs", "1"], &[&program]);
    let file = place.path("search");
    let file = file.to_str().unwrap();
    let part = place.explore(&["--resume", file, "--budget", "300"], &[&program]);
    assert_eq!((&part["complete"], &part["executions"]), (&false.into(), &300.into()));
    let rest = place.explore(&["--resume", file], &[&program]);
    assert_eq!(found(&rest), found(&whole));
    assert_eq!(rest["executions"], whole["executions"], "nothing was executed twice");
    let again = place.explore(&["--resume", file], &[&program]);
    assert_eq!(found(&again), found(&whole), "what has ended stays known");
}

fn a_file_of_another_search_is_refused() {
    let place = Place::new("resume-other", &[("a", "1")]);
    let file = place.path("search");
    let file = file.to_str().unwrap();
    place.explore(&["--resume", file], &["true"]);
    let refused = |options: &[&str], command: &str, reason: &str| {
        let mut explore = Command::new(env!("CARGO_BIN_EXE_proclab"));
        explore.args(["explore", "--resume", file, "--dir", place.path("dir").to_str().unwrap()]);
        let output = explore.args(options).args(["--", command]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(reason) && said.contains("hint: "), "{said}");
    };
    refused(&[], "false", "the command is different");
    refused(&["--kills", "1"], "true", "the options are different");
    refused(&["--strategy", "random"], "true", "chance has none");
    std::fs::write(place.path("dir/a"), "2").unwrap();
    refused(&[], "true", "the files in the folder have changed");
    let content = std::fs::read(file).unwrap();
    std::fs::write(file, &content[..content.len() - 1]).unwrap();
    refused(&[], "true", "is not a search");
}
