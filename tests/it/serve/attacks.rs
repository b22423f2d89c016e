//! Those who do not belong do not come in.

use super::http::{Server, connect, raw};
use crate::common::{PATIENCE, id_of, kill, trials, until};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::sys::procfs::tree;
use std::io::{Read, Write};
use std::time::Instant;

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        without_the_secret_nothing_is_there,
        another_name_for_this_address_is_refused,
        another_sites_page_is_refused,
        every_answer_forbids_other_scripts_frames_and_caches,
        bodies_heads_and_kinds_are_bounded,
        no_request_names_a_program_or_a_file,
        a_connection_that_says_nothing_is_closed_and_many_of_them_stop_nobody,
        too_many_requests_are_turned_away,
        a_worker_that_takes_no_commands_stops_nobody,
        other_machines_are_let_in_only_when_that_is_said,
    ]
}

fn get(server: &Server, path: &str, headers: &str) -> (u16, String) {
    raw(&server.host, format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").as_bytes())
}

fn without_the_secret_nothing_is_there() {
    let server = Server::start(&[]);
    let host = format!("Host: {}\r\n", server.host);
    assert_eq!(get(&server, &server.path, &host).0, 200);
    let secret = server.path.trim_matches('/');
    let other = if secret.ends_with('x') { 'y' } else { 'x' };
    let nearly = format!("/{}{other}/", &secret[..secret.len() - 1]);
    let longer = format!("/{secret}x/");
    for path in ["/", "/catalogue", "//catalogue", "/../", "/%2e%2e/", &nearly, &longer, "/main.js"] {
        let (status, body) = get(&server, path, &host);
        assert_eq!((status, body.as_str()), (404, "not found\n"), "{path}");
    }
    assert!(secret.len() >= 26, "130 bits: {secret}");
    assert_ne!(Server::start(&[]).path, server.path, "each server has its own");
}

fn another_name_for_this_address_is_refused() {
    let server = Server::start(&[]);
    let port = server.host.rsplit(':').next().unwrap();
    assert_eq!(get(&server, &server.path, &format!("Host: localhost:{port}\r\n")).0, 200);
    let rebound = format!("rebound.example:{port}");
    for host in [rebound.as_str(), "rebound.example", "127.0.0.1", "[::1]", ""] {
        assert_eq!(get(&server, &server.path, &format!("Host: {host}\r\n")).0, 403, "{host}");
    }
    let twice = format!("Host: {}\r\nHost: {rebound}\r\n", server.host);
    assert!([400, 403].contains(&get(&server, &server.path, &twice).0));
    assert!([400, 403].contains(&get(&server, &server.path, "").0), "no host at all");
}

fn another_sites_page_is_refused() {
    let server = Server::start(&["--class"]);
    let body = r#"{"run":{"scenario":"tickets"}}"#;
    let post = |more: &str| {
        let head = format!(
            "POST {}jobs HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n{more}\r\n{body}",
            server.path,
            server.host,
            body.len()
        );
        raw(&server.host, head.as_bytes()).0
    };
    let (json, own) = ("Content-Type: application/json\r\n", format!("Origin: http://{}\r\n", server.host));
    for origin in ["Origin: http://evil.example\r\n", "Origin: null\r\n", ""] {
        assert_eq!(post(&format!("{json}{origin}")), 403, "{origin}");
    }
    // What a form of another site can send without being asked first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        assert_eq!(post(&format!("Content-Type: {kind}\r\n{own}")), 415, "{kind}");
    }
    assert_eq!(post(&format!("{json}{own}Sec-Fetch-Site: cross-site\r\n")), 403);
    // The students' page is another site to the lecturer's.
    let (class, _) = server.class.as_ref().unwrap();
    assert_eq!(post(&format!("{json}Origin: http://{class}\r\n")), 403);
    let host = format!("Host: {}\r\n", server.host);
    let events = format!("{}events", server.path);
    assert_eq!(get(&server, &events, &format!("{host}Origin: http://evil.example\r\n")).0, 403);
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(get(&server, &events, &format!("{host}Origin: http://evil.example\r\n{socket}")).0, 403);
    assert_ne!(get(&server, &server.path, &format!("{host}{own}{socket}")).0, 101, "there are no sockets");
    let script = format!("{}main.js", server.path);
    let from_elsewhere =
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n";
    assert_eq!(get(&server, &script, &format!("{host}{from_elsewhere}")).0, 403);
    assert_eq!(server.get("jobs").1, "[]", "nothing was started");
}

fn every_answer_forbids_other_scripts_frames_and_caches() {
    let server = Server::start(&[]);
    let wrong = "/nothing/".to_owned();
    for path in
        [server.path.clone(), format!("{}main.js", server.path), format!("{}catalogue", server.path), wrong]
    {
        let mut stream = connect(&server.host);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.host).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
        for line in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(line), "{path}: {line}: {head}");
        }
        assert!(!head.contains("set-cookie") && !head.contains("access-control-allow"), "{head}");
    }
    let page = server.get("").1;
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains(" on"), "{page}");
}

fn bodies_heads_and_kinds_are_bounded() {
    let server = Server::start(&[]);
    let (status, _) = server.post("jobs", &serde_json::json!({ "run": { "scenario": "x".repeat(20_000) } }));
    assert_eq!(status, 413);
    let head = |more: &str| {
        let head = format!("GET {} HTTP/1.1\r\nHost: {}\r\n{more}\r\n\r\n", server.path, server.host);
        raw(&server.host, head.as_bytes()).0
    };
    assert!([0, 431].contains(&head(&format!("X: {}", "x".repeat(40_000)))));
    assert!([0, 431].contains(&head(&"X: y\r\n".repeat(200))));
    let long = format!("GET {}{} HTTP/1.1\r\nHost: {}\r\n\r\n", server.path, "x".repeat(40_000), server.host);
    assert!([0, 414, 431].contains(&raw(&server.host, long.as_bytes()).0));
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        assert!([0, 400, 403].contains(&raw(&server.host, nonsense).0), "{nonsense:?}");
    }
    // A length that is not true, and chunks without an end.
    let claims = format!(
        "POST {}jobs HTTP/1.1\r\nHost: {h}\r\nOrigin: http://{h}\r\nContent-Type: application/json\r\n\
         Content-Length: 99999999999\r\n\r\n{{",
        server.path,
        h = server.host
    );
    assert_eq!(raw(&server.host, claims.as_bytes()).0, 413);
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        let request = format!(
            "{method} {}jobs HTTP/1.1\r\nHost: {h}\r\nOrigin: http://{h}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            server.path,
            h = server.host
        );
        assert_eq!(raw(&server.host, request.as_bytes()).0, 405, "{method}");
    }
    assert_eq!(server.get("catalogue").0, 200, "it serves on");
}

fn no_request_names_a_program_or_a_file() {
    let server = Server::start(&[]);
    for request in [
        serde_json::json!("watch"),
        serde_json::json!({ "watch": ["sh", "-c", "id"] }),
        serde_json::json!({ "run": { "scenario": "tickets", "options": { "stock-file": "/etc/passwd" } } }),
        serde_json::json!({ "run": { "scenario": "tickets", "options": { "buyers": "1 --stock-file=/etc/passwd" } } }),
        serde_json::json!({ "run": { "scenario": "tickets", "options": { "--format": "json" } } }),
        serde_json::json!({ "run": { "scenario": "../../bin/sh" } }),
        serde_json::json!({ "run": { "scenario": "tickets", "command": ["id"] } }),
        serde_json::json!({ "schedule": { "token": "/etc/passwd" } }),
        serde_json::json!({ "explore": { "code": "t2k1.no", "kills": 200 } }),
        serde_json::json!({ "exec": "id" }),
        serde_json::json!([]),
        serde_json::json!(null),
    ] {
        let (status, answer) = server.post("jobs", &request);
        assert_eq!(status, 400, "{request}: {answer}");
    }
    for path in ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "assets/main.js", "jobs/1", "events?job=1"] {
        assert_eq!(server.get(path).0, 404, "{path}");
    }
    assert_eq!(server.get("jobs").1, "[]", "nothing was started");
}

fn a_connection_that_says_nothing_is_closed_and_many_of_them_stop_nobody() {
    let server = Server::start(&["--class"]);
    let (class, path) = server.class.clone().unwrap();
    let begin = Instant::now();
    let silent: Vec<_> = (0..60).map(|_| connect(&server.host)).collect();
    let mut slow = connect(&server.host);
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    // The students' door is another one.
    let students = format!("GET {path} HTTP/1.1\r\nHost: {class}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(&class, students.as_bytes()).0, 200);
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(begin.elapsed() < PATIENCE, "it is closed");
    drop(silent);
    assert_eq!(server.get("catalogue").0, 200);
}

fn too_many_requests_are_turned_away() {
    let server = Server::start(&[]);
    let mut stream = connect(&server.host);
    let request = format!("GET {}nothing HTTP/1.1\r\nHost: {}\r\n\r\n", server.path, server.host);
    // All on one connection, as fast as they are taken.
    let writer = {
        let mut stream = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            (0..4_000).take_while(|_| stream.write_all(request.as_bytes()).is_ok()).count()
        })
    };
    let mut seen = Vec::new();
    let mut buffer = [0; 64 << 10];
    let begin = Instant::now();
    while !String::from_utf8_lossy(&seen).contains(" 429 ") {
        let n = stream.read(&mut buffer).unwrap();
        if n == 0 && begin.elapsed().as_secs() > 10 {
            println!("left out: this machine is too slow to ask too often");
            break;
        }
        assert!(n > 0, "it was closed before");
        seen.extend_from_slice(&buffer[..n]);
        seen.drain(..seen.len().saturating_sub(200 << 10));
    }
    drop(stream);
    let _ = writer.join();
}

fn a_worker_that_takes_no_commands_stops_nobody() {
    let server = Server::start(&[]);
    let job = server.begin(&serde_json::json!({ "schedule": { "token": "t2k1.no.qr" } }));
    let _follows = server.follow(&job);
    let worker = tree::children_by_parent(id_of(&server.program)).unwrap()[0];
    kill(worker, Signal::SIGSTOP);
    let refused = (0..900).any(|nth| {
        let (status, answer) = server.post(&format!("jobs/{job}"), &serde_json::json!("whole"));
        assert!([200, 429].contains(&status), "{nth}: {answer}");
        answer["error"].as_str().is_some_and(|error| error.contains("earlier commands"))
    });
    assert!(refused, "what it does not take is not kept for it without end");
    until("it serves on", || server.get("catalogue").0 == 200);
    kill(worker, Signal::SIGCONT);
}

fn other_machines_are_let_in_only_when_that_is_said() {
    for args in [
        &["--listen", "0.0.0.0:0"][..],
        &["--class", "--class-listen", "0.0.0.0:0"],
        &["--class", "--class-listen", "[::]:0"],
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_proclab"))
            .arg("serve")
            .args(args)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains("lets other machines in") && error.contains("--beyond-this-machine"),
            "{error}"
        );
    }
    let server = Server::start(&["--class", "--beyond-this-machine"]);
    let (class, path) = server.class.clone().unwrap();
    assert!(server.host.starts_with("127.0.0.1:"), "the lecturer's page stays here");
    let request = |host: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw(&class, request(&class).as_bytes()).0, 200, "{class}");
    assert_eq!(raw(&class, request("rebound.example").as_bytes()).0, 403);
}
