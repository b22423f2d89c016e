//! Commands that are started with signals ignored or blocked, for example by `nohup`, a shell's `trap ''`, or a
//! container's init process.
#![expect(unsafe_code, reason = "signals are ignored and blocked between fork and exec")]

use crate::common::{ends, hold, id_of, kill, trials, until};
use crate::program::{Lab, finish, text};
use libtest_mimic::Trial;
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

pub(crate) fn tests() -> Vec<Trial> {
    trials!["started":
        a_command_ends_on_request_even_if_signals_were_ignored_or_blocked,
        a_command_run_for_the_user_gets_the_inherited_signals_and_limits,
    ]
}

const IGNORED: [Signal; 8] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGCHLD,
    Signal::SIGQUIT,
    Signal::SIGPIPE,
    Signal::SIGXFSZ,
    Signal::SIGUSR1,
];

/// Makes the program start with these signals ignored or blocked.
fn begin_with(command: &mut Command, ignored: &'static [Signal], blocked: SigSet) {
    let set = move || {
        for one in ignored {
            // SAFETY: no handler is installed.
            unsafe { signal(*one, SigHandler::SigIgn)? };
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None)?;
        Ok(())
    };
    // SAFETY: the closure only makes system calls.
    unsafe { command.pre_exec(set) };
}

fn a_command_ends_on_request_even_if_signals_were_ignored_or_blocked() {
    const TERM: u64 = 1 << (libc::SIGTERM - 1);
    let lab = Lab::new();
    for command in [
        "run tickets --think 60000",
        "run life states",
        "trials tickets -n 1000000 --think 0",
        "explore tickets --buyers 5 --lock none",
        "explore --budget 600s -- sh -c :&:&:&:&wait",
        "watch -- sleep 600",
        "net echo serve --bind 127.0.0.1:0",
        "net echo serve --workers process --bind 127.0.0.1:0",
        "net chat serve --bind 127.0.0.1:0",
        "net udp serve --bind 127.0.0.1:0",
        "net echo demo",
    ] {
        for (ignored, blocked) in
            [(&IGNORED[..], SigSet::empty()), (&[], SigSet::all()), (&IGNORED, SigSet::all())]
        {
            let words: Vec<&str> = command.split(' ').collect();
            let mut program = lab.command(&words);
            begin_with(&mut program, ignored, blocked);
            let program = program.spawn().unwrap();
            let pid = id_of(&program);
            until("it takes requests to end", || {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                let mask = |key: &str| {
                    let line = status
                        .lines()
                        .find_map(|line| line.strip_prefix(key))
                        .unwrap_or("\tffffffffffffffff");
                    u64::from_str_radix(line.trim(), 16).unwrap()
                };
                mask("SigIgn:") & TERM == 0 && (mask("SigBlk:") & TERM == 0 || command.starts_with("watch"))
            });
            kill(pid, Signal::SIGTERM);
            assert!(ends(hold(pid)), "{command}, {} ignored, {blocked:?} blocked", ignored.len());
            let output = finish(program);
            assert!(!text(&output.stderr).contains("panicked"), "{command}: {}", text(&output.stderr));
            lab.assert_nothing_is_left();
        }
    }
}

fn a_command_run_for_the_user_gets_the_inherited_signals_and_limits() {
    let lab = Lab::new();
    let say = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -Ss; ulimit -Sn";
    let blocked: SigSet = [Signal::SIGUSR2, Signal::SIGTERM, Signal::SIGALRM].into_iter().collect();
    for ignored in [&[][..], &IGNORED] {
        let limited = |command: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -s 4096; ulimit -n 100; exec {command} sh -c \"$SAY\"")]);
            shell
                .envs(lab.command(&[]).get_envs().filter_map(|(key, value)| Some((key, value?))))
                .env("SAY", say);
            begin_with(&mut shell, ignored, blocked);
            shell.output().unwrap()
        };
        let alone = limited("");
        let watched = limited(&format!("{} watch --", crate::program::PROGRAM));
        let lines = text(&alone.stdout);
        assert_eq!(lines.lines().count(), 4, "{lines}");
        assert!(text(&watched.stdout).contains(lines), "{lines}\n{}", text(&watched.stdout));
    }
    lab.assert_nothing_is_left();
}
