//! Runs the program `proclab` as a child of the tests, with a mark by which its processes and leftovers are found.

use crate::common::id_of;
use crate::common::{ends, hold, kill, lives, until};
use nix::sys::signal::Signal as Known;
use proclab::Pid;
use proclab::sys::pidfd;
use proclab::sys::procfs::tree;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_proclab");
/// Runs of the program, with a mark that all its processes inherit, and a directory for its files.
pub(crate) struct Lab {
    mark: String,
    pub(crate) tmp: PathBuf,
    since: SystemTime,
}

impl Lab {
    pub(crate) fn new() -> Lab {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("proclab-it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let tmp = std::env::temp_dir().join(&name);
        fs::create_dir(&tmp).unwrap();
        Lab { mark: format!("PROCLAB_IT_MARK={name}"), tmp, since: SystemTime::now() }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        let (key, value) = self.mark.split_once('=').unwrap();
        command.args(args).env(key, value).env("TMPDIR", &self.tmp).env_remove("NO_COLOR");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        finish(self.command(args).spawn().unwrap())
    }

    /// The processes with the mark in their initial environment.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let all = tree::all().unwrap().into_iter().map(|one| one.pid);
        let marked = |pid: &Pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|line| line == self.mark.as_bytes())
        };
        all.filter(|pid| lives(*pid) && marked(pid)).collect()
    }

    /// Directories of runs that were created since this lab began.
    fn directories(&self) -> Vec<PathBuf> {
        let entries =
            [Path::new("/dev/shm"), &self.tmp].into_iter().filter_map(|base| fs::read_dir(base).ok());
        let paths = entries.flatten().filter_map(Result::ok).map(|entry| entry.path());
        paths
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("proclab-"))
            .filter(|path| fs::metadata(path).and_then(|it| it.modified()).is_ok_and(|at| at >= self.since))
            .collect()
    }

    /// Asserts that nothing is left, immediately after the program has ended.
    pub(crate) fn assert_nothing_is_left(&self) {
        self.assert_nothing_is_left_of("the program");
    }

    /// Like [`assert_nothing_is_left`](Self::assert_nothing_is_left), but a failure names the case.
    pub(crate) fn assert_nothing_is_left_of(&self, case: &str) {
        until(format!("{case}: what it started has ended"), || self.processes().is_empty());
        // Other programs' runs have directories too, as long as their janitors live.
        let is_busy = || tree::all().unwrap().iter().any(|one| one.name == "janitor");
        until(format!("{case}: what it made is gone"), || self.directories().is_empty() || is_busy());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for pid in self.processes() {
            if let Ok(left) = pidfd::open(pid) {
                let _ = pidfd::send_signal(left.as_fd(), 9);
            }
        }
        let _ = fs::remove_dir_all(&self.tmp);
    }
}

/// Waits for the program, which must end, and collects its output.
pub(crate) fn finish(mut child: Child) -> Output {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.as_mut().map(|out| out.read_to_end(&mut bytes));
        bytes
    });
    let mut stderr = Vec::new();
    let ended = {
        // Standard error is short enough to fit into the pipe.
        let ended = ends(hold(id_of(&child)));
        if !ended {
            child.kill().unwrap();
        }
        err.as_mut().map(|err| err.read_to_end(&mut stderr));
        ended
    };
    let status = child.wait().unwrap();
    let stdout = reader.join().unwrap();
    assert!(ended, "it does not end: {}", String::from_utf8_lossy(&stdout));
    Output { status, stdout, stderr }
}

/// Whether a process has a handler for SIGINT, so that the signal does not end it before it can clean up.
pub(crate) fn listens(pid: Pid) -> bool {
    let caught = status(pid, "SigCgt:").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    caught.is_some_and(|mask| mask & 1 << (Known::SIGINT as i32 - 1) != 0)
}

/// Whether a child of `pid` has slept so often that it must have executed schedules or trials: each of them costs a
/// worker a few sleeps, and its start only a few.
pub(crate) fn has_worked(pid: Pid) -> bool {
    let slept = |pid| status(pid, "voluntary_ctxt_switches:").and_then(|times| times.parse::<u32>().ok());
    tree::children_by_parent(pid).unwrap().into_iter().any(|child| slept(child) > Some(100))
}

/// A line of `/proc/PID/status`.
fn status(pid: Pid, key: &str) -> Option<String> {
    let lines = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(lines.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned())
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Checks the exit code, and returns standard output.
pub(crate) fn ran(output: &Output, code: i32) -> &str {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Checks that the program failed with one clear line and possibly a hint. Returns standard error.
pub(crate) fn refused(output: &Output, code: i32) -> &str {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

pub(crate) fn validator(lab: &Lab) -> jsonschema::Validator {
    let schema = lab.run(&["schema", "run"]);
    ran(&schema, 0);
    jsonschema::validator_for(&json(&schema)).unwrap()
}

pub(crate) fn obeys(validator: &jsonschema::Validator, record: &Value) {
    let faults: Vec<String> = validator.iter_errors(record).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

pub(crate) fn shell(lab: &Lab, script: &str) -> Output {
    let mut command = lab.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).env("PROGRAM", PROGRAM).process_group(0);
    shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command = shell;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

/// Starts the program, and sends it `signal` after about this many lines of output.
pub(crate) fn interrupted(lab: &Lab, args: &[&str], lines: usize) -> Output {
    let mut child = lab.command(args).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let (mut seen, mut byte) = (0, [0]);
    while seen < lines && out.read(&mut byte).unwrap() == 1 {
        seen += usize::from(byte[0] == b'\n');
    }
    kill(id_of(&child), Known::SIGINT);
    let rest = std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = out.read_to_end(&mut rest);
    });
    let output = finish(child);
    // No remaining process holds the pipe.
    rest.join().unwrap();
    output
}
