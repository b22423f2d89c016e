//! Labs on the page: the same cards as on the command line, and what was done is kept alike.

use super::browser::Browser;
use super::http::Server;
use super::views::{nameless, quiet};
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        a_prediction_is_marked_against_what_is_measured_and_kept,
        a_card_is_answered_in_the_page,
    ]
}

fn a_prediction_is_marked_against_what_is_measured_and_kept() {
    let server = Server::start(&[]);
    let (status, labs) = server.get("labs?lang=zh");
    let labs: Value = serde_json::from_str(&labs).unwrap();
    assert_eq!(status, 200);
    let mine =
        |labs: &Value| labs.as_array().unwrap().iter().find(|lab| lab["name"] == "birth-to-reaping").cloned();
    assert_eq!(mine(&labs).unwrap()["score"], json!(0.0));
    let job = server.begin(&json!({ "lab": { "name": "birth-to-reaping", "lang": "en" } }));
    let mut stream = server.follow(&job);
    let lab = stream.until("its cards", |message| message["type"] == "lab");
    let part = |lab: &Value| {
        let parts = lab["parts"].as_array().unwrap();
        parts.iter().find(|part| part["id"] == "kill").unwrap().clone()
    };
    assert_eq!((&part(&lab)["kind"], &part(&lab)["why"]), (&json!("choose"), &Value::Null), "{lab}");
    let command = |command: Value| assert_eq!(server.post(&format!("jobs/{job}"), &command).0, 200);
    command(json!({ "hint": "kill" }));
    stream.until("a hint", |lab| lab["type"] == "lab" && part(lab)["hints"].as_array().unwrap().len() == 1);
    command(json!({ "answer": { "part": "kill", "text": "nonsense" } }));
    stream.until("that is no option", |lab| lab["type"] == "lab" && part(lab)["trouble"].is_string());
    command(json!({ "answer": { "part": "kill", "text": "gone" } }));
    let wrong = stream.until("its mark", |lab| lab["type"] == "lab" && !part(lab)["mark"].is_null());
    let row = &part(&wrong)["mark"]["rows"][0];
    if part(&wrong)["mark"]["state"] == "failed" {
        println!("left out: what the lab runs is not installed: {}", part(&wrong)["told"]);
        return;
    }
    assert_eq!((&row["predicted"], &row["measured"]), (&json!("gone"), &json!("zombie")), "{row}");
    command(json!({ "answer": { "part": "kill", "text": "zombie" } }));
    let right = stream.until("it is right", |lab| lab["type"] == "lab" && part(lab)["is_right"] == true);
    assert!(part(&right)["why"].as_str().unwrap().contains("zombie"));
    let labs: Value = serde_json::from_str(&server.get("labs?lang=en").1).unwrap();
    let kept = mine(&labs).unwrap();
    assert_eq!(
        (&kept["right"], &kept["score"]),
        (&json!(1), &part(&right)["points"].as_f64().into()),
        "{kept}"
    );
}

fn a_card_is_answered_in_the_page() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&format!("{}#/labs", server.address()));
    browser.until("document.querySelectorAll('.lab-card').length >= 4");
    browser.click(".lab-card[href$='birth-to-reaping']");
    browser.until("document.querySelector('#part-kill-gone')");
    assert_eq!(nameless(&browser), Vec::<Value>::new());
    browser.script("document.querySelector('#part-kill-zombie').closest('section').scrollIntoView()");
    browser.click("label[for=part-kill-zombie]");
    browser.click("section[aria-labelledby=part-kill-title] button[type=submit]");
    browser.until("document.querySelector('section[aria-labelledby=part-kill-title] .predicted, section[aria-labelledby=part-kill-title] .told')");
    browser.reload();
    browser.until("document.querySelector('#part-kill-gone')");
    browser.back();
    browser.until("document.querySelectorAll('.lab-card').length >= 4");
    quiet(&browser);
}
