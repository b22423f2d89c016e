//! `proclab run pipeline`, `eval` and `full`: their output is true, and the record contains the figures.

use crate::common::trials;
use crate::program::{Lab, json, obeys, ran, refused, text, validator};
use libtest_mimic::Trial;
use serde_json::Value;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["pipelines":
        each_item_is_eaten_once_with_every_kind_of_end,
        each_line_contains_the_pid_and_the_food,
        facts_join_each_put_to_its_get_whatever_the_food_is_called,
        too_few_nones_cause_a_deadlock_that_names_the_waiting_consumers,
        surplus_nones_are_harmless,
        a_killed_consumer_loses_the_item_that_it_had_taken,
        a_lease_returns_the_item_of_a_killed_consumer,
        producers_end_when_no_consumer_is_left,
        an_expression_is_evaluated_by_a_child,
        a_bad_expression_causes_one_clear_line,
        an_expression_may_be_deep_but_not_long,
        sending_to_a_full_queue_blocks,
    ]
}

/// Runs it with `--format json`, and checks the exit code and the schema.
fn record(lab: &Lab, args: &str, code: i32) -> Value {
    let args: Vec<&str> = args.split(' ').collect();
    let output = lab.run(&[&["run"], &args[..], &["--format", "json"]].concat());
    ran(&output, code);
    assert!(output.stderr.is_empty(), "{args:?}: {}", text(&output.stderr));
    let record = json(&output);
    obeys(&validator(lab), &record);
    lab.assert_nothing_is_left();
    record
}

fn sum(eaten: &Value) -> u64 {
    eaten.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

fn python_exit<'r>(record: &'r Value, name: &str) -> &'r Value {
    let processes = record["processes"].as_array().unwrap();
    &processes.iter().find(|process| process["name"] == name).unwrap()["exit"]["python"]
}

fn pid(record: &Value, name: &str) -> u64 {
    let processes = record["processes"].as_array().unwrap();
    processes.iter().find(|process| process["name"] == name).unwrap()["pid"].as_u64().unwrap()
}

fn each_item_is_eaten_once_with_every_kind_of_end() {
    let lab = Lab::new();
    for (end, method) in [("close", "spawn"), ("none", "fork"), ("joinable", "forkserver")] {
        let args = format!("pipeline --items 7 --capacity 3 --produce 1 --consume 2 --end {end}");
        let record = record(&lab, &format!("{args} --start-method {method}"), 0);
        assert_eq!(record["verdict"], "ok", "{end}");
        assert_eq!((&record["produced"], sum(&record["eaten"])), (&21.into(), 21), "{end}");
        let nothing = Value::Array(Vec::new());
        for what in ["missing", "twice", "losses", "stuck"] {
            assert_eq!(record[what], nothing, "{end}: {what}");
        }
        for consumer in record["eaten"].as_object().unwrap().keys() {
            assert!(consumer.starts_with("consumer-"), "{consumer}");
        }
        // Three producers and two consumers, each with the time that it was blocked.
        assert_eq!(record["blocked_ns"].as_object().unwrap().len(), 5);
        assert_eq!(record["processes"].as_array().unwrap().len(), 5);
        let depth = record["depth"].as_array().unwrap();
        assert!(depth.iter().all(|depth| depth["queued"].as_u64().unwrap() <= 3), "{depth:?}");
        assert!(
            depth.iter().any(|depth| depth["queued"] != 0),
            "the consumers are slower than the producers"
        );
        assert_eq!(record["parameters"]["produce_ms"], 1.0);
        assert_eq!(record["parameters"]["end"], end);
    }
}

fn each_line_contains_the_pid_and_the_food() {
    let lab = Lab::new();
    let args = ["run", "pipeline", "--producers", "1", "--consumers", "1", "--items", "2"];
    for (food, named) in [("火锅", &[][..]), ("noodles", &["--food", "noodles"])] {
        let output = lab.run(&[&args[..], named].concat());
        let out = ran(&output, 0);
        for said in [format!("made {food}0"), format!("ate {food}1 of producer-0")] {
            let line = out.lines().find(|line| line.contains(&said)).unwrap_or_else(|| panic!("{out}"));
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(words[2].parse::<i32>().is_ok_and(|pid| pid > 1), "{line}");
        }
        assert!(out.contains("queue depth"), "{out}");
        assert!(out.trim_end().ends_with("ok: 2 put, 2 eaten: every item exactly once"), "{out}");
    }
}

/// `watch` uses these facts; the text beside them is for people.
fn facts_join_each_put_to_its_get_whatever_the_food_is_called() {
    let lab = Lab::new();
    for food in ["cup of tea", "takes 0 of producer-0", ""] {
        let args = ["run", "pipeline", "--items", "3", "--produce", "1", "--consume", "1", "--food", food];
        let output = lab.run(&[&args[..], &["--format", "json"]].concat());
        ran(&output, 0);
        let record = json(&output);
        obeys(&validator(&lab), &record);
        let facts = |kind: &str| {
            let events = record["events"].as_array().unwrap().iter();
            let mut facts: Vec<String> =
                events.filter_map(|it| it["fact"].get(kind)).map(Value::to_string).collect();
            facts.sort();
            facts
        };
        assert_eq!(facts("put").len(), 9, "{food}");
        assert_eq!(facts("put"), facts("taken"), "{food}");
    }
}

fn too_few_nones_cause_a_deadlock_that_names_the_waiting_consumers() {
    let lab = Lab::new();
    for (nones, waiting) in [(1, 1), (0, 2)] {
        let args = "pipeline --items 2 --produce 1 --consume 1 --end none --sentinels";
        let record = record(&lab, &format!("{args} {nones}"), 3);
        assert_eq!(record["verdict"], "deadlock");
        assert_eq!(sum(&record["eaten"]), 6);
        let stuck = record["stuck"].as_array().unwrap();
        assert_eq!(stuck.len(), waiting, "{stuck:?}");
        for told in stuck {
            let name = told["values"]["name"].as_str().unwrap();
            assert_eq!(told["values"]["pid"], pid(&record, name).to_string(), "{told}");
            assert!(told["text"].as_str().unwrap().contains("waits on the empty queue"), "{told}");
        }
    }
    let output = lab.run(&["run", "pipeline", "--items", "1", "--end", "none", "--sentinels", "1"]);
    let out = ran(&output, 3);
    assert!(out.trim_end().ends_with("every item exactly once, but one consumer waited forever"), "{out}");
    refused(&lab.run(&["run", "pipeline", "--sentinels", "1"]), 2);
}

fn surplus_nones_are_harmless() {
    let lab = Lab::new();
    let args = "pipeline --items 2 --capacity 1 --produce 0 --consume 0 --end none --sentinels 9";
    assert_eq!(record(&lab, args, 0)["verdict"], "ok");
}

fn a_killed_consumer_loses_the_item_that_it_had_taken() {
    let lab = Lab::new();
    for end in ["close", "none --sentinels 1"] {
        let args = format!("pipeline --items 4 --produce 2 --consume 2 --kill consumer-1@2 --end {end}");
        let record = record(&lab, &args, 3);
        assert_eq!(record["verdict"], "crashed", "{end}");
        assert_eq!(record["parameters"]["kill"], "consumer-1@2");
        assert_eq!(python_exit(&record, "consumer-1"), -9);
        assert_eq!(python_exit(&record, "consumer-0"), 0);
        assert_eq!((&record["produced"], sum(&record["eaten"])), (&12.into(), 11));
        assert_eq!(record["missing"].as_array().unwrap().len(), 1);
        let losses = record["losses"].as_array().unwrap();
        assert_eq!(losses.len(), 1, "{losses:?}");
        assert_eq!(losses[0]["pid"], pid(&record, "consumer-1"));
    }
    // The kill point is never reached.
    let args = "pipeline --items 1 --produce 0 --consume 0 --kill consumer-1@100";
    assert_eq!(record(&lab, args, 0)["verdict"], "ok");
    for kill in ["consumer-2@1", "consumer-0@0", "producer-0@1", "consumer-0", "1@1"] {
        refused(&lab.run(&["run", "pipeline", "--kill", kill]), 2);
    }
}

fn a_lease_returns_the_item_of_a_killed_consumer() {
    let lab = Lab::new();
    for end in ["close --leases", "joinable", "none --sentinels 1 --leases"] {
        let args = format!("pipeline --items 4 --produce 2 --consume 2 --kill consumer-1@2 --end {end}");
        let record = record(&lab, &args, 0);
        assert_eq!(record["verdict"], "ok", "{end}");
        assert_eq!(python_exit(&record, "consumer-1"), -9);
        assert_eq!((&record["produced"], sum(&record["eaten"])), (&12.into(), 12), "{end}");
        assert_eq!(record["missing"], Value::Array(Vec::new()));
        let events = record["events"].as_array().unwrap();
        let again = events.iter().filter(|it| it["text"].as_str().unwrap().contains("(delivered 2 times)"));
        assert_eq!(again.count(), 1, "{end}");
    }
}

fn producers_end_when_no_consumer_is_left() {
    let lab = Lab::new();
    for leases in ["", " --leases"] {
        let args = "pipeline --consumers 1 --items 20 --capacity 2 --produce 0 --kill consumer-0@1";
        let record = record(&lab, &format!("{args}{leases}"), 3);
        assert_eq!(record["verdict"], "crashed");
        assert_eq!(sum(&record["eaten"]), 0);
        let refused = record["events"].as_array().unwrap().iter().filter(|it| it["what"] == "refused");
        assert_eq!(refused.count(), 3, "each producer is told");
    }
}

fn an_expression_is_evaluated_by_a_child() {
    let lab = Lab::new();
    for (expression, value) in [("1+2+3", 6.0), ("-2*(3-4)^2", -2.0), ("10/4", 2.5)] {
        let record = record(&lab, &format!("eval {expression}"), 0);
        assert_eq!((&record["answer"]["value"], &record["answer"]["error"]), (&value.into(), &Value::Null));
        let put = record["events"].as_array().unwrap().iter().find(|it| it["what"] == "put").unwrap();
        assert_eq!(put["pid"].as_u64().unwrap(), pid(&record, "evaluator"));
    }
    assert!(ran(&lab.run(&["run", "eval", "1 + 2 + 3"]), 0).trim_end().ends_with("\n6"));
}

fn a_bad_expression_causes_one_clear_line() {
    let lab = Lab::new();
    for expression in ["", "1+", "(", "1/0", "x", "__import__('os').getpid()", "1 2", "火锅", "1\n\u{1b}[2J+"]
    {
        let output = lab.run(&["run", "eval", expression, "--format", "json"]);
        let said = refused(&output, 1);
        assert!(said.contains("cannot be evaluated: ") && said.contains("\nhint: "), "{said}");
        assert_eq!(said.lines().count(), 2, "{said:?}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
        lab.assert_nothing_is_left();
    }
}

fn an_expression_may_be_deep_but_not_long() {
    let lab = Lab::new();
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    ran(&lab.run(&["run", "eval", &nested(490)]), 0);
    ran(&lab.run(&["run", "eval", &format!("{}1", "-".repeat(900))]), 0);
    for long in [nested(501), nested(60_000), "1+".repeat(50_000) + "1", "-".repeat(100_000)] {
        let output = lab.run(&["run", "eval", &long, "--format", "json"]);
        let said = refused(&output, 1);
        assert!(said.contains("it is longer than 1000 bytes") && said.len() < 300, "{said}");
    }
    lab.assert_nothing_is_left();
}

fn sending_to_a_full_queue_blocks() {
    let lab = Lab::new();
    for method in ["spawn", "fork", "forkserver"] {
        let record = record(&lab, &format!("full --start-method {method}"), 0);
        assert_eq!((&record["verdict"], &record["proof"]["holds"]), (&"ok".into(), &true.into()));
        let events = record["events"].as_array().unwrap();
        let at = |what: &str, nth: usize| {
            let mut found = events.iter().filter(|event| event["what"] == what);
            found.nth(nth).unwrap()["at_ns"].as_u64().unwrap()
        };
        assert!(at("put", 5) - at("put", 4) >= 300_000_000, "the sixth had to wait");
    }
    let output = lab.run(&["run", "full"]);
    assert!(ran(&output, 0).trim_end().lines().next_back().unwrap().starts_with("proven: put blocks"));
}
