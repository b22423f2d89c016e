//! Commands that cannot continue: broken outputs, strange inputs, limits, and Ctrl-C at any time.

use crate::common::id_of;
use crate::common::{kill, lives, state_of, trials, until};
use crate::program::{Lab, finish, has_worked, json, listens, ran, refused, shell, text};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::Pid;
use proclab::sys::procfs::tree;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::process::Stdio;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["faults":
        a_full_disk_causes_one_clear_line,
        help_lists_and_scripts_survive_a_closed_pipe,
        a_file_that_is_not_regular_is_refused_without_waiting,
        a_device_is_written_to_and_never_replaced,
        an_unwritable_file_is_reported_before_the_run,
        too_few_descriptors_cause_one_clear_line,
        too_few_processes_cause_one_clear_line,
        a_file_size_limit_causes_one_clear_line,
        output_waits_for_a_slow_reader,
        interrupted_trials_report_what_they_know,
        an_interrupted_exploration_reports_what_it_knows,
        a_prompt_can_be_interrupted,
        a_child_stopped_before_it_is_ready_does_not_delay_ctrl_c,
    ]
}

fn a_full_disk_causes_one_clear_line() {
    let lab = Lab::new();
    for args in [
        &["run", "tickets", "--think", "0", "--buyers", "2"][..],
        &["run", "tickets", "--think", "0", "--buyers", "2", "--format", "json"],
        &["run", "life", "tree"],
        &["run", "eval", "1+1"],
        &["trials", "tickets", "-n", "2"],
        &["explore", "tickets"],
        &["list"],
        &["schema", "run"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = finish(lab.command(args).stdout(full).spawn().unwrap());
        let said = refused(&output, 1);
        assert!(said.contains("standard output") && said.contains("\nhint: "), "{args:?}: {said}");
        lab.assert_nothing_is_left();
    }
}

fn help_lists_and_scripts_survive_a_closed_pipe() {
    let lab = Lab::new();
    for args in ["list", "schema run", "completions bash", "--help", "trials tickets -n 2"] {
        let output = shell(&lab, &format!("\"$PROGRAM\" {args} | true"));
        ran(&output, 0);
        assert!(output.stderr.is_empty(), "{args}: {}", text(&output.stderr));
    }
}

fn a_file_that_is_not_regular_is_refused_without_waiting() {
    let lab = Lab::new();
    let pipe = lab.tmp.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [pipe.to_str().unwrap(), "/dev/zero", "/dev/tty"] {
        refused(&lab.run(&["run", "tickets", "--stock-file", path]), 1);
        refused(&lab.run(&["explore", "tickets", "--resume", path]), 1);
        refused(&lab.run(&["replay", path]), 2);
    }
    lab.assert_nothing_is_left();
}

fn a_device_is_written_to_and_never_replaced() {
    let lab = Lab::new();
    let output = lab.run(&[
        "trials",
        "tickets",
        "-n",
        "2",
        "--lock",
        "flock",
        "--no-search",
        "--csv",
        "/dev/null",
        "--html",
        "/dev/null",
    ]);
    ran(&output, 0);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let (file, link) = (lab.tmp.join("runs.csv"), lab.tmp.join("link.csv"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let path = link.to_str().unwrap();
    ran(&lab.run(&["trials", "tickets", "-n", "2", "--lock", "flock", "--no-search", "--csv", path]), 0);
    assert!(link.symlink_metadata().unwrap().is_symlink(), "the target of the link is replaced");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 3);
    assert_eq!(fs::read_dir(&lab.tmp).unwrap().count(), 2, "no other file is left");
}

fn an_unwritable_file_is_reported_before_the_run() {
    let lab = Lab::new();
    for args in [
        &["trials", "tickets", "-n", "1000000", "--csv", "/nowhere/at/all"][..],
        &["trials", "tickets", "-n", "1000000", "--html", "/"],
        &["explore", "tickets", "--buyers", "5", "--lock", "none", "--save", "/nowhere/at/all"],
        &["explore", "tickets", "--buyers", "5", "--lock", "none", "--resume", "/nowhere/at/all"],
    ] {
        assert!(refused(&lab.run(args), 1).contains("\nhint: "), "{args:?}");
    }
    lab.assert_nothing_is_left();
}

fn too_few_descriptors_cause_one_clear_line() {
    let lab = Lab::new();
    for scenario in ["run tickets --buyers 50", "run pipeline", "run life orphan", "explore tickets"] {
        for limit in [10, 12, 14, 16, 20, 24, 32] {
            let script = format!("ulimit -n {limit}; exec \"$PROGRAM\" {scenario}");
            let output = shell(&lab, &script);
            let said = text(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{script}: {said}");
            assert!(!said.contains("panicked"), "{script}: {said}");
            if output.status.code() == Some(1) {
                assert!(said.contains("hint: raise the limit of open files"), "{script}: {said}");
            }
        }
    }
    lab.assert_nothing_is_left();
}

fn too_few_processes_cause_one_clear_line() {
    let lab = Lab::new();
    // The limit does not apply to root.
    let as_another =
        if nix::unistd::geteuid().is_root() { "setpriv --reuid 65534 --clear-groups " } else { "" };
    let limited = |limit: u32, command: &str| {
        shell(&lab, &format!("exec {as_another}prlimit --nproc={limit} \"$PROGRAM\" {command}"))
    };
    if !limited(1000, "list").status.success() {
        println!("left out: no other user may run this program, or there is no prlimit");
        return;
    }
    let mut is_reached = false;
    for command in
        ["run tickets --think 0", "run life tree", "run eval 1+1", "explore tickets", "net echo demo"]
    {
        for limit in [1, 2, 3, 5, 8] {
            let output = limited(limit, command);
            let said = text(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{limit}, {command}: {said}");
            assert!(!said.contains("panicked"), "{limit}, {command}: {said}");
            // All of the user's processes count, so they may already exceed the limit: then nothing starts at all.
            if output.status.code() == Some(1) && said.contains("Resource temporarily unavailable") {
                assert!(
                    said.contains("\nhint: raise the limit of this user's processes (`ulimit -u`"),
                    "{said}"
                );
                is_reached = true;
            }
        }
    }
    assert!(is_reached, "some commands reach the limit");
    lab.assert_nothing_is_left();
}

fn a_file_size_limit_causes_one_clear_line() {
    let lab = Lab::new();
    let csv = lab.tmp.join("runs.csv");
    let with_csv = format!("trials tickets -n 2 --csv {}", csv.display());
    for command in ["run tickets --think 0", "net file demo", &with_csv] {
        let output = shell(&lab, &format!("ulimit -f 0; exec \"$PROGRAM\" {command}"));
        let said = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 3)), "{command}: {:?} {said}", output.status);
        assert!(!said.contains("panicked"), "{command}: {said}");
    }
    let output = shell(&lab, "ulimit -f 0; exec \"$PROGRAM\" run tickets --think 0");
    assert!(text(&output.stderr).contains("\nhint: raise the limit of the size of files"), "{output:?}");
    assert!(!csv.exists());
    lab.assert_nothing_is_left();
}

fn output_waits_for_a_slow_reader() {
    let lab = Lab::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let nonblocking = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
    nix::fcntl::fcntl(&writer, nonblocking).unwrap();
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let mut command = lab.command(&["schema", "run"]);
    let child = command.stdout(writer).spawn().unwrap();
    // It also holds the writing end.
    drop(command);
    until("the pipe is full and its writer sleeps", || state_of(id_of(&child)) == 'S');
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(finish(child).status.code(), Some(0));
    assert!(said.len() > 4096 && serde_json::from_str::<serde_json::Value>(&said).is_ok());
}

fn interrupted_trials_report_what_they_know() {
    let lab = Lab::new();
    let csv = lab.tmp.join("runs.csv");
    let args = ["trials", "tickets", "-n", "1000000", "--format", "json", "--csv", csv.to_str().unwrap()];
    let child = lab.command(&args).spawn().unwrap();
    let pid = id_of(&child);
    until("some trials were run", || has_worked(pid));
    kill(pid, Signal::SIGINT);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("interrupted by SIGINT"));
    let trials = json(&output);
    assert_eq!(trials["interrupted"], true);
    let n = trials["trials"].as_u64().unwrap();
    assert!(n > 0 && n < 1_000_000);
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count() as u64, n + 1);
    lab.assert_nothing_is_left();
    // The command does not wait for a buyer that thinks for a minute.
    let child =
        lab.command(&["trials", "tickets", "-n", "5", "--think", "60000", "--buyers", "3"]).spawn().unwrap();
    let pid = id_of(&child);
    until("the buyers are there, and the janitor", || tree::children_by_parent(pid).unwrap().len() == 4);
    kill(pid, Signal::SIGINT);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    lab.assert_nothing_is_left();
}

fn an_interrupted_exploration_reports_what_it_knows() {
    let lab = Lab::new();
    let args = ["explore", "tickets", "--buyers", "4", "--lock", "none", "--format", "json"];
    let has_a_child = |pid| !tree::children_by_parent(pid).unwrap().is_empty();
    for (when, is_known) in
        [(&listens as &dyn Fn(Pid) -> bool, false), (&has_a_child, false), (&has_worked, true)]
    {
        let child = lab.command(&args).spawn().unwrap();
        let pid = id_of(&child);
        until("it is so far", || listens(pid) && when(pid));
        kill(pid, Signal::SIGINT);
        let output = finish(child);
        assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("interrupted by SIGINT"), "{}", text(&output.stderr));
        // Before the first schedule there is no result.
        if is_known || !output.stdout.is_empty() {
            assert_eq!(json(&output)["complete"], false);
        }
        lab.assert_nothing_is_left();
    }
}

fn a_prompt_can_be_interrupted() {
    let lab = Lab::new();
    let told = lab.run(&["explore", "tickets", "--lock", "none"]);
    let (_, after) = ran(&told, 3).split_once("proclab replay ").unwrap();
    let args = ["replay", after.split_whitespace().next().unwrap(), "--step"];
    let mut child = lab.command(&args).stdin(Stdio::piped()).spawn().unwrap();
    // The input stays open, and the last line is incomplete.
    let mut keys = child.stdin.take().unwrap();
    let mut prompts = child.stderr.take().unwrap();
    keys.write_all(b"\n\na").unwrap();
    let (mut seen, mut byte) = (0, [0]);
    while seen < 3 {
        prompts.read_exact(&mut byte).unwrap();
        seen += usize::from(byte[0] == b']');
    }
    kill(id_of(&child), Signal::SIGINT);
    let output = finish(child);
    assert_eq!(output.status.code(), Some(130));
    let mut said = String::new();
    prompts.read_to_string(&mut said).unwrap();
    assert!(said.contains("interrupted by SIGINT"), "{said}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    lab.assert_nothing_is_left();
    // Without an interrupt, complete lines are steps and the end of the input is a stop.
    let mut child = lab.command(&args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\n\nq").unwrap();
    assert!(ran(&finish(child), 0).starts_with("stopped: "));
}

fn a_child_stopped_before_it_is_ready_does_not_delay_ctrl_c() {
    const ATTEMPTS: usize = 20;
    let lab = Lab::new();
    for args in [&["run", "tickets"][..], &["explore", "tickets"], &["run", "pipeline"]] {
        let is_proven = (0..ATTEMPTS).any(|_| {
            let program = lab.command(args).spawn().unwrap();
            let pid = id_of(&program);
            let is_held_up = stops_its_first_child(pid);
            kill(pid, Signal::SIGINT);
            let output = finish(program);
            if is_held_up {
                assert_eq!(output.status.code(), Some(130), "{args:?}: {}", text(&output.stderr));
            }
            lab.assert_nothing_is_left();
            is_held_up
        });
        assert!(is_proven, "{args:?}: all {ATTEMPTS} stops came too late");
    }
}

/// Stops the first child as soon as it has executed its program (before that, it would delay the system call that
/// creates it). Returns whether `pid` then waits for it and does nothing else; the stop may come too late.
fn stops_its_first_child(pid: Pid) -> bool {
    const CALM: u32 = 50;
    let mut first = Pid::UNKNOWN;
    until("it has a child", || {
        let is_fresh = |pid: &Pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(7).any(|word| word == b"--procl")
        };
        first = tree::children_by_parent(pid).unwrap().into_iter().find(is_fresh).unwrap_or(Pid::UNKNOWN);
        first != Pid::UNKNOWN
    });
    kill(first, Signal::SIGSTOP);
    let (mut calm, mut goes_on) = (0, false);
    until("it waits, or goes on", || {
        // On a busy machine a ready process may not run for a while, so only sleep counts as waiting.
        let waits = state_of(pid) == 'S' && state_of(first) == 'T';
        calm = if waits { calm + 1 } else { 0 };
        goes_on = !lives(pid) || tree::children_by_parent(pid).unwrap() != [first];
        calm == CALM || goes_on
    });
    !goes_on
}
