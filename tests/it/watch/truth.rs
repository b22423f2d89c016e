//! What a watch says of a program, beside what the program and the kernel say of it.

use std::process::Stdio;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::programs::{Account, accounts, program};
use super::{Outcome, Scratch, check, named, ns, processes, proclab};

/// The machine may take a CPU away between the program's last look at its own sums and its end; that is no error
/// of the watch, so one run of so many must be as exact as it claims.
const ATTEMPTS: u32 = 5;

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("every_kind_of_phase_has_its_length_and_its_reason", every_phase),
        test("each_thread_has_its_own_times_and_the_process_their_sum", threads),
        test("the_ready_time_beside_idle_threads_is_the_kernels", idle_threads),
        test("two_spinning_threads_run_in_the_sampled_tier_too", spinning_threads),
        test("an_attached_process_with_spinning_threads_has_their_times", attached_threads),
        test("an_exec_by_a_thread_that_is_not_the_leader_is_followed", exec_by_thread),
        test("where_sigchld_is_ignored_no_process_reaps", nobody_reaps),
        test("a_threads_number_is_refused_and_its_process_named", a_threads_number),
        test("a_process_whose_leader_ended_lives_until_its_last_thread_ends", leader_first),
    ]
}

/// The report of a command, and what the command wrote.
pub(super) fn watched(options: &[&str], command: &[&str]) -> Result<(Value, String), Failed> {
    let mut args = vec!["--format", "json"];
    args.extend(options);
    args.push("--");
    args.extend(command);
    // The program's own output is on standard error then.
    let output = proclab(&args).stderr(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {text}"))?;
    Ok((report, text))
}

fn root(report: &Value) -> &Value {
    processes(report).iter().find(|process| process["pid"] == report["pid"]).expect("the command is told")
}

fn thread(process: &Value, tid: u64) -> Result<&Value, Failed> {
    let threads = process["threads"].as_array().expect("a process has threads");
    threads
        .iter()
        .find(|thread| thread["tid"] == tid)
        .ok_or_else(|| format!("no {tid} in {process:#}").into())
}

/// What is told, and up to what is unknown more, holds the truth: within 2 % or 1 ms.
fn holds(what: &str, told: u64, unknown: u64, (least, most): (u64, u64)) -> Outcome {
    let allowed = (least / 50).max(1_000_000);
    check(
        most + allowed >= told && told + unknown + allowed >= least,
        format!("{what}: {told} to {} ns told, {least} to {most} ns true", told + unknown),
    )
}

fn agrees(report: &Value, account: &Account) -> Outcome {
    let thread = thread(root(report), account.tid)?;
    let unknown = ns(thread, "unknown_ns");
    holds("running", ns(thread, "running_ns"), unknown, account.running_ns)?;
    // A lower bound says so; how much more it may be, it does not.
    let more = if thread["ready_is_lower_bound"] == true { u64::MAX / 2 } else { unknown };
    holds("ready", ns(thread, "ready_ns"), more, account.ready_ns)
}

fn some_run(mut run: impl FnMut() -> Outcome) -> Outcome {
    let mut last = Ok(());
    for _ in 0..ATTEMPTS {
        last = run();
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Runs `phases` with these scripts in a tier, and holds every thread's times against its own account.
fn hold(tier: &str, scripts: &[&str], also: impl Fn(&Value, &[Account]) -> Outcome) -> Outcome {
    let scratch = Scratch::new("truth")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    let command: Vec<&str> = [&*phases].into_iter().chain(scripts.iter().copied()).collect();
    some_run(|| {
        let (report, text) = watched(&["--tier", tier], &command)?;
        let accounts = accounts(&text)?;
        for account in &accounts {
            agrees(&report, account).map_err(|error| {
                let message = error.message().unwrap_or_default();
                format!("{tier}: {message}\n{account:?}\n{:#}", root(&report))
            })?;
        }
        also(&report, &accounts)
    })
}

fn every_phase() -> Outcome {
    const WORDS: [(char, &str); 6] = [
        ('s', "timer"),
        ('r', "pipe from"),
        ('u', "socket"),
        ('f', "held by"),
        ('x', "shared with"),
        ('c', "child"),
    ];
    let script = "b60 s150 r150 u150 f150 x150 c150 t150";
    hold("exact", &[script], |report, accounts| {
        let process = root(report);
        let phases = &accounts[0].phases;
        let stopped = phases.iter().find(|(what, _)| *what == 't').expect("it was stopped").1;
        check(ns(process, "stopped_ns") > stopped * 8 / 10, process)?;
        let mut explained = 0;
        for (letter, word) in WORDS {
            let told: u64 = process["waits"]
                .as_array()
                .expect("a process has waits")
                .iter()
                .filter(|wait| wait["on"].as_str().is_some_and(|on| on.contains(word)))
                .map(|wait| ns(wait, "ns"))
                .sum();
            explained += told;
            let true_ns = phases.iter().find(|(what, _)| *what == letter).expect("each phase is told").1;
            check(told > true_ns * 8 / 10, format!("{word}: {told} of {true_ns} ns in {process:#}"))?;
        }
        let blocked = ns(process, "blocked_ns");
        check(
            explained * 100 > blocked * 97,
            format!("{explained} of {blocked} ns have a reason: {process:#}"),
        )
    })
}

fn threads() -> Outcome {
    hold("exact", &["b80 s100", "s50 b60", "b40 s120 b20"], |report, _| {
        let process = root(report);
        for key in ["running_ns", "ready_ns", "blocked_ns"] {
            let threads = process["threads"].as_array().expect("it has threads");
            let sum: u64 = threads.iter().map(|thread| ns(thread, key)).sum();
            check(ns(process, key) == sum, format!("{key}: {process:#}"))?;
        }
        let on = process["waits"].as_array().expect("it has waits");
        check(on.iter().any(|wait| wait["on"].as_str() == Some("timer")), process)
    })
}

fn idle_threads() -> Outcome {
    let scratch = Scratch::new("idle")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    // Both share one CPU, so that each waits for it, after sleeps too. After the last of these it runs for long, and
    // does not wait for the idle thread any more: the kernel's sums are read after the last wake-up.
    let script = "b10 s5 b10 s5 b10 s5 b10 s5 b10 s5 b60";
    // Long enough to be busy until it is killed.
    let busy = "i=0; while [ $i -lt 9000000 ]; do i=$((i+1)); done";
    some_run(|| {
        let shell = format!("taskset -c 0 sh -c '{busy}' & taskset -c 0 {phases} '{script}' 's100'; kill $!");
        let (report, text) = watched(&["--tier", "exact"], &["sh", "-c", &shell])?;
        let account = &accounts(text.lines().last().unwrap_or_default())?[0];
        let process = processes(&report).iter().find(|process| process["name"] == "phases");
        let process = process.ok_or_else(|| format!("no phases in {report:#}"))?;
        let main = thread(process, account.tid)?;
        check(main["ready_is_lower_bound"] == false, process)?;
        check(account.ready_ns.0 > 5_000_000, "it never waited for its CPU")?;
        holds("ready", ns(main, "ready_ns"), 0, account.ready_ns)
    })
}

fn spinning_threads() -> Outcome {
    hold("sampled", &["s10", "b250", "b250"], |report, _| {
        let process = root(report);
        check(ns(process, "running_ns") + ns(process, "unknown_ns") > 490_000_000, process)?;
        check(ns(process, "running_ns") > 350_000_000, process)?;
        let on = process["waits"][0]["on"].as_str().unwrap_or_default();
        check(on.starts_with("the end of thread"), format!("it joins them: {on:?}"))
    })
}

fn attached_threads() -> Outcome {
    let scratch = Scratch::new("attached")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    for tier in ["exact", "sampled"] {
        let mut spinner = std::process::Command::new(&phases)
            .args(["s10", "b400", "b400"])
            .stdout(Stdio::piped())
            .spawn()?;
        let pid = spinner.id();
        crate::common::until("it has made its threads", || {
            std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| tasks.count() == 3)
        });
        let watch = proclab(&["--format", "json", "--tier", tier, "--pid", &pid.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        spinner.wait()?;
        let report: Value = serde_json::from_slice(&watch.wait_with_output()?.stdout)?;
        let process = root(&report);
        check(ns(process, "running_ns") > 300_000_000, format!("{tier}: {process:#}"))?;
    }
    Ok(())
}

fn exec_by_thread() -> Outcome {
    let scratch = Scratch::new("exec")?;
    let Some(program) = program(&scratch, "exec_by_thread")? else { return Ok(()) };
    for tier in ["exact", "sampled"] {
        let (report, _) = watched(&["--tier", tier], &[&program, "sleep", "0.2"])?;
        let process = root(&report);
        check(process["name"] == "sleep" && process["exit"] == 0, process)?;
        check(ns(process, "life_ns") > 220_000_000, format!("{tier}: its life is cut: {process:#}"))?;
        check(process["unrecorded_since_ns"].is_null(), process)?;
        if tier == "exact" {
            check(report["conservation"]["holding"] == 1, &report)?;
        }
    }
    Ok(())
}

fn leader_first() -> Outcome {
    let scratch = Scratch::new("leader")?;
    let Some(program) = program(&scratch, "leader_first")? else { return Ok(()) };
    for tier in ["exact", "sampled"] {
        let (report, _) = watched(&["--tier", tier], &[&program])?;
        let process = root(&report);
        check(ns(process, "life_ns") > 390_000_000, format!("{tier}: its life is cut: {process:#}"))?;
        check(ns(process, "zombie_ns") < 300_000_000, format!("{tier}: {process:#}"))?;
        let ran = ns(process, "running_ns") + ns(process, "unknown_ns");
        check(ran > 95_000_000, format!("{tier}: {process:#}"))?;
    }
    Ok(())
}

fn nobody_reaps() -> Outcome {
    let scratch = Scratch::new("no-reaper")?;
    let Some(program) = program(&scratch, "no_reaper")? else { return Ok(()) };
    let (report, _) = watched(&["--tier", "exact"], &[&program])?;
    let process = named(&report, "sleep")?;
    check(process["exit"] == 0, process)?;
    check(process["reaped_by"].is_null() && ns(process, "zombie_ns") == 0, process)
}

fn a_threads_number() -> Outcome {
    let scratch = Scratch::new("tid")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    let mut sleeper =
        std::process::Command::new(&phases).args(["s500", "s500"]).stdout(Stdio::null()).spawn()?;
    let pid = sleeper.id();
    let mut tid = None;
    crate::common::until("it has made its thread", || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let mut tids = tasks.filter_map(|task| task.file_name().to_str()?.parse::<u32>().ok());
        tid = tids.find(|tid| *tid != pid);
        tid.is_some()
    });
    let output = proclab(&["--pid", &tid.expect("it was found").to_string()]).output()?;
    sleeper.wait()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    check(text.contains(&format!("is a thread of process {pid}")), text)
}
