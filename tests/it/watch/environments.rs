//! Where less can be known: no perf events, no permission to inspect, a PID namespace. Less is claimed, and nothing
//! false.

use std::process::Command;

use libtest_mimic::Trial;

use proclab::sys::procfs::stat;

use super::privileged::nobody;
use super::programs::program;
use super::truth::{Run, agrees_with_the_kernel};
use super::{Outcome, Scratch, check, ns, processes};

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("where_perf_events_are_refused_samples_hold_and_the_reason_is_told", without_perf),
        test("of_a_program_that_may_not_be_inspected_times_hold_and_no_reason_is_false", without_inspection),
        test("in_a_pid_namespace_times_and_reasons_hold", in_a_namespace),
        test("a_process_that_frees_its_memory_is_no_zombie_and_no_orphan_meanwhile", frees_memory),
        test("process_1_is_told_as_the_kernel_counts_it", process_1),
        test("a_wait_for_sigchld_is_told_as_a_wait_for_the_living_children", waits_for_sigchld),
    ]
}

const SCRIPT: &str = "b20 s60 r60 f60 c60 b10";

fn watched(command: &mut Command) -> Result<Option<Run>, libtest_mimic::Failed> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    match output.stdout.is_empty() {
        true => {
            println!("left out: {}", text.trim());
            Ok(None)
        }
        false => Run::from_output(&output, 0).map(Some),
    }
}

fn without_perf() -> Outcome {
    let scratch = Scratch::new("perf")?;
    let (Some(phases), Some(refuse)) = (program(&scratch, "phases")?, program(&scratch, "refuse")?) else {
        return Ok(());
    };
    let call = nix::libc::SYS_perf_event_open.to_string();
    let proclab = env!("CARGO_BIN_EXE_proclab");
    let mut command = Command::new(refuse);
    command.args([&call, proclab, "watch", "--format", "json", "--", &phases, SCRIPT, "s20 b20"]);
    let Some(run) = watched(&mut command)? else { return Ok(()) };
    check(run.report["tier"] == "sampled", &run.report)?;
    let why = run.report["why_not_better"].to_string();
    check(why.contains("perf_event_open was refused"), why)?;
    run.holds()
}

fn without_inspection() -> Outcome {
    let scratch = Scratch::new("inspect")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    for tier in ["exact", "sampled"] {
        let script = format!("{phases} -d '{SCRIPT}'; true");
        let Some(mut command) = nobody(&scratch, &["--tier", tier], &script, "")? else { return Ok(()) };
        let Some(run) = watched(&mut command)? else { return Ok(()) };
        run.holds()?;
        let phases = processes(&run.report).iter().find(|process| process["pid"] == run.accounts[0].tid);
        let waits = phases.ok_or("no phases")?["waits"].as_array().ok_or("no waits")?;
        let named: Vec<&str> = waits.iter().filter_map(|wait| wait["on"].as_str()).collect();
        // The kernel tells such a one's call to nobody else.
        check(named.iter().all(|on| *on == "not seen"), format!("{named:?}"))?;
    }
    Ok(())
}

fn in_a_namespace() -> Outcome {
    let scratch = Scratch::new("namespace")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    for tier in ["exact", "sampled"] {
        let mut command = Command::new("unshare");
        command.args(["-mpf", "--mount-proc", env!("CARGO_BIN_EXE_proclab"), "watch", "--tier", tier]);
        command.args(["--format", "json", "--", "sh", "-c", &format!("{phases} '{SCRIPT}' 's30 b10'; true")]);
        let Some(run) = watched(&mut command)? else { return Ok(()) };
        check(ns(&run.report, "pid") < 100, &run.report)?;
        run.holds()?;
    }
    Ok(())
}

/// In a PID namespace no end is announced; outside it may be announced after the reaping.
fn frees_memory() -> Outcome {
    let scratch = Scratch::new("frees")?;
    let Some(frees) = program(&scratch, "frees")? else { return Ok(()) };
    let proclab = env!("CARGO_BIN_EXE_proclab");
    for namespace in [&["-mpf", "--mount-proc"][..], &["-m"]] {
        let mut command = Command::new("unshare");
        command.args(namespace).args([proclab, "watch", "--tier", "exact", "--format", "json", "--", &frees]);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let (Ok(report), &[freeing_ns, zombie_ns]) =
            (serde_json::from_slice::<serde_json::Value>(&output.stdout), &numbers[..])
        else {
            println!("left out: {}", text.trim());
            return Ok(());
        };
        let child = processes(&report).iter().find(|process| process["pid"] != report["pid"]);
        let child = child.ok_or("no child")?;
        let words = format!("a zombie for {zombie_ns} ns, and {freeing_ns} to free memory: {child:#}");
        check(ns(child, "zombie_at_least_ns") <= zombie_ns + freeing_ns / 4 + 1_000_000, &words)?;
        check(ns(child, "zombie_ns") + 1_000_000 > 50_000_000 && child["orphan"].is_null(), &words)?;
    }
    Ok(())
}

fn stolen_ns() -> u64 {
    stat::stolen_ns().unwrap_or(0)
}

/// Watches process 1 of a namespace, a shell that starts a hundred programs. The kernel's own counts of it before and after
/// are lines of standard error.
const FIRST: &str = r#"
cat /proc/1/schedstat >&2
"$0" watch --pid 1 --tier "$1" --format json & watch=$!
i=0; while [ $i -lt 100 ]; do sleep 0.01; i=$((i + 1)); done
kill -TERM $watch; wait $watch
cat /proc/1/schedstat >&2
"#;

fn process_1() -> Outcome {
    for tier in ["exact", "sampled"] {
        let mut command = Command::new("unshare");
        command.args(["-mpf", "--mount-proc", "sh", "-c", FIRST, env!("CARGO_BIN_EXE_proclab"), tier]);
        let before_ns = stolen_ns();
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let Ok(report) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            println!("left out: {}", text.trim());
            return Ok(());
        };
        // The records have stolen time, and the kernel's sums do not. It is counted in steps of 10 ms, so that less does not
        // show where there is any.
        let stolen_ns = match stolen_ns() {
            0 => 0,
            ns => ns.saturating_sub(before_ns) + 10_000_000,
        };
        let counts = |line: &str| -> Option<[u64; 3]> {
            let numbers: Vec<u64> = line.split(' ').map_while(|word| word.parse().ok()).collect();
            numbers.try_into().ok()
        };
        let kernel: Vec<[u64; 3]> = text.lines().filter_map(counts).collect();
        let [before, after] = kernel[..] else { return Err(text.into()) };
        let process = processes(&report).iter().find(|process| process["pid"] == 1).ok_or("no process 1")?;
        let told = ["running_ns", "ready_ns", "turns"].map(|key| ns(process, key));
        let most: Vec<u64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
        let words = format!("{tier}: told {told:?}, the kernel counts {most:?}: {process:#}");
        // Both together: the kernel books the delay of a wake-up as time on an idle CPU. A switch that is under way when
        // the kernel's counts are read is told and not yet counted, and the kernel counts no turn after a preemption on the
        // way to sleep.
        check(
            told[0] <= most[0] + 1_000_000 + stolen_ns
                && told[0] + told[1] <= most[0] + most[1] + 1_000_000 + stolen_ns
                && told[2] <= most[2] + ns(process, "preempted") + 1,
            &words,
        )?;
        // The watch begins a little later than the counting.
        check(told[2] >= 100, &words)?;
        agrees_with_the_kernel(&report)?;
    }
    Ok(())
}

/// `dash` waits in `sigsuspend`, `bash` in `wait4`, for a child of their own.
fn waits_for_sigchld() -> Outcome {
    for shell in ["dash", "bash"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proclab"));
        let Ok(output) =
            command.args(["watch", "--format", "json", "--", shell, "-c", "sleep 0.2 & wait; :"]).output()
        else {
            continue;
        };
        let Ok(report) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            println!("left out: {shell} is not installed");
            continue;
        };
        let root =
            processes(&report).iter().find(|process| process["pid"] == report["pid"]).ok_or("no root")?;
        let waits = root["waits"].as_array().ok_or("no waits")?;
        let on_child = waits.iter().filter(|wait| {
            wait["on"].as_str().is_some_and(|on| on.starts_with("child ") && on.contains(" sleep"))
        });
        let child_ns: u64 = on_child.map(|wait| ns(wait, "ns")).sum();
        check(child_ns > ns(root, "blocked_ns") / 2, root)?;
    }
    Ok(())
}
