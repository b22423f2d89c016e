//! A real browser: headless Chromium, driven by WebDriver over plain HTTP.

use super::http::connect;
use super::keeper::Kept;
use crate::common::PATIENCE;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

/// A browser, which ends with this value and with this process.
pub(super) struct Browser {
    /// Its driver, which starts it.
    kept: Kept,
    host: String,
    session: String,
}

impl Browser {
    /// Opens one; `None`, with a word of what is left out, where it is not installed.
    pub(super) fn open() -> Option<Browser> {
        let (kept, output) = Kept::start(&["chromedriver", "--port=0"]);
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let Some(line) = lines.find(|line| line.contains("started successfully on port")) else {
            println!("left out: there is no chromedriver (Debian: chromium chromium-driver)");
            return None;
        };
        let port: u16 = line.trim_end_matches('.').rsplit(' ').next().unwrap().parse().unwrap();
        // What it goes on to say is taken, or it would wait for its reader.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Browser { kept, host: format!("127.0.0.1:{port}"), session: String::new() };
        let flags = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--lang=en-US".to_owned(),
            "--window-size=1280,1000".to_owned(),
            format!("--user-data-dir={}", browser.kept.folder.join("profile").display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": flags },
        } } });
        let made = browser.ask("POST", "/session", &wanted);
        let Some(session) = made["sessionId"].as_str() else {
            println!("left out: no browser starts here: {}", made["message"]);
            return None;
        };
        browser.session = format!("/session/{session}");
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body);
        assert!(answer["error"].is_null(), "{method} {path}: {}", answer["message"]);
        answer
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let mut stream = connect(&self.host);
        stream.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["value"].clone()
    }

    fn session(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, &format!("{}{path}", self.session), body)
    }

    pub(super) fn go(&self, address: &str) {
        self.session("POST", "/url", &json!({ "url": address }));
    }

    pub(super) fn back(&self) {
        self.session("POST", "/back", &json!({}));
    }

    pub(super) fn reload(&self) {
        self.session("POST", "/refresh", &json!({}));
    }

    pub(super) fn tab(&self) -> String {
        self.session("POST", "/window/new", &json!({ "type": "tab" }))["handle"].as_str().unwrap().to_owned()
    }

    pub(super) fn switch_to(&self, tab: &str) {
        self.session("POST", "/window", &json!({ "handle": tab }));
    }

    pub(super) fn present(&self) -> String {
        self.session("GET", "/window", &json!({})).as_str().unwrap().to_owned()
    }

    /// What a script of the page returns.
    pub(super) fn script(&self, script: &str) -> Value {
        self.session("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What a script of the page passes to the function that is its last argument.
    pub(super) fn script_that_calls_back(&self, script: &str) -> Value {
        self.session("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true.
    pub(super) fn until(&self, expression: &str) {
        let begin = Instant::now();
        while self.script(&format!("return Boolean({expression})")) != true {
            if begin.elapsed() > PATIENCE {
                let text = self.script("return document.body.innerText");
                panic!("{expression}: it never came; the page says {text}; {:?}", self.console());
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Clicks as a pointer does: on what is visible at the middle of the first element of this selector.
    pub(super) fn click(&self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?})"));
        let found = self.session("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.session("POST", &format!("/element/{id}/click"), &json!({}));
    }

    /// Chooses a file, as a person does in the dialogue of the first element of this selector.
    pub(super) fn choose_file(&self, selector: &str, file: &std::path::Path) {
        let found = self.session("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.session("POST", &format!("/element/{id}/value"), &json!({ "text": file.display().to_string() }));
    }

    /// What the page believes of the reader's wishes, as `prefers-reduced-motion: reduce`.
    pub(super) fn prefers(&self, feature: &str, value: &str) {
        let features = json!([{ "name": feature, "value": value }]);
        self.cdp("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Kills it without a word, driver included.
    pub(super) fn kill(&mut self) {
        self.kept.end();
    }

    /// All of its processes.
    pub(super) fn processes(&self) -> Vec<proclab::Pid> {
        self.kept.processes()
    }

    /// Where its temporary files are.
    pub(super) fn folder(&self) -> &std::path::Path {
        &self.kept.folder
    }

    /// Types keys into the page; capital letters are typed with Shift.
    pub(super) fn keys(&self, keys: &str) {
        let mut actions = Vec::new();
        for key in keys.chars() {
            let capital = key.is_ascii_uppercase();
            if capital {
                actions.push(json!({ "type": "keyDown", "value": "\u{e008}" }));
            }
            actions.push(json!({ "type": "keyDown", "value": key }));
            actions.push(json!({ "type": "keyUp", "value": key }));
            if capital {
                actions.push(json!({ "type": "keyUp", "value": "\u{e008}" }));
            }
        }
        let keyboard = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.session("POST", "/actions", &keyboard);
    }

    /// The width of the window, as a phone or a projector has it.
    pub(super) fn width(&self, width: u32) {
        let parameters = json!({ "width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", &parameters);
    }

    pub(super) fn cdp(&self, command: &str, parameters: &Value) -> Value {
        self.session("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// The messages in its console since the last call.
    pub(super) fn console(&self) -> Vec<String> {
        let log = self.session("POST", "/se/log", &json!({ "type": "browser" }));
        log.as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}
