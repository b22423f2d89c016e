//! What jobs say: the same engine as the command line, over the stream.

use super::http::Server;
use crate::common::trials;
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub(super) fn tests() -> Vec<Trial> {
    trials!["serve":
        a_run_is_told_while_it_lives_and_ends_with_the_record_of_the_command_line,
        a_person_breaks_the_promise_step_by_step_and_takes_a_step_back,
        a_process_is_killed_and_a_lock_is_waited_for,
        a_link_leads_to_the_same_schedule,
        every_interleaving_is_a_graph_of_states,
        a_search_is_stopped_and_goes_on,
        the_given_command_is_watched_and_its_output_is_text,
        one_who_comes_late_sees_the_whole_picture,
        messages_keep_to_the_published_schema,
        a_job_without_viewers_makes_room_for_another_at_once,
    ]
}

fn kind(message: &Value, kind: &str) -> bool {
    message["type"] == kind
}

fn a_run_is_told_while_it_lives_and_ends_with_the_record_of_the_command_line() {
    let server = Server::start(&[]);
    let options = json!({ "buyers": "2", "stock": "1", "lock": "flock", "think": "1" });
    let job = server.begin(&json!({ "run": { "scenario": "tickets", "options": options } }));
    let mut stream = server.follow(&job);
    let begin = stream.until("it begins", |message| kind(message, "watch"));
    assert!(begin["command"].as_array().unwrap().contains(&json!("--lock=flock")), "{begin}");
    // On a busy machine it may be over before the first tick.
    let mut ticks = Vec::new();
    let over = loop {
        match stream.message() {
            tick if kind(&tick, "tick") => ticks.push(tick),
            over if kind(&over, "over") => break over,
            other => panic!("{other}"),
        }
    };
    let all = |what: &str| -> Vec<Value> {
        ticks.iter().filter_map(|tick| tick[what].as_array()).flatten().cloned().collect()
    };
    assert!(
        all("lanes").iter().any(|lane| lane["pid"].as_i64().unwrap() > 1 && lane["state"] == "reaped"),
        "{ticks:?}"
    );
    assert!(all("notes").iter().any(|note| note["lock"] == json!(["lock", true])), "{ticks:?}");
    let record = &over["records"][0];
    assert_eq!((&record["scenario"], &record["verdict"]), (&json!("tickets"), &json!("ok")));
    assert!(record["summary"][0]["text"].as_str().unwrap().contains("1 of 1 sold"), "{record}");
    assert!(!over["report"]["timeline"]["lanes"].as_array().unwrap().is_empty());
    stream.until("its worker has ended", |message| kind(message, "end"));
    assert_eq!(server.post(&format!("jobs/{job}"), &json!("stop")).0, 410, "its worker has ended");
}

fn scene(stream: &mut super::http::Stream, schedule: &str) -> Value {
    stream.until(schedule, |message| kind(message, "scene") && message["schedule"] == schedule)
}

fn a_person_breaks_the_promise_step_by_step_and_takes_a_step_back() {
    let server = Server::start(&[]);
    let job = server.begin(&json!({ "schedule": { "token": "t2k1.no.qr" } }));
    let mut stream = server.follow(&job);
    let first = scene(&mut stream, "");
    assert_eq!(first["shared"], json!([["stock", "1"]]));
    assert_eq!(first["cards"][0]["step"], "read");
    let grant =
        |letter: &str| assert_eq!(server.post(&format!("jobs/{job}"), &json!({ "grant": letter })).0, 200);
    grant("A");
    let second = scene(&mut stream, "a");
    assert_eq!((&second["done"][0]["saw"], &second["cards"][0]["step"]), (&json!("1 left"), &json!("write")));
    assert!(second["cards"][0]["pid"].as_i64().unwrap() > 1);
    grant("A");
    assert_eq!(scene(&mut stream, "a2")["shared"], json!([["stock", "0"]]));
    assert_eq!(server.post(&format!("jobs/{job}"), &json!("undo")).0, 200);
    assert_eq!(
        scene(&mut stream, "a")["shared"],
        json!([["stock", "1"]]),
        "executed again on real processes"
    );
    for (letter, schedule) in [("B", "ab"), ("B", "ab2")] {
        grant(letter);
        scene(&mut stream, schedule);
    }
    grant("A");
    let end = stream.until("the end", |message| !message["ending"]["shortest"].is_null());
    let ending = &end["ending"];
    assert_eq!((&ending["verdict"], &ending["switches"]), (&json!("oversold"), &json!(2)));
    assert_eq!(ending["broken"][0], 4);
    let shortest = ending["shortest"].as_array().unwrap();
    assert!(shortest.iter().any(|one| one["verdict"] == "oversold" && one["switches"] == 2), "{ending}");
    let token = ending["token"].as_str().unwrap();
    let replayed =
        std::process::Command::new(env!("CARGO_BIN_EXE_proclab")).args(["replay", token]).output().unwrap();
    assert_eq!(replayed.status.code(), Some(3), "the command line replays the same token");
}

fn a_process_is_killed_and_a_lock_is_waited_for() {
    let server = Server::start(&[]);
    let options = json!({ "lock": "flock", "no-search": true, "store": "rename" });
    let job = server.begin(&json!({ "schedule": { "scenario": "tickets", "options": options } }));
    let mut stream = server.follow(&job);
    scene(&mut stream, "");
    let send = |command: Value| assert_eq!(server.post(&format!("jobs/{job}"), &command).0, 200);
    send(json!({ "grant": "A" }));
    let locked = scene(&mut stream, "a");
    assert_eq!(
        (&locked["cards"][1]["held_by"], &locked["cards"][0]["holds"]),
        (&json!(["A"]), &json!(["lock"]))
    );
    send(json!({ "grant": "B" }));
    let refused = stream.until("B is refused", |message| !message["refused"].is_null());
    assert_eq!((&refused["cards"][1]["state"], &refused["schedule"]), (&json!("waits"), &json!("a")));
    send(json!({ "kill": "A" }));
    let killed = scene(&mut stream, "aA");
    assert_eq!(
        (&killed["cards"][0]["state"], &killed["cards"][1]["state"]),
        (&json!("killed"), &json!("ready"))
    );
}

fn a_link_leads_to_the_same_schedule() {
    let server = Server::start(&[]);
    for request in
        [json!({ "token": "t2k1.no.qr", "schedule": "ab" }), json!({ "token": "t2k1.no.qr~ab2a~tfvvpt" })]
    {
        let job = server.begin(&json!({ "schedule": request }));
        let wanted = if request["schedule"].is_null() { "ab2a" } else { "ab" };
        assert_eq!(scene(&mut server.follow(&job), wanted)["done"][0]["saw"], "1 left");
    }
    // Decisions that do not fit end where they stop fitting, and that is said.
    let job = server.begin(&json!({ "schedule": { "token": "t2k1.no.qr", "schedule": "a9" } }));
    let scene = scene(&mut server.follow(&job), "a2");
    let refused = &scene["refused"];
    assert_eq!(
        (&refused["code"], &refused["values"]["who"]),
        (&json!("cannot-continue"), &json!("A")),
        "{scene}"
    );
}

fn every_interleaving_is_a_graph_of_states() {
    let server = Server::start(&[]);
    let job = server.begin(&json!({ "explore": { "code": "t2k1.no.qr" } }));
    let mut stream = server.follow(&job);
    let (mut nodes, mut edges) = (0, 0);
    let done = loop {
        let (name, data) = stream.next();
        if name != "job" {
            continue;
        }
        let messages = data.as_array().unwrap();
        for message in messages.iter().filter(|message| message["nodes"].is_array()) {
            nodes += message["nodes"].as_array().unwrap().len();
            edges += message["edges"].as_array().unwrap().len();
        }
        if let Some(done) = messages.iter().find(|message| message["status"] == "complete") {
            break done.clone();
        }
    };
    assert_eq!((&done["schedules"], &done["classes"]), (&json!(6), &json!(4)));
    assert!(nodes < 1 + 6 * 4 && nodes > 8 && edges >= nodes - 1, "equal states are one: {nodes}, {edges}");
    assert_eq!(
        (&done["outcomes"][0]["verdict"], &done["outcomes"][0]["count"]),
        (&json!("oversold"), &json!(4))
    );
}

fn a_search_is_stopped_and_goes_on() {
    let server = Server::start(&[]);
    let job = server.begin(
        &json!({ "explore": { "scenario": "tickets", "options": { "buyers": "3", "lock": "none" } } }),
    );
    let mut stream = server.follow(&job);
    let status = |wanted: &'static str| move |message: &Value| message["status"] == wanted;
    stream.until("it searches", |message| message["schedules"].as_u64().is_some_and(|n| n > 0));
    server.post(&format!("jobs/{job}"), &json!("stop"));
    let stopped = stream.until("it stops", status("stopped"))["schedules"].as_u64().unwrap();
    server.post(&format!("jobs/{job}"), &json!("resume"));
    stream.until("it goes on", |message| message["schedules"].as_u64().is_some_and(|n| n > stopped));
}

fn the_given_command_is_watched_and_its_output_is_text() {
    let text = "<img src=x onerror=alert(1)>";
    let server = Server::start(&["--", "sh", "-c", &format!("echo '{text}'; sleep 0.2; exit 3")]);
    let job = server.begin(&json!("watch"));
    let mut stream = server.follow(&job);
    let tick =
        stream.until("it writes", |message| message["output"].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(tick["output"].as_str().unwrap().trim(), text);
    let over = stream.until("it is over", |message| kind(message, "over"));
    assert_eq!((&over["report"]["exit"], &over["records"]), (&json!(3), &json!([])));
}

fn one_who_comes_late_sees_the_whole_picture() {
    let server = Server::start(&["--", "sh", "-c", "sleep 0.3 & wait"]);
    let job = server.begin(&json!("watch"));
    server.follow(&job).until("it is over", |message| kind(message, "over"));
    let mut late = server.follow(&job);
    let (_, data) = late.next();
    assert!(kind(&data[0], "watch"), "from the beginning");
    assert!(data.as_array().unwrap().iter().any(|message| kind(message, "over")));
}

fn messages_keep_to_the_published_schema() {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_proclab")).args(["schema", "serve"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let server = Server::start(&["--dir", "empty", "--", "true"]);
    for request in [
        json!("watch"),
        json!({ "run": { "scenario": "life", "options": { "lesson": "zombie" } } }),
        json!({ "schedule": { "token": "t2k1.no.qr", "schedule": "ab2a" } }),
        json!({ "explore": { "code": "t2k1.no.qr", "reduce": true } }),
        json!({ "wire": { "program": "frames" } }),
        json!({ "lab": { "name": "whose-child", "lang": "zh" } }),
        #[cfg(target_arch = "x86_64")]
        json!({ "schedule-program": {} }),
        #[cfg(target_arch = "x86_64")]
        json!({ "explore-program": {} }),
    ] {
        let job = server.begin(&request);
        let mut stream = server.follow(&job);
        let is_last = |message: &Value| {
            ["over", "wire-over", "lab"].iter().any(|last| kind(message, last))
                || !message["ending"]["shortest"].is_null()
                || message["status"] == "complete"
        };
        loop {
            let (name, data) = stream.next();
            if name != "job" {
                continue;
            }
            for message in data.as_array().unwrap() {
                let errors: Vec<String> =
                    validator.iter_errors(message).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{request}: {errors:?}: {message}");
            }
            if data.as_array().unwrap().iter().any(is_last) {
                break;
            }
        }
    }
}

fn a_job_without_viewers_makes_room_for_another_at_once() {
    let server = Server::start(&[]);
    let schedule = json!({ "schedule": { "token": "t2k1.no.qr" } });
    for _ in 0..7 {
        server.begin(&schedule);
    }
    let server = Server::start(&[]);
    let followed: Vec<_> = (0..6).map(|_| server.follow(&server.begin(&schedule))).collect();
    let (status, answer) = server.post("jobs", &schedule);
    assert_ne!(status, 200, "{answer}");
    assert!(answer.to_string().contains("6 jobs are running already"), "{answer}");
    drop(followed);
}
