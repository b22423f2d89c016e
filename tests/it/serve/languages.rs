//! What the server and the workers say, on the Chinese page.

use super::browser::Browser;
use super::http::Server;
use super::labs::{can_check_programs, save_the_program};
use super::views::quiet;
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::process::Command;

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        sentences_of_demos_are_said_in_both_languages,
        sentences_of_runs_are_said_in_both_languages,
        refusals_failures_and_endings_are_told_in_chinese,
        the_program_part_of_a_lab_is_told_in_chinese,
        no_view_of_the_chinese_page_speaks_english,
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

fn sentences_of_demos_are_said_in_both_languages() {
    let mut said = Vec::new();
    for program in ["chat", "udp", "sticky", "frames", "file", "echo", "upper", "auth"] {
        let demos = printed(&["net", program, "demo", "--format", "json"]);
        let rows = demos["demos"][0]["rows"].as_array().unwrap();
        said.extend(
            rows.iter()
                .map(|row| row.get("said").unwrap_or(row))
                .filter(|one| one["code"].is_string())
                .cloned(),
        );
    }
    assert!(said.len() > 70, "{said:?}");
    for one in said {
        in_both_languages(&one);
    }
}

/// A sentence is there in English and in Chinese, each with its values.
fn in_both_languages(said: &Value) {
    let [text, zh] = ["text", "zh"].map(|name| said[name].as_str().unwrap());
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    assert!(zh.chars().any(is_chinese) && !is_english(zh), "{said}");
    assert!(text.chars().any(|c| c.is_ascii_alphabetic()), "{said}");
}

/// Whether three words of English stand in a row, outside of what is quoted.
fn is_english(text: &str) -> bool {
    let is_word = |word: &&str| {
        word.len() > 1
            && word.trim_matches([',', '.', ':', ';']).chars().all(|c| c.is_ascii_alphabetic() || c == '\'')
    };
    let outside = text
        .split('“')
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once('”').map_or("", |(_, rest)| rest) });
    outside.into_iter().any(|part| {
        let words: Vec<&str> = part.split_whitespace().collect();
        words.windows(3).any(|three| three.iter().all(is_word))
    })
}

fn sentences_of_runs_are_said_in_both_languages() {
    let lessons = [
        "tree",
        "isolation",
        "terminate",
        "daemon",
        "non-daemon",
        "zombie",
        "orphan",
        "join",
        "states",
        "parallel",
        "blocking",
    ];
    let mut runs: Vec<Vec<&str>> = lessons.iter().map(|lesson| vec!["life", lesson]).collect();
    runs.push(vec!["full"]);
    runs.push(vec!["tickets", "--think", "20"]);
    runs.push(vec![
        "pipeline",
        "--end",
        "none",
        "--sentinels",
        "1",
        "--items",
        "2",
        "--produce",
        "1",
        "--consume",
        "1",
    ]);
    for run in runs {
        let arguments = [&["run"], &run[..], &["--format", "json"]].concat();
        let record = printed(&arguments);
        let said = record["summary"].as_array().unwrap();
        assert!(!said.is_empty(), "{run:?}: {record}");
        said.iter().for_each(in_both_languages);
    }
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
    if !can_check_programs() {
        return;
    }
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    in_chinese(&browser, &server, "labs/last-ticket");
    let part = "section[aria-labelledby=part-sale-title]";
    save_the_program(&browser, &server, part);
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

/// Texts of the page in which English stands outside of code, of what programs write, and of quotations.
const SPEAKS_ENGLISH: &str = r"
    const mine = 'code, pre, kbd, .lines, .output, .listing, .command, .left-behind, .call, .e-message, .e-sent, .e-received, script, style, title';
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const one = walker.currentNode;
        if (one.parentElement.closest(mine)) continue;
        const text = one.textContent.replace(/“[^”]*”/g, '');
        if (/[A-Za-z]{2,}[ ,;:]+[A-Za-z]{2,}[ ,;:]+[A-Za-z]{2,}/.test(text)) found.push(one.textContent);
    }
    for (const one of document.body.querySelectorAll('[aria-label], [title], [placeholder]')) {
        if (one.closest(mine)) continue;
        for (const name of ['aria-label', 'title', 'placeholder']) {
            const text = (one.getAttribute(name) ?? '').replace(/“[^”]*”/g, '');
            if (/[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}/.test(text)) found.push(`${name}: ${text}`);
        }
    }
    return found;
";

fn no_view_of_the_chinese_page_speaks_english() {
    let Some(browser) = Browser::open() else { return };
    let program = "echo 1 > n & echo 2 > n; wait; false";
    let server = Server::start(&["--class", "--", "sh", "-c", program]);
    let silent = |view: &str, there: &str| {
        browser.until(there);
        assert_eq!(browser.script(SPEAKS_ENGLISH), json!([]), "{view}");
    };
    let go = |view: &str, there: &str| {
        in_chinese(&browser, &server, view);
        silent(view, there);
    };
    let start = "document.querySelector('.chooser button[type=submit]')";
    go("", "document.querySelector('.begins')");
    for view in ["run", "schedule", "explore", "wire"] {
        go(view, start);
    }
    // Every choice of a form, with its explanations.
    for view in ["run", "schedule"] {
        in_chinese(&browser, &server, view);
        browser.until(start);
        let choices =
            browser.script("return document.querySelector('.chooser select').options.length").as_u64();
        for choice in 0..choices.unwrap() {
            browser.script(&format!(
                "const all = document.querySelector('.chooser select'); all.selectedIndex = {choice}; all.dispatchEvent(new Event('change'))"
            ));
            silent(&format!("{view}, choice {choice}"), start);
        }
    }
    go("watch", "document.querySelector('#report-file')");
    go("labs", "document.querySelector('.lab-card')");
    go("labs/birth-to-reaping", "document.querySelector('.part, .trouble:not([hidden])')");
    go("labs/none-of-this-name", "document.querySelector('.trouble')");
    go("class", "document.querySelector('.class-view')");
    go("run/none", "document.querySelector('.stage .empty')");
    // What happens when something is started.
    for request in [
        json!({ "run": { "scenario": "tickets", "options": { "think": "20" } } }),
        json!({ "run": { "scenario": "life", "options": { "lesson": "zombie" } } }),
        json!({ "run": { "scenario": "pipeline", "options": { "end": "none", "sentinels": "1", "items": "2" } } }),
        json!("watch"),
        json!({ "wire": { "program": "udp" } }),
        json!({ "wire": { "program": "file", "cut": "up:9" } }),
    ] {
        let (status, job) = server.post("jobs", &request);
        assert_eq!(status, 200, "{job}");
        let view = if request.get("wire").is_some() {
            "wire"
        } else if request.is_string() {
            "watch"
        } else {
            "run"
        };
        go(
            &format!("{view}/{}", job["job"].as_str().unwrap()),
            "document.querySelector('.banner:not([hidden])')?.textContent.length > 3",
        );
    }
    for schedule in ["t2k1.no.qr/abab", "t2k1.no.qr/a9", "t2k1/abab", "none/ab", "p2c1i1q1/a"] {
        go(
            &format!("schedule/{schedule}"),
            "document.querySelector('.steps, .trouble:not([hidden]), .note:not([hidden])')",
        );
    }
    go("explore/of/t2k1.no.qr", "document.querySelector('.outcomes li')");
    if cfg!(target_arch = "x86_64") {
        go(
            "explore/of/program",
            "document.querySelector('.outcomes li') && document.querySelector('.compared')",
        );
        in_chinese(&browser, &server, "schedule");
        browser.click(".chooser button[type=submit]");
        silent("a schedule of the program", "document.querySelector('.card')");
    }
    let console = browser.console();
    assert!(console.iter().all(|line| line.contains("400") || line.contains("404")), "{console:?}");
}
