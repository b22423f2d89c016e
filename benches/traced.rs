//! The cost of exploring programs: an execution compared with a bare run, executions per class, the time to the first
//! outcome, and a parallel make of many rules.
//!
//! `cargo bench --bench traced`
#![expect(clippy::print_stdout, reason = "a bench prints what it has measured")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command as Bare, Stdio};
use std::time::{Duration, Instant};

use proclab::explore::statistics::quantile;
use proclab::explore::traced::{Answer, Command, Criteria, Findings, Search, Task, carry_out};
use proclab::{Scratch, Supervisor};

/// Paired rounds of each work; the figures are medians.
const ROUNDS: usize = 7;
/// Executions per round; fewer for Python, whose processes are a hundred times as large.
const EXECUTIONS: u64 = 80;
const EXECUTIONS_OF_PYTHON: u64 = 20;
/// Executions of the search that is subtracted from each: what a search does once (it starts the engine, takes the
/// checkpoint, and verifies each witness) is no part of the price of one more execution.
const FIRST: u64 = 10;

/// A C program of three processes: a parent and two that add to a number.
const C: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 2; i++)
        if (!fork()) {
            char b[2] = {0};
            int f = open("n", O_RDWR);
            pread(f, b, 1, 0);
            b[0]++;
            pwrite(f, b, 1, 0);
            _exit(0);
        }
    wait(0);
    wait(0);
    return 0;
}"#;
const SHELL: &str = "inc() { read n < n; echo $((n + 1)) > n; }; inc & inc & wait";
const MAKEFILE: &str = "all: a b\na:\n\tcp n a\nb:\n\tcp n b\n";
const PYTHON: &str = "
import json
from multiprocessing import Process
def buy():
    with open('n') as f: n = json.load(f)
    with open('n', 'w') as f: json.dump(n + 1, f)
if __name__ == '__main__':
    ps = [Process(target=buy) for _ in range(2)]
    for p in ps: p.start()
    for p in ps: p.join()
";

fn main() {
    proclab::child_entry();
    let cargos = "LD_LIBRARY_PATH";
    if std::env::var_os(cargos).is_some() {
        // In each folder of it the loader of every program would look for every library.
        let own = std::env::current_exe().expect("this program");
        let error = Bare::new(own).args(std::env::args_os().skip(1)).env_remove(cargos).exec();
        panic!("{error}");
    }
    println!("{} processors", std::thread::available_parallelism().map_or(0, usize::from));
    let scratch = Scratch::new().expect("a folder");
    let supervisor = Supervisor::new().expect("a supervisor");
    let place = |name: &str, files: &[(&str, &str)]| {
        let folder = scratch.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        for (file, content) in files {
            fs::write(folder.join(file), content).expect("a file");
        }
        folder
    };
    let c = place("c", &[("n", "1"), ("add.c", C)]);
    let has_cc = Bare::new("cc")
        .args(["-O1", "-o", "add", "add.c"])
        .current_dir(&c)
        .status()
        .is_ok_and(|it| it.success());
    let _ = fs::remove_file(c.join("add.c"));
    let shell = place("shell", &[("n", "1\n")]);
    let make = place("make", &[("n", "1\n"), ("Makefile", MAKEFILE)]);
    let python = place("python", &[("n", "1"), ("add.py", PYTHON)]);
    let works: [(&str, &Path, &[&str], bool); 4] = [
        ("C", &c, &["./add"], has_cc),
        ("shell", &shell, &["/bin/sh", "-c", SHELL], true),
        ("make", &make, &["/usr/bin/make", "-j2"], Path::new("/usr/bin/make").exists()),
        ("Python", &python, &["/usr/bin/python3", "add.py"], Path::new("/usr/bin/python3").exists()),
    ];
    let mut figures = Vec::new();
    for (name, folder, argv, is_there) in works {
        if !is_there {
            println!("{name}: left out, it is not installed");
            continue;
        }
        let command = Command::new(argv.iter().copied()).directory(folder);
        let executions = if name == "Python" { EXECUTIONS_OF_PYTHON } else { EXECUTIONS };
        let (mut once, mut traced, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let seconds = |count| search(&supervisor, &command, &sampled(count)).0.as_secs_f64();
            let first = seconds(FIRST);
            let run = (seconds(FIRST + executions) - first) / executions as f64;
            let free = freely(argv, folder).as_secs_f64();
            once.push((first - run * FIRST as f64) * 1e3);
            traced.push(run * 1e3);
            bare.push(free * 1e3);
            ratios.push(run / free);
        }
        let (once, traced, bare, ratio) =
            (median(&mut once), median(&mut traced), median(&mut bare), median(&mut ratios));
        println!(
            "{name}: an execution {traced:.2} ms, the bare run {bare:.2} ms, ratio {ratio:.2}; {once:.0} ms once a search"
        );
        figures.push(format!("figure traced-{name}/bare-run {:.3}", 1.0 / ratio));
        if name != "Python" {
            let (time, found, first) = search(&supervisor, &command, &whole());
            let all = found.executions + found.given_up;
            println!(
                "{name}: {all} executions, {} of them given up, for {} classes in {:.2} s; {}; first outcome after {:.0} ms",
                found.given_up,
                found.classes,
                time.as_secs_f64(),
                if found.ended { "ended" } else { "not ended" },
                first.as_secs_f64() * 1e3
            );
            figures.push(format!(
                "figure {name}-classes/executions {:.3}",
                found.classes as f64 / all.max(1) as f64
            ));
        }
    }
    if Path::new("/usr/bin/make").exists() {
        figures.push(many_rules(&supervisor, &place("many", &[("Makefile", &rules(200))])));
    }
    figures.iter().for_each(|figure| println!("{figure}"));
}

/// A makefile of `count` rules, two of which lack a dependency on each other.
fn rules(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|rule| format!("r{rule}")).collect();
    let mut text = format!("all: {} gen use\n", names.join(" "));
    for name in &names {
        text.push_str(&format!("{name}:\n\t@: > {name}\n"));
    }
    text + "gen:\n\t@echo 1 > gen.h\nuse:\n\t@cat gen.h > use\n"
}

fn many_rules(supervisor: &Supervisor, folder: &Path) -> String {
    let command = Command::new(["/usr/bin/make", "-j4"]).directory(folder);
    // As the command line searches: some random schedules, then classes, in as many engines as there are processors.
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let how = Search { random: 20, jobs, time: Some(Duration::from_secs(60)), ..whole() };
    let (time, found, first) = search(supervisor, &command, &how);
    let executions = found.sampled + found.executions;
    let rate = executions as f64 * 60.0 / time.as_secs_f64();
    println!(
        "make -j4 of 200 rules: {rate:.0} executions a minute, {} outcomes, first outcome after {:.0} ms",
        found.outcomes.len(),
        first.as_secs_f64() * 1e3
    );
    format!("figure make-200-rules/100-a-minute {:.3}", rate / 100.0)
}

fn sampled(executions: u64) -> Search {
    Search { random: executions, seed: 1, executions: Some(executions), ..Search::default() }
}

fn whole() -> Search {
    Search { seed: 1, exhaustive: true, time: Some(Duration::from_secs(60)), ..Search::default() }
}

/// The duration of a search, its findings, and the time until the first outcome is reported.
fn search(supervisor: &Supervisor, command: &Command, how: &Search) -> (Duration, Findings, Duration) {
    let begin = Instant::now();
    let mut first = None;
    let task = Task::Search(how.clone(), Criteria::default());
    let answer =
        carry_out(|process| supervisor.start(process), command.clone(), task, None, None, &mut |progress| {
            if progress.new.is_some() {
                first.get_or_insert_with(|| begin.elapsed());
            }
        });
    match answer.expect("a search") {
        Answer::Findings(findings) => (begin.elapsed(), findings, first.unwrap_or_default()),
        other => panic!("a search is answered by findings, not {other:?}"),
    }
}

/// The mean time of a few bare runs, each after the folder was reset.
fn freely(argv: &[&str], folder: &Path) -> Duration {
    let runs = 10;
    let mut time = Duration::ZERO;
    for _ in 0..runs {
        let _ = fs::remove_file(folder.join("a"));
        let _ = fs::remove_file(folder.join("b"));
        let _ = fs::write(folder.join("n"), "1\n");
        let begin = Instant::now();
        let mut command = Bare::new(argv[0]);
        command.args(&argv[1..]).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().is_ok(), "the bare run");
        time += begin.elapsed();
    }
    let _ = fs::remove_file(folder.join("a"));
    let _ = fs::remove_file(folder.join("b"));
    let _ = fs::write(folder.join("n"), "1\n");
    time / runs
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.5).unwrap_or_default()
}
