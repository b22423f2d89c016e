//! Shell scripts and makefiles.

use super::{Place, content, explored, has, set};
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_programs":
        an_update_in_two_shells_is_lost,
        a_lock_file_that_is_looked_for_first_lets_two_in_and_one_made_exclusively_does_not,
        a_folder_as_a_lock_lets_one_in,
        two_writers_of_one_temporary_name_take_it_from_each_other,
        two_edits_in_place_lose_one,
        log_lines_without_append_overwrite_each_other,
        a_named_pipe_that_nobody_opens_is_a_deadlock,
        a_pid_file_of_a_dead_process_is_believed,
        make_with_a_dependency_missing_is_explored_whole,
    ]
}

/// Explores a script in an empty folder with these files, in at most 300 executions.
fn explore(name: &str, files: &[(&str, &str)], shell: &str, script: &str) -> Value {
    explore_within("300", name, files, shell, script)
}

fn explore_within(budget: &str, name: &str, files: &[(&str, &str)], shell: &str, script: &str) -> Value {
    let place = Place::new(name, files);
    place.json(&["explore", "--budget", budget, "--", shell, "-c", script]).0
}

fn contents(view: &Value, file: &str) -> BTreeSet<String> {
    assert_eq!(view["ended"], true, "{view}");
    explored(view, |outcome| content(outcome, file))
}

fn an_update_in_two_shells_is_lost() {
    // 3: one after the other. 2: both read 1. 1: one read the file that the other had just emptied.
    for shell in ["dash", "bash"] {
        if has(shell) {
            let script = "inc() { read n < n; echo $((n + 1)) > n; }; inc & inc & wait";
            let view = explore_within("800", "update", &[("n", "1\n")], shell, script);
            assert_eq!(contents(&view, "n"), set(&["1", "2", "3"]), "{shell}");
        }
    }
}

fn a_lock_file_that_is_looked_for_first_lets_two_in_and_one_made_exclusively_does_not() {
    let script = "for p in a b; do ([ -e lock ] || { : > lock; echo $p >> won; }) & done; wait";
    let view = explore("look", &[], "dash", script);
    assert_eq!(contents(&view, "won"), set(&["a", "b", "a,b", "b,a"]));
    let script = "set -C; for p in a b; do (echo $p > lock && echo $p >> won) 2> /dev/null & done; wait";
    let view = explore("exclusive", &[], "dash", script);
    assert_eq!(contents(&view, "won"), set(&["a", "b"]));
}

fn a_folder_as_a_lock_lets_one_in() {
    let script = "for p in a b; do (mkdir lock 2> /dev/null && echo $p >> won) & done; wait";
    let view = explore_within("120", "folder", &[], "dash", script);
    assert_eq!(contents(&view, "won"), set(&["a", "b"]));
}

fn two_writers_of_one_temporary_name_take_it_from_each_other() {
    let script = "w() { echo $1 > f.tmp; mv f.tmp f || echo lost >> lost; }; w a 2> err & w b 2> err & wait";
    let place = Place::new("temporary", &[]);
    let (view, _) = place.json(&[
        "explore",
        "--budget",
        "150",
        "--same-output",
        "--ignore",
        "err",
        "--",
        "dash",
        "-c",
        script,
    ]);
    // Found in few executions: a `mv` that finds nothing, beside the two orders that are right.
    let found = explored(&view, |outcome| format!("{} {}", content(outcome, "f"), content(outcome, "lost")));
    assert!(found.is_superset(&set(&["a -", "b -", "a lost", "b lost"])), "{found:?}");
}

fn two_edits_in_place_lose_one() {
    let view = explore("edits", &[("f", "a\nb\n")], "dash", "sed -i s/a/x/ f & sed -i s/b/y/ f & wait");
    assert_eq!(contents(&view, "f"), set(&["x,y", "x,b", "a,y"]));
}

fn log_lines_without_append_overwrite_each_other() {
    let with = explore("append", &[], "dash", "echo aa >> log & echo bb >> log & wait");
    assert_eq!(contents(&with, "log"), set(&["aa,bb", "bb,aa"]));
    let without = explore("overwrite", &[], "dash", "echo aa > log & echo bb > log & wait");
    assert_eq!(contents(&without, "log"), set(&["aa", "bb"]));
}

fn a_named_pipe_that_nobody_opens_is_a_deadlock() {
    let view = explore("fifo", &[], "dash", "mkfifo p; cat p & wait");
    assert_eq!(explored(&view, |outcome| outcome["verdict"].to_string()), set(&["\"deadlock\""]));
    let objects: Vec<_> =
        view["outcomes"][0]["deadlock"].as_array().unwrap().iter().map(|it| it["object"].clone()).collect();
    assert!(objects.contains(&"pipe p".into()), "{objects:?}");
}

fn make_with_a_dependency_missing_is_explored_whole() {
    if !has("make") {
        return;
    }
    let rules = "all: a b\na: ; echo a > out\nb: ; echo b >> out\n";
    let place = Place::new("make", &[("Makefile", rules)]);
    let (view, _) = place.json(&["explore", "--budget", "600", "--", "make", "-j2"]);
    assert_eq!(contents(&view, "out"), set(&["a", "a,b"]));
    // Every witness was replayed, although make is suspended while its vfork child has not executed the shell.
    assert_eq!(view["complete"], true, "{}", view["uncontrolled"]);
}

fn a_pid_file_of_a_dead_process_is_believed() {
    // The daemon writes its number and ends; a second one is refused for ever by a file that means nothing.
    let script = "d() { if [ -e pid ]; then echo refused >> log; else echo d > pid; echo ran >> log; fi; }; \
                  (d) & wait; (d) & (d) & wait";
    let view = explore("pid", &[], "dash", script);
    assert_eq!(contents(&view, "log"), set(&["ran,refused,refused"]));
}
