//! Where less can be known: no perf events, no permission to inspect, a PID namespace. Less is claimed, and nothing
//! false.

use std::process::Command;

use libtest_mimic::Trial;

use super::privileged::nobody;
use super::programs::program;
use super::truth::Run;
use super::{Outcome, Scratch, check, ns, processes};

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("where_perf_events_are_refused_samples_hold_and_the_reason_is_told", without_perf),
        test("of_a_program_that_may_not_be_inspected_times_hold_and_no_reason_is_false", without_inspection),
        test("in_a_pid_namespace_times_and_reasons_hold", in_a_namespace),
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
