//! A watch of what runs already, and its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use super::{Outcome, check, processes, proclab};

pub(super) fn tests() -> Vec<Trial> {
    let test = |name: &str, body: fn() -> Outcome| crate::common::bounded(format!("watch::{name}"), body);
    vec![
        test("a_signal_that_comes_twice_ends_the_watch_and_not_its_report", a_signal_and_its_echoes),
        test("a_shell_can_watch_itself_without_the_watch", a_watched_shell),
    ]
}

fn a_signal_and_its_echoes() -> Outcome {
    const QUICK: Duration = Duration::from_millis(80);
    let mut n_quick = 0;
    for _ in 0..20 {
        let mut sleeper = Command::new("sleep").arg("30").spawn()?;
        let pid = sleeper.id().to_string();
        let mut watch = proclab(&["--no-tui", "--pid", &pid]).stderr(Stdio::piped()).spawn()?;
        let mut stderr = BufReader::new(watch.stderr.take().ok_or("no stderr")?);
        let mut text = String::new();
        while !text.contains("was already running") && stderr.read_line(&mut text)? > 0 {}
        let to = nix::unistd::Pid::from_raw(watch.id().cast_signed());
        let begin = Instant::now();
        for _ in 0..40 {
            // It may have ended before the last one.
            let _ = kill(to, Signal::SIGTERM);
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = begin.elapsed();
        stderr.read_to_string(&mut text)?;
        let status = watch.wait()?;
        sleeper.kill()?;
        sleeper.wait()?;
        if took >= QUICK {
            continue;
        }
        check(status.success() && text.contains("watched process"), format!("{status}: {text}"))?;
        n_quick += 1;
        if n_quick == 6 {
            return Ok(());
        }
    }
    println!("left out: this machine is too slow");
    Ok(())
}

/// A shell that watches itself, from one of its children, for a moment.
fn a_watched_shell() -> Outcome {
    let script = format!(
        "timeout -s TERM 0.5 {} watch --tier sampled --format json --pid $$; sleep 0.01",
        env!("CARGO_BIN_EXE_proclab")
    );
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let names: Vec<&str> = processes(&report).iter().filter_map(|process| process["name"].as_str()).collect();
    check(names == ["sh", "timeout"], format!("{names:?}"))
}
