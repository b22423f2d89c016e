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
        a_saved_program_is_checked_and_goes_wrong_with_its_own_lines,
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

fn a_saved_program_is_checked_and_goes_wrong_with_its_own_lines() {
    if !can_check_programs() {
        return;
    }
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&format!("{}#/labs/last-ticket", server.address()));
    let part = "section[aria-labelledby=part-sale-title]";
    save_the_program(&browser, &server, part);
    browser.until(&format!("document.querySelector('{part}').getAttribute('aria-busy') === 'true'"));
    browser.until(&format!("document.querySelector('{part} .bad-schedule')"));
    let shown = |selector: &str| {
        let text =
            browser.script(&format!("return document.querySelector('{part} {selector}')?.textContent ?? ''"));
        text.as_str().unwrap().to_owned()
    };
    assert!(shown(".listing .in-schedule .steps-here").contains("step "), "{}", shown(".listing"));
    assert!(shown("td.source code").len() > 3, "{}", shown(".bad-schedule"));
    assert!(shown(".command code").contains("proclab replay"), "{}", shown(".command"));
    assert_eq!(nameless(&browser), Vec::<Value>::new());
    for width in [400, 1280] {
        browser.width(width);
        let wide = browser.script("return document.documentElement.scrollWidth - innerWidth");
        assert!(wide.as_i64().unwrap() <= 0, "at {width} px it is {wide} px too wide");
    }
    // What is started in a terminal is the same folder.
    let lab = |words: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_proclab"));
        command.current_dir(server.folder()).env("XDG_STATE_HOME", server.folder()).arg("lab").args(words);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(lab(&["start", "last-ticket"]).contains("already exists"));
    quiet(&browser);
}

/// Whether the part of a lab that is a program can be checked here.
pub(super) fn can_check_programs() -> bool {
    let is_there = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    let can = cfg!(target_arch = "x86_64") && is_there("cc") && is_there("python3");
    if !can {
        println!("left out: the lab needs cc and python3, and programs are traced on x86-64 only");
    }
    can
}

/// Makes the folder of the lab `last-ticket`, which is shown, and saves its program with a change.
pub(super) fn save_the_program(browser: &Browser, server: &Server, part: &str) {
    browser.click(&format!("{part} .student-file button"));
    browser.until(&format!("document.querySelector('{part} .listing')"));
    let file = server.folder().join("last-ticket/sale.c");
    let source = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{source}\n/* saved */\n")).unwrap();
}
