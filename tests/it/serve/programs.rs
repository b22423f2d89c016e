//! The command that was given, scheduled by hand and explored: any program, unmodified.

use super::browser::Browser;
use super::http::{Server, Stream};
use super::views::{nameless, quiet};
use crate::common::{id_of, trials, until};
use libtest_mimic::Trial;
use proclab::sys::procfs::tree;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        a_program_is_scheduled_step_by_step_and_back,
        a_process_of_a_program_is_killed_by_hand_and_lives_again_after_undo,
        a_search_of_a_program_ends_with_what_was_found_and_leads_to_its_schedules,
        a_search_of_a_program_tells_its_graph_and_rests_when_it_is_stopped,
        a_page_that_goes_in_mid_search_leaves_nothing,
        a_program_is_scheduled_by_clicks_and_a_link_leads_to_the_same_schedule,
        the_form_beside_a_shared_link_shows_what_the_link_leads_to,
        the_graph_of_a_program_is_filtered_and_leads_to_schedule,
    ]
}

/// Two processes append to a file, in either order.
const RACE: [&str; 6] = ["--dir", "empty", "--", "sh", "-c", "echo a >> n & echo b >> n & wait"];

fn server() -> Option<Server> {
    if !cfg!(target_arch = "x86_64") {
        println!("left out: programs are traced on x86-64 only");
        return None;
    }
    Some(Server::start(&RACE))
}

fn scene(stream: &mut Stream, steps: usize) -> Value {
    stream.until("the schedule as it stands", |message| {
        assert_ne!(message["type"], "failed", "{message}");
        message["type"] == "program-scene" && message["done"].as_array().unwrap().len() == steps
    })
}

fn a_program_is_scheduled_step_by_step_and_back() {
    let Some(server) = server() else { return };
    let job = server.begin(&json!({ "schedule-program": {} }));
    let mut stream = server.follow(&job);
    let command = |command: Value| assert_eq!(server.post(&format!("jobs/{job}"), &command).0, 200);
    let mut now = scene(&mut stream, 0);
    let mut steps = 0;
    // As the first that can go on, to the end.
    while now["ending"].is_null() {
        assert!(steps < 200, "{now}");
        let ready =
            now["cards"].as_array().unwrap().iter().find(|card| card["state"] == "ready").unwrap().clone();
        assert!(ready["step"].as_str().is_some_and(|step| !step.is_empty()), "{ready}");
        command(json!({ "grant": ready["name"] }));
        steps += 1;
        now = scene(&mut stream, steps);
    }
    assert_eq!(now["ending"]["outcome"]["files"]["n"]["text"], "a\nb\n", "{now}");
    assert_eq!(now["shared"], json!([["n", "a\nb"]]), "{now}");
    command(json!("undo"));
    let before = scene(&mut stream, steps - 1);
    assert!(before["ending"].is_null());
    command(json!({ "schedule": "" }));
    scene(&mut stream, 0);
    command(json!("stop"));
    stream.until("it is over", |message| message["type"] == "end");
}

/// The card of a letter.
fn card<'a>(scene: &'a Value, name: &str) -> &'a Value {
    let cards = scene["cards"].as_array().unwrap();
    cards.iter().find(|card| card["name"] == name).unwrap_or(&Value::Null)
}

fn a_process_of_a_program_is_killed_by_hand_and_lives_again_after_undo() {
    let Some(server) = server() else { return };
    let job = server.begin(&json!({ "schedule-program": {} }));
    let mut stream = server.follow(&job);
    let command = |command: Value| assert_eq!(server.post(&format!("jobs/{job}"), &command).0, 200);
    let mut now = scene(&mut stream, 0);
    let mut steps = 0;
    let mut grant = |now: &Value, name: &str, stream: &mut Stream| {
        assert!(now["ending"].is_null() && steps < 200, "{now}");
        command(json!({ "grant": name }));
        steps += 1;
        scene(stream, steps)
    };
    while card(&now, "B")["state"] != "ready" {
        now = grant(&now, "A", &mut stream);
    }
    assert_eq!(card(&now, "B")["killable"], true, "{now}");
    let before = now["done"].as_array().unwrap().len();
    command(json!({ "kill": "B" }));
    now = scene(&mut stream, before + 1);
    assert_eq!(card(&now, "B")["state"], "killed", "{now}");
    let kill = &now["done"][before];
    assert_eq!((&kill["process"], &kill["killed"]), (&json!("B"), &json!(true)), "{kill}");
    let link = format!("{}~{}", now["code"].as_str().unwrap(), now["schedule"].as_str().unwrap());
    // Undone, it is there again, and as it was.
    command(json!("undo"));
    now = scene(&mut stream, before);
    assert_eq!((&card(&now, "B")["state"], &card(&now, "B")["killable"]), (&json!("ready"), &json!(true)));
    // The link leads to the kill on other processes, and the program ends without what the killed one would have done.
    let job = server.begin(&json!({ "schedule-program": { "token": link } }));
    let mut stream = server.follow(&job);
    now = scene(&mut stream, before + 1);
    let mut steps = before + 1;
    while now["ending"].is_null() {
        let cards = now["cards"].as_array().unwrap();
        let ready = cards.iter().find(|card| card["state"] == "ready").unwrap().clone();
        let granted = server.post(&format!("jobs/{job}"), &json!({ "grant": ready["name"] }));
        assert_eq!((granted.0, steps < 200), (200, true), "{now}");
        steps += 1;
        now = scene(&mut stream, steps);
    }
    let outcome = &now["ending"]["outcome"];
    assert_eq!(
        (&outcome["files"]["n"]["text"], &outcome["exit"]["root.1"]),
        (&json!("b\n"), &json!(-9)),
        "{now}"
    );
}

fn a_search_of_a_program_ends_with_what_was_found_and_leads_to_its_schedules() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let server = Server::start(&["--dir", "empty", "--", "sh", "-c", "echo a > n"]);
    let job = server.begin(&json!({ "explore-program": { "expect_exit": 3 } }));
    let mut stream = server.follow(&job);
    let over = stream.until("it is over", |message| {
        assert_ne!(message["type"], "failed", "{message}");
        !message["found"].is_null()
    });
    assert_eq!((&over["status"], &over["is_right"]), (&json!("complete"), &json!(false)), "{over}");
    let outcome = &over["found"]["outcomes"][0];
    assert_eq!(
        (&outcome["verdict"], &outcome["files"]["n"]["text"]),
        (&json!("check-failed"), &json!("a\n"))
    );
    let job = server.begin(&json!({ "schedule-program": { "token": outcome["token"] } }));
    let mut stream = server.follow(&job);
    let scene = stream.until("its end", |message| !message["ending"].is_null());
    assert_eq!(scene["ending"]["outcome"]["files"]["n"]["text"], "a\n", "{scene}");
    // One message may tell both.
    let has_shortest = |message: &Value| !message["ending"]["shortest"].is_null();
    let shortest = if has_shortest(&scene) { scene } else { stream.until("the shortest", has_shortest) };
    assert_eq!(shortest["ending"]["shortest"][0]["verdict"], "ok", "{shortest}");
    let (status, answer) = server.post("jobs", &json!({ "schedule-program": { "token": "p~00000000~r" } }));
    assert_eq!((status, answer["hint"].as_str().is_some()), (400, true), "{answer}");
}

/// About a hundred executions, two outcomes.
const PIPELINE: [&str; 6] = ["--dir", "empty", "--", "sh", "-c", "echo a >> n | echo b >> n"];

fn a_search_of_a_program_tells_its_graph_and_rests_when_it_is_stopped() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let server = Server::start(&PIPELINE);
    let job = server.begin(&json!({ "explore-program": {} }));
    let mut stream = server.follow(&job);
    let command = |command: Value| assert_eq!(server.post(&format!("jobs/{job}"), &command).0, 200);
    let (mut nodes, mut edges) = (BTreeMap::new(), Vec::new());
    let mut take = |message: &Value| {
        assert_ne!(message["type"], "failed", "{message}");
        for node in message["nodes"].as_array().into_iter().flatten() {
            nodes.insert(node["id"].as_u64().unwrap(), node.clone());
        }
        edges.extend(message["edges"].as_array().into_iter().flatten().cloned());
    };
    stream.until("it searches", |message| {
        take(message);
        message["executions"].as_u64().is_some_and(|n| n > 30)
    });
    command(json!("stop"));
    let rests = stream.until("it rests", |message| {
        take(message);
        message["status"] == "stopped"
    });
    assert!(
        rests["found"].is_null() && rests["ends"].as_array().is_some_and(|ends| !ends.is_empty()),
        "{rests}"
    );
    command(json!("resume"));
    stream.until("it goes on from there", |message| {
        take(message);
        message["status"] == "searching" && message["executions"].as_u64() > rests["executions"].as_u64()
    });
    command(json!("finish"));
    let over = stream.until("what it knows", |message| {
        take(message);
        !message["found"].is_null()
    });
    // A tree of at least as many executions would have more nodes: equivalent beginnings are one.
    assert!(nodes.keys().copied().eq(0..nodes.len() as u64), "{nodes:?}");
    let many = |end: usize| {
        let mut ends: BTreeMap<u64, usize> = BTreeMap::new();
        edges.iter().for_each(|edge| *ends.entry(edge[end].as_u64().unwrap()).or_default() += 1);
        ends.values().filter(|count| **count > 1).count()
    };
    assert!(many(0) > 0 && many(1) > 0, "branches, and beginnings that meet: {edges:?}");
    let end = &over["ends"][0];
    let last = &nodes[&end["node"].as_u64().unwrap()];
    assert_eq!((&last["outcome"], &last["at"]), (&json!(0), &json!([])), "{last}");
    let shared = last["shared"].as_array().unwrap();
    assert!(shared[0][0] == "n" && shared[0][1].as_str().unwrap().len() == 3, "{last}");
    // Where a node leads is where its schedule leads.
    let middle = nodes.values().find(|node| node["depth"] == 6).unwrap();
    let job = server.begin(&json!({ "schedule-program": { "token": middle["schedule"] } }));
    let there = scene(&mut server.follow(&job), 6);
    let waits = there["cards"].as_array().unwrap().iter().filter(|card| !card["step"].is_null()).count();
    assert_eq!(waits, middle["at"].as_array().unwrap().len(), "{there}\n{middle}");
}

fn the_graph_of_a_program_is_filtered_and_leads_to_schedule() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&PIPELINE);
    browser.go(&format!("{}#/explore/of/program", server.address()));
    // A search that learns that signals matter begins again, so what is drawn before its end may be less.
    browser.until("document.querySelector('.explore h2')?.textContent.startsWith('Proved')");
    browser.until("document.querySelectorAll('.outcomes li').length === 2");
    browser.until("document.querySelectorAll('.state-node.v-ok').length >= 2 && document.querySelectorAll('.state-node .star').length === 2");
    assert_eq!(nameless(&browser), Vec::<Value>::new());
    // Without the second outcome, its end and what leads to it alone are dim.
    browser.click(".outcomes li:nth-child(2) .filter");
    browser.until("document.querySelectorAll('.state-node.dim').length > 0 && document.querySelectorAll('.state-node:not(.dim)').length > 0");
    browser.click(".outcomes li:nth-child(2) .filter");
    browser.until("document.querySelectorAll('.state-node.dim').length === 0");
    // Down to a state where a choice is open, by keys alone; then on from there.
    browser.script("document.querySelector('svg.graph').focus()");
    browser.keys("\u{e015}\u{e015}");
    browser.until("document.querySelectorAll('.detail .at li').length >= 1");
    browser.click(".detail .primary");
    browser.until("document.querySelector('.c-ready [data-letter]') && document.querySelectorAll('.steps tbody tr').length >= 1");
    quiet(&browser);
}

fn a_page_that_goes_in_mid_search_leaves_nothing() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    // Far too many schedules to come to an end.
    let script = "for i in 1 2 3 4 5 6; do (echo $i >> n; echo $i >> n; echo $i >> n) & done; wait";
    let server = Server::start(&["--dir", "empty", "--", "sh", "-c", script]);
    let job = server.begin(&json!({ "explore-program": {} }));
    let mut stream = server.follow(&job);
    stream.until("it searches", |message| message["executions"].as_u64().is_some_and(|n| n > 3));
    let all = tree::with_descendants(id_of(&server.program));
    assert!(all.len() > 2, "{all:?}");
    assert_eq!(server.post(&format!("jobs/{job}"), &json!("finish")).0, 200);
    let over = stream.until("what it knows", |message| !message["found"].is_null());
    assert_eq!((&over["status"], &over["found"]["complete"]), (&json!("stopped"), &json!(false)));
    let job = server.begin(&json!({ "explore-program": {} }));
    server.follow(&job).until("it searches", |message| message["executions"].as_u64().is_some_and(|n| n > 3));
    let host = server.host.clone();
    crate::common::kill(id_of(&server.program), nix::sys::signal::Signal::SIGINT);
    let all = tree::with_descendants(id_of(&server.program));
    until("nothing is left", || all.iter().all(|pid| !crate::common::lives(*pid)));
    assert!(std::net::TcpStream::connect(host).is_err());
}

fn a_program_is_scheduled_by_clicks_and_a_link_leads_to_the_same_schedule() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let Some(browser) = Browser::open() else { return };
    let Some(server) = server() else { return };
    browser.go(&format!("{}#/schedule", server.address()));
    browser.click(".chooser button[type=submit]");
    browser.until("document.querySelector('.c-ready [data-letter=A]')");
    browser.click("[data-letter=A]");
    browser.until("document.querySelectorAll('.steps tbody tr').length === 1");
    browser.until("document.querySelector('.c-ready [data-letter]')");
    let ready = browser.script("return document.querySelector('.c-ready [data-letter]').dataset.letter");
    browser.keys(&ready.as_str().unwrap().to_lowercase());
    browser.until("document.querySelectorAll('.steps tbody tr').length === 2");
    assert_eq!(nameless(&browser), Vec::<Value>::new());
    let link = browser.script("return location.href");
    let link = link.as_str().unwrap();
    assert!(link.contains("#/schedule/p~"), "{link}");
    let tab = browser.tab();
    browser.switch_to(&tab);
    browser.go(link);
    browser.until("document.querySelectorAll('.steps tbody tr').length === 2");
    browser.keys("\u{e003}");
    browser.until("document.querySelectorAll('.steps tbody tr').length === 1");
    browser.click("a[href='#/explore/of/program']");
    browser.until("Number(document.querySelector('.numbers dd')?.textContent) > 0");
    browser.until("document.querySelector('.outcomes li .small')");
    browser.click(".outcomes li .small");
    browser.until("document.querySelector('.ending .verdict')");
    quiet(&browser);
}

fn the_form_beside_a_shared_link_shows_what_the_link_leads_to() {
    let Some(browser) = Browser::open() else { return };
    let Some(server) = server() else { return };
    let form = "[document.querySelector('.chooser select').value, document.querySelector('.chooser [name=buyers]')?.value, document.querySelector('.chooser [name=no-search]')?.checked]";
    for (link, shown) in [
        ("schedule/t3k1.no.qr/a2", "document.querySelectorAll('.card').length === 3"),
        ("explore/of/t3k1.no.qr", "document.querySelector('.explore .numbers')"),
    ] {
        browser.go("about:blank");
        browser.go(&format!("{}#/{link}", server.address()));
        browser.until(shown);
        assert_eq!(browser.script(&format!("return {form}")), json!(["tickets", "3", true]), "{link}");
        browser.go(&format!("{}#/explore", server.address()));
        browser.until("document.querySelector('.chooser select').value === ''");
    }
    // How far a schedule is from the shortest: one is one.
    browser.go(&format!("{}#/schedule/t2k1.no.qr/abab", server.address()));
    browser.until("document.querySelector('.shortest')");
    let text = browser.script("return document.querySelector('.ending').textContent");
    assert!(text.as_str().unwrap().contains("2 switches, 1 preemption · 1 switch more"), "{text}");
    quiet(&browser);
}
