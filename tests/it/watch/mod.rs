//! `proclab watch` from outside: the program runs as ever, and the report tells its whole life.

mod attach;
mod deadlocks;
mod endings;
mod environments;
mod matrix;
mod privileged;
mod programs;
mod reasons;
mod truth;
mod views;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

type Outcome = Result<(), Failed>;

pub(crate) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    let own = vec![
        test("every_process_of_a_pipeline_is_told_with_parent_and_exit", every_process_of_a_pipeline),
        test("the_states_of_a_life_add_up_to_its_length", the_states_add_up),
        test("the_exit_code_is_passed_on", the_exit_code_is_passed_on),
        test("a_signal_is_forwarded_and_told_as_a_shell_does", a_signal_is_forwarded),
        test("the_commands_own_output_is_left_alone", output_is_left_alone),
        test("a_hundred_short_children_are_all_there", a_hundred_short_children),
        test("a_child_that_lives_no_millisecond_has_its_exit_status", exits_of_short_children),
        test("a_sleeper_is_blocked_on_a_timer", a_sleeper_is_blocked_on_a_timer),
        test("samples_follow_what_a_short_lived_parent_leaves", a_late_orphan),
        test("an_orphan_is_told_with_its_old_and_its_new_parent", an_orphan),
        test("a_zombie_lasts_until_it_is_reaped", a_zombie),
        test("a_line_tells_an_end_when_it_was_and_the_reaping_later", a_zombies_lines),
        test("a_pipelines_queue_is_as_deep_as_it_was_and_its_messages_are_arrows", a_pipelines_queue),
        test("a_stopped_process_is_stopped_and_not_blocked", a_stopped_process),
        test("a_circle_of_file_locks_is_named_as_a_deadlock", a_deadlock),
        test("a_busy_pair_on_one_cpu_alternates_running_and_ready", a_busy_pair_on_one_cpu),
        test("the_sampled_tier_says_so_and_knows_the_sums", the_sampled_tier),
        test("a_process_that_runs_already_is_watched_and_unharmed", a_running_process),
        test("a_trace_has_no_gap_and_no_overlap_in_any_thread", a_trace),
        test("the_page_is_whole_and_asks_for_no_network", the_page),
        test("the_picture_is_whole_and_explains_its_words", the_picture),
        test("no_table_in_a_pipe_is_wider_than_80_columns_or_as_asked", the_width),
        test("the_table_fits_a_pipe_and_names_the_tier", the_table),
    ];
    own.into_iter()
        .chain(truth::tests())
        .chain(matrix::tests())
        .chain(endings::tests())
        .chain(environments::tests())
        .chain(privileged::tests())
        .chain(deadlocks::tests())
        .chain(attach::tests())
        .chain(reasons::tests())
        .chain(views::tests())
        .collect()
}

fn proclab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
    command.arg("watch").args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Result<Output, Failed> {
    Ok(proclab(args).output()?)
}

/// The report of a shell script.
fn report(options: &[&str], script: &str) -> Result<Value, Failed> {
    let mut args = vec!["--format", "json"];
    args.extend(options);
    args.extend(["--", "sh", "-c", script]);
    let output = run(&args)?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn processes(report: &Value) -> &Vec<Value> {
    report["processes"].as_array().expect("a report has processes")
}

fn named<'a>(report: &'a Value, name: &str) -> Result<&'a Value, Failed> {
    let found = processes(report).iter().find(|process| process["name"] == name);
    found.ok_or_else(|| format!("no process {name} in {report:#}").into())
}

fn ns(process: &Value, key: &str) -> u64 {
    process[key].as_u64().unwrap_or_else(|| panic!("{key} is no number in {process:#}"))
}

fn check(holds: bool, what: impl std::fmt::Display) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_string().into()) }
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("proclab-it-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn every_process_of_a_pipeline() -> Outcome {
    let report = report(&[], "sleep 0.05 | cat; exit 3")?;
    let root = &processes(&report)[0];
    check(report["exit"] == 3 && root["exit"] == 3, &report)?;
    for name in ["sleep", "cat"] {
        let process = named(&report, name)?;
        check(process["ppid"] == root["pid"], process)?;
        check(process["exit"] == 0, process)?;
        check(process["reaped_by"] == root["pid"], process)?;
    }
    check(report["lost_records"] == 0, &report)
}

fn the_states_add_up() -> Outcome {
    let report = report(&[], "for i in 1 2 3; do sleep 0.02; done; true | true")?;
    for process in processes(&report) {
        let states: u64 =
            ["running_ns", "ready_ns", "blocked_ns", "stopped_ns"].map(|key| ns(process, key)).iter().sum();
        let life = ns(process, "ended_ns") - ns(process, "started_ns");
        check(states == life, format!("{states} is not {life} in {process:#}"))?;
    }
    let conservation = &report["conservation"];
    check(conservation["checked"].as_u64() > Some(0), &report)?;
    truth::agrees_with_the_kernel(&report)
}

fn the_exit_code_is_passed_on() -> Outcome {
    check(run(&["--", "sh", "-c", "exit 42"])?.status.code() == Some(42), "42 was not passed on")?;
    check(run(&["--", "sh", "-c", "kill -9 $$"])?.status.code() == Some(137), "a SIGKILL is not told as 137")
}

/// A watch of a script that has printed `up`.
fn watch_until_up(script: &str) -> std::io::Result<std::process::Child> {
    let mut watch = proclab(&["--no-tui", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut up = [0; 3];
    std::io::Read::read_exact(watch.stdout.as_mut().expect("it is piped"), &mut up)?;
    Ok(watch)
}

fn a_signal_is_forwarded() -> Outcome {
    let script = "sleep 30 & trap 'kill $!; exit 7' TERM; echo up; wait";
    let mut watch = watch_until_up(script)?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(watch.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )?;
    let code = wait(&mut watch)?;
    check(code == Some(7), format!("the shell's own trap did not run: {code:?}"))
}

fn wait(child: &mut std::process::Child) -> Result<Option<i32>, Failed> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if begin.elapsed() > Duration::from_secs(20) {
            child.kill()?;
            return Err("the watch did not end".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn output_is_left_alone() -> Outcome {
    let output = run(&["--", "sh", "-c", "printf 'a\\nb'; printf c >&2"])?;
    check(output.stdout == b"a\nb", String::from_utf8_lossy(&output.stdout))?;
    let json = run(&["--format", "json", "--", "echo", "hello"])?;
    check(serde_json::from_slice::<Value>(&json.stdout).is_ok(), "standard output is not one JSON document")?;
    check(json.stderr == b"hello\n", String::from_utf8_lossy(&json.stderr))
}

fn a_hundred_short_children() -> Outcome {
    let report = report(&[], "i=0; while [ $i -lt 100 ]; do /bin/true; i=$((i+1)); done")?;
    let short = processes(&report).iter().filter(|process| process["name"] == "true").count();
    check(short == 100, format!("{short} of 100"))?;
    check(processes(&report).iter().all(|process| process["state"] == "reaped"), "somebody was left a zombie")
}

fn exits_of_short_children() -> Outcome {
    let script =
        "i=0; while [ $i -lt 60 ]; do (exit 7); (kill -9 $(exec sh -c 'echo $PPID')); i=$((i+1)); done";
    let report = report(&["--tier", "exact"], script)?;
    let exits = |exit: i64| processes(&report).iter().filter(|process| process["exit"] == exit).count();
    let unknown = processes(&report).iter().filter(|process| process["exit"].is_null()).count();
    if proclab::sys::exits::Exits::listen().is_ok() {
        check(
            (exits(7), exits(-9), unknown) == (60, 60, 0),
            format!("{} {} {unknown}", exits(7), exits(-9)),
        )?;
    }
    let loose = |process: &&Value| process["state"] != "reaped" || process["ended_ns"].is_null();
    check(processes(&report).iter().find(loose).is_none(), "a life has no end")
}

fn a_sleeper_is_blocked_on_a_timer() -> Outcome {
    let report = report(&[], "sleep 0.2")?;
    let sleeper = named(&report, "sleep")?;
    let timer = sleeper["waits"].as_array().and_then(|waits| waits.iter().find(|wait| wait["on"] == "timer"));
    let timer = timer.ok_or_else(|| format!("no timer in {sleeper:#}"))?;
    check(ns(timer, "ns") >= 190_000_000, timer)?;
    check(ns(sleeper, "blocked_ns") >= 190_000_000, sleeper)
}

fn an_orphan() -> Outcome {
    let report = report(&[], "sh -c 'sleep 0.3 & exec true'; sleep 0.5")?;
    let watcher = &processes(&report)[0]["ppid"];
    let orphans: Vec<&Value> =
        processes(&report).iter().filter(|process| !process["orphan"].is_null()).collect();
    let [orphan] = orphans[..] else { return Err(format!("not one orphan: {report:#}").into()) };
    check(orphan["orphan"]["old_parent"] == named(&report, "true")?["pid"], orphan)?;
    check(&orphan["orphan"]["new_parent"] == watcher && &orphan["reaped_by"] == watcher, orphan)?;
    check(orphan["exit"] == 0, orphan)
}

fn a_late_orphan() -> Outcome {
    for _ in 0..5 {
        // The shell has ended before the first look, or nearly.
        let report = report(&["--tier", "sampled"], "sleep 0.1 & exit 0")?;
        let orphan = named(&report, "sleep")?;
        check(orphan["state"] == "reaped" && orphan["exit"] == 0, orphan)?;
        let watcher = &processes(&report)[0]["ppid"];
        check(&orphan["orphan"]["new_parent"] == watcher, orphan)?;
    }
    Ok(())
}

fn a_zombie() -> Outcome {
    let report = report(&[], "/bin/true & exec sleep 0.3")?;
    let (zombie, parent) = (named(&report, "true")?, named(&report, "sleep")?);
    // From its end, which comes late on a loaded machine, to that of its parent, with whom it is reaped.
    let until_end_ns = ns(parent, "ended_ns").saturating_sub(ns(zombie, "ended_ns"));
    check(ns(zombie, "zombie_at_least_ns") + 20_000_000 > until_end_ns.max(40_000_000), &report)?;
    // It is reaped by the process that adopts it at the end of its parent, which never does.
    check(zombie["reaped_by"] != parent["pid"] && zombie["orphan"].is_null(), zombie)?;
    let trouble = report["summary"][2]["text"].as_str().unwrap_or_default();
    check(trouble.contains("true, ") && trouble.contains("never reaped by its parent"), trouble)
}

fn a_zombies_lines() -> Outcome {
    let output = run(&["--no-tui", "--", "sh", "-c", "/bin/true & exec sleep 0.3"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    let place = |part: &str| text.lines().position(|line| line.starts_with('[') && line.contains(part));
    let ended = place(" true ended: exit code 0").ok_or_else(|| format!("no end in\n{text}"))?;
    let reaped = place(": a zombie for ").ok_or_else(|| format!("no reaping in\n{text}"))?;
    let at = text.lines().nth(ended).unwrap_or_default();
    check(at.contains(" ms] ") || at.contains(" µs] "), at)?;
    check(ended < reaped && !at.contains("reaped by"), &text)?;
    // Its parent has ended without having waited for it.
    let of_zombie = text.lines().nth(reaped).unwrap_or_default();
    check(
        of_zombie.contains(" true reaped by this watch (") && text.contains("started by this watch ("),
        &text,
    )
}

fn a_pipelines_queue() -> Outcome {
    let scratch = Scratch::new("pipeline")?;
    let file = scratch.file("trace.json");
    let output = run(&[
        "--no-tui",
        "--export",
        &file,
        "--",
        env!("CARGO_BIN_EXE_proclab"),
        "run",
        "pipeline",
        "--food",
        "cup of tea",
    ])?;
    check(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
    let trace: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let records = trace["traceEvents"].as_array().ok_or("no records")?;
    let depths: Vec<u64> = records.iter().filter_map(|record| record["args"]["messages"].as_u64()).collect();
    check(depths.len() > 2 && depths.last() == Some(&0), format!("{depths:?}"))?;
    let arrows = |ph: &str| records.iter().filter(|it| it["ph"] == ph && it["cat"] == "message").count();
    check(arrows("s") * 2 == depths.len() && arrows("f") == arrows("s"), format!("{} arrows", arrows("s")))
}

fn a_stopped_process() -> Outcome {
    let report = report(&[], "sleep 0.6 & sleep 0.1; kill -STOP $!; sleep 0.3; kill -CONT $!; wait")?;
    let stopped = processes(&report).iter().map(|process| ns(process, "stopped_ns")).max();
    check(stopped > Some(200_000_000), &report)
}

fn a_deadlock() -> Outcome {
    let scratch = Scratch::new("deadlock")?;
    let (a, b) = (scratch.file("a"), scratch.file("b"));
    // Each waits for ever: `timeout`, which no process waits for, ends the circle. A timeout of the lock's own would
    // make it none.
    let one = format!("flock {a} -c 'sleep 0.2; exec flock {b} true'");
    let other = format!("flock {b} -c 'sleep 0.2; exec flock {a} true'");
    let script = format!("timeout -s KILL 2 sh -c \"{one} & {other} & wait\"; true");
    let report = report(&[], &script)?;
    let deadlocks = report["deadlocks"].as_array().ok_or("no list of deadlocks")?;
    let [deadlock] = &deadlocks[..] else { return Err(format!("not one deadlock: {report:#}").into()) };
    let waits = deadlock["waits"].to_string();
    check(waits.contains("/a held by") && waits.contains("/b held by"), deadlock)?;
    check(!deadlock["to_ns"].is_null(), format!("it ended with its members: {deadlock}"))
}

fn a_busy_pair_on_one_cpu() -> Outcome {
    let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let report = report(&[], &format!("taskset -c 0 sh -c '{busy}' & taskset -c 0 sh -c '{busy}' & wait"))?;
    let pair: Vec<&Value> =
        processes(&report).iter().filter(|process| process["preempted"].as_u64() > Some(2)).collect();
    check(pair.len() >= 2, &report)?;
    check(pair.iter().all(|process| ns(process, "ready_ns") > 1_000_000), &report)
}

fn the_sampled_tier() -> Outcome {
    let report =
        report(&["--tier", "sampled"], "sleep 0.3; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")?;
    check(report["tier"] == "sampled", &report)?;
    check(report["resolution"].as_str().is_some_and(|text| text.contains("5 ms")), &report)?;
    let sleeper = named(&report, "sleep")?;
    check(ns(sleeper, "blocked_ns") > 200_000_000, sleeper)?;
    // There is no second source that its sums could be held against.
    check(report["conservation"]["checked"] == 0 && sleeper["check"].is_null(), &report)?;
    check(ns(&processes(&report)[0], "running_ns") > 10_000_000, &report)
}

fn a_running_process() -> Outcome {
    let mut sleeper = Command::new("sleep").arg("0.5").spawn()?;
    let pid = sleeper.id().to_string();
    // The sleeper is this process's child: it must be reaped here for the watch to see its end.
    let mut watch =
        proclab(&["--format", "json", "--pid", &pid]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    check(wait(&mut sleeper)? == Some(0), "the watched process was harmed")?;
    check(wait(&mut watch)? == Some(0), "the watch did not end well")?;
    let mut text = String::new();
    std::io::Read::read_to_string(watch.stdout.as_mut().expect("it is piped"), &mut text)?;
    let report: Value = serde_json::from_str(&text)?;
    let process = &processes(&report)[0];
    check(
        process["found"] == true
            && process["pid"].as_i64().map(|own| own.to_string()).as_deref() == Some(&*pid),
        process,
    )?;
    check(process["state"] == "reaped", process)
}

fn a_trace() -> Outcome {
    let scratch = Scratch::new("trace")?;
    let file = scratch.file("trace.json");
    // Children that end while others want their CPU: some are preempted, and reaped, on their way out.
    let script =
        "sleep 0.05 | cat; for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true | /bin/true | /bin/true; done";
    let output = run(&["--export", &file, "--", "taskset", "-c", "0", "sh", "-c", script])?;
    check(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
    let trace: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let records = trace["traceEvents"].as_array().ok_or("no traceEvents")?;
    let mut ends = std::collections::HashMap::new();
    for state in records.iter().filter(|record| record["ph"] == "T") {
        let (from, length) = (state["ts"].as_f64().ok_or("no ts")?, state["dur"].as_f64().ok_or("no dur")?);
        let name = state["name"].as_str().unwrap_or_default();
        check(["Running", "R", "R+", "S", "D", "T", "Z", "unknown"].contains(&name), state)?;
        check((name == "Running") == state["args"]["cpu"].is_u64(), state)?;
        if let Some((end, before)) = ends.insert(state["tid"].as_u64(), (from + length, state)) {
            check((from - end).abs() < 0.01, format!("{} µs between {before} and {state}", from - end))?;
            // Only a way out that took too long for its records to tell all of it is not known.
            check(before["name"] != "unknown" || name == "Z", format!("{before} and then {state}"))?;
        }
    }
    check(ends.len() >= 33, format!("{} threads in {records:?}", ends.len()))?;
    let names =
        records.iter().filter(|record| record["ph"] == "M" && record["name"] == "process_name").count();
    check(names >= 33, format!("{names} process names in {records:?}"))
}

fn the_page() -> Outcome {
    let scratch = Scratch::new("page")?;
    let file = scratch.file("page.html");
    run(&["--html", &file, "--", "sh", "-c", "sleep 0.05; : '</script><b>'"])?;
    let page = std::fs::read_to_string(&file)?;
    check(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "the page is cut")?;
    check(!page.contains("<script src") && !page.contains("<link"), "the page asks for something else")?;
    check(!page.contains("</script><b>"), "a command's arguments end the script")?;
    check(page.contains("\"pieces\":[{") && page.contains("running on CPU"), "nothing is drawn")?;
    check(page.len() < 200_000, format!("{} bytes for one sleep", page.len()))
}

fn the_picture() -> Outcome {
    let scratch = Scratch::new("picture")?;
    let file = scratch.file("run.svg");
    run(&["--svg", &file, "--", "sh", "-c", "sleep 0.05; : '<b>'"])?;
    let picture = std::fs::read_to_string(&file)?;
    check(picture.starts_with("<svg xmlns") && picture.trim_end().ends_with("</svg>"), "the picture is cut")?;
    check(!picture.contains("<b>"), "an argument became a tag")?;
    for word in ["running on CPU", "ready: it could run", "hatched: ", "forked a process"] {
        check(picture.contains(word), format!("{word:?} is not in the picture"))?;
    }
    Ok(())
}

fn the_table() -> Outcome {
    let output = run(&["--", "sleep", "0.05"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    for part in [" tier: ", "watched `sleep 0.05` for ", "BLOCKED ON", "run + ready + blocked = wall"] {
        check(text.contains(part), format!("{part:?} is not in\n{text}"))?;
    }
    // The timer is set before the sleeper has left the CPU: the wait is shorter by that, on a busy machine more.
    let waited =
        text.lines().find_map(|line| line.split("timer ").nth(1)?.strip_suffix(" ms")?.parse::<f64>().ok());
    check(waited.is_some_and(|ms| (45.0..200.0).contains(&ms)), format!("no 50 ms of a timer in\n{text}"))
}

fn the_width() -> Outcome {
    let script = "setsid sleep 0.2 | cat; (sleep 0.3 & exec true); exec sleep 0.25";
    let options = ["--threads", "--compare", "fifo,rr:10", "--descriptors", "0.1", "--tier"];
    for (columns, width) in [(None, 80), (Some("100"), 100)] {
        for tier in ["exact", "sampled"] {
            let mut command = proclab(&[&options[..], &[tier, "--", "sh", "-c", script]].concat());
            command.env_remove("COLUMNS").envs(columns.map(|columns| ("COLUMNS", columns)));
            let output = command.output()?;
            let text = String::from_utf8_lossy(&output.stderr);
            // Sentences and events are a line each.
            let tabular = |line: &&str| {
                line.starts_with(|c: char| c == ' ' || c.is_ascii_digit()) || line.starts_with("CPU ")
            };
            let rows: Vec<&str> = text.lines().filter(tabular).collect();
            // How many there are depends on which of the short processes a sample met.
            check(rows.len() > 25, &text)?;
            let long: Vec<&&str> = rows.iter().filter(|line| line.chars().count() > width).collect();
            check(long.is_empty(), format!("longer than {width}: {long:#?}"))?;
            for part in ["PPID", "LIFE", "SID", "TURNS", "BLOCKED ON", "pipe", "timer", "Open descriptors"] {
                check(text.contains(part), format!("{part:?} is not in\n{text}"))?;
            }
        }
    }
    Ok(())
}
