//! What the server and the workers say, on the Chinese page.

use super::browser::Browser;
use super::http::Server;
use super::views::quiet;
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::process::Command;

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        demos_and_lessons_are_told_in_chinese,
        refusals_failures_and_endings_are_told_in_chinese,
        the_program_part_of_a_lab_is_told_in_chinese,
    ]
}

/// Three words in a row, which no name and no command of the page has.
const ENGLISH: &str = "/[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}/";

fn printed(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_proclab")).args(arguments).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// What this expression says of the page in Chinese.
fn in_chinese(browser: &Browser, server: &Server, view: &str) {
    browser.go(&format!("{}#/", server.address()));
    browser.until("document.querySelector('nav a')");
    browser.script("localStorage.setItem('proclab-language', 'zh')");
    browser.go(&format!("{}?zh#/{view}", server.address()));
}

fn demos_and_lessons_are_told_in_chinese() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    let mut texts = Vec::new();
    for program in ["chat", "udp", "sticky", "frames", "file", "echo", "upper", "auth"] {
        let demos = printed(&["net", program, "demo", "--format", "json"]);
        let is_said = |row: &&Value| ["scene", "check", "fact"].contains(&row["kind"].as_str().unwrap());
        let rows = demos["demos"][0]["rows"].as_array().unwrap();
        texts.extend(rows.iter().filter(is_said).map(|row| row["text"].clone()));
    }
    for lesson in ["tree", "isolation", "terminate", "daemon", "non-daemon", "zombie", "orphan", "join"] {
        let record = printed(&["run", "life", lesson, "--format", "json"]);
        texts.extend(record["summary"].as_array().unwrap().iter().cloned());
    }
    assert!(texts.len() > 60, "{texts:?}");
    browser.go(&server.address());
    browser.until("document.querySelector('nav a')");
    let untold = browser.script(&format!(
        "return (async () => {{ const {{ sentence }} = await import('./sentences.js'); \
         return {}.filter((text) => {{ const told = sentence(text, 'zh'); return told === text || {ENGLISH}.test(told) || told.includes('#') || sentence(text, 'en') !== text; }}); }})()",
        json!(texts)
    ));
    assert_eq!(untold, json!([]));
    quiet(&browser);
}

fn refusals_failures_and_endings_are_told_in_chinese() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    let english = |selector: &str| {
        let script = format!(
            "return [...document.querySelectorAll({selector:?})].map((one) => one.textContent).filter((text) => {ENGLISH}.test(text))"
        );
        assert_eq!(browser.script(&script), json!([]), "{selector}");
    };
    // A link that leads nowhere.
    in_chinese(&browser, &server, "schedule/t0/ab");
    browser.until("document.querySelector('.trouble:not([hidden])')?.textContent.length > 3");
    english(".trouble");
    // A decision that does not fit.
    in_chinese(&browser, &server, "schedule/t2k1.no.qr/a9");
    browser.until("document.querySelector('.note, .refused, main')?.textContent.includes('不能继续')");
    // How a schedule ended.
    for (schedule, words) in [("t2k1.no.qr/abab", "卖出了不存在的票"), ("t2k1.no.qr/a2b2", "正确")]
    {
        in_chinese(&browser, &server, &format!("schedule/{schedule}"));
        browser.until(&format!("document.querySelector('.ending')?.textContent.includes('{words}')"));
        english(".ending .outcome, .ending > p:not(.command)");
    }
    // How a run ended.
    in_chinese(&browser, &server, "run");
    browser.click(".chooser button[type=submit]");
    browser.until("document.querySelector('.outcome p')");
    english(".outcome p");
    // The link that leads nowhere, and nothing else.
    let console = browser.console();
    assert!(console.iter().all(|line| line.contains("400")), "{console:?}");
}

fn the_program_part_of_a_lab_is_told_in_chinese() {
    let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !cfg!(target_arch = "x86_64") || !is_there("cc") || !is_there("python3") {
        println!("left out: the lab needs cc and python3, and programs are traced on x86-64 only");
        return;
    }
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    in_chinese(&browser, &server, "labs/last-ticket");
    let part = "section[aria-labelledby=part-sale-title]";
    browser.click(&format!("{part} .student-file button"));
    browser.until(&format!("document.querySelector('{part} .listing')"));
    let file = server.folder().join("last-ticket/sale.c");
    let source = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{source}\n/* saved */\n")).unwrap();
    browser.until(&format!("document.querySelector('{part} .bad-schedule')"));
    // What a lab's own check prints stays as it is.
    let script = format!(
        "return [...document.querySelectorAll('.lab p, .lab button, .lab summary, .lab label, .lab th, .lab h2, .lab h3, .lab legend')] \
         .filter((one) => !one.closest('.listing, .bad-sign')).map((one) => one.cloneNode(true)) \
         .map((one) => {{ one.querySelectorAll('code, pre').forEach((code) => code.remove()); return one.textContent; }}) \
         .filter((text) => {ENGLISH}.test(text))"
    );
    assert_eq!(browser.script(&script), json!([]));
    quiet(&browser);
}
