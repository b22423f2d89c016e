//! What is left when the page, the browser or the server goes: nothing.

use super::browser::Browser;
use super::http::Server;
use crate::common::{id_of, kill, lives, trials, until};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::Pid;
use proclab::sys::procfs::tree;
use serde_json::{Value, json};
use std::net::TcpStream;

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        ctrl_c_leaves_nothing,
        a_killed_server_leaves_nothing,
        a_killed_worker_leaves_nothing_and_is_told_of,
        a_killed_watch_leaves_nothing_of_the_command_and_is_told_of,
        a_killed_browser_ends_what_it_has_started,
        a_test_that_fails_leaves_no_browser,
    ]
}

/// One job of each kind under way, and a command whose tree would outlive it; everything that descends from the server.
fn busy(server: &Server) -> Vec<Pid> {
    let search =
        json!({ "explore": { "scenario": "tickets", "options": { "buyers": "3", "lock": "none" } } });
    let run = json!({ "run": { "scenario": "tickets", "options": { "think": "60000" } } });
    let mut streams = Vec::new();
    for request in [search, run, json!({ "schedule": { "token": "t2k1.no.qr" } }), json!("watch")] {
        let job = server.begin(&request);
        let mut stream = server.follow(&job);
        stream.until("it is under way", |message| {
            let lanes = message["lanes"].as_array().map_or(0, Vec::len);
            lanes > 0 || message["type"] == "scene" || message["schedules"].as_u64().is_some_and(|n| n > 0)
        });
        streams.push(stream);
    }
    let mut all = Vec::new();
    until("the command's children and the buyers live", || {
        all = tree::with_descendants(id_of(&server.program));
        let named = |name: &str| all.iter().filter(|pid| comm(**pid) == name).count();
        named("sleep") >= 2 && named("user9") >= 1
    });
    drop(streams);
    all
}

fn comm(pid: Pid) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// A command with a child in another session and one that ignores SIGTERM.
const STUBBORN: [&str; 4] = ["--", "sh", "-c", "setsid sleep 3600 & trap '' TERM; sleep 3600 & wait"];

fn gone(server: &Server, all: &[Pid]) {
    until("nothing is left", || {
        let left: Vec<&Pid> =
            all.iter().filter(|pid| lives(**pid) && **pid != id_of(&server.program)).collect();
        left.is_empty()
    });
    until("the port is free", || TcpStream::connect(&server.host).is_err());
}

fn ctrl_c_leaves_nothing() {
    let mut server = Server::start(&STUBBORN);
    let all = busy(&server);
    kill(id_of(&server.program), Signal::SIGINT);
    let status = server.program.wait().unwrap();
    assert_eq!(status.code(), Some(0), "it was asked to end");
    gone(&server, &all);
}

fn a_killed_server_leaves_nothing() {
    let mut server = Server::start(&STUBBORN);
    let all = busy(&server);
    server.program.kill().unwrap();
    server.program.wait().unwrap();
    gone(&server, &all);
}

fn a_killed_worker_leaves_nothing_and_is_told_of() {
    let server = Server::start(&[]);
    let schedule = json!({ "schedule": { "token": "t2k1.no.qr" } });
    let job = server.begin(&schedule);
    let mut stream = server.follow(&job);
    stream.until("its processes stand at their steps", |message| message["type"] == "scene");
    let all = tree::with_descendants(id_of(&server.program));
    assert!(all.len() >= 4, "the server, its worker, two buyers: {all:?}");
    let worker = tree::children_by_parent(id_of(&server.program)).unwrap()[0];
    kill(worker, Signal::SIGKILL);
    let failed = stream.until("it is told", |message| message["type"] == "failed");
    assert!(failed["why"].as_str().unwrap().contains("killed"), "{failed}");
    until("nothing is left", || all.iter().all(|pid| !lives(*pid) || *pid == id_of(&server.program)));
    let job = server.begin(&schedule);
    server.follow(&job).until("the server goes on", |message| message["type"] == "scene");
}

/// Two processes share the work of a watch: whichever is killed, the other ends the command.
fn a_killed_watch_leaves_nothing_of_the_command_and_is_told_of() {
    for depth in 0..2 {
        let server = Server::start(&STUBBORN);
        let job = server.begin(&json!("watch"));
        let mut stream = server.follow(&job);
        let mut all = Vec::new();
        until("the command's children live", || {
            all = tree::with_descendants(id_of(&server.program));
            all.iter().filter(|pid| comm(**pid) == "sleep").count() == 2
        });
        let mut worker = id_of(&server.program);
        for _ in 0..=depth {
            worker = tree::children_by_parent(worker).unwrap()[0];
        }
        kill(worker, Signal::SIGKILL);
        if depth == 1 {
            let failed = stream.until("it is told", |message| message["type"] == "failed");
            assert!(failed["why"].as_str().unwrap().contains("killed"), "{failed}");
        }
        until("nothing is left", || all.iter().all(|pid| !lives(*pid) || *pid == id_of(&server.program)));
    }
}

/// A page that is closed says nothing: its connection ends, and nobody else follows.
fn a_killed_browser_ends_what_it_has_started() {
    let server = Server::start(&STUBBORN);
    if let Some(mut browser) = Browser::open() {
        browser.go(&format!("{}#/watch", server.address()));
        browser.click(".side .primary");
        browser.until("document.querySelectorAll('.processes tbody tr').length >= 3");
        browser.kill();
    }
    let job = server.begin(&json!("watch"));
    let mut stream = server.follow(&job);
    let lanes = |message: &Value| message["lanes"].as_array().is_some_and(|lanes| !lanes.is_empty());
    stream.until("it lives", lanes);
    drop(stream);
    until("its worker has ended", || tree::with_descendants(id_of(&server.program)).len() == 1);
}

fn a_test_that_fails_leaves_no_browser() {
    let mut all = Vec::new();
    let folder = std::cell::RefCell::new(None);
    let failed = crate::common::quietly(|| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let Some(browser) = Browser::open() else { return };
            browser.go("data:text/html,<p>busy");
            all = browser.processes();
            *folder.borrow_mut() = Some(browser.folder().to_owned());
            panic!("the test fails here");
        }))
    });
    if all.is_empty() {
        return;
    }
    assert!(failed.is_err() && all.len() > 3, "{all:?}");
    assert!(!all.iter().any(|pid| lives(*pid)), "its driver and its processes have ended");
    assert!(!folder.into_inner().unwrap().exists(), "its profile is removed");
}
