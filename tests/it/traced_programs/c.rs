//! Programs in C: locks, pipes, and children.

use super::{Place, content, explored, set};
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::Value;
use std::process::Command;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_programs":
        philosophers_starve_unless_the_forks_are_ordered,
        a_pipe_whose_end_nobody_closed_is_a_deadlock,
        a_lock_file_that_its_holder_removes_lets_two_in,
        the_ticket_sale_of_two_and_three_buyers_is_oversold_without_a_lock,
        a_lock_around_the_ticket_sale_makes_it_right,
        a_library_of_the_folder_is_read_in_steps,
    ]
}

const HEAD: &str = "#define _GNU_SOURCE\n#include <fcntl.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/file.h>\n#include <sys/wait.h>\n#include <unistd.h>\n";

/// Compiles `source` into the place; whether there is a compiler.
fn compile(place: &Place, source: &str) -> bool {
    let from = place.path().join("program.c");
    std::fs::write(&from, [HEAD, source].concat()).unwrap();
    let done = Command::new("cc").args(["-w", "-o"]).arg(place.path().join("program")).arg(&from).status();
    let _ = std::fs::remove_file(&from);
    match done {
        Ok(status) => assert!(status.success(), "the program compiles"),
        Err(_) => println!("left out: there is no cc"),
    }
    done.is_ok()
}

fn explore(place: &Place, arguments: &[&str]) -> Value {
    let (view, _) = place.json(&[&["explore", "--", "./program"], arguments].concat());
    assert_eq!(view["complete"], true, "{}", view["bounded_by"]);
    view
}

fn a_library_of_the_folder_is_read_in_steps() {
    let place = Place::new("library", &[]);
    if !compile_library(&place, "int number = 1;") {
        return;
    }
    // What the loader reads is wrong for a moment.
    let source = r#"
#include <dlfcn.h>
int main(void) {
    if (!fork()) {
        int f = open("number.so", O_RDWR);
        pwrite(f, "X", 1, 0);
        pwrite(f, "\177", 1, 0);
        _exit(0);
    }
    int loaded = dlopen("./number.so", RTLD_NOW) != 0;
    close(open(loaded ? "loaded" : "refused", O_CREAT, 0600));
    wait(0);
    return 0;
}"#;
    if !compile(&place, source) {
        return;
    }
    let (view, _) = place.json(&["explore", "--", "./program"]);
    let file = |it: &Value| {
        let made = ["loaded", "refused"].into_iter().find(|file| it["files"].get(file).is_some());
        made.unwrap_or("none").to_owned()
    };
    assert_eq!(explored(&view, file), set(&["loaded", "refused"]));
    let outcomes = view["outcomes"].as_array().unwrap();
    let loaded = outcomes.iter().find(|outcome| file(outcome) == "loaded").unwrap();
    let witness = loaded["witness"].to_string();
    // Once it is known that the loader reads the folder, its calls on the library are steps.
    assert!(
        witness.contains("read(number.so") && witness.contains("mmap(number.so, PROT_READ, MAP_PRIVATE)"),
        "{witness}"
    );
}

fn compile_library(place: &Place, source: &str) -> bool {
    let (from, to) = (place.path().join("number.c"), place.path().join("number.so"));
    std::fs::write(&from, source).unwrap();
    let done = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&to, &from]).status();
    let _ = std::fs::remove_file(&from);
    done.is_ok_and(|status| status.success())
}

fn philosophers_starve_unless_the_forks_are_ordered() {
    let place = Place::new("philosophers", &[("a", ""), ("b", ""), ("c", "")]);
    let source = r#"
int main(int c, char **v) {
    int n = atoi(v[1]), ordered = atoi(v[2]);
    for (int i = 0; i < n; i++)
        if (!fork()) {
            char left[2] = {'a' + i}, right[2] = {'a' + (i + 1) % n};
            int l = open(left, O_RDWR), r = open(right, O_RDWR);
            if (ordered && i == n - 1) { int t = l; l = r; r = t; }
            flock(l, LOCK_EX);
            flock(r, LOCK_EX);
            _exit(0);
        }
    for (int i = 0; i < n; i++) wait(0);
    return 0;
}"#;
    if !compile(&place, source) {
        return;
    }
    for n in ["2", "3"] {
        let view = explore(&place, &[n, "0"]);
        assert_eq!(explored(&view, |it| it["verdict"].to_string()), set(&["\"deadlock\"", "\"ok\""]));
        let waits = view["outcomes"][0]["deadlock"].as_array().unwrap();
        let held = waits.iter().filter(|wait| wait["held_by"].as_array().unwrap().len() == 1).count();
        assert_eq!(held.to_string(), n, "each waits for what another holds: {waits:?}");
        let view = explore(&place, &[n, "1"]);
        assert_eq!(explored(&view, |it| it["verdict"].to_string()), set(&["\"ok\""]));
    }
}

fn a_pipe_whose_end_nobody_closed_is_a_deadlock() {
    let place = Place::new("pipe", &[]);
    let source = r#"
int main(int c, char **v) {
    int p[2];
    char byte;
    pipe(p);
    if (!fork()) { write(p[1], "x", 1); _exit(0); }
    if (atoi(v[1])) close(p[1]);
    while (read(p[0], &byte, 1) > 0) ;
    wait(0);
    return 0;
}"#;
    if !compile(&place, source) {
        return;
    }
    let forgotten = explore(&place, &["0"]);
    assert_eq!(explored(&forgotten, |it| it["verdict"].to_string()), set(&["\"deadlock\""]));
    assert!(forgotten["outcomes"][0]["deadlock"][0]["object"].as_str().unwrap().starts_with("pipe"));
    let closed = explore(&place, &["1"]);
    assert_eq!(explored(&closed, |it| it["verdict"].to_string()), set(&["\"ok\""]));
}

/// Three processes add one to a number under a lock on a file, which each removes in the end or leaves.
fn a_lock_file_that_its_holder_removes_lets_two_in() {
    let place = Place::new("removed", &[("n", "0")]);
    let source = r#"
int main(int c, char **v) {
    for (int i = 0; i < 3; i++)
        if (!fork()) {
            char b[2] = {0};
            int lock = open("lock", O_CREAT | O_RDWR, 0600);
            flock(lock, LOCK_EX);
            int f = open("n", O_RDWR);
            pread(f, b, 1, 0);
            b[0]++;
            pwrite(f, b, 1, 0);
            if (atoi(v[1])) unlink("lock");
            _exit(0);
        }
    for (int i = 0; i < 3; i++) wait(0);
    return 0;
}"#;
    if !compile(&place, source) {
        return;
    }
    let numbers = |view: &Value| explored(view, |it| content(it, "n"));
    assert_eq!(numbers(&explore(&place, &["0"])), set(&["3"]));
    // The second holds a file without a name when the third makes a new one.
    assert_eq!(numbers(&explore(&place, &["1"])), set(&["2", "3"]));
}

const SALE: &str = r#"
int main(int c, char **v) {
    int n = atoi(v[1]), locked = atoi(v[2]);
    for (int i = 0; i < n; i++)
        if (!fork()) {
            char b[2] = {0};
            int lock = open("lock", O_RDWR), f = open("stock", O_RDWR);
            if (locked) flock(lock, LOCK_EX);
            pread(f, b, 1, 0);
            int sold = b[0] > '0';
            b[0] -= sold;
            pwrite(f, b, 1, 0);
            if (locked) flock(lock, LOCK_UN);
            _exit(sold);
        }
    for (int i = 0; i < n; i++) wait(0);
    return 0;
}"#;

/// How many buyers got a ticket, and how many were left.
fn sold(outcome: &Value) -> String {
    let exits = outcome["exit"].as_object().unwrap().values().filter(|code| **code == 1).count();
    format!("{exits} sold, {} left", content(outcome, "stock"))
}

fn the_ticket_sale_of_two_and_three_buyers_is_oversold_without_a_lock() {
    let place = Place::new("sale-c", &[("lock", ""), ("stock", "1")]);
    if !compile(&place, SALE) {
        return;
    }
    // Two buyers read and write: six schedules, as many as at the gate.
    let view = explore(&place, &["2", "0"]);
    assert_eq!(explored(&view, sold), set(&["1 sold, 0 left", "2 sold, 0 left"]));
    let view = explore(&place, &["3", "0"]);
    assert_eq!(explored(&view, sold), set(&["1 sold, 0 left", "2 sold, 0 left", "3 sold, 0 left"]));
}

fn a_lock_around_the_ticket_sale_makes_it_right() {
    let place = Place::new("sale-locked", &[("lock", ""), ("stock", "1")]);
    if !compile(&place, SALE) {
        return;
    }
    for n in ["2", "3"] {
        assert_eq!(explored(&explore(&place, &[n, "1"]), sold), set(&["1 sold, 0 left"]));
    }
}
