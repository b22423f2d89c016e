//! Parents, fork servers and watchers that are killed at any moment of a start leave no process behind.

use crate::common::{
    children_named, end_of, kill, lives, own_pid, result_of, sleep, state_of, supervisor, trials, until,
};
use crate::program::Lab;
use libtest_mimic::Trial;
use nix::sys::signal::Signal as Known;
use proclab::sys::exec::{Streams, fork_at_gate};
use proclab::sys::pid::Pid;
use proclab::sys::procfs::{stat::of_process, tree};
use proclab::{Process, StartMethod, Supervisor};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["storm":
        a_parent_killed_at_any_moment_of_a_start_leaves_no_process,
        a_fork_server_killed_at_any_moment_leaves_no_unknown_child,
        a_command_whose_watcher_dies_just_as_its_gate_opens_is_not_executed,
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

/// Runs in a separate process, which is killed here. Stops the command at its gate, and opens the gate.
fn open_gate_of_stopped(argv: Vec<String>) {
    let argv: Vec<_> = argv.into_iter().map(|arg| CString::new(arg).unwrap()).collect();
    let at_gate = fork_at_gate(&argv, &Streams::default()).unwrap();
    kill(at_gate.pid(), Known::SIGSTOP);
    until("the command is stopped", || state_of(at_gate.pid()) == 'T');
    // Returns only once the command has been executed.
    at_gate.open().unwrap();
}

fn a_command_whose_watcher_dies_just_as_its_gate_opens_is_not_executed() {
    let supervisor = Supervisor::new().unwrap().subreaper().unwrap();
    let lab = Lab::new();
    let mark = lab.tmp.join("executed");
    let argv = ["touch", mark.to_str().unwrap()].map(String::from).to_vec();
    let watcher = supervisor.start(Process::new(open_gate_of_stopped).args(argv)).unwrap();
    let children = || tree::children_by_parent(watcher.pid()).unwrap_or_default();
    let mut command = None;
    until("the gate of a stopped command is open", || {
        command = children().into_iter().find(|pid| state_of(*pid) == 'T');
        // The watcher waits for the exec.
        command.is_some() && waits_in_a_pipe(watcher.pid())
    });
    let command = command.unwrap();
    watcher.kill().unwrap();
    end_of(&watcher);
    kill(command, Known::SIGCONT);
    until("the command has ended", || {
        supervisor.reap().unwrap();
        !lives(command)
    });
    assert!(!mark.exists(), "the command was executed without its watcher");
}

fn waits_in_a_pipe(pid: Pid) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{}/syscall", pid.as_raw())).unwrap_or_default();
    call.split(' ').next() == Some(&nix::libc::SYS_read.to_string())
}
