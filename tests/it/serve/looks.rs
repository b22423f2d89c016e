//! What the reader has asked of the browser, and reports of the past.

use super::browser::Browser;
use super::http::Server;
use super::views::quiet;
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::json;

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        a_report_of_the_past_is_opened_and_something_else_is_not,
        every_view_passes_the_accessibility_checker_and_fits_its_window,
        the_students_page_passes_the_accessibility_checker_and_fits_a_phone,
        an_hour_of_events_is_kept_in_bounded_memory,
        a_day_of_short_processes_is_kept_in_bounded_memory,
        who_wants_no_motion_sees_none_and_forced_colours_hide_nothing,
    ]
}

fn a_report_of_the_past_is_opened_and_something_else_is_not() {
    let Some(browser) = Browser::open() else { return };
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_proclab"))
        .args(["watch", "--format", "json", "--", "sh", "-c", "sleep 0.2 & sleep 0.1; wait"])
        .output()
        .unwrap();
    let folder = std::env::temp_dir().join(format!("proclab-reports-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (report, other) = (folder.join("report.json"), folder.join("other.json"));
    std::fs::write(&report, &output.stdout).unwrap();
    std::fs::write(&other, "{\"processes\": 3}").unwrap();
    let server = Server::start(&[]);
    browser.go(&format!("{}#/watch", server.address()));
    browser.until("document.querySelector('#report-file')");
    browser.choose_file("#report-file", &other);
    browser.until("document.querySelector('.stage .trouble')");
    browser.choose_file("#report-file", &report);
    browser.until("document.querySelector('.tl-canvas') && document.querySelectorAll('.stage table tbody tr').length >= 3");
    let title = browser.script("return document.querySelector('.watch h2').textContent");
    assert!(title.as_str().unwrap().starts_with("sh -c"), "{title}");
    quiet(&browser);
    std::fs::remove_dir_all(folder).unwrap();
}

/// An hour of ten thousand switches per second, as the page is told of them: twelve ticks per second, and in each of
/// them at most 48 pieces per process.
const HOUR: &str = r#"
    const { Watched } = await import('./lanes.js');
    const watched = new Watched();
    watched.apply([{ type: 'watch', command: ['x'], root: 1, watcher: 1, tier: '', resolution: '', refusals: [] }]);
    const ticks = 12 * 3600, ns = 3600e9 / ticks;
    for (let n = 0; n < ticks; n += 1) {
      const lanes = [1, 2].map((id) => ({ id, pid: id, ppid: id - 1, name: 'x', started_ns: 0, ended_ns: null, reaped_ns: null, state: 'running', since_ns: n * ns, wait: null, exit: null, orphan_of: null }));
      const pieces = [1, 2].map((id) => [id, Array.from({ length: 48 }, (_, at) => [n * ns + at * ns / 48, n * ns + (at + 1) * ns / 48, at % 2 ? 'r' : 'b', null, null])]);
      const notes = Array.from({ length: 10 }, (_, at) => ({ at_ns: n * ns + at, pid: 1, process: 'x', what: 'w', text: 'some text', queue: ['q', 1] }));
      watched.apply([{ type: 'tick', now_ns: (n + 1) * ns, lost: 0, lanes, pieces, notes, output: 'line\n'.repeat(10) }]);
    }
    return [watched.lanes.get(1).pieces.length, watched.notes.length, watched.output.length, watched.drawing.depth.length, watched.lanes.get(1).pieces[0].from_ns, watched.now];
"#;

fn an_hour_of_events_is_kept_in_bounded_memory() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&server.address());
    browser.until("document.querySelector('nav a')");
    let kept = browser.script(&format!("return (async () => {{ {HOUR} }})()"));
    let kept: Vec<f64> = kept.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    let [pieces, lines, output, depths, first, now] = kept[..] else { panic!("{kept:?}") };
    assert!(pieces <= 6_100.0 && lines <= 5_000.0 && output <= 200_000.0 && depths <= 8_000.0, "{kept:?}");
    assert_eq!((first, now), (0.0, 3_600e9), "from the beginning to the end");
    quiet(&browser);
}

/// A day of short processes, one per second, each of which takes a lock; and one that takes it all day.
const DAY: &str = r#"
    const { Watched } = await import('./lanes.js');
    const watched = new Watched();
    watched.apply([{ type: 'watch', command: ['x'], root: 1, watcher: 1, tier: '', resolution: '', refusals: [] }]);
    const lane = (id, at, over) => ({ id, pid: 1 + id % 30000, ppid: id ? 1 : 0, name: 'x', started_ns: id ? at : 0, ended_ns: over ? at + 5e7 : null, reaped_ns: over ? at + 6e7 : null, state: over ? 'reaped' : 'running', since_ns: at, wait: null, exit: null, orphan_of: null });
    for (let n = 0; n < 86400; n += 10) {
      const lanes = [lane(0, n * 1e9, false)], notes = [], pieces = [];
      for (let id = n + 1; id <= n + 10; id += 1) {
        lanes.push(lane(id, id * 1e9, true));
        pieces.push([id, [[id * 1e9, id * 1e9 + 5e7, 'r', null, null]]]);
        for (const pid of [1, 1 + id % 30000]) for (const held of [true, false]) notes.push({ at_ns: id * 1e9, pid, process: 'x', what: 'l', text: '', lock: ['l', held] });
      }
      watched.apply([{ type: 'tick', now_ns: (n + 11) * 1e9, lost: 0, lanes, pieces, notes, output: '' }]);
    }
    const all = [...watched.lanes.values()];
    return [watched.lanes.size, watched.byPid.size, watched.drawing.lanes.length, watched.drawing.arrows.length, watched.locks.size, Math.max(...all.map((one) => one.lock_spans.length)), all.reduce((sum, one) => sum + one.pieces.length, 0), all[0].id, all.at(-1).id];
"#;

fn a_day_of_short_processes_is_kept_in_bounded_memory() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&server.address());
    browser.until("document.querySelector('nav a')");
    let kept = browser.script(&format!("return (async () => {{ {DAY} }})()"));
    let kept: Vec<f64> = kept.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    let [lanes, pids, drawn, arrows, locks, spans, pieces, first, last] = kept[..] else {
        panic!("{kept:?}")
    };
    assert!(lanes <= 500.0 && pids <= 500.0 && drawn <= 500.0 && arrows <= 500.0, "{kept:?}");
    assert!(locks <= 500.0 && spans <= 2_000.0 && pieces <= 7_000.0, "{kept:?}");
    assert_eq!((first, last), (0.0, 86_400.0), "the one that lives all day, and the latest");
    quiet(&browser);
}

fn who_wants_no_motion_sees_none_and_forced_colours_hide_nothing() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.prefers("prefers-reduced-motion", "reduce");
    browser.go(&format!("{}#/schedule/t2k1.no.qr/ab", server.address()));
    browser.until("document.querySelectorAll('.card').length === 2");
    browser.click("[data-letter=B]");
    browser.until("document.querySelector('.value.changed, .steps tbody tr:nth-child(3)')");
    assert_eq!(browser.script("return document.getAnimations().length"), 0);
    browser.prefers("forced-colors", "active");
    browser.go(&format!("{}#/explore/of/t2k1.no.qr", server.address()));
    browser.until("document.querySelector('.explore h2')?.textContent.startsWith('Complete')");
    // What colours tell is told by words and shapes as well.
    browser.until("document.querySelectorAll('.outcomes .verdict').length === 2");
    let words = browser.script("return [...document.querySelectorAll('.outcomes .verdict')].map((one) => one.textContent.trim()).join()");
    assert_eq!(words, "✗ oversold,✓ ok");
    browser.until("document.querySelectorAll('.state-node.v-oversold path').length > 0");
    quiet(&browser);
}

/// axe-core, which checks names, roles, contrast, order of headings and much else.
const AXE: &str = include_str!("../../vendor/axe-core/axe.min.js");
const VIOLATIONS: &str = "const done = arguments[arguments.length - 1]; axe.run(document, { resultTypes: ['violations'] }).then((result) => done(result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(' ')}`)), (error) => done([String(error)]))";

/// An address, what is waited for there, and what is pressed then, for what.
type View = (&'static str, &'static str, Option<(&'static str, &'static str)>);

const VIEWS: [View; 11] = [
    ("", "document.querySelectorAll('.begin').length >= 6", None),
    (
        "run",
        "document.querySelector('#choose-run')",
        Some((".chooser button[type=submit]", "document.querySelector('.outcome .verdict')")),
    ),
    ("schedule/t2k1.no.qr/ab", "document.querySelectorAll('.card').length === 2", None),
    ("schedule/t2k1.no.qr/abab", "document.querySelector('.ending .verdict')", None),
    ("explore/of/t2k1.no.qr", "document.querySelectorAll('.state-node .star').length === 2", None),
    (
        "wire",
        "document.querySelector('.chooser button[type=submit]')",
        Some((".chooser button[type=submit]", "document.querySelectorAll('.wire-row').length > 5")),
    ),
    ("labs", "document.querySelectorAll('.lab-card').length >= 4", None),
    ("labs/last-ticket", "document.querySelector('#part-sale-title')", None),
    ("class", "document.querySelector('.qr')", None),
    (
        "watch",
        "document.querySelector('.side .primary')",
        Some((".side .primary", "document.querySelector('.totals table')")),
    ),
    (
        "explore/of/program",
        "document.querySelector('.explore h2')?.textContent.match(/^(Proved|No schedule|已证明|已看到)/)",
        None,
    ),
];

fn every_view_passes_the_accessibility_checker_and_fits_its_window() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&["--class", "--", "sleep", "1"]);
    browser.go(&server.address());
    for (language, theme, projector) in [("en", "light", ""), ("zh", "dark", "1")] {
        let set = |name: &str, value: &str| {
            browser.script(&format!("localStorage.setItem('proclab-{name}', '{value}')"));
        };
        set("language", language);
        set("theme", theme);
        set("projector", projector);
        // Runs and demos take time, and have the same elements in the other language.
        let is_checked = |press: &Option<_>| language == "en" || press.is_none();
        for (view, ready, press) in VIEWS.into_iter().filter(|(.., press)| is_checked(press)) {
            browser.width(1280);
            browser.go(&format!("{}?{language}{}#/{view}", server.address(), view.len()));
            browser.until(ready);
            if let Some((button, then)) = press {
                browser.click(button);
                browser.until(then);
            }
            browser.script(AXE);
            for width in [1280, 400, 2560] {
                is_accessible_and_fits(&browser, width, &format!("{view} in {language}, {theme}"));
            }
        }
    }
    quiet(&browser);
}

/// The checker has been loaded.
fn is_accessible_and_fits(browser: &Browser, width: u32, what: &str) {
    browser.width(width);
    if width < 2560 {
        let wrong = browser.script_that_calls_back(VIOLATIONS);
        assert_eq!(wrong, json!([]), "{what} at {width} px");
    }
    let wide = browser.script("return document.documentElement.scrollWidth - innerWidth");
    assert!(wide.as_i64().unwrap() <= 0, "{what} at {width} px is {wide} px too wide");
}

fn the_students_page_passes_the_accessibility_checker_and_fits_a_phone() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&["--class", "--", "sleep", "1"]);
    let (host, path) = server.class.clone().unwrap();
    let address = format!("http://{host}{path}");
    browser.go(&address);
    let job = server.begin(&json!({ "schedule": { "token": "t2k1.no.qr", "schedule": "ab" } }));
    let wire = server.begin(&json!({ "wire": { "program": "frames", "by_hand": true } }));
    let class = |request: serde_json::Value| assert_eq!(server.post("class", &request).0, 200, "{request}");
    for (language, theme) in [("en", "light"), ("zh", "dark")] {
        browser.script(&format!(
            "localStorage.setItem('proclab-language', '{language}'); localStorage.setItem('proclab-theme', '{theme}')"
        ));
        browser.go(&format!("{address}?{language}"));
        browser.until("document.querySelector('.student')");
        let check = |what: &str| {
            browser.script(AXE);
            for width in [1280, 400] {
                is_accessible_and_fits(&browser, width, &format!("{what} in {language}, {theme}"));
            }
        };
        check("the empty page");
        class(json!({ "look": { "view": "schedule", "job": job } }));
        browser.until("document.querySelectorAll('.card').length === 2");
        check("a schedule");
        class(json!({ "ask": { "kind": "next", "options": ["A", "B"] } }));
        browser.until("document.querySelectorAll('.vote').length === 2");
        check("a question");
        browser.click(".vote");
        browser.until("document.querySelector('.vote[aria-pressed=true]')");
        class(json!({ "reveal": { "option": 1 } }));
        class(json!("close"));
        browser.until("document.querySelector('.hit')");
        check("what came true");
        class(json!("clear"));
        class(json!({ "look": { "view": "wire", "job": wire } }));
        browser.until("document.querySelector('.piece')");
        assert_eq!(
            browser.script("return document.querySelectorAll('.piece button, .piece input').length"),
            0
        );
        check("the wire");
        class(json!({ "look": { "view": "home", "job": null } }));
    }
    quiet(&browser);
}
