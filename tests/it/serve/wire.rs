//! Network programs on the page: both ends, what passes between them, and a wire that is damaged or cut.

use super::browser::Browser;
use super::http::{Server, Stream};
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
        what_stands_on_the_wire_is_cut_damaged_or_delayed_by_hand_while_a_demo_runs,
        a_datagram_in_the_hand_is_lost_and_sent_again,
        the_lecturer_cuts_the_wire_by_clicks_and_lets_pass_by_keys,
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
    let cut = rows.iter().find(|row| row["kind"] == "touched").expect("it is told where");
    assert_eq!((&cut["what"], &cut["place"]), (&json!("cut"), &json!("up:9")), "{cut}");
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

fn demo_by_hand(server: &Server, program: &str) -> (String, Stream) {
    let job = server.begin(&json!({ "wire": { "program": program, "by_hand": true } }));
    let stream = server.follow(&job);
    (job, stream)
}

/// The first piece that stands and for which this holds.
fn standing(stream: &mut Stream, mut holds: impl FnMut(&Value) -> bool) -> Value {
    let is = |message: &Value| message["type"] == "wire-standing" && !message["pieces"][0].is_null();
    stream.until("a piece stands", |message| is(message) && holds(&message["pieces"][0]))["pieces"][0].clone()
}

fn decide(server: &Server, job: &str, piece: &Value, fate: &Value) {
    let command = json!({ "wire": { "piece": piece["piece"], "fate": fate } });
    assert_eq!(server.post(&format!("jobs/{job}"), &command).0, 200);
}

fn what_stands_on_the_wire_is_cut_damaged_or_delayed_by_hand_while_a_demo_runs() {
    let server = Server::start(&[]);
    // The first message passes after it has stood; of the second piece a bit is flipped; the connection is cut in the
    // third.
    let (job, mut stream) = demo_by_hand(&server, "sticky");
    let mut pieces = Vec::new();
    for fate in [json!("pass"), json!({ "flip": 2 }), json!({ "cut": 1 })] {
        let mut seen = None;
        let piece = standing(&mut stream, |piece| {
            seen.get_or_insert_with(|| piece["piece"].clone());
            piece["to_server"] == true
        });
        assert_eq!(seen.as_ref(), Some(&piece["piece"]), "one at a time");
        decide(&server, &job, &piece, &fate);
        if fate == json!("pass") {
            // A decision of the past, and one about what never was, change nothing.
            decide(&server, &job, &piece, &json!({ "cut": 0 }));
            decide(&server, &job, &json!({ "piece": 999_999 }), &json!({ "cut": 0 }));
        }
        pieces.push(piece);
    }
    assert_eq!(server.post(&format!("jobs/{job}"), &json!("let-go")).0, 200);
    let mut rows = Vec::new();
    let over = server.follow(&job).until("the demo is over", |message| {
        rows.extend(message["rows"].as_array().into_iter().flatten().cloned());
        message["type"] == "wire-over"
    });
    assert!(over["failed"].as_u64().unwrap() > 0, "the demo misses bytes: {over}");
    let touched: Vec<&Value> = rows.iter().filter(|row| row["kind"] == "touched").collect();
    let what: Vec<&str> = touched.iter().map(|row| row["what"].as_str().unwrap()).take(3).collect();
    assert_eq!(what, ["passed", "flipped", "cut"], "{touched:?}");
    assert!(touched[0]["held_ns"].as_u64().unwrap() > 0, "it stood");
    // Where, as counted from the beginning of the connection.
    let at = |piece: &Value, byte| format!("up:{}", piece["first"].as_u64().unwrap() + byte);
    assert_eq!(touched[1]["place"], at(&pieces[1], 2));
    assert_eq!(touched[2]["place"], at(&pieces[2], 1));
}

fn a_datagram_in_the_hand_is_lost_and_sent_again() {
    let server = Server::start(&[]);
    let (job, mut stream) = demo_by_hand(&server, "udp");
    let lost = standing(&mut stream, |piece| piece["to_server"] == true);
    decide(&server, &job, &lost, &json!({ "cut": 0 }));
    let again = standing(&mut stream, |piece| piece["piece"] != lost["piece"]);
    assert_eq!((&again["text"], &again["to_server"]), (&lost["text"], &json!(true)), "it is sent again");
    assert_eq!(server.post(&format!("jobs/{job}"), &json!("let-go")).0, 200);
    let over = stream.until("the demo is over", |message| message["type"] == "wire-over");
    assert_eq!(over["failed"], 0, "{over}");
}

fn the_lecturer_cuts_the_wire_by_clicks_and_lets_pass_by_keys() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&format!("{}#/wire", server.address()));
    browser.until("document.querySelector('#wire-harm')");
    for (id, value) in [("program", "frames"), ("harm", "by_hand")] {
        browser.script(&format!(
            "const one = document.querySelector('#wire-{id}'); one.value = '{value}'; one.dispatchEvent(new Event('change'))"
        ));
    }
    browser.click(".chooser button[type=submit]");
    browser.until("document.querySelector('.piece .cell')");
    let first = browser.script("return document.querySelector('.piece input').id");
    browser.script("document.activeElement.blur()");
    browser.keys(".");
    browser.until(&format!(
        "document.querySelector('.piece input') && document.querySelector('.piece input').id !== {first}"
    ));
    assert_eq!(nameless(&browser), Vec::<Value>::new());
    // The third byte is chosen by pointing at it, and the connection is cut there.
    browser.click(".piece .cell:nth-child(3)");
    assert_eq!(browser.script("return document.querySelector('.piece input').value"), "2");
    browser.click(".piece .danger");
    browser.until("document.querySelector('.t-cut')");
    browser.click(".standing > .row button");
    browser.until("document.querySelector('.e-failed')");
    browser.until("document.querySelector('.wire .banner')?.textContent.includes('checks failed')");
    browser.until("document.querySelector('.standing').hidden");
    quiet(&browser);
}
