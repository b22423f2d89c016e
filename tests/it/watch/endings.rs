//! Refusals, failures and endings of a watch: each is told in a line, and harms neither the command nor the terminal.

use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use proclab::sys::pid::Pid;
use proclab::sys::procfs::tree;

use super::{Outcome, Scratch, check, proclab, run, wait, watch_until_up};
use crate::common::id_of;

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("a_command_that_does_not_exist_is_one_line_and_a_hint", no_such_command),
        test("a_process_that_is_gone_is_one_line_and_a_hint", no_such_process),
        test("a_full_disk_is_told_and_the_program_is_unharmed", a_full_disk),
        test("a_folder_that_is_missing_is_told_before_the_program_runs", a_missing_folder),
        test("two_files_under_one_name_are_refused", one_name_for_two),
        test("an_error_that_nobody_can_be_told_is_no_panic", nowhere_to_tell),
        test("a_starter_that_ignores_sigchld_gets_an_end_and_its_command_the_same", sigchld_ignored),
        test("a_terminal_that_is_closed_ends_the_view_and_its_command", a_closed_terminal),
        test("a_kill_of_the_watch_leaves_nothing_of_its_command", a_kill),
        test("a_fatal_signal_leaves_the_terminal_as_it_was", a_fatal_signal),
        test("a_name_that_commands_a_terminal_is_shown_harmless", a_hostile_name),
    ]
}

fn no_such_command() -> Outcome {
    let output = run(&["--", "no-such-program-anywhere"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    check(output.status.code() == Some(1), output.status)?;
    check(text.lines().count() == 2 && text.starts_with("error: ") && text.contains("\nhint: "), &text)
}

fn no_such_process() -> Outcome {
    let output = run(&["--pid", "999999999"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    check(output.status.code() == Some(1), output.status)?;
    check(text.lines().count() == 2 && text.contains("there is no process 999999999"), &text)
}

fn a_full_disk() -> Outcome {
    let output = run(&["--export", "/dev/full", "--", "echo", "done"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    check(output.stdout == b"done\n", "the program was harmed")?;
    check(
        output.status.code() == Some(1) && text.contains("error: cannot write /dev/full: No space left"),
        &text,
    )
}

fn a_missing_folder() -> Outcome {
    let output = run(&["--export", "/no/such/folder/trace.json", "--", "echo", "ran"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    check(output.stdout.is_empty() && output.status.code() == Some(1), &text)?;
    check(text.starts_with("error: cannot write /no/such/folder/trace.json"), &text)
}

fn one_name_for_two() -> Outcome {
    let scratch = Scratch::new("two")?;
    let file = scratch.file("both");
    let output = run(&["--export", &file, "--html", &file, "--", "echo", "ran"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    check(output.stdout.is_empty() && output.status.code() == Some(2), &text)?;
    check(text.starts_with("error: --export and --html name the same file"), &text)
}

fn nowhere_to_tell() -> Outcome {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    let status = proclab(&["--pid", "4194304"]).stderr(full).status()?;
    check(status.code() == Some(1), format!("{status}"))
}

fn sigchld_ignored() -> Outcome {
    let watch = env!("CARGO_BIN_EXE_proclab");
    let mut shell = Command::new("env")
        .args(["--ignore-signal=CHLD", watch, "watch", "--no-tui", "--", "grep", "SigIgn"])
        .arg("/proc/self/status")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    check(wait(&mut shell)? == Some(0), "the command's end was not passed on")?;
    let mut text = String::new();
    std::io::Read::read_to_string(shell.stdout.as_mut().expect("it is piped"), &mut text)?;
    let ignored = text.split_whitespace().nth(1).and_then(|mask| u64::from_str_radix(mask, 16).ok());
    check(ignored.is_some_and(|mask| mask & 1 << 16 != 0), format!("SIGCHLD is not ignored in {text:?}"))
}

/// A live view on a terminal of ours, drawn at least once, and both ends of the terminal.
fn live_view(args: &[&str]) -> Result<(std::process::Child, std::fs::File, std::os::fd::OwnedFd), Failed> {
    let (ours, theirs) = proclab::sys::exec::open_terminal(24, 80)?;
    let end = || theirs.try_clone().map(Stdio::from);
    let watch = Command::new(env!("CARGO_BIN_EXE_proclab"))
        .args(["watch", "--"])
        .args(args)
        .env("TERM", "xterm")
        .stdin(end()?)
        .stdout(end()?)
        .stderr(Stdio::null())
        .spawn()?;
    let mut ours = std::fs::File::from(ours);
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    crate::common::until("the view is drawn", || {
        if let Ok(count) = std::io::Read::read(&mut ours, &mut buffer) {
            seen.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&seen).contains("BLOCKED")
    });
    Ok((watch, ours, theirs))
}

/// The watched command: a child of the process that watches, which is a child of its guard.
fn command_of(watch: &std::process::Child) -> Option<Pid> {
    let child = |parent: Pid| tree::all().ok()?.into_iter().find(|one| one.ppid == parent);
    Some(child(child(id_of(watch))?.pid)?.pid)
}

fn a_closed_terminal() -> Outcome {
    let (mut watch, ours, theirs) = live_view(&["sleep", "61.25"])?;
    let command = command_of(&watch).ok_or("the view has no command")?;
    drop((ours, theirs));
    wait(&mut watch)?;
    // The signal is on its way when the view is over.
    crate::common::until("the command ends with its terminal", || !crate::common::lives(command));
    Ok(())
}

fn a_kill() -> Outcome {
    use nix::sys::signal::Signal::SIGKILL;
    // A daemon in a session of its own, an orphan, and the command itself.
    let script = "(setsid sleep 61.75 &); (sleep 61.75 &); echo up; exec sleep 61.75";
    for kills_guard in [true, false] {
        let mut watch = watch_until_up(script)?;
        let guard = id_of(&watch);
        let below = || tree::with_descendants(guard);
        crate::common::until("all three run", || below().len() >= 5);
        let all = below();
        let watcher = tree::all()?.into_iter().find(|one| one.ppid == guard).ok_or("no process watches")?;
        crate::common::kill(if kills_guard { guard } else { watcher.pid }, SIGKILL);
        check(wait(&mut watch)?.is_none(), "a killed watch has an exit code")?;
        crate::common::until("nothing of the command is left", || {
            all.iter().all(|pid| !crate::common::lives(*pid))
        });
    }
    Ok(())
}

fn a_fatal_signal() -> Outcome {
    use nix::sys::termios::{LocalFlags, tcgetattr};
    let (mut watch, _ours, theirs) = live_view(&["sleep", "61.5"])?;
    check(!tcgetattr(&theirs)?.local_flags.contains(LocalFlags::ICANON), "the view is not in raw mode")?;
    let command = command_of(&watch).ok_or("the view has no command")?;
    crate::common::kill(id_of(&watch), nix::sys::signal::Signal::SIGALRM);
    check(wait(&mut watch)?.is_none(), "the signal did not end it")?;
    crate::common::until("the command ends with the watch", || !crate::common::lives(command));
    check(tcgetattr(&theirs)?.local_flags.contains(LocalFlags::ICANON), "the terminal was left raw")
}

fn a_hostile_name() -> Outcome {
    let scratch = Scratch::new("name")?;
    let program = scratch.file("\u{1b}[2J\u{9b}x");
    std::fs::copy("/bin/sleep", &program)?;
    for tier in ["exact", "sampled"] {
        let output = run(&["--no-tui", "--tier", tier, "--", &program, "0.1"])?;
        let text = String::from_utf8_lossy(&output.stderr);
        let harmful = text.chars().find(|c| c.is_control() && *c != '\n');
        check(harmful.is_none() && text.contains("?[2J?x"), format!("{harmful:?} in {text:?}"))?;
    }
    Ok(())
}
