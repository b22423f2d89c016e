//! The initial settings of a child: the same with every start method, and forked from a process with one thread.

use crate::common::id_of;
use crate::common::{PATIENCE, end_of, own_pid, result_of, supervisor, trials};
use libtest_mimic::Trial;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use proclab::Pid;
use proclab::sys::procfs::tree;
use proclab::{Exit, Process, StartMethod};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["settings":
        a_child_is_the_same_under_every_start_method,
        a_fork_server_passes_on_the_current_settings_of_its_parent,
        descriptors_that_an_exec_would_keep_do_not_reach_a_fresh_child,
        a_forked_child_keeps_nothing_of_its_grandparent,
        children_start_even_if_threads_hold_locks_before_the_child_entry,
    ]
}

const ALL: [StartMethod; 3] = StartMethod::ALL;
const FRESH: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

type Facts = BTreeMap<String, String>;

/// All inherited settings of a process, as the kernel reports them.
fn facts() -> Facts {
    let mut facts = Facts::new();
    let mut add = |name: &str, value: String| facts.insert(name.to_owned(), value);
    add("working directory", std::env::current_dir().unwrap().display().to_string());
    let mut environment: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    environment.sort();
    add("environment", environment.join("\n"));
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for name in ["Umask", "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed", "CapEff", "Uid", "Groups", "Threads"]
    {
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        add(name, line.to_owned());
    }
    add("limits", std::fs::read_to_string("/proc/self/limits").unwrap());
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    add("leads its group", (fields[2] == own_pid().to_string()).to_string());
    add("session", fields[3].to_owned());
    add("nice", fields[16].to_owned());
    for fd in 0..3 {
        let file = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        add(&format!("descriptor {fd}"), file.map_or("closed".to_owned(), |file| file.display().to_string()));
    }
    add("other descriptors", others().join(" "));
    facts
}

/// The targets of the descriptors above the standard ones, except the one that reads the folder.
fn others() -> Vec<String> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let numbers =
        open.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).filter(|fd| *fd > 2);
    let kind = |fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let mut kinds: Vec<String> = numbers
        .filter_map(kind)
        .map(|file| file.display().to_string())
        .filter(|file| !file.starts_with("/proc/"))
        .map(|file| file.split(':').next().unwrap_or_default().to_owned())
        .collect();
    kinds.sort();
    kinds
}

/// Starts the fork server, then changes every inherited setting, and asks one child per method.
#[expect(unsafe_code, reason = "signals and the nice value of this process")]
fn change_all_and_ask(folder: String) -> Vec<Facts> {
    let supervisor = supervisor();
    let ask = |method| result_of(&supervisor.start(Process::new(facts).start_method(method)).unwrap());
    ask(StartMethod::ForkServer);
    std::env::set_current_dir(&folder).unwrap();
    // SAFETY: this process has one thread; the other calls take integers.
    unsafe {
        std::env::set_var("PROCLAB_IT_COLOUR", "blue");
        std::env::remove_var("PATH");
        nix::libc::signal(nix::libc::SIGUSR1, nix::libc::SIG_IGN);
        nix::libc::signal(nix::libc::SIGUSR2, do_nothing as *const () as nix::libc::sighandler_t);
        nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, 5);
        let mut set = std::mem::zeroed();
        nix::libc::sigemptyset(&raw mut set);
        nix::libc::sigaddset(&raw mut set, nix::libc::SIGALRM);
        nix::libc::sigprocmask(nix::libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
    umask(Mode::from_bits_truncate(0o027));
    setrlimit(Resource::RLIMIT_NOFILE, 200, 300).unwrap();
    setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap();
    let cpus = proclab::sys::task::allowed_cpus().unwrap();
    proclab::sys::task::pin_to_cpu(*cpus.last().unwrap()).unwrap();
    ALL.map(ask).into()
}

extern "C" fn do_nothing(_: i32) {}

fn a_child_is_the_same_under_every_start_method() {
    let folder = std::env::temp_dir().join(format!("proclab-it-{}", own_pid()));
    std::fs::create_dir(&folder).unwrap();
    let child = Process::new(change_all_and_ask).args(folder.display().to_string());
    let all = result_of(&supervisor().start(child).unwrap());
    std::fs::remove_dir(&folder).unwrap();
    let [spawn, fork, server] = &all[..] else { panic!("three methods") };
    assert_eq!(spawn["working directory"], folder.display().to_string());
    assert!(spawn["environment"].contains("PROCLAB_IT_COLOUR=blue"), "{}", spawn["environment"]);
    assert_eq!((spawn["nice"].as_str(), spawn["Umask"].as_str()), ("5", "Umask:\t0027"));
    assert_eq!((spawn["descriptor 0"].as_str(), spawn["leads its group"].as_str()), ("/dev/null", "true"));
    assert_eq!(spawn["SigBlk"], "SigBlk:\t0000000000000000");
    for (name, value) in spawn {
        assert_eq!(&fork[name], value, "fork: {name}");
        assert_eq!(&server[name], value, "fork server: {name}");
    }
}

fn ask_again_and_again(folder: String) -> Vec<(String, String, bool)> {
    let supervisor = supervisor();
    let method = StartMethod::ForkServer;
    let ask = || result_of(&supervisor.start(Process::new(facts).start_method(method)).unwrap());
    let (mut told, mut first) = (Vec::new(), None);
    for folder in ["/", &folder, &folder, "/"] {
        std::env::set_current_dir(folder).unwrap();
        told.push((folder.to_owned(), ask()["working directory"].clone(), false));
        let servers: Vec<Pid> = tree::children_by_parent(own_pid()).unwrap();
        let is_new = first.replace(servers.clone()) != Some(servers);
        told.last_mut().unwrap().2 = is_new;
    }
    told
}

fn a_fork_server_passes_on_the_current_settings_of_its_parent() {
    let folder = "/usr".to_owned();
    let child = Process::new(ask_again_and_again).args(folder);
    let told = result_of(&supervisor().start(child).unwrap());
    assert!(told.iter().all(|(asked, is, _)| asked == is), "{told:?}");
}

fn descriptors_that_an_exec_would_keep_do_not_reach_a_fresh_child() {
    let supervisor = supervisor();
    let ask = |method| result_of(&supervisor.start(Process::new(others).start_method(method)).unwrap());
    let alone = FRESH.map(ask);
    let (reader, _writer) = std::io::pipe().unwrap();
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let number = reader.as_raw_fd();
    assert_eq!(FRESH.map(ask), alone, "descriptor {number} is inherited");
    drop(reader);
}

fn generations(depth: u32) -> Vec<Vec<String>> {
    let mut all = vec![others()];
    if depth > 0 {
        let supervisor = supervisor();
        let child = Process::new(generations).args(depth - 1).start_method(StartMethod::Fork);
        all.extend(result_of(&supervisor.start(child).unwrap()));
    }
    all
}

fn a_forked_child_keeps_nothing_of_its_grandparent() {
    let all = result_of(&supervisor().start(Process::new(generations).args(4)).unwrap());
    let counts: Vec<usize> = all.iter().map(Vec::len).collect();
    assert!(counts[1..4].iter().all(|count| *count == counts[1]), "{all:?}");
}

const THREADS: &str = "PROCLAB_IT_THREADS";

/// Starts threads before `child_entry`, like a program that logs or uses `#[tokio::main]`. They repeatedly take the locks
/// of standard output and of the allocator.
pub(crate) fn start_threads_if_asked() {
    if is_under_threads() {
        for _ in 0..3 {
            std::thread::spawn(|| {
                loop {
                    let line = vec![b' '; 100];
                    let _ = std::io::stdout().lock().write_all(&line[..1]);
                    std::hint::black_box(line);
                }
            });
        }
    }
}

pub(crate) fn is_under_threads() -> bool {
    std::env::var_os(THREADS).is_some()
}

fn print_and_allocate(n: usize) -> usize {
    let text = "x".repeat(n);
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    text.len()
}

/// A program with threads that were started before `child_entry`.
#[expect(clippy::print_stderr, reason = "a program of its own, whose words are read by the test")]
pub(crate) fn start_children_under_threads() {
    let supervisor = supervisor();
    for round in 0..20 {
        for method in FRESH {
            let child = Process::new(print_and_allocate).args(round * 100).start_method(method);
            let child = supervisor.start(child).unwrap();
            assert_eq!(end_of(&child), Exit::Code(0));
            assert_eq!(child.result().unwrap(), round * 100);
        }
    }
    let refused = supervisor.start(Process::new(own_pid).start_method(StartMethod::Fork)).unwrap_err();
    eprintln!("{refused}");
}

fn children_start_even_if_threads_hold_locks_before_the_child_entry() {
    for (name, value) in [("MALLOC_ARENA_MAX", "1"), ("MALLOC_ARENA_MAX", "8")] {
        let mut program = Command::new(std::env::current_exe().unwrap())
            .env(THREADS, "yes")
            .env(name, value)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let held = crate::common::hold(id_of(&program));
        let ended = crate::common::ends(&held);
        if !ended {
            program.kill().unwrap();
        }
        let output = program.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(ended, "a start hangs for {PATIENCE:?}: {words}");
        assert!(output.status.success() && words.contains("fork is refused"), "{words}");
    }
}
