//! Programs that are stuck for good, and programs that only look so.

use std::collections::BTreeSet;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::programs::program;
use super::truth::watched;
use super::{Outcome, Scratch, check};

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("what_an_alarm_or_a_timer_or_a_handler_ends_is_no_deadlock", not_told),
        test("a_reader_that_keeps_its_own_write_end_is_deadlocked", own_end),
        test("two_that_open_fifos_crosswise_are_deadlocked", fifos),
        test("two_threads_that_lock_two_mutexes_crosswise_are_the_circle", mutexes),
        test("a_thread_that_locks_its_own_mutex_is_deadlocked_by_itself", twice),
        test("a_semaphore_that_no_thread_can_post_is_a_deadlock", no_post),
        test("two_ends_of_a_socket_pair_that_both_read_are_deadlocked", sockets),
    ]
}

fn deadlocks(report: &Value) -> &Vec<Value> {
    report["deadlocks"].as_array().expect("a report lists deadlocks")
}

fn not_told() -> Outcome {
    let scratch = Scratch::new("no-deadlock")?;
    let Some(program) = program(&scratch, "deadlocks")? else { return Ok(()) };
    for case in ["alarm", "itimer", "timer", "ppoll", "handler"] {
        let (report, _) = watched(&["--tier", "exact"], &[&program, case])?;
        check(report["exit"] == 0, format!("{case}: {report:#}"))?;
        check(deadlocks(&report).is_empty(), format!("{case}: {:#}", report["deadlocks"]))?;
    }
    Ok(())
}

/// The one deadlock of a program that `timeout` ends: how many threads are in its circle, and their waits.
fn only(case: &str) -> Result<Option<(usize, String)>, Failed> {
    let scratch = Scratch::new("deadlock")?;
    let Some(program) = program(&scratch, "deadlocks")? else { return Ok(None) };
    let (report, _) = watched(&["--tier", "exact"], &["timeout", "-s", "KILL", "2", &program, case])?;
    let [only] = &deadlocks(&report)[..] else { return Err(format!("{case}: {report:#}").into()) };
    // It ends with its threads, and not when that is noticed.
    let process = super::processes(&report).iter().find(|process| process["pid"] == only["waits"][0]["pid"]);
    let ended_ns = process.and_then(|process| process["ended_ns"].as_u64());
    let lasts = only["to_ns"].as_u64().is_none_or(|to_ns| ended_ns.is_some_and(|ended_ns| to_ns <= ended_ns));
    check(lasts, format!("{case}: {ended_ns:?}: {report:#}"))?;
    let circle: BTreeSet<u64> =
        only["circle"].as_array().expect("it has members").iter().filter_map(Value::as_u64).collect();
    let waits = only["waits"].as_array().expect("they wait");
    let waits: Vec<&str> = waits.iter().filter_map(|wait| wait["on"].as_str()).collect();
    Ok(Some((circle.len(), waits.join("; "))))
}

fn told(case: &str, members: usize, words: &str) -> Outcome {
    let Some((n, waits)) = only(case)? else { return Ok(()) };
    check(n == members && waits.contains(words), format!("{case}: {n} wait for {waits}"))
}

fn own_end() -> Outcome {
    told("kept-ends", 2, "deadlocks (and its own write end)")?;
    told("own-end", 1, "its own pipe: no other process holds an end")
}

fn fifos() -> Outcome {
    told("fifos", 2, "to be opened by a writer")
}

fn mutexes() -> Outcome {
    told("mutexes", 2, "held by thread")
}

fn twice() -> Outcome {
    told("twice", 1, "held by itself")
}

fn no_post() -> Outcome {
    told("no-post", 2, "the end of thread")
}

fn sockets() -> Outcome {
    told("sockets", 2, "socket to")
}
