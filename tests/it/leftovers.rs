//! Killed commands leave nothing behind, or only what the next command removes.

use crate::common::{PATIENCE, id_of, kill, trials, until};
use crate::program::{Lab, PROGRAM, finish, ran, shell, text};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use proclab::Pid;
use proclab::sys::pidfd;
use proclab::sys::procfs::tree;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["leftovers":
        a_folder_is_private_and_locked_and_gone_with_its_command,
        what_a_killed_tree_leaves_is_removed_by_the_next_command,
        a_folder_in_use_and_one_of_another_kind_are_not_swept,
        the_temporary_folder_is_used_if_dev_shm_is_full,
        a_restrictive_umask_leaves_nothing,
        a_command_killed_at_any_moment_leaves_nothing,
    ]
}

/// A run that lasts until it is ended.
const LONG: [&str; 6] = ["run", "tickets", "--think", "60000", "--buyers", "2"];

/// The folder whose lock a command holds.
fn folder_of(pid: Pid) -> Option<PathBuf> {
    let held = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let paths = held.filter_map(|entry| fs::read_link(entry.path()).ok());
    paths
        .filter(|path| path.is_dir())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("proclab-run-")))
}

fn begun(pid: Pid) -> PathBuf {
    let mut folder = None;
    until("it has a folder and its buyers", || {
        folder = folder_of(pid);
        folder.is_some() && tree::children_by_parent(pid).unwrap().len() == 3
    });
    folder.unwrap()
}

fn a_folder_is_private_and_locked_and_gone_with_its_command() {
    let lab = Lab::new();
    let program = lab.command(&LONG).spawn().unwrap();
    let pid = id_of(&program);
    let folder = begun(pid);
    let about = fs::symlink_metadata(&folder).unwrap();
    assert!(about.is_dir() && about.permissions().mode() & 0o777 == 0o700, "{about:?}");
    assert!(fs::File::open(&folder).unwrap().try_lock().is_err(), "its owner holds it");
    kill(pid, Signal::SIGKILL);
    finish(program);
    until("the janitor has removed it", || !folder.exists());
    lab.assert_nothing_is_left();
}

fn what_a_killed_tree_leaves_is_removed_by_the_next_command() {
    let lab = Lab::new();
    let program = lab.command(&LONG).spawn().unwrap();
    let pid = id_of(&program);
    let folder = begun(pid);
    fs::create_dir_all(folder.join("a/b/c")).unwrap();
    fs::write(folder.join("a/b/file"), "bytes").unwrap();
    fs::set_permissions(folder.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
    let victim = lab.tmp.join("victim");
    fs::write(&victim, "bytes").unwrap();
    std::os::unix::fs::symlink(&lab.tmp, folder.join("a/link")).unwrap();
    // All at once, like the end of a namespace: the janitor is stopped so that it cannot clean up first.
    let all = lab.processes();
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in &all {
            let _ = pidfd::open(*pid).map(|held| pidfd::send_signal(held.as_fd(), signal as i32));
        }
    }
    finish(program);
    until("all are dead", || lab.processes().is_empty());
    ran(&lab.run(&["run", "tickets", "--think", "0", "--buyers", "1", "--stock", "1"]), 0);
    assert!(!folder.exists(), "{}", folder.display());
    assert_eq!(fs::read_to_string(victim).unwrap(), "bytes", "links are not followed");
    lab.assert_nothing_is_left();
}

fn a_folder_in_use_and_one_of_another_kind_are_not_swept() {
    let lab = Lab::new();
    let first = lab.command(&LONG).spawn().unwrap();
    let pid = id_of(&first);
    let folder = begun(pid);
    let base = folder.parent().unwrap();
    let name = |what: &str| base.join(format!("proclab-run-{what}-{}", std::process::id()));
    let (open, file) = (name("open"), name("file"));
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&file, "bytes").unwrap();
    ran(&lab.run(&["run", "tickets", "--think", "0", "--buyers", "1", "--stock", "1"]), 0);
    assert!(folder.exists() && open.exists() && file.exists());
    fs::remove_dir(open).unwrap();
    fs::remove_file(file).unwrap();
    kill(pid, Signal::SIGINT);
    assert_eq!(finish(first).status.code(), Some(130));
    assert!(!folder.exists());
    lab.assert_nothing_is_left();
}

fn the_temporary_folder_is_used_if_dev_shm_is_full() {
    let lab = Lab::new();
    let fill = "mount -t tmpfs -o size=64k,mode=1777 none /dev/shm && head -c 64k /dev/zero > /dev/shm/full";
    let run = "\"$PROGRAM\" run tickets --think 0 --buyers 2 --lock flock";
    let script = |then: &str| format!("unshare -rm sh -c '{fill}; {then}'");
    if !shell(&lab, &script("true")).status.success() {
        println!("left out: no mount namespace is allowed here");
        return;
    }
    ran(&shell(&lab, &script(&format!("{run} && ls /dev/shm"))), 0);
    let none = format!("mount -t tmpfs -o size=4k none $TMPDIR; head -c 4k /dev/zero > $TMPDIR/full; {run}");
    let output = shell(&lab, &script(&none));
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("No space left") && said.contains("\nhint: the disk is full"), "{said}");
    lab.assert_nothing_is_left();
}

fn a_restrictive_umask_leaves_nothing() {
    let lab = Lab::new();
    // Permissions do not restrict root.
    let as_another =
        if nix::unistd::geteuid().is_root() { "setpriv --reuid 65534 --clear-groups " } else { "" };
    if !shell(&lab, &format!("{as_another}\"$PROGRAM\" list")).status.success() {
        println!("left out: no other user may run {PROGRAM}");
        return;
    }
    for command in
        ["run tickets --think 0", "trials tickets -n 2", "explore tickets --lock none", "net file demo"]
    {
        let output = shell(&lab, &format!("umask 777; exec {as_another}\"$PROGRAM\" {command}"));
        let said = text(&output.stderr);
        assert!(!said.contains("panicked") && output.status.code().is_some(), "{command}: {said}");
        lab.assert_nothing_is_left();
    }
}

/// How many commands are killed; set a higher number to search for rare moments.
fn kills() -> u32 {
    std::env::var("PROCLAB_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(40)
}

fn a_command_killed_at_any_moment_leaves_nothing() {
    const COMMANDS: [&str; 10] = [
        "run tickets --think 5",
        "run pipeline",
        "run life tree",
        "trials tickets -n 1000000 --think 0",
        "explore tickets --buyers 4 --lock none",
        "explore -- sh -c :",
        "watch -- sleep 600",
        "net echo demo",
        "net file demo",
        "net udp demo",
    ];
    let lab = Lab::new();
    for kill_number in 0..kills() {
        let command = COMMANDS[kill_number as usize % COMMANDS.len()];
        let words: Vec<&str> = command.split(' ').collect();
        let program = lab.command(&words).spawn().unwrap();
        // Short waits are more frequent than long ones, because a start has many stages.
        let wait =
            Duration::from_micros(10 << rand::random_range(0..16)).mul_f64(rand::random_range(1.0..2.0));
        std::thread::sleep(wait);
        let is_tree = rand::random_bool(0.3);
        if is_tree {
            for pid in lab.processes() {
                let _ = pidfd::open(pid).map(|held| pidfd::send_signal(held.as_fd(), Signal::SIGSTOP as i32));
            }
        }
        kill(id_of(&program), Signal::SIGKILL);
        if is_tree {
            for pid in lab.processes() {
                let _ = pidfd::open(pid).map(|held| pidfd::send_signal(held.as_fd(), Signal::SIGKILL as i32));
            }
        }
        let began = Instant::now();
        finish(program);
        while !lab.processes().is_empty() {
            assert!(
                began.elapsed() < PATIENCE,
                "{command}, killed after {wait:?}, leaves {:?}",
                lab.processes()
                    .iter()
                    .map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")))
                    .collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        if is_tree {
            ran(&lab.run(&["run", "tickets", "--think", "0", "--buyers", "1", "--stock", "1"]), 0);
        }
        lab.assert_nothing_is_left();
    }
}
