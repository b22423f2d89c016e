//! Class mode: students follow and vote, and can do nothing else.

use super::http::{Server, Stream, post, raw};
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        students_follow_the_lecturers_view_and_vote_before_it_is_run,
        a_students_address_does_two_things_only,
        a_hundred_students_are_told_and_vote,
        one_who_does_not_read_costs_the_others_nothing,
    ]
}

fn student(server: &Server) -> Stream {
    let (host, path) = server.class.as_ref().unwrap();
    Stream::open(host, &format!("{path}events"))
}

fn voter(stream: &mut Stream) -> String {
    let (name, data) = stream.next();
    assert_eq!(name, "you");
    data["voter"].as_str().unwrap().to_owned()
}

fn vote(server: &Server, voter: &str, question: u64, option: usize) -> u16 {
    let (host, path) = server.class.as_ref().unwrap();
    post(host, &format!("{path}vote"), &json!({ "voter": voter, "question": question, "option": option })).0
}

fn students_follow_the_lecturers_view_and_vote_before_it_is_run() {
    let server = Server::start(&["--class"]);
    let (mut one, mut other) = (student(&server), student(&server));
    let (first, second) = (voter(&mut one), voter(&mut other));
    let job = server.begin(&json!({ "schedule": { "token": "t2k1.no.qr", "schedule": "ab2" } }));
    let class = |request: Value| assert_eq!(server.post("class", &request).0, 200);
    class(json!({ "look": { "view": "schedule", "job": job } }));
    let scene = one.until("the lecturer's view", |message| message["type"] == "scene");
    assert_eq!(scene["schedule"], "ab2");
    class(json!({ "ask": { "kind": "outcome", "options": ["ok", "oversold"] } }));
    let asked = other.class(|class| !class["question"].is_null());
    let question = asked["question"][0].as_u64().unwrap();
    assert_eq!(asked["votes"], Value::Null, "others' votes are no hint");
    assert_eq!((vote(&server, &first, question, 1), vote(&server, &second, question, 0)), (200, 200));
    assert_eq!(vote(&server, &first, question, 7), 409);
    assert_eq!(vote(&server, "somebody", question, 0), 409);
    class(json!({ "reveal": { "option": 1 } }));
    let seen = other.class(|class| !class["reality"].is_null());
    assert_eq!((&seen["votes"], &seen["reality"], &seen["open"]), (&json!([1, 1]), &json!(1), &json!(false)));
    assert_eq!(vote(&server, &first, question, 0), 409, "it is closed");
}

fn a_students_address_does_two_things_only() {
    let server = Server::start(&["--class", "--", "sleep", "9"]);
    let (host, path) = server.class.clone().unwrap();
    for (place, body) in [
        ("jobs", json!("watch")),
        ("jobs", json!({ "run": { "scenario": "tickets" } })),
        ("class", json!("close")),
        ("events", json!({})),
    ] {
        assert_eq!(post(&host, &format!("{path}{place}"), &body).0, 404, "{place}");
    }
    let get = |place: &str| {
        raw(&host, format!("GET {place} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).0
    };
    for place in ["catalogue", "jobs"] {
        assert_eq!(get(&format!("{path}{place}")), 404, "{place}");
    }
    assert_eq!(get(&server.path), 404, "the lecturer's secret opens the lecturer's door alone");
    assert_eq!(get(&path), 200);
    let lecturers = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.host);
    assert_eq!(raw(&server.host, lecturers.as_bytes()).0, 404);
    let page =
        raw(&host, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).1;
    assert!(
        !page.contains(server.path.trim_matches('/')),
        "the students' page does not hold the lecturer's secret"
    );
}

fn a_hundred_students_are_told_and_vote() {
    let server = Server::start(&["--class"]);
    let mut students: Vec<Stream> = (0..100).map(|_| student(&server)).collect();
    let voters: Vec<String> = students.iter_mut().map(voter).collect();
    let job = server.begin(&json!({ "schedule": { "token": "t2k1.no.qr" } }));
    server.post("class", &json!({ "look": { "view": "schedule", "job": job } }));
    for student in &mut students {
        student.until("the first scene", |message| message["schedule"] == "");
    }
    // Threads, so that no student is read late because of the others.
    let begin = Instant::now();
    let readers: Vec<_> = students
        .into_iter()
        .map(|mut student| {
            std::thread::spawn(move || {
                student.until("the step", |message| message["schedule"] == "a");
                (begin.elapsed(), student)
            })
        })
        .collect();
    assert_eq!(server.post(&format!("jobs/{job}"), &json!({ "grant": "A" })).0, 200);
    let (mut late, mut students): (Vec<Duration>, Vec<Stream>) = (Vec::new(), Vec::new());
    for reader in readers {
        let (after, student) = reader.join().unwrap();
        late.push(after);
        students.push(student);
    }
    late.sort();
    // A test does not know how busy its machine is: the figure is told, and that all were told is asserted.
    println!("100 students: half of them after {:?}, the last after {:?}", late[50], late[99]);
    server.post("class", &json!({ "ask": { "kind": "next", "options": ["A", "B"] } }));
    for (nth, voter) in voters.iter().enumerate() {
        assert_eq!(vote(&server, voter, 1, nth % 2), 200);
    }
    server.post("class", &json!("close"));
    for student in &mut students {
        let closed = student.class(|class| class["open"] == false && !class["votes"].is_null());
        assert_eq!((&closed["votes"], &closed["followers"]), (&json!([50, 50]), &json!(100)));
    }
}

fn one_who_does_not_read_costs_the_others_nothing() {
    // It writes as fast as it can, and one viewer never reads.
    let server = Server::start(&["--", "sh", "-c", "yes proclab"]);
    let job = server.begin(&json!("watch"));
    let stuck = server.follow(&job);
    let mut reader = server.follow(&job);
    for _ in 0..30 {
        reader.until("a tick", |message| message["type"] == "tick");
    }
    assert_eq!(server.get("catalogue").0, 200);
    let rss = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.program.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert!(rss() < 200 << 10, "{} KiB", rss());
    // One that comes back sees the state of now, not a queue of the past that was kept for it.
    drop(stuck);
    let mut again = server.follow(&job);
    again.until("the whole picture", |message| message["type"] == "watch");
    assert_eq!(server.post(&format!("jobs/{job}"), &json!("stop")).0, 200);
    reader.until("its end", |message| message["type"] == "over");
}
