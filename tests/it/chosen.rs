//! What a parent chooses for its child: environment, directory, streams, limits, descriptors, and its place.

use crate::common::{end_of, own_pid, result_of, supervisor, trials};
use libtest_mimic::Trial;
use proclab::{Exit, Process, Resource, StartError, StartMethod, Stdio, Stream};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["chosen":
        a_child_has_the_environment_that_was_chosen_under_every_start_method,
        a_child_works_in_the_directory_that_was_chosen,
        a_setting_that_is_refused_is_an_error_of_the_start,
        streams_go_to_files_to_nothing_and_through_pipes,
        lines_come_with_the_name_of_their_child,
        a_child_that_is_forked_later_does_not_keep_an_elder_ones_input_open,
        limits_nice_value_and_processors_are_in_force,
        a_limit_that_is_exceeded_ends_the_child_and_not_its_parent,
        a_child_can_lead_a_session_or_join_a_group,
        a_descriptor_is_passed_under_its_number,
        a_process_can_be_started_again_and_again,
    ]
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

fn a_child_has_the_environment_that_was_chosen_under_every_start_method() {
    let supervisor = supervisor();
    for method in StartMethod::ALL {
        let ask = |process: Process<(), BTreeMap<String, String>>| {
            result_of(&supervisor.start(process.start_method(method)).unwrap())
        };
        let own = environment();
        let changed = ask(Process::new(environment).env("PROCLAB_IT_A", "1").env_remove("PATH"));
        assert_eq!(changed["PROCLAB_IT_A"], "1", "{method}");
        assert!(own.contains_key("PATH") && !changed.contains_key("PATH"), "{method}");
        assert_eq!(changed.len(), own.len(), "{method}");
        let only =
            ask(Process::new(environment).env("GONE", "x").env_clear().envs([("B", "2"), ("C", "火")]));
        let chosen = [("B", "2"), ("C", "火")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(only, BTreeMap::from(chosen), "{method}");
        assert_eq!(ask(Process::new(environment)), own, "{method}: the next child has the parent's again");
    }
    assert!(!environment().contains_key("PROCLAB_IT_A"), "the parent's own is as it was");
}

fn directory() -> String {
    std::env::current_dir().unwrap().display().to_string()
}

fn a_child_works_in_the_directory_that_was_chosen() {
    let supervisor = supervisor();
    for method in StartMethod::ALL {
        let child = Process::new(directory).current_dir("/usr").start_method(method);
        assert_eq!(result_of(&supervisor.start(child).unwrap()), "/usr", "{method}");
    }
}

fn a_setting_that_is_refused_is_an_error_of_the_start() {
    let supervisor = supervisor();
    for method in StartMethod::ALL {
        let process = || Process::new(directory).name("fussy").start_method(method);
        let refused = [
            (process().current_dir("/no/such/folder"), "current_dir(\"/no/such/folder\")"),
            (process().rlimit(Resource::Nofile, 20, 10), "rlimit(Nofile, 20, 10)"),
            (process().env("A=B", "c"), "env(\"A=B\")"),
            (process().process_group(1), "process_group(1)"),
            (process().fd(2, File::open("/dev/null").unwrap()), "fd(2)"),
        ];
        for (process, what) in refused {
            match supervisor.start(process) {
                Err(StartError::Setting { name, setting, .. }) => {
                    assert_eq!((name.as_str(), setting.as_str()), ("fussy", what), "{method}");
                }
                other => panic!("{method}: {what}: {other:?}"),
            }
        }
        assert!(supervisor.active_children().is_empty(), "{method}");
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what a child writes is what this is about")]
fn talk(times: u32) {
    for time in 0..times {
        println!("out {time}");
        eprintln!("err {time}");
    }
}

#[expect(clippy::print_stdout, reason = "what a child writes is what this is about")]
fn echo() -> u64 {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    print!("{text}{text}");
    text.len() as u64
}

fn streams_go_to_files_to_nothing_and_through_pipes() {
    let supervisor = supervisor();
    let path = std::env::temp_dir().join(format!("proclab-it-streams-{}", own_pid()));
    for method in StartMethod::ALL {
        let log = File::create(&path).unwrap();
        let talker = Process::new(talk).args(2).stdout(log).stderr(Stdio::null()).start_method(method);
        assert_eq!(end_of(&supervisor.start(talker).unwrap()), Exit::Code(0), "{method}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "out 0\nout 1\n", "{method}");
        let input = File::open(&path).unwrap();
        let echoer = Process::new(echo).stdin(input).stdout(Stdio::piped()).start_method(method);
        let echoer = supervisor.start(echoer).unwrap();
        let mut text = String::new();
        echoer.take_stdout().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((result_of(&echoer), text.as_str()), (12, "out 0\nout 1\nout 0\nout 1\n"), "{method}");
        assert!(echoer.take_stdout().is_none() && echoer.take_stdin().is_none(), "{method}");
    }
    std::fs::remove_file(&path).unwrap();
}

fn lines_come_with_the_name_of_their_child() {
    let supervisor = supervisor();
    for method in StartMethod::ALL {
        let talker = Process::new(talk).args(500).name("talker").start_method(method);
        let child = supervisor.start(talker.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
        let lines: Vec<_> = child.lines().map(|line| line.unwrap()).collect();
        assert_eq!(lines.len(), 1000, "{method}");
        let of = |stream| lines.iter().filter(move |line| line.stream == stream);
        for (at, line) in of(Stream::Stdout).enumerate() {
            assert_eq!(line.to_string(), format!("talker: out {at}"));
        }
        assert_eq!(of(Stream::Stderr).count(), 500);
        assert_eq!(end_of(&child), Exit::Code(0));
    }
}

fn a_child_that_is_forked_later_does_not_keep_an_elder_ones_input_open() {
    let supervisor = supervisor();
    let elder = Process::new(echo).stdin(Stdio::piped()).stdout(Stdio::null());
    let elder = supervisor.start(elder.start_method(StartMethod::Fork)).unwrap();
    let mut input = elder.take_stdin().unwrap();
    let younger = supervisor.start(crate::common::sleeper(StartMethod::Fork)).unwrap();
    input.write_all(b"abc").unwrap();
    drop(input);
    assert_eq!(result_of(&elder), 3);
    younger.kill().unwrap();
    end_of(&younger);
}

fn place() -> (String, String, String) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let cpus = status.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let nice = stat.rsplit_once(") ").unwrap().1.split(' ').nth(16).unwrap().to_owned();
    (cpus, files, nice)
}

fn limits_nice_value_and_processors_are_in_force() {
    let supervisor = supervisor();
    let cpu = *proclab::sys::task::allowed_cpus().unwrap().last().unwrap();
    for method in StartMethod::ALL {
        let child = Process::new(place).start_method(method);
        let child = child.rlimit(Resource::Nofile, 77, 99).nice(3).cpu_affinity([cpu]);
        let (cpus, files, nice) = result_of(&supervisor.start(child).unwrap());
        assert_eq!(cpus, format!("Cpus_allowed_list:\t{cpu}"), "{method}");
        let words: Vec<&str> = files.split_whitespace().collect();
        assert_eq!(words[3..5], ["77", "99"], "{method}");
        assert_eq!(nice, place().2.parse::<i32>().map(|own| own + 3).unwrap().to_string(), "{method}");
    }
}

fn spin() {
    let mut n = 1_u64;
    loop {
        n = std::hint::black_box(n.wrapping_mul(3));
    }
}

fn a_limit_that_is_exceeded_ends_the_child_and_not_its_parent() {
    let supervisor = supervisor();
    let child = supervisor.start(Process::new(spin).rlimit(Resource::Cpu, 1, 2)).unwrap();
    assert_eq!(end_of(&child).python(), Some(-24), "SIGXCPU");
}

fn ids() -> (i32, i32, i32) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (own_pid().as_raw(), fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

fn a_child_can_lead_a_session_or_join_a_group() {
    let supervisor = supervisor();
    let (_, own_group, own_session) = ids();
    for method in StartMethod::ALL {
        let ask =
            |process: Process<(), _>| result_of(&supervisor.start(process.start_method(method)).unwrap());
        let (pid, group, session) = ask(Process::new(ids));
        assert_eq!((group, session), (pid, own_session), "{method}");
        let (pid, group, session) = ask(Process::new(ids).setsid(true));
        assert_eq!((group, session), (pid, pid), "{method}");
        let (_, group, session) = ask(Process::new(ids).process_group(own_group));
        assert_eq!((group, session), (own_group, own_session), "{method}");
    }
}

/// What a program that this child executes reads from this descriptor.
fn read_number(number: i32) -> String {
    let output = std::process::Command::new("cat").arg(format!("/proc/self/fd/{number}")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn a_descriptor_is_passed_under_its_number() {
    let supervisor = supervisor();
    for method in [StartMethod::Spawn, StartMethod::ForkServer] {
        for number in [3, 4, 9, 200] {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(format!("through {number}").as_bytes()).unwrap();
            drop(writer);
            let child = Process::new(read_number).args(number).fd(number, reader).start_method(method);
            assert_eq!(result_of(&supervisor.start(child).unwrap()), format!("through {number}"), "{method}");
        }
    }
    // A fork has what its parent has: a number that is in use there is refused.
    let used = File::open("/dev/null").unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&used);
    let copy: OwnedFd = used.as_fd().try_clone_to_owned().unwrap();
    let child = Process::new(read_number).args(number).fd(number, copy).start_method(StartMethod::Fork);
    assert!(matches!(supervisor.start(child), Err(StartError::Setting { .. })));
}

fn a_process_can_be_started_again_and_again() {
    let supervisor = supervisor();
    for method in StartMethod::ALL {
        let process = Process::new(read_variable).args("A".to_owned()).env("A", "again").start_method(method);
        for _ in 0..2 {
            assert_eq!(result_of(&supervisor.start(process.clone()).unwrap()), "again");
        }
    }
}

fn read_variable(name: String) -> String {
    std::env::var(name).unwrap()
}
