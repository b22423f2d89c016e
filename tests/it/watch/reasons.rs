//! What a thread waits for, in words: programs whose waits are of one kind each.

use std::io::Read;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use serde_json::Value;

use super::programs::program;
use super::truth::{root, watched};
use super::{Outcome, Scratch, check, ns, processes, proclab};

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("conditions_semaphores_and_barriers_are_named_with_their_addresses", objects),
        test("a_call_that_lets_sigchld_in_waits_for_the_child", a_jobserver),
        test("a_wait_for_a_child_that_execs_meanwhile_is_one_wait_under_its_last_name", a_child_that_execs),
        test("a_mutex_whose_owner_has_ended_is_a_deadlock_that_names_it", an_abandoned_mutex),
        test("the_threads_of_a_running_process_have_their_own_names", thread_names),
        test("a_sleep_goes_on_after_a_stop_under_its_own_reason", restarted),
        test("the_first_sentence_has_the_times_of_the_main_thread", main_thread),
    ]
}

/// The longest wait of the main thread of `waits CASE`, and what it printed.
fn longest(case: &str) -> Result<Option<(String, String)>, libtest_mimic::Failed> {
    let scratch = Scratch::new("waits")?;
    let Some(program) = program(&scratch, "waits")? else { return Ok(None) };
    let (report, printed) = watched(&["--tier", "exact"], &[&program, case])?;
    let waits = root(&report)["waits"].as_array().ok_or("no waits")?;
    let longest = waits.iter().max_by_key(|wait| ns(wait, "ns")).ok_or("it never waited")?;
    let on = longest["on"].as_str().unwrap_or_default().to_owned();
    Ok(Some((on, printed.trim().to_owned())))
}

fn objects() -> Outcome {
    for what in ["condition", "semaphore", "barrier"] {
        let Some((on, address)) = longest(what)? else { return Ok(()) };
        // glibc's; another C library's objects have no name of their own.
        if on.starts_with("lock or condition") && !cfg!(target_env = "gnu") {
            continue;
        }
        check(on == format!("{what} {address} among its own threads"), format!("{what} {address}: {on}"))?;
    }
    Ok(())
}

fn a_jobserver() -> Outcome {
    for case in ["jobserver", "poll"] {
        let Some((on, child)) = longest(case)? else { return Ok(()) };
        let expected = format!("child {child} waits (SIGCHLD) or its own pipe");
        check(on == expected, format!("{case}, {child}: {on}"))?;
    }
    Ok(())
}

fn a_child_that_execs() -> Outcome {
    let report = super::report(&[], "(sleep 0.3; exec sleep 0.3); true")?;
    let process = root(&report);
    let waits = process["waits"].as_array().ok_or("no waits")?;
    let of_child: Vec<&Value> =
        waits.iter().filter(|wait| wait["on"].as_str().is_some_and(|on| on.starts_with("child"))).collect();
    let [only] = of_child[..] else { return Err(format!("{process:#}").into()) };
    let (child, blocked_ns) = (super::named(&report, "sleep")?, ns(process, "blocked_ns"));
    let last = super::processes(&report).iter().find(|one| one["ppid"] == process["pid"]).unwrap_or(child);
    check(only["on"] == format!("child {} sleep", last["pid"]).as_str(), &report)?;
    check(ns(only, "ns") * 10 >= blocked_ns * 9, format!("{only:#} of {blocked_ns}"))
}

fn an_abandoned_mutex() -> Outcome {
    let scratch = Scratch::new("abandoned")?;
    let Some(program) = program(&scratch, "waits")? else { return Ok(()) };
    let (report, printed) =
        watched(&["--tier", "exact"], &["timeout", "-s", "KILL", "2", &program, "owner"])?;
    let mut words = printed.split_ascii_whitespace();
    let (owner, mutex) = (words.next().ok_or("no owner")?, words.next().ok_or("no mutex")?);
    let on = format!("lock {mutex} held by thread {owner}, which has ended");
    let deadlocks = report["deadlocks"].as_array().ok_or("no deadlocks")?;
    let [only] = &deadlocks[..] else { return Err(format!("{report:#}").into()) };
    // Another C library's mutex has no owner.
    check(only["waits"][0]["on"] == on.as_str() || !cfg!(target_env = "gnu"), format!("{on}: {only:#}"))
}

fn thread_names() -> Outcome {
    let mut python = Command::new("python3");
    let code = "import threading, ctypes, sys, time
def nap():
    ctypes.CDLL(None).prctl(15, b'napper', 0, 0, 0)
    print('named', flush=True)
    time.sleep(1)
threading.Thread(target=nap).start()";
    let Ok(mut sleeper) = python.args(["-c", code]).stdout(Stdio::piped()).spawn() else {
        println!("left out: there is no python3");
        return Ok(());
    };
    let mut named = [0; 6];
    sleeper.stdout.as_mut().ok_or("no output")?.read_exact(&mut named)?;
    let pid = sleeper.id().to_string();
    let watch = proclab(&["--format", "json", "--tier", "exact", "--pid", &pid])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // The watch lasts until it is reaped.
    sleeper.wait()?;
    let report: Value = serde_json::from_slice(&watch.wait_with_output()?.stdout)?;
    let threads = root(&report)["threads"].as_array().ok_or("no threads")?;
    check(threads.iter().any(|thread| thread["name"] == "napper"), &report)
}

/// After a stop the kernel continues the call as another one, `restart_syscall(2)`.
fn restarted() -> Outcome {
    let script = "sleep 1 & sleep 0.1; kill -STOP $!; sleep 0.1; kill -CONT $!; wait";
    for tier in ["exact", "sampled"] {
        let (report, _) = watched(&["--tier", tier], &["sh", "-c", script])?;
        let sleeper = processes(&report).iter().find(|process| ns(process, "stopped_ns") > 0);
        let sleeper = sleeper.ok_or_else(|| format!("{tier}: none was stopped: {report:#}"))?;
        let waits = sleeper["waits"].as_array().ok_or("no waits")?.iter();
        let timer_ns: u64 = waits.filter(|wait| wait["on"] == "timer").map(|wait| ns(wait, "ns")).sum();
        check(timer_ns > ns(sleeper, "blocked_ns") / 2, format!("{tier}: {sleeper:#}"))?;
    }
    Ok(())
}

fn main_thread() -> Outcome {
    let scratch = Scratch::new("main")?;
    let Some(program) = program(&scratch, "waits")? else { return Ok(()) };
    let first = |report: &Value| report["summary"][0]["text"].as_str().unwrap_or_default().to_owned();
    let (report, _) = watched(&["--tier", "exact"], &[&program, "long"])?;
    let process = root(&report);
    let main = process["threads"].as_array().and_then(|threads| threads.first()).ok_or("no thread")?;
    let parts = ["running_ns", "ready_ns", "blocked_ns", "stopped_ns", "unknown_ns"];
    let all: u64 = parts.iter().map(|key| ns(main, key)).sum();
    let running = format!("running {:.1} %", ns(main, "running_ns") as f64 / all as f64 * 100.0);
    let sentence = first(&report);
    check(
        sentence.contains(&running) && sentence.contains("the main thread of"),
        format!("{running}: {sentence}"),
    )?;
    let (report, _) = watched(&["--tier", "exact"], &[&program, "thread"])?;
    check(first(&report).contains("which ended after"), first(&report))?;
    // Its child outlives it: what it did is told of its own life.
    let (report, _) = watched(&["--tier", "exact"], &["sh", "-c", "sleep 0.4 & exit 0"])?;
    check(first(&report).contains(" sh, which ended after"), first(&report))
}
