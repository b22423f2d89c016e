//! System calls that a sandbox refuses: each command ends, either with its work done or with one clear line.
#![expect(unsafe_code, reason = "a seccomp filter is installed between fork and exec")]

use crate::common::{PATIENCE, ends, hold, id_of, trials};
use crate::program::{Lab, finish};
use libtest_mimic::Trial;
use nix::libc;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) fn tests() -> Vec<Trial> {
    trials!["refused":
        a_refused_system_call_is_replaced_or_reported_in_one_line,
        children_end_even_if_no_signal_may_be_sent,
        a_folder_that_cannot_be_listed_is_removed,
        what_cannot_be_done_without_a_call_ends_at_once,
    ]
}

/// The calls that this program makes, except those that every Rust program needs before `main`.
const CALLS: [(&str, libc::c_long); 41] = [
    ("pidfd_open", libc::SYS_pidfd_open),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    ("kill", libc::SYS_kill),
    ("waitid", libc::SYS_waitid),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("close_range", libc::SYS_close_range),
    ("dup3", libc::SYS_dup3),
    ("eventfd2", libc::SYS_eventfd2),
    ("epoll_create1", libc::SYS_epoll_create1),
    ("epoll_ctl", libc::SYS_epoll_ctl),
    ("ppoll", libc::SYS_ppoll),
    ("memfd_create", libc::SYS_memfd_create),
    ("ftruncate", libc::SYS_ftruncate),
    ("fallocate", libc::SYS_fallocate),
    ("flock", libc::SYS_flock),
    ("fcntl", libc::SYS_fcntl),
    ("setpgid", libc::SYS_setpgid),
    ("setsid", libc::SYS_setsid),
    ("prctl", libc::SYS_prctl),
    ("membarrier", libc::SYS_membarrier),
    ("kcmp", libc::SYS_kcmp),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("ptrace", libc::SYS_ptrace),
    ("signalfd4", libc::SYS_signalfd4),
    ("socketpair", libc::SYS_socketpair),
    ("socket", libc::SYS_socket),
    ("bind", libc::SYS_bind),
    ("accept4", libc::SYS_accept4),
    ("sendmsg", libc::SYS_sendmsg),
    ("recvmsg", libc::SYS_recvmsg),
    ("sched_setaffinity", libc::SYS_sched_setaffinity),
    ("getdents64", libc::SYS_getdents64),
    ("mkdirat", libc::SYS_mkdirat),
    ("unlinkat", libc::SYS_unlinkat),
    ("fstatfs", libc::SYS_fstatfs),
    ("pipe2", libc::SYS_pipe2),
    ("prlimit64", libc::SYS_prlimit64),
    ("futex", libc::SYS_futex),
    ("shutdown", libc::SYS_shutdown),
    ("ioctl", libc::SYS_ioctl),
];

const COMMANDS: [&str; 9] = [
    "run tickets --think 0 --buyers 2",
    "explore tickets --buyers 2 --lock none",
    "watch -- true",
    "net udp demo",
    "trials tickets -n 2 --think 0",
    "run life states",
    "net file demo",
    "explore --budget 3 -- sh -c :",
    "run pipeline",
];

/// Long for such a command, and short beside a wait for what will never come.
const MOMENT: Duration = Duration::from_secs(15);

/// Makes `calls` fail with `errno` in the program that `command` starts.
fn refuse(command: &mut Command, calls: &[libc::c_long], errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let (load, ret) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_RET | libc::BPF_K);
    // The number of the call is the first word of `struct seccomp_data`.
    let mut filter = vec![statement(load, 0)];
    for call in calls {
        let mut jump = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *call as u32);
        jump.jf = 1;
        filter.extend([jump, statement(ret, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned())]);
    }
    filter.push(statement(ret, libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: the program outlives the calls, which read it.
        let installed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if installed { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: the closure makes two system calls and does not allocate.
    unsafe { command.pre_exec(install) };
}

/// Whether to try all combinations, which takes many minutes, instead of one command per call.
fn is_whole() -> bool {
    std::env::var_os("PROCLAB_TEST_WHOLE_MATRIX").is_some()
}

fn a_refused_system_call_is_replaced_or_reported_in_one_line() {
    let lab = Lab::new();
    let mut next = 0;
    for (name, call) in CALLS {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let count = if is_whole() { COMMANDS.len() } else { 1 };
            for command in (next..next + count).map(|at| COMMANDS[at % COMMANDS.len()]) {
                try_it(&lab, name, &[call], errno, command);
            }
            next += 1;
        }
    }
}

fn children_end_even_if_no_signal_may_be_sent() {
    let lab = Lab::new();
    for command in [
        "run life states",
        "trials tickets -n 2 --think 0",
        "explore tickets --buyers 2 --lock none",
        "net udp demo",
    ] {
        for errno in [libc::EPERM, libc::ENOSYS] {
            try_it(&lab, "pidfd_send_signal", &[libc::SYS_pidfd_send_signal], errno, command);
            let both = [libc::SYS_pidfd_send_signal, libc::SYS_kill];
            try_it(&lab, "pidfd_send_signal and kill", &both, errno, command);
        }
    }
}

fn a_folder_that_cannot_be_listed_is_removed() {
    let lab = Lab::new();
    for errno in [libc::EPERM, libc::ENOSYS] {
        try_it(&lab, "getdents64", &[libc::SYS_getdents64], errno, "run tickets --think 0");
    }
}

fn what_cannot_be_done_without_a_call_ends_at_once() {
    let lab = Lab::new();
    for errno in [libc::EPERM, libc::ENOSYS] {
        for (name, call, command) in [
            ("futex", libc::SYS_futex, "net upper demo"),
            ("shutdown", libc::SYS_shutdown, "net file demo"),
            ("ioctl", libc::SYS_ioctl, "watch -- true"),
            ("ioctl", libc::SYS_ioctl, "net udp demo"),
        ] {
            let begin = Instant::now();
            try_it(&lab, name, &[call], errno, command);
            assert!(begin.elapsed() < MOMENT, "{command}, {name}: {:?}", begin.elapsed());
        }
    }
}

fn try_it(lab: &Lab, name: &str, calls: &[libc::c_long], errno: i32, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let mut program = lab.command(&words);
    refuse(&mut program, calls, errno);
    let program = program.spawn().unwrap();
    let case = format!("{command}, {name} refused with {errno}");
    assert!(ends(hold(id_of(&program))), "{case}: does not end in {PATIENCE:?}");
    let output = finish(program);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{case}: {said}");
    match output.status.code() {
        // The work was done.
        Some(0 | 3) => {}
        Some(1) => {
            let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
            assert!(errors == 1 && said.contains("\nhint: "), "{case}: {said}");
        }
        _ => panic!("{case}: {:?}: {said}", output.status),
    }
    lab.assert_nothing_is_left_of(&case);
}
