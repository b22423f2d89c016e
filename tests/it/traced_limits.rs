//! Programs that would not end, or would take all there is: each is ended by a limit, and nothing is left.

use crate::common::{kill, lives, trials, until};
use crate::traced_verbs::Place;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::sys::pid::Pid;
use proclab::sys::procfs::tree::children_by_parent;
use std::process::Stdio;
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["traced_limits":
        a_budget_of_time_ends_an_execution_that_goes_on,
        an_interrupt_ends_an_execution_that_goes_on,
        what_a_program_would_take_is_bounded_and_told,
        a_folder_too_deep_for_its_paths_is_told_and_removed,
        nothing_is_left_when_the_explorer_is_killed,
    ]
}

/// Spins in the shell, without a step.
const SPIN: &str = "while :; do :; done";
/// The longest that an answer may take, on a machine that does much else.
const SOON: Duration = Duration::from_secs(20);

/// All processes below this one.
fn descendants(pid: Pid) -> Vec<Pid> {
    let children = children_by_parent(pid).unwrap_or_default();
    children.into_iter().flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

fn a_budget_of_time_ends_an_execution_that_goes_on() {
    let place = Place::new("budget", &[]);
    let begin = Instant::now();
    let words = ["explore", "--limit", "cpu=1000", "--budget", "300ms", "--", "sh", "-c", SPIN];
    let (view, code) = place.json(&words);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!((&view["ended"], &view["executions"], code), (&false.into(), &0.into(), 0), "{view}");
}

fn an_interrupt_ends_an_execution_that_goes_on() {
    let place = Place::new("interrupt-spin", &[]);
    let words = ["explore", "--format", "json", "--limit", "cpu=1000", "--", "sh", "-c"];
    let script = format!("echo 1 > begun; {SPIN}");
    let mut command = place.command(&[&words[..], &[script.as_str()]].concat());
    let explorer = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid: Pid = explorer.id().to_string().parse().unwrap();
    until("the program spins", || descendants(pid).len() >= 3);
    let begin = Instant::now();
    kill(pid, Signal::SIGINT);
    let output = explorer.wait_with_output().unwrap();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
}

fn what_a_program_would_take_is_bounded_and_told() {
    let place = Place::new("bounded", &[]);
    let many = "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); echo x > f$i; done";
    for (limit, script, said) in [
        (
            "written=1M",
            "while :; do head -c 100000 /dev/zero; done | cat > f",
            "more than 1 MiB were written",
        ),
        ("steps=200", many, "more than 200 steps"),
        ("entries=50", "i=0; while [ $i -lt 60 ]; do i=$((i + 1)); : > f$i; done", "more than 50 files"),
        ("output=10K", "head -c 1000000 /dev/zero", "more than 10240 bytes of output"),
        ("processes=5", "f() { f & f & wait; }; f", "more than 5 processes"),
        ("cpu=1", SPIN, "spins"),
        (
            "steps=50",
            "trap '' TERM INT HUP; while :; do read x < /dev/null; echo > f; done",
            "more than 50 steps",
        ),
    ] {
        let words = ["explore", "--limit", limit, "--budget", "1", "--", "sh", "-c", script];
        let (view, code) = place.json(&words);
        let outcome = &view["outcomes"][0];
        assert_eq!((outcome["verdict"].as_str(), code), (Some("cut-short"), 3), "{limit}: {view}");
        assert!(outcome["why"]["text"].as_str().unwrap().contains(said), "{limit}: {}", outcome["why"]);
    }
    let refused = place.run(&["explore", "--limit", "files=1", "--", "true"]);
    assert_eq!(refused.status.code(), Some(2));
}

fn a_folder_too_deep_for_its_paths_is_told_and_removed() {
    let place = Place::new("deep", &[]);
    let name = "d".repeat(200);
    let script = format!("i=0; while [ $i -lt 22 ]; do i=$((i + 1)); mkdir {name} && cd -P {name}; done");
    let (view, _) = place.json(&["explore", "--budget", "1", "--", "sh", "-c", &script]);
    assert_eq!(view["outcomes"][0]["verdict"], "cut-short", "{view}");
    assert!(view["outcomes"][0]["why"]["text"].as_str().unwrap().contains("too long"), "{view}");
}

fn nothing_is_left_when_the_explorer_is_killed() {
    let place = Place::new("killed", &[]);
    let scratch = Place::new("killed-scratch", &[]);
    let script = "setsid sleep 86399.25 & sleep 86399.25 & kill -STOP $$";
    let mut command = place.command(&["explore", "--naive", "--", "sh", "-c", script]);
    command.env("TMPDIR", scratch.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut explorer = command.spawn().unwrap();
    let pid: Pid = explorer.id().to_string().parse().unwrap();
    until("the program runs", || descendants(pid).len() >= 3);
    let below = descendants(pid);
    kill(pid, Signal::SIGKILL);
    explorer.wait().unwrap();
    until("all processes have ended", || !below.iter().any(|pid| lives(*pid)));
}
