//! Network programs on the page: both ends, what passes between them, and a wire that is damaged or cut.

use super::browser::Browser;
use super::http::Server;
use super::views::{nameless, quiet};
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        both_ends_are_processes_and_what_they_say_is_in_the_json_of_the_command_line,
        a_cut_is_noticed_by_both_ends,
        sticky_sends_are_seen_to_be_joined,
    ]
}

fn played(server: &Server, request: &Value) -> (Vec<Value>, Value) {
    let job = server.begin(&json!({ "wire": request }));
    let mut stream = server.follow(&job);
    let mut rows = Vec::new();
    loop {
        let message = stream.message();
        match message["type"].as_str().unwrap() {
            "rows" => rows.extend(message["rows"].as_array().unwrap().iter().cloned()),
            "wire-over" => return (rows, message),
            "failed" => panic!("{message}"),
            _ => {}
        }
    }
}

/// What of a row is the same in every run.
fn fixed(rows: &[Value]) -> BTreeSet<String> {
    let word = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let is_fixed =
        |row: &&Value| row["kind"] != "segment" && row["kind"] != "state" && row["kind"] != "remark";
    let rows = rows.iter().filter(is_fixed).filter(|row| row["what"] != "listening" && row["peer"].is_null());
    rows.map(|row| format!("{} {} {}", word(row, "kind"), word(row, "who"), word(row, "what"))).collect()
}

fn both_ends_are_processes_and_what_they_say_is_in_the_json_of_the_command_line() {
    let server = Server::start(&[]);
    let (rows, over) = played(&server, &json!({ "program": "frames" }));
    assert_eq!((&over["failed"], &over["stopped"]), (&json!(0), &json!(false)), "{over}");
    let pids = |who: &str| -> BTreeSet<u64> {
        rows.iter().filter(|row| row["who"] == who).filter_map(|row| row["pid"].as_u64()).collect()
    };
    assert!(!pids("client").is_empty() && pids("client").is_disjoint(&pids("server")), "{rows:?}");
    let is_wire = |row: &&Value| row["kind"] == "segment" || row["kind"] == "state";
    assert!(
        rows.iter().filter(is_wire).count() > 4,
        "segments, or the states of sockets where these are hidden"
    );
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_proclab"))
        .args(["net", "frames", "demo", "--trace", "--format", "json"])
        .output()
        .unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let demo = &printed["demos"][0];
    assert_eq!((&demo["checks"], &demo["failed"]), (&over["checks"], &json!(0)));
    assert_eq!(fixed(&rows), fixed(demo["rows"].as_array().unwrap()));
    let schema =
        std::process::Command::new(env!("CARGO_BIN_EXE_proclab")).args(["schema", "net"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&printed).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

fn a_cut_is_noticed_by_both_ends() {
    let server = Server::start(&[]);
    let (rows, over) = played(&server, &json!({ "program": "frames", "cut": "up:9" }));
    assert!(over["failed"].as_u64().unwrap() > 0, "{over}");
    let failed = |who: &str| rows.iter().any(|row| row["who"] == who && row["what"] == "failed");
    assert!(failed("server"), "{rows:?}");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_proclab"))
        .args(["net", "udp", "demo", "--cut", "up:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "a datagram that is lost is missed");
}

fn sticky_sends_are_seen_to_be_joined() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&format!("{}#/wire", server.address()));
    browser.click(".chooser button[type=submit]");
    browser.until("document.querySelector('.wire .banner')?.textContent.includes('checks passed')");
    let labels = browser.script(
        "return [...document.querySelectorAll('.e-received .chips')].map((chips) => chips.getAttribute('aria-label'))",
    );
    let labels: Vec<&str> = labels.as_array().unwrap().iter().map(|label| label.as_str().unwrap()).collect();
    assert!(labels.contains(&"joins 12 sends"), "{labels:?}");
    assert!(labels.iter().any(|label| label.starts_with("a part of send")), "{labels:?}");
    assert_eq!(nameless(&browser), Vec::<Value>::new());
    // Row by row, by keys.
    let rows = browser.script("return document.querySelectorAll('.wire-row').length").as_u64().unwrap();
    browser.script("document.activeElement.blur()");
    browser.keys("\u{e012}\u{e012}\u{e012}");
    browser.until(&format!("document.querySelectorAll('.wire-row').length < {rows}"));
    browser.reload();
    browser.until("document.querySelector('.wire .banner')?.textContent.includes('checks passed')");
    quiet(&browser);
}
