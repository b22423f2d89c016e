//! What a report shows beside states and times.

use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::programs::program;
use super::truth::{agrees_with_the_kernel, watched};
use super::{Outcome, Scratch, check, named, ns, processes, proclab, run};

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("a_report_begins_with_three_sentences", sentences),
        test("each_thread_has_a_row_where_that_is_asked_for", thread_rows),
        test("the_figures_of_scheduling_are_those_of_the_processes", scheduling),
        test("other_policies_are_compared_on_the_measured_bursts", comparison),
        test("the_states_of_each_process_are_written_as_a_log", trajectories),
        test("an_unknown_policy_is_refused_with_the_names_of_those_there_are", unknown_policy),
        test("open_descriptors_are_listed_with_their_other_ends", descriptors),
        test("a_process_group_and_a_session_of_its_own_are_told", groups),
        test("a_native_trace_has_a_packet_for_each_part", native_trace),
        test("a_signal_is_told_with_its_sender_where_the_kernel_tells", signals),
        test("the_root_tier_is_refused_where_its_numbers_are_of_another_namespace", namespace),
        test("the_root_tier_counts_as_the_kernel_does", root_tier),
    ]
}

fn text(args: &[&str]) -> Result<String, Failed> {
    Ok(String::from_utf8_lossy(&run(args)?.stderr).into_owned())
}

fn sentences() -> Outcome {
    let text = text(&["--no-tui", "--", "sh", "-c", "sleep 0.1; sleep 0.05"])?;
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with('`')).take(3).collect();
    check(lines.len() == 3 && lines.iter().all(|line| line.ends_with('.')), &text)?;
    check(lines[0].contains("the longest wait was") && lines[0].contains("blocked"), &text)?;
    check(lines[1].contains("CPUs on average"), &text)?;
    check(lines[2].contains("no deadlocks"), &text)
}

fn thread_rows() -> Outcome {
    let scratch = Scratch::new("rows")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    let text = text(&["--no-tui", "--threads", "--", &phases, "s20", "b20", "s30"])?;
    check(text.contains("PID/TID") && text.contains("phases (3 threads)"), &text)?;
    check(text.lines().filter(|line| line.contains("· phases")).count() == 3, &text)
}

fn scheduling() -> Outcome {
    let (report, _) = watched(&["--tier", "exact"], &["sh", "-c", "sleep 0.1; sleep 0.05"])?;
    let figures = &report["scheduling"];
    let lives: u64 = processes(&report).iter().map(|process| ns(process, "life_ns")).sum();
    check(ns(figures, "processes") == 3 && ns(figures, "turnaround_ns") == lives / 3, figures)?;
    let fairness = figures["fairness"].as_f64().unwrap_or_default();
    check((0.0..=1.0).contains(&fairness) && !figures["response_ns"].is_null(), figures)
}

fn comparison() -> Outcome {
    let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let script = format!("taskset -c 0 sh -c '{busy}' & taskset -c 0 sh -c '{busy}' & wait");
    // The observer is held to the CPU as well: a first turn of the command elsewhere would make it two.
    let options = ["--format", "json", "--tier", "exact", "--compare", "fifo,rr:5,mlfq,eevdf", "--"];
    let watch = proclab(&[&options[..], &["sh", "-c", &script]].concat());
    let output =
        Command::new("taskset").args(["-c", "0"]).arg(watch.get_program()).args(watch.get_args()).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let schedules = report["comparison"]["schedules"].as_array().ok_or("nothing is compared")?;
    let policies: Vec<&str> = schedules.iter().filter_map(|one| one["policy"].as_str()).collect();
    check(policies == ["measured", "fifo", "rr:5", "mlfq", "eevdf"], &report["comparison"])?;
    let of = |policy: &str, key| {
        let found = schedules.iter().find(|one| one["policy"] == policy);
        ns(found.expect("it is listed"), key)
    };
    // Of two equal jobs on one CPU the first is done in half the time under fifo, and both late under rr.
    check(of("fifo", "turnaround_ns") < of("rr:5", "turnaround_ns"), &report["comparison"])?;
    // A shell waits for its jobs to end, however it waits: no policy takes longer than one that wastes no time.
    for policy in ["fifo", "rr:5", "mlfq", "eevdf"] {
        check(of(policy, "end_ns") * 10 < of("measured", "end_ns") * 11, &report["comparison"])?;
    }
    check(of("fifo", "response_ns") > of("rr:5", "response_ns"), &report["comparison"])?;
    check(of("fifo", "turns") < of("rr:5", "turns"), &report["comparison"])
}

fn trajectories() -> Outcome {
    let scratch = Scratch::new("trajectories")?;
    let log = scratch.file("process.log");
    let output =
        run(&["--no-tui", "--tier", "exact", "--export", &log, "--", "sh", "-c", "sleep 0.1; true"])?;
    check(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
    let text = std::fs::read_to_string(&log)?;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    check(rows.iter().all(|row| row.len() == 3), &text)?;
    let times: Vec<u64> = rows.iter().filter_map(|row| row[2].parse().ok()).collect();
    check(times.len() == rows.len() && times.is_sorted(), &text)?;
    for pid in rows.iter().map(|row| row[0]) {
        let letters: String = rows.iter().filter(|row| row[0] == pid).map(|row| row[1]).collect();
        let is_life = letters.starts_with('N') && letters.ends_with('E') && letters.contains('R');
        // Programs that evaluate such logs know no other letter, no state after itself, and no time 0.
        let known = letters.chars().all(|letter| "NJRWE".contains(letter));
        let repeats = letters.as_bytes().windows(2).any(|pair| pair[0] == pair[1]);
        check(is_life && known && !repeats && times[0] == 1, format!("{letters}: {text}"))?;
    }
    // The longest wait is that of sleep for its timer; the shell may get a CPU late before it waits for sleep.
    let waits = rows.iter().enumerate().filter(|(_, row)| row[1] == "W");
    let lengths = waits.filter_map(|(at, row)| {
        let next = rows[at + 1..].iter().find(|next| next[0] == row[0])?;
        Some(next[2].parse::<u64>().ok()? - row[2].parse::<u64>().ok()?)
    });
    check(lengths.max().is_some_and(|longest_us| longest_us >= 99_000), &text)
}

fn unknown_policy() -> Outcome {
    let output = run(&["--compare", "lottery", "--", "true"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    check(output.status.code() == Some(2) && text.contains("mlfq"), &text)
}

fn descriptors() -> Outcome {
    let (report, _) = watched(&["--descriptors", "0.3"], &["sh", "-c", "sleep 1 | cat; true"])?;
    let open = report["descriptors"]["open"].as_array().ok_or("no descriptors")?;
    let sleep = named(&report, "sleep")?;
    let end =
        |process: &Value, fd: u64| open.iter().find(|one| one["pid"] == process["pid"] && one["fd"] == fd);
    let cat = named(&report, "cat")?;
    let written = end(sleep, 1).ok_or_else(|| format!("{:#}", report["descriptors"]))?;
    check(written["writes"] == true && written["others"][0] == cat["pid"], written)?;
    let read = end(cat, 0).ok_or("cat reads nothing")?;
    check(read["reads"] == true && read["others"][0] == sleep["pid"], read)?;
    check(read["other_end"].as_str().is_some_and(|words| words.contains("sleep")), read)
}

fn groups() -> Outcome {
    let (report, _) = watched(&[], &["sh", "-c", "setsid -w sleep 0.3; sleep 0.1"])?;
    let root = &processes(&report)[0];
    let sleepers: Vec<&Value> =
        processes(&report).iter().filter(|process| process["name"] == "sleep").collect();
    check(sleepers.iter().any(|one| one["session"] == one["pid"] && one["pgid"] == one["pid"]), &report)?;
    check(sleepers.iter().any(|one| one["session"] == root["session"]), &report)
}

/// The fields of a protocol buffer's message: numbers, and the bytes of those that have some.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    fn varint(bytes: &mut &[u8]) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = varint(&mut bytes)?;
        let mut own: &[u8] = &[];
        if key & 7 == 2 {
            (own, bytes) = bytes.split_at_checked(usize::try_from(value).ok()?)?;
        }
        all.push((key >> 3, own));
    }
    Some(all)
}

fn native_trace() -> Outcome {
    let scratch = Scratch::new("pftrace")?;
    let file = scratch.file("run.pftrace");
    run(&["--no-tui", "--export", &file, "--", "sh", "-c", "sleep 0.1 | cat"])?;
    let trace = std::fs::read(&file)?;
    let packets = fields(&trace).ok_or("not a message")?;
    check(packets.iter().all(|(number, _)| *number == 1), "something else than packets")?;
    let mut kinds = std::collections::BTreeSet::new();
    for (_, packet) in &packets {
        kinds.extend(fields(packet).ok_or("a packet is no message")?.into_iter().map(|(number, _)| number));
    }
    // The tree, switches, tracks and slices, and the clock that they share.
    check([1, 2, 6, 11, 60].iter().all(|number| kinds.contains(number)), format!("{kinds:?}"))
}

/// Runs `proclab watch` where tracefs is mounted, as root; the report, or nothing where that can't be.
fn as_root(command: &[&str]) -> Result<Option<Value>, Failed> {
    let proclab = env!("CARGO_BIN_EXE_proclab");
    let mount =
        "mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing && exec \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", mount, "sh", proclab, "watch", "--tier", "root", "--format", "json", "--"])
        .args(command)
        .output()?;
    if !output.status.success() && output.stdout.is_empty() {
        println!("left out: the root tier ({})", String::from_utf8_lossy(&output.stderr).trim());
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

fn signals() -> Outcome {
    let script = "sleep 5 & kill -TERM $!; wait; timeout 0.1 sleep 5; true";
    let Some(report) = as_root(&["bash", "-c", script])? else { return Ok(()) };
    let root = &processes(&report)[0];
    let sent = report["signals"].as_array().ok_or("no signals")?;
    let term = sent.iter().find(|one| one["signal"] == "SIGTERM").ok_or_else(|| format!("{sent:?}"))?;
    check(term["from"] == root["pid"] && term["to"] != root["pid"], term)?;
    // The timer of `timeout` is not sent by whatever happened to run.
    let alarm = sent.iter().find(|one| one["signal"] == "SIGALRM").ok_or_else(|| format!("{sent:?}"))?;
    check(alarm["from"] == 0, alarm)
}

fn namespace() -> Outcome {
    let watch = |tier: &str| {
        Command::new("unshare")
            .args([
                "-mpf",
                "--mount-proc",
                "sh",
                "-c",
                "mountpoint -q /sys/kernel/tracing || mount -t tracefs nodev /sys/kernel/tracing; exec \"$@\"",
            ])
            .args(["sh", env!("CARGO_BIN_EXE_proclab"), "watch", "--format", "json"])
            .args(["--tier", tier, "--", "sh", "-c", "sleep 0.1; true"])
            .output()
    };
    let exact = watch("exact")?;
    let Ok(report) = serde_json::from_slice::<Value>(&exact.stdout) else {
        println!(
            "left out: the exact tier in a namespace ({})",
            String::from_utf8_lossy(&exact.stderr).trim()
        );
        return Ok(());
    };
    check(report["tier"] == "exact" && processes(&report).len() == 2, &report)?;
    let root = watch("root")?;
    let said = String::from_utf8_lossy(&root.stderr);
    check(root.status.code() == Some(1) && said.contains("PID namespace"), said)
}

fn root_tier() -> Outcome {
    let scratch = Scratch::new("root-tier")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    let Some(report) = as_root(&[&phases, "b40 s50 b20", "s30 b30"])? else { return Ok(()) };
    check(report["tier"] == "root" && report["lost_records"] == 0, &report)?;
    agrees_with_the_kernel(&report)?;
    let process = &processes(&report)[0];
    check(process["exit"] == 0 && process["unrecorded_since_ns"].is_null(), process)?;
    check(ns(process, "running_ns") > 88_000_000, process)
}
