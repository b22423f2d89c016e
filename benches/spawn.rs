//! The cost of starting and joining a process with this library, the bare system calls, the standard library,
//! `procspawn` and Python's `multiprocessing`, in one run.
//!
//! `cargo bench --bench spawn`, with `--features peers` for procspawn; Python if `python3` is there.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(unsafe_code, reason = "the bare fork with which the library is compared")]

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use proclab::{Exit, Process, StartMethod, Supervisor, wait_any};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 15;
const PER_ROUND: usize = 40;
const MANY: usize = 1000;

fn empty() {}

fn main() {
    proclab::child_entry();
    #[cfg(feature = "peers")]
    procspawn::init();
    if std::env::args().any(|arg| arg == "--exit-at-once") {
        return;
    }
    println!(
        "start + join of an empty function, µs: median of {ROUNDS} rounds of {PER_ROUND}, and the spread of the rounds"
    );
    machine();

    let supervisor = Supervisor::new().expect("a supervisor");
    let ours = |method| {
        let supervisor = &supervisor;
        move || {
            let child = supervisor.start(Process::new(empty).start_method(method)).expect("a child");
            assert_eq!(child.join().expect("its end"), Exit::Code(0));
        }
    };
    let mut contest = Contest::default();
    contest.enter("fork + waitpid, bare", bare_fork);
    contest.enter("ours: ForkServer", ours(StartMethod::ForkServer));
    contest.enter("ours: Fork", ours(StartMethod::Fork));
    contest.enter("Command, same executable", command);
    contest.enter("ours: Spawn", ours(StartMethod::Spawn));
    #[cfg(feature = "peers")]
    contest.enter("procspawn", || procspawn::spawn((), |()| ()).join().expect("its end"));
    #[cfg(not(feature = "peers"))]
    println!("left out: procspawn (needs --features peers)");
    let results = contest.run();
    let python = python();
    for (name, us) in &python {
        println!("{name:<28} {us:>9.0}");
    }

    println!();
    let children = a_thousand_at_once(&supervisor);
    println!("{MANY} children at once by ForkServer: {children:.2} s to start and join, every exit right");
    for method in StartMethod::ALL {
        let (first, last) = descriptors(&supervisor, method);
        println!("descriptors in a child by {method}: {first} in the first, {last} in the hundredth");
        assert_eq!(first, last, "they grow with its siblings");
    }
    for method in StartMethod::ALL {
        println!("memory of an idle child by {method}: {} KiB (PSS)", idle_pss(&supervisor, method));
    }

    println!();
    let of = |name: &str| results.iter().find(|(known, _)| *known == name).map(|(_, us)| *us);
    let figure = |work: &str, ours: &str, peer: &str, peers: Option<f64>| {
        if let (Some(ours_us), Some(peer_us)) = (of(ours), peers) {
            println!("figure {work} {ours}/{peer} {:.2}", peer_us / ours_us);
        }
    };
    let (server, spawn, forked) = ("ours: ForkServer", "ours: Spawn", "ours: Fork");
    figure("start+join", server, "bare-fork", of("fork + waitpid, bare"));
    figure("start+join", forked, "bare-fork", of("fork + waitpid, bare"));
    figure("start+join", spawn, "Command", of("Command, same executable"));
    figure("start+join", spawn, "procspawn", of("procspawn"));
    for (ours, name) in [(forked, "python fork"), (spawn, "python spawn"), (server, "python forkserver")] {
        figure("start+join", ours, name, python.iter().find(|(n, _)| n == name).map(|(_, us)| *us));
    }
}

fn machine() {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("machine: {cpus} processors, Linux {}\n", kernel.trim());
}

/// Something that starts one process and joins it.
type Work<'a> = Box<dyn FnMut() + 'a>;

/// Competitors take turns in each round, so that changes in the speed of the machine affect all of them.
#[derive(Default)]
struct Contest<'a> {
    entries: Vec<(&'static str, Work<'a>)>,
}

impl<'a> Contest<'a> {
    fn enter(&mut self, name: &'static str, work: impl FnMut() + 'a) {
        self.entries.push((name, Box::new(work)));
    }

    fn run(mut self) -> Vec<(&'static str, f64)> {
        let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); self.entries.len()];
        for round in 0..=ROUNDS {
            for (times, (_, work)) in rounds.iter_mut().zip(&mut self.entries) {
                let mut samples: Vec<f64> = (0..PER_ROUND).map(|_| timed(&mut **work)).collect();
                // The first round only warms up.
                if round > 0 {
                    times.push(median(&mut samples));
                }
            }
        }
        let mut results = Vec::new();
        for (times, (name, _)) in rounds.iter_mut().zip(&self.entries) {
            let middle = median(times);
            println!("{name:<28} {middle:>9.0}   {:>6.0} – {:.0}", times[0], times[times.len() - 1]);
            results.push((*name, middle));
        }
        results
    }
}

fn timed(work: &mut dyn FnMut()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e6
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn bare_fork() {
    // SAFETY: the child only ends; this program has one thread.
    match unsafe { fork() }.expect("a fork") {
        // SAFETY: `_exit` ends the process and runs nothing.
        ForkResult::Child => unsafe { nix::libc::_exit(0) },
        ForkResult::Parent { child } => {
            waitpid(child, None).expect("its end");
        }
    }
}

fn command() {
    let status = Command::new("/proc/self/exe").arg("--exit-at-once").stdin(Stdio::null()).status();
    assert!(status.expect("its end").success());
}

/// Python's three start methods, as measured by Python. Reports what is unavailable.
fn python() -> Vec<(String, f64)> {
    const SCRIPT: &str = "
import multiprocessing as mp, time, statistics
def empty(): pass
if __name__ == '__main__':
    for method, n in (('fork', 100), ('spawn', 10), ('forkserver', 30)):
        context = mp.get_context(method)
        times = []
        for _ in range(n):
            begin = time.perf_counter()
            p = context.Process(target=empty)
            p.start()
            p.join()
            times.append((time.perf_counter() - begin) * 1e6)
        print('python', method, statistics.median(times), sep='\\t')
";
    let script = std::env::temp_dir().join(format!("proclab-bench-{}.py", std::process::id()));
    let output = std::fs::write(&script, SCRIPT).and_then(|()| Command::new("python3").arg(&script).output());
    let _ = std::fs::remove_file(&script);
    let Ok(output) = output else {
        println!("left out: Python (no python3)");
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text.lines().filter_map(|line| {
        let mut fields = line.split('\t').skip(1);
        Some((format!("python {}", fields.next()?), fields.next()?.parse().ok()?))
    });
    rows.collect()
}

fn a_thousand_at_once(supervisor: &Supervisor) -> f64 {
    let begin = Instant::now();
    let children: Vec<_> = (0..MANY)
        .map(|n| {
            let code = i32::try_from(n % 256).expect("it is small");
            let process = Process::new(exit_with).args(code).start_method(StartMethod::ForkServer);
            (code, supervisor.start(process).expect("a child"))
        })
        .collect();
    for (code, child) in &children {
        assert_eq!(child.join().expect("its end"), Exit::Code(*code));
    }
    begin.elapsed().as_secs_f64()
}

fn exit_with(code: i32) {
    std::process::exit(code);
}

fn count_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// The number of descriptors of the first and of the last of a hundred children, while all are alive.
fn descriptors(supervisor: &Supervisor, method: StartMethod) -> (usize, usize) {
    let counted = |_| {
        let child = supervisor.start(Process::new(count_descriptors).start_method(method)).expect("a child");
        child.result().expect("a count")
    };
    let first = counted(0);
    let idle: Vec<_> = (0..98)
        .map(|_| supervisor.start(Process::new(idle).start_method(method)).expect("a child"))
        .collect();
    let last = counted(99);
    for child in &idle {
        child.kill().expect("a kill");
    }
    while !wait_any(&idle, None).expect("their ends").len().eq(&idle.len()) {}
    (first, last)
}

fn idle() {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}

fn idle_pss(supervisor: &Supervisor, method: StartMethod) -> u64 {
    let child = supervisor.start(Process::new(idle).start_method(method)).expect("a child");
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.pid())).unwrap_or_default();
    child.kill().expect("a kill");
    child.join().expect("its end");
    let line = rollup.lines().find(|line| line.starts_with("Pss:"));
    black_box(line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok()).unwrap_or(0))
}
