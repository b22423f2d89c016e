//! Parents and fork servers that are killed at random moments of a start leave no process behind.

use crate::common::{children_named, end_of, own_pid, result_of, sleep, supervisor, trials, until};
use libtest_mimic::Trial;
use nix::sys::signal::Signal as Known;
use proclab::sys::procfs::{stat::of_process, tree};
use proclab::{Process, StartMethod, Supervisor};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["storm":
        a_parent_killed_at_any_moment_of_a_start_leaves_no_process,
        a_fork_server_killed_at_any_moment_leaves_no_unknown_child,
    ]
}

fn random_pause(most: Duration) {
    std::thread::sleep(most.mul_f64(rand::random()));
}

/// Each child is killed once the next one has started, so that there are children of every age.
fn start_forever(method: StartMethod) {
    let supervisor = supervisor();
    let mut last = None;
    loop {
        let child = supervisor.start(Process::new(sleep).start_method(method)).unwrap();
        if let Some(last) = last.replace(child) {
            last.kill().unwrap();
            last.join().unwrap();
        }
    }
}

fn a_parent_killed_at_any_moment_of_a_start_leaves_no_process() {
    const KILLS: usize = 40;
    // Orphans become our children, so none is missed.
    let supervisor = Supervisor::new().unwrap().subreaper().unwrap();
    // Processes that earlier tests keep, such as a fork server that ends with this process.
    let before = tree::children_by_parent(own_pid()).unwrap();
    for method in StartMethod::ALL {
        for _ in 0..KILLS {
            let parent = supervisor.start(Process::new(start_forever).args(method)).unwrap();
            random_pause(Duration::from_millis(12));
            parent.kill().unwrap();
            end_of(&parent);
            until(format!("nothing of a {method} family is left"), || {
                supervisor.reap().unwrap();
                tree::children_by_parent(own_pid()).unwrap().iter().all(|child| before.contains(child))
            });
        }
    }
}

/// Runs in a separate process. Returns the names and states of children that are left at the end by mistake.
fn kill_own_server(n_starts: usize) -> Vec<(String, char)> {
    let supervisor = supervisor();
    let is_over = AtomicBool::new(false);
    let start = || supervisor.start(Process::new(own_pid).start_method(StartMethod::ForkServer));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                random_pause(Duration::from_millis(6));
                for pid in children_named("forkserver") {
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.as_raw()), Known::SIGKILL);
                }
            }
        });
        for _ in 0..n_starts {
            // A start whose server was killed may fail, but must return.
            if let Ok(child) = start() {
                let _ = child.join();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // The next two starts find what the last kill left: the one that gets the reserve, and the one after it.
    for _ in 0..2 {
        let _ = start().map(|child| child.join());
    }
    result_of(&start().unwrap());
    supervisor.shutdown().unwrap();
    let children = || tree::children_by_parent(own_pid()).unwrap().into_iter().filter_map(of_process);
    until("a server and its reserve are there", || children().count() >= 2);
    let mut left: Vec<_> = children().map(|child| (child.name, child.letter)).collect();
    for _ in 0..2 {
        let expected = left.iter().position(|(name, letter)| name == "forkserver" && *letter != 'Z');
        left.remove(expected.unwrap());
    }
    left
}

fn a_fork_server_killed_at_any_moment_leaves_no_unknown_child() {
    let supervisor = supervisor();
    let child = supervisor.start(Process::new(kill_own_server).args(150)).unwrap();
    assert_eq!(result_of(&child), []);
}
