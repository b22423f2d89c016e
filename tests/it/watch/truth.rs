//! What a watch says of a program, beside what the program and the kernel say of it.

use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::programs::{Account, accounts, program};
use super::{Outcome, Scratch, check, named, ns, processes, proclab};
use proclab::sys::procfs::stat;

/// Long enough to be busy until it is killed.
pub(super) const BUSY: &str = "i=0; while [ $i -lt 90000000 ]; do i=$((i+1)); done";

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

pub(super) fn root(report: &Value) -> &Value {
    processes(report).iter().find(|process| process["pid"] == report["pid"]).expect("the command is told")
}

/// A thread of any process of a report.
fn thread(report: &Value, tid: u64) -> Result<&Value, Failed> {
    let mut all = processes(report).iter().filter_map(|process| process["threads"].as_array()).flatten();
    all.find(|thread| thread["tid"] == tid).ok_or_else(|| format!("no {tid} in {report:#}").into())
}

/// A run of `phases`: what the watch says of it, and what it says itself.
pub(super) struct Run {
    pub(super) report: Value,
    pub(super) accounts: Vec<Account>,
    /// What the hypervisor took away meanwhile, of which the kernel's sums and the records each have their own opinion.
    stolen_ns: u64,
}

impl Run {
    pub(super) fn of(options: &[&str], command: &[&str]) -> Result<Self, Failed> {
        let stolen = || stat::stolen_ns().unwrap_or(0);
        let before_ns = stolen();
        let (report, text) = watched(options, command)?;
        let stolen_ns = match stolen().saturating_sub(before_ns) {
            // It is counted in steps of 10 ms.
            0 => 0,
            ns => ns + 10_000_000,
        };
        Self::new(report, &text, stolen_ns)
    }

    /// The run that a command's output tells of.
    pub(super) fn from_output(output: &Output, stolen_ns: u64) -> Result<Self, Failed> {
        let text = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {text}"))?;
        Self::new(report, &text, stolen_ns)
    }

    fn new(report: Value, text: &str, stolen_ns: u64) -> Result<Self, Failed> {
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
        Ok(Self { report, accounts: accounts(&lines.join("\n"))?, stolen_ns })
    }

    /// Whether every thread's times and reasons hold its own account.
    pub(super) fn holds(&self) -> Outcome {
        if self.report["lost_records"] != 0 {
            println!("nothing is claimed: records were lost");
            return Ok(());
        }
        for account in &self.accounts {
            self.agrees(account).map_err(|error| {
                let message = error.message().unwrap_or_default();
                let thread = thread(&self.report, account.tid);
                format!("{}: {message}\n{account:?}\n{thread:#?}", self.report["tier"])
            })?;
        }
        Ok(())
    }

    fn agrees(&self, account: &Account) -> Outcome {
        let life_ns = account.looked_ns - account.begun_ns;
        let thread = match thread(&self.report, account.tid) {
            // Samples may miss what lives for no longer than the time between two of them.
            Err(_)
                if self.report["tier"] == "sampled" && life_ns < 2 * ns(&self.report, "longest_gap_ns") =>
            {
                return Ok(());
            }
            found => found?,
        };
        let told = |key| ns(thread, key);
        let origin_ns = ns(&self.report, "origin_ns");
        let ended_ns = thread["ended_ns"].as_u64().unwrap_or(ns(&self.report, "wall_ns"));
        // Before and after its account it was in any of the states.
        let outside_ns = account.begun_ns.saturating_sub(origin_ns + told("started_ns"))
            + (origin_ns + ended_ns).saturating_sub(account.looked_ns);
        let unknown_ns = told("unknown_ns");
        let holds = |what: &str, told_ns: u64, least_ns: u64, most_ns: u64| {
            let allowed_ns = (most_ns / 50).max(1_000_000);
            check(
                told_ns <= most_ns + outside_ns + allowed_ns && told_ns + unknown_ns + allowed_ns >= least_ns,
                format!(
                    "{what}: {told_ns} ns and {unknown_ns} unknown; true are {least_ns} to {most_ns}, and {outside_ns} outside"
                ),
            )
        };
        let Account { running_ns, ready_ns, .. } = *account;
        let ready_is_whole = thread["ready_is_lower_bound"] == false;
        let least_ready_ns = if ready_is_whole { ready_ns } else { 0 };
        let process = processes(&self.report).iter().find(|process| {
            process["threads"].as_array().is_some_and(|threads| threads.iter().any(|one| one == thread))
        });
        if process.is_some_and(is_said_to_be_split_otherwise) {
            let told_ns = told("running_ns") + told("ready_ns");
            let most_ns = running_ns + ready_ns + self.stolen_ns;
            holds("running or ready", told_ns, running_ns + least_ready_ns, most_ns)?;
        } else {
            holds("running", told("running_ns"), running_ns, running_ns + self.stolen_ns)?;
            holds("ready", told("ready_ns"), least_ready_ns, ready_ns)?;
        }
        // All the rest it was asleep, or stopped.
        let wall_ns = account.looked_ns - account.begun_ns;
        let off_ns = wall_ns.saturating_sub(running_ns + ready_ns);
        let lost_ns = self.stolen_ns + running_ns / 50;
        let hidden_ns = if ready_is_whole { 0 } else { ready_ns };
        let told_off_ns = told("blocked_ns") + told("stopped_ns");
        holds("asleep", told_off_ns, off_ns.saturating_sub(lost_ns), off_ns + hidden_ns)?;
        holds("stopped", told("stopped_ns"), 0, account.ns_of("t"))?;
        for (words, letters) in REASONS {
            let waits = thread["waits"].as_array().expect("a thread has waits").iter();
            let of_these = waits.filter(|wait| wait["on"].as_str().is_some_and(|on| on.contains(words)));
            let at_least_ns = of_these.map(|wait| ns(wait, "at_least_ns")).sum();
            holds(words, at_least_ns, 0, account.ns_of(letters))?;
        }
        Ok(())
    }
}

/// Whether a report itself says that the kernel splits a process's time on a CPU and in line otherwise than the records
/// do. A hypervisor that stops a CPU between the kernel's own reading of its clock and the record of the switch, where no
/// interrupt can come between, leaves their sum as it is. That is rare: a report that says so often is at fault itself.
pub(super) fn is_said_to_be_split_otherwise(process: &Value) -> bool {
    static N_SAID: AtomicUsize = AtomicUsize::new(0);
    let says_so = process["check"]["holds"] == false;
    if says_so {
        println!(
            "held to its sums alone, since its report says that the kernel differs: {}",
            process["check"]
        );
    }
    says_so && N_SAID.fetch_add(1, Ordering::Relaxed) < 3
}

/// Every process that was compared with the kernel's own sums agrees with them, or with their sum where only the split
/// differs.
pub(super) fn agrees_with_the_kernel(report: &Value) -> Outcome {
    for process in processes(report).iter().filter(|process| !process["check"].is_null()) {
        let sum = |whose: &str| -> u64 {
            ["running_ns", "ready_ns"]
                .map(|key| ns(&process["check"], &format!("{whose}_{key}")))
                .iter()
                .sum()
        };
        let differs_by_ns = sum("recorded").abs_diff(sum("kernel"));
        let is_split = || {
            differs_by_ns <= ns(&process["check"], "tolerance_ns") && is_said_to_be_split_otherwise(process)
        };
        check(process["check"]["holds"] == true || is_split(), process)?;
    }
    Ok(())
}

/// Words for a wait, and the phases in which there is one: all but `s` and `m` wait for a child at their end, and `f`
/// for a word of it at its beginning.
const REASONS: [(&str, &str); 7] = [
    ("timer", "s"),
    ("pipe from", "rf"),
    ("socket", "u"),
    ("held by", "fm"),
    ("shared with", "x"),
    ("child ", "rufxct"),
    ("vfork", "v"),
];

/// Runs `phases` with these scripts in a tier, and holds every thread's times against its own account.
fn hold(tier: &str, scripts: &[&str], also: impl Fn(&Run) -> Outcome) -> Outcome {
    let scratch = Scratch::new("truth")?;
    let Some(phases) = program(&scratch, "phases")? else { return Ok(()) };
    let command: Vec<&str> = [&*phases].into_iter().chain(scripts.iter().copied()).collect();
    let run = Run::of(&["--tier", tier], &command)?;
    run.holds()?;
    also(&run)
}

fn every_phase() -> Outcome {
    const WORDS: [(char, &str); 8] = [
        ('s', "timer"),
        ('r', "pipe from"),
        ('u', "socket"),
        ('f', "lock /tmp/phases"),
        ('x', "shared with"),
        ('c', "child"),
        ('v', "vfork"),
        ('m', "held by thread"),
    ];
    hold("exact", &["b60 s150 r150 u150 f150 x150 c150 t150 v150 m150"], |run| {
        let thread = thread(&run.report, run.accounts[0].tid)?;
        // Questions that came too late leave a wait or a stop unseen, which is said.
        if ns(&run.report, "longest_gap_ns") > 60_000_000 {
            println!("not held to its reasons: questions were {} ns apart", run.report["longest_gap_ns"]);
            return Ok(());
        }
        check(ns(thread, "stopped_ns") > 149_000_000, thread)?;
        let told = |words: &str| -> u64 {
            let waits = thread["waits"].as_array().expect("a thread has waits").iter();
            let of_these = waits.filter(|wait| wait["on"].as_str().is_some_and(|on| on.contains(words)));
            of_these.map(|wait| ns(wait, "ns")).sum()
        };
        for (letter, words) in WORDS {
            let true_ns = run.accounts[0].ns_of(&letter.to_string());
            let elsewhere_ns = ns(thread, "running_ns") + ns(thread, "ready_ns") + told("not seen");
            check(told(words) > 0, format!("{words}: {} of {true_ns} ns: {thread:#}", told(words)))?;
            check(
                told(words) + elsewhere_ns + 1_000_000 > true_ns,
                format!("{words} of {true_ns}: {thread:#}"),
            )?;
        }
        let (blocked, ready) = (ns(thread, "blocked_ns"), ns(thread, "ready_ns"));
        let unseen = told("not seen").saturating_sub(ready);
        check(unseen * 100 < blocked, format!("{unseen} of {blocked} ns have no reason: {thread:#}"))
    })
}

fn threads() -> Outcome {
    hold("exact", &["b80 s100", "s50 b60", "b40 s120 b20"], |run| {
        let process = root(&run.report);
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
    let shell = format!("taskset -c 0 sh -c '{BUSY}' & taskset -c 0 {phases} '{script}' 's100'; kill $!");
    let run = Run::of(&["--tier", "exact"], &["sh", "-c", &shell])?;
    run.holds()?;
    check(run.accounts[0].ready_ns > 5_000_000, "it never waited for its CPU")
}

fn spinning_threads() -> Outcome {
    hold("sampled", &["s10", "b250", "b250"], |run| {
        let process = root(&run.report);
        check(ns(process, "running_ns") + ns(process, "unknown_ns") > 490_000_000, process)?;
        check(ns(process, "running_ns") > 350_000_000, process)?;
        let waits = process["waits"].as_array().expect("a process has waits").iter();
        let joins =
            waits.filter(|wait| wait["on"].as_str().is_some_and(|on| on.starts_with("the end of thread")));
        check(joins.count() > 0, format!("it joins them: {process:#}"))
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
            check(report["conservation"]["checked"] == 1, &report)?;
            agrees_with_the_kernel(&report)?;
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
