//! The page in a real browser: as a lecturer and students use it.

use super::browser::Browser;
use super::http::Server;
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        every_view_opens_in_both_languages_at_every_width_and_says_nothing_in_the_console,
        a_run_is_chosen_started_seen_paused_and_survives_a_reload,
        the_last_ticket_is_sold_twice_by_clicks_alone,
        the_last_ticket_is_sold_twice_by_keys_alone,
        a_shared_link_opens_in_another_tab_and_the_two_do_not_disturb_each_other,
        a_state_of_the_graph_is_gone_on_from_in_schedule,
        any_program_is_watched_and_what_it_writes_is_no_markup,
        students_vote_in_their_browsers,
        a_storm_of_events_keeps_the_page_fluent,
    ]
}

pub(super) fn quiet(browser: &Browser) {
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
}

/// What has a role that can be pressed or filled in, and no name.
pub(super) fn nameless(browser: &Browser) -> Vec<Value> {
    let tree = browser.cdp("Accessibility.getFullAXTree", &json!({}));
    let roles = [
        "button",
        "link",
        "textbox",
        "combobox",
        "checkbox",
        "slider",
        "img",
        "application",
        "DisclosureTriangle",
    ];
    let nodes = tree["nodes"].as_array().unwrap().iter();
    nodes
        .filter(|node| {
            node["ignored"] == false && roles.contains(&node["role"]["value"].as_str().unwrap_or_default())
        })
        .filter(|node| node["name"]["value"].as_str().unwrap_or_default().trim().is_empty())
        .cloned()
        .collect()
}

fn every_view_opens_in_both_languages_at_every_width_and_says_nothing_in_the_console() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&["--class", "--", "sleep", "1"]);
    browser.go(&server.address());
    browser.until("document.querySelectorAll('.begin').length >= 6");
    assert_eq!(nameless(&browser), Vec::<Value>::new());
    for (language, heading) in [("en", "Schedule"), ("zh", "调度")] {
        browser.script(&format!("localStorage.setItem('proclab-language', '{language}')"));
        for view in ["run", "schedule", "explore", "watch", "wire", "labs", "class"] {
            browser.go(&format!("{}?{language}#/{view}", server.address()));
            browser
                .until(&format!("document.querySelector('nav a[aria-current]')?.dataset.view === '{view}'"));
            browser.until("document.querySelector('main h1')");
            assert_eq!(nameless(&browser), Vec::<Value>::new(), "{view} in {language}");
            for width in [400, 1280, 2560] {
                browser.width(width);
                let wide = browser.script("return document.documentElement.scrollWidth - innerWidth");
                assert!(wide.as_i64().unwrap() <= 0, "{view} at {width} px is {wide} px too wide");
            }
        }
        browser.go(&format!("{}?{language}#/schedule", server.address()));
        browser.until(&format!("document.querySelector('main h1')?.textContent === '{heading}'"));
        let lang = browser.script("return document.documentElement.lang");
        assert!(lang.as_str().unwrap().starts_with(language), "{lang}");
    }
    quiet(&browser);
}

fn a_run_is_chosen_started_seen_paused_and_survives_a_reload() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&format!("{}#/run", server.address()));
    browser.until("document.querySelector('#choose-run')");
    browser.click(".more summary");
    browser.script("document.querySelector('[name=think]').value = '900'; document.querySelector('[name=lock]').value = 'flock'");
    browser.script("document.querySelector('[name=buyers]').value = '2'");
    browser.click(".chooser button[type=submit]");
    // It is under way: buyers wait, and are drawn.
    browser.until(
        "[...document.querySelectorAll('.processes td')].some((cell) => cell.textContent.includes('user1'))",
    );
    browser.reload();
    browser.until(
        "[...document.querySelectorAll('.processes td')].some((cell) => cell.textContent.includes('user1'))",
    );
    browser.click(".watch > .row button");
    browser.until("document.querySelector('input[type=range]:not([hidden])')");
    let lines = browser.script("return document.querySelectorAll('.lines li').length");
    browser.until("document.querySelector('.watch > .row button').getAttribute('aria-pressed') === 'true'");
    assert!(lines.as_u64().is_some());
    browser.click(".watch > .row button");
    browser.until("document.querySelector('.outcome .verdict')");
    let outcome = browser.script("return document.querySelector('.outcome').textContent");
    assert!(outcome.as_str().unwrap().contains("flock: "), "{outcome}");
    let command = browser.script("return document.querySelector('.command code').textContent");
    let command = command.as_str().unwrap();
    assert!(command.starts_with("proclab run tickets") && command.contains("--lock=flock"), "{command}");
    browser.back();
    browser.until("!document.querySelector('.watch')");
    quiet(&browser);
}

fn sold_twice(browser: &Browser) {
    browser.until("document.querySelector('.ending .verdict.v-oversold')");
    browser.until("document.querySelector('.ending .shortest')");
    let text = browser.script("return document.querySelector('.ending').textContent");
    let text = text.as_str().unwrap();
    assert!(text.contains("A sells ticket 2 of 1") && text.contains("as short as it can be"), "{text}");
    assert!(text.contains("proclab replay t2k1.no.qr~ab2a~tfvvpt"), "{text}");
}

/// The state after so many steps.
fn done(browser: &Browser, schedule: &str) {
    browser.until(&format!("location.hash === '#/schedule/t2k1.no.qr{schedule}'"));
    let steps = schedule.chars().filter(|c| c.is_ascii_lowercase()).count();
    browser.until(&format!("document.querySelectorAll('.steps tbody tr').length >= {steps}"));
}

fn the_last_ticket_is_sold_twice_by_clicks_alone() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&server.address());
    browser.click("nav a[data-view=schedule]");
    // The form offers a sale that can go wrong.
    browser.click(".chooser button[type=submit]");
    browser.until("document.querySelectorAll('.card').length === 2");
    for (letter, schedule) in [("A", "/a"), ("A", "/a2")] {
        browser.click(&format!("[data-letter={letter}]"));
        done(&browser, schedule);
    }
    browser.click(".controls button");
    done(&browser, "/a");
    for (letter, schedule) in [("B", "/ab"), ("B", "/ab2"), ("A", "/ab2a")] {
        browser.click(&format!("[data-letter={letter}]"));
        done(&browser, schedule);
    }
    sold_twice(&browser);
    quiet(&browser);
}

fn the_last_ticket_is_sold_twice_by_keys_alone() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&server.address());
    browser.until("document.querySelector('nav a')");
    // Tab to the link of the view and Enter; then to the button of the form.
    let reach = |what: &str| {
        for _ in 0..60 {
            if browser.script(&format!("return document.activeElement.matches({what:?})")) == true {
                return;
            }
            browser.keys("\u{e004}");
        }
        panic!("{what} is not reached by Tab");
    };
    reach("nav a[data-view=schedule]");
    browser.keys("\u{e007}");
    browser.until("document.querySelector('.chooser button[type=submit]')");
    reach(".chooser button[type=submit]");
    browser.keys("\u{e007}");
    browser.until("document.querySelectorAll('.card').length === 2");
    for (key, schedule) in
        [("a", "/a"), ("b", "/ab"), ("\u{e003}", "/a"), ("b", "/ab"), ("b", "/ab2"), ("a", "/ab2a")]
    {
        browser.keys(key);
        done(&browser, schedule);
    }
    sold_twice(&browser);
    browser.go(&format!("{}#/schedule/t2k1.no.qr/a", server.address()));
    done(&browser, "/a");
    browser.keys("A");
    browser.until("document.querySelector('.card.c-killed')");
    done(&browser, "/aA");
    quiet(&browser);
}

fn a_shared_link_opens_in_another_tab_and_the_two_do_not_disturb_each_other() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    let link = format!("{}#/schedule/t2k1.no.qr/ab", server.address());
    browser.go(&link);
    done(&browser, "/ab");
    let first = browser.present();
    let second = browser.tab();
    browser.switch_to(&second);
    browser.go(&link);
    done(&browser, "/ab");
    browser.click("[data-letter=B]");
    done(&browser, "/ab2");
    browser.switch_to(&first);
    assert_eq!(browser.script("return location.hash"), "#/schedule/t2k1.no.qr/ab");
    browser.reload();
    done(&browser, "/ab");
    browser.click("[data-letter=A]");
    done(&browser, "/aba");
    quiet(&browser);
}

fn a_state_of_the_graph_is_gone_on_from_in_schedule() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&[]);
    browser.go(&format!("{}#/explore/of/t2k1.no.qr", server.address()));
    browser.until("document.querySelectorAll('.state-node.v-oversold').length > 0 && document.querySelectorAll('.outcomes li').length === 2");
    browser.until("document.querySelector('.explore h2').textContent.startsWith('Complete')");
    // Without what is right, only what leads to the wrong end is bright.
    browser.click(".outcomes li:last-child .filter");
    browser.until("document.querySelectorAll('.state-node.dim').length > 0");
    browser.script("document.querySelector('.graph').focus()");
    // Down to a state after two steps, by keys.
    browser.keys("\u{e015}\u{e015}\u{e015}");
    browser.until("document.querySelector('.detail code')?.textContent.length > 0");
    let schedule = browser.script("return document.querySelector('.detail code').textContent");
    browser.click(".detail .primary");
    done(&browser, &format!("/{}", schedule.as_str().unwrap()));
    browser.back();
    browser.until("document.querySelector('.outcomes')");
    quiet(&browser);
}

fn any_program_is_watched_and_what_it_writes_is_no_markup() {
    let Some(browser) = Browser::open() else { return };
    let script = "echo '<img src=x onerror=\"document.title=1\">'; sleep 0.4 & sleep 0.3; wait";
    let server = Server::start(&["--", "sh", "-c", script]);
    browser.go(&format!("{}#/watch", server.address()));
    browser.click(".side .primary");
    browser.until("document.querySelector('.output')?.textContent.includes('<img src=x')");
    browser.until("[...document.querySelectorAll('.processes td')].filter((cell) => cell.textContent.trim() === 'sleep').length >= 2");
    browser.until("document.querySelector('.totals table')");
    assert_eq!(browser.script("return document.querySelectorAll('main img').length"), 0);
    browser.click("[aria-label='zoom in']");
    let label = browser.script("return document.querySelector('.tl-canvas').getAttribute('aria-label')");
    assert!(label.as_str().unwrap().contains("timeline"), "{label}");
    // On a laptop what the processes wait for is seen without scrolling.
    browser.width(1024);
    browser.until(
        "(() => { const table = document.querySelector('table.processes'); return table.offsetWidth <= table.parentElement.clientWidth + 1; })()",
    );
    quiet(&browser);
}

fn students_vote_in_their_browsers() {
    let Some(browser) = Browser::open() else { return };
    let server = Server::start(&["--class"]);
    let (host, path) = server.class.clone().unwrap();
    browser.go(&format!("{}#/schedule/t2k1.no.qr/ab2", server.address()));
    done(&browser, "/ab2");
    let lecturer = browser.present();
    let student = browser.tab();
    browser.switch_to(&student);
    browser.go(&format!("http://{host}{path}"));
    // The student sees the same processes, and cannot grant anything.
    browser.until("document.querySelectorAll('.card').length === 2");
    assert_eq!(browser.script("return document.querySelectorAll('.grant, .kill, input, form').length"), 0);
    browser.switch_to(&lecturer);
    browser.click(".class-bar button");
    browser.switch_to(&student);
    browser.until("document.querySelectorAll('.vote').length === 5");
    browser.click(".vote:nth-child(2)");
    browser.until("document.querySelector('.vote[aria-pressed=true]')");
    browser.switch_to(&lecturer);
    browser.until("document.querySelector('.class-bar').textContent.includes('1 vote')");
    browser.click("[data-letter=A]");
    browser.until("document.querySelector('.class-bar .real')");
    browser.switch_to(&student);
    browser.until("document.querySelector('.hit')?.textContent === 'You were right.'");
    quiet(&browser);
}

fn a_storm_of_events_keeps_the_page_fluent() {
    let Some(browser) = Browser::open() else { return };
    // Two processes that wake each other as fast as they can, tens of thousands of switches a second, until they are
    // stopped.
    let script = "import os\nr,w=os.pipe()\ns,x=os.pipe()\nif os.fork()==0:\n  for i in range(10**8): os.read(r,1); os.write(x,b'.')\n  os._exit(0)\nfor i in range(10**8): os.write(w,b'.'); os.read(s,1)\nos.wait()";
    let server = Server::start(&["--", "python3", "-c", script]);
    browser.go(&format!("{}#/watch", server.address()));
    browser.click(".side .primary");
    browser.until("document.querySelectorAll('.processes tbody tr').length >= 2 || document.querySelector('.totals table')");
    browser.script(
        "window.frames = 0; window.began = performance.now(); \
         const count = () => { window.frames += 1; requestAnimationFrame(count); }; requestAnimationFrame(count)",
    );
    // A page that is stuck draws none of them. How many per second depends on how busy the machine is: it is told.
    browser.until("window.frames > 60");
    let rate = browser.script("return window.frames / ((performance.now() - window.began) / 1000)");
    println!("{:.0} frames per second in a storm of switches", rate.as_f64().unwrap_or_default());
    browser.script("document.querySelector('.danger')?.click()");
    browser.until("document.querySelector('.totals table')");
    quiet(&browser);
}
