//! `proclab bench`: every peer takes part, the ratios match the figures, and an interrupt ends all of it.

use crate::common::id_of;
use crate::common::{kill, trials, until};
use crate::program::{Lab, finish, json, listens, obeys, ran, refused, text};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::sys::procfs::tree;
use serde_json::Value;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["bench":
        the_ratios_follow_from_the_samples,
        without_python_its_entries_are_reported_as_left_out,
        an_interrupt_ends_every_measurement,
        unknown_works_are_refused,
    ]
}

fn the_ratios_follow_from_the_samples() {
    let lab = Lab::new();
    let schema = jsonschema::validator_for(&json(&lab.run(&["schema", "bench"]))).unwrap();
    for (work, times) in [("start", true), ("queue", false)] {
        let output = lab.run(&["bench", work, "--rounds", "1", "--format", "json"]);
        ran(&output, 0);
        let bench = json(&output);
        obeys(&schema, &bench);
        assert_eq!(bench["work"], work);
        let median = |name: &Value| {
            let entries = bench["entries"].as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["name"] == *name).unwrap();
            entry["samples"][0].as_f64().unwrap()
        };
        let figures = bench["figures"].as_array().unwrap();
        assert!(!figures.is_empty(), "{bench}");
        for figure in figures {
            let (ours, peer) = (median(&figure["ours"]), median(&figure["peer"]));
            let ratio = if times { peer / ours } else { ours / peer };
            assert!((figure["ratio"].as_f64().unwrap() / ratio - 1.0).abs() < 1e-9, "{figure}");
        }
    }
    lab.assert_nothing_is_left();
}

fn without_python_its_entries_are_reported_as_left_out() {
    let lab = Lab::new();
    let args = ["bench", "queue", "--rounds", "1"];
    let output = finish(lab.command(&args).env("PATH", "/nonexistent").spawn().unwrap());
    let out = ran(&output, 0);
    assert!(out.contains("Python's Queue is left out"), "{out}");
    assert!(out.contains("figure messages proclab's-queue/ipc-channel-unbounded "), "{out}");
}

fn an_interrupt_ends_every_measurement() {
    let lab = Lab::new();
    let child = lab.command(&["bench", "start", "--rounds", "1000"]).spawn().unwrap();
    let pid = id_of(&child);
    // In the middle of a round, which runs in a child that starts children of its own.
    let children = |pid| tree::children_by_parent(pid).unwrap_or_default();
    until("it is in a turn", || {
        listens(pid) && children(pid).into_iter().any(|child| !children(child).is_empty())
    });
    kill(pid, Signal::SIGINT);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("interrupted by SIGINT"), "{}", text(&output.stderr));
    lab.assert_nothing_is_left();
}

fn unknown_works_are_refused() {
    let lab = Lab::new();
    for args in [
        &["bench"][..],
        &["bench", "nothing"],
        &["bench", "queue", "--capacity", "0"],
        &["bench", "start", "--rounds", "0"],
    ] {
        let output = lab.run(args);
        if args.len() == 1 {
            assert_eq!(output.status.code(), Some(2));
        } else {
            refused(&output, 2);
        }
    }
}
