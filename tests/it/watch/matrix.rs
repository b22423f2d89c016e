//! Small programs whose truth is known, in many shapes and in each tier: their threads' times and reasons hold.

use std::process::Command;

use libtest_mimic::Trial;

use super::programs::program;
use super::truth::{BUSY, Run, is_said_to_be_split_otherwise, watched};
use super::{Outcome, Scratch, check, named, ns, processes};
use proclab::sys::clock::{monotonic_ns, since_boot_ns};

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("the_times_of_one_two_and_seventy_threads_hold_in_each_tier", threads),
        test("the_times_of_one_eight_and_two_hundred_processes_hold_in_each_tier", children),
        test("the_times_of_programs_under_load_hold_in_each_tier", under_load),
        test("a_nice_and_pinned_program_was_ready_for_as_long_as_the_kernel_says", nice_and_pinned),
        test("a_wait_under_load_is_credited_to_the_child_that_it_was_for", children_in_turn),
        test("a_pid_that_is_used_again_is_another_process", pid_reuse),
        test("a_sorting_pipeline_was_in_line_for_no_longer_than_the_kernel_says", pipeline),
    ]
}

const TIERS: [&str; 2] = ["exact", "sampled"];

fn holds(tier: &str, command: &[&str]) -> Result<Run, libtest_mimic::Failed> {
    let run = Run::of(&["--tier", tier], command)?;
    run.holds()?;
    Ok(run)
}

fn threads() -> Outcome {
    let scratch = Scratch::new("threads")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    for tier in TIERS {
        holds(tier, &[&phases, "b20 s30 f30 r30"])?;
        holds(tier, &[&phases, "b20 s30 x30 u30", "s20 b30 s10"])?;
        if tier == "sampled" {
            continue;
        }
        let mut many = vec![&*phases];
        many.extend([["s40 b1 s20"; 35], ["b1 s30 b1"; 35]].concat());
        let run = holds(tier, &many)?;
        check(run.accounts.len() == 70, format!("{} threads", run.accounts.len()))?;
    }
    Ok(())
}

fn children() -> Outcome {
    let scratch = Scratch::new("children")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    for tier in TIERS {
        for (n, script) in [("1", "b20 s40 c20 b5"), ("8", "b10 s60 r20"), ("200", "s300 b1 s50")] {
            let run = holds(tier, &[&phases, "-p", n, script])?;
            if tier == "sampled" {
                // How many of them samples have met depends on the load.
                continue;
            }
            let told = run.report["processes"].as_array().map_or(0, Vec::len);
            let n: usize = n.parse()?;
            check(run.accounts.len() == n && told > n, format!("{tier}: {told} processes of {n} and more"))?;
            let by_parent = |process: &&serde_json::Value| process["reaped_by"] == run.report["pid"];
            let reaped = processes(&run.report).iter().filter(by_parent).count();
            check(reaped >= n, format!("{tier}: {reaped} of {n} were reaped by their parent"))?;
        }
    }
    Ok(())
}

/// A command beside four busy loops, which end with it.
fn beside_load(command: &str) -> String {
    format!("for n in 1 2 3 4; do sh -c '{BUSY}' & busy=\"$busy $!\"; done; {command}; kill $busy")
}

fn under_load() -> Outcome {
    let scratch = Scratch::new("load")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    let command = beside_load(&format!("{phases} 'b30 s50 r50 b30 f50 c50' 's60 b30' 'b20 s20 b20 s20'"));
    for tier in TIERS {
        holds(tier, &["sh", "-c", &command])?;
    }
    Ok(())
}

fn nice_and_pinned() -> Outcome {
    let scratch = Scratch::new("nice")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    let command = format!(
        "taskset -c 0 sh -c '{BUSY}' & taskset -c 0 nice -n 5 {phases} 'b20 s20 b20 s20 b10'; kill $!"
    );
    for tier in TIERS {
        let run = holds(tier, &["sh", "-c", &command])?;
        check(run.accounts[0].ready_ns > 5_000_000, "it never waited for its CPU")?;
    }
    Ok(())
}

/// Each child sleeps for longer than the one before, and prints for how long.
fn children_in_turn() -> Outcome {
    let command = beside_load("sleep 0.05; sleep 0.2; sleep 0.1");
    for tier in TIERS {
        let (report, _) = watched(&["--tier", tier], &["sh", "-c", &command])?;
        let shell = processes(&report).iter().find(|process| process["pid"] == report["pid"]);
        let waits = shell.and_then(|shell| shell["waits"].as_array()).ok_or("no shell")?;
        for child in processes(&report).iter().filter(|process| process["name"] == "sleep") {
            let label = format!("{} sleep", child["pid"]);
            let of_it = waits.iter().filter(|wait| wait["on"].as_str().is_some_and(|on| on.contains(&label)));
            let told: u64 = of_it.map(|wait| ns(wait, "at_least_ns")).sum();
            let life = ns(child, "life_ns");
            // The end of a wait for a child is the child's end.
            check(told <= life + 1_000_000, format!("{tier}: {told} of a life of {life}: {waits:#?}"))?;
        }
    }
    Ok(())
}

fn pid_reuse() -> Outcome {
    let scratch = Scratch::new("reuse")?;
    let Some(reuse) = program(&scratch, "pid_reuse")? else { return Ok(()) };
    let proclab = env!("CARGO_BIN_EXE_proclab");
    let tier = "exact";
    let output = Command::new("unshare")
        .args(["-mpf", "--mount-proc", proclab, "watch", "--tier", tier, "--format", "json", "--", &reuse])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.stdout.is_empty() || text.contains("left out") {
        println!(
            "left out: the reuse of a PID (it needs root and a PID namespace of its own): {}",
            text.trim()
        );
        return Ok(());
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let mut lives = processes(&report).iter().filter(|process| process["pid"] != report["pid"]);
    let (Some(first), Some(second), None) = (lives.next(), lives.next(), lives.next()) else {
        return Err(format!("{tier}: not two children: {report:#}").into());
    };
    check(first["pid"] == second["pid"], format!("{tier}: {first:#} {second:#}"))?;
    check(
        (first["exit"] == 3 || first["exit"].is_null()) && second["exit"] == 5,
        format!("{tier}: {first:#} {second:#}"),
    )?;
    check(ns(first, "ended_ns") <= ns(second, "started_ns"), format!("{tier}: {first:#} {second:#}"))?;
    let alive = |process| ns(process, "running_ns") + ns(process, "ready_ns") + ns(process, "blocked_ns");
    check(alive(first) < 2 * ns(first, "life_ns") && ns(second, "life_ns") > 90_000_000, &report)?;
    Ok(())
}

/// Programs of a pipe sleep and wake all the time. Their own sums, which they print at their ends, hold.
fn pipeline() -> Outcome {
    let sums = "read run ready rest < /proc/self/schedstat; read up rest < /proc/uptime; echo $$ $run $ready $up >&2";
    let command = format!(
        "sh -c 'i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo $i; done; {sums}' \
         | sh -c 'while read line; do echo $line; done; {sums}' | sort -R > /dev/null"
    );
    let suspended_ns = since_boot_ns().saturating_sub(monotonic_ns());
    for tier in TIERS {
        let (report, text) = watched(&["--tier", tier], &["sh", "-c", &command])?;
        for line in text.lines() {
            let words: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let &[pid, running, ready, up] = &words[..] else { return Err(format!("{line:?}").into()) };
            let (running, ready) = (running as u64, ready as u64);
            let process = processes(&report).iter().find(|process| process["pid"] == pid as u64);
            let process = process.ok_or_else(|| format!("{pid} is not in {report:#}"))?;
            let told = |key| ns(process, key);
            // After its last words it has run or been in line for a while more. They are told to 10 ms.
            let ended_ns = ns(&report, "origin_ns") + told("ended_ns") + suspended_ns;
            let outside_ns = ended_ns.saturating_sub((up * 1e9) as u64) + 10_000_000;
            let holds = |what, told_ns: u64, truth: u64, is_whole: bool| {
                let allowed = (truth / 50).max(1_000_000);
                let enough = !is_whole || told_ns + told("unknown_ns") + allowed >= truth;
                check(
                    told_ns <= truth + outside_ns + allowed && enough,
                    format!("{tier}: {what} for {truth} ns, and {outside_ns} at its end: {process:#}"),
                )
            };
            let is_whole = process["ready_is_lower_bound"] == false;
            if is_said_to_be_split_otherwise(process) {
                holds("running or ready", told("running_ns") + told("ready_ns"), running + ready, is_whole)?;
            } else {
                holds("running", told("running_ns"), running, true)?;
                holds("ready", told("ready_ns"), ready, is_whole)?;
            }
        }
        named(&report, "sort")?;
    }
    Ok(())
}
