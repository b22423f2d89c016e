//! Helpers that the topics share: bounded waits, and observation of other processes.

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal as Known;
use nix::unistd::alarm;
use proclab::sys::procfs::{stat::of_process, tree};
use proclab::sys::{pidfd, poll};
use proclab::{Child, Exit, Handle, Pid, Process, StartMethod, Supervisor};
use std::fmt::Display;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The limit for events that must happen. No test measures it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The maximum duration of one test on the slowest machine, in seconds.
const LIMIT: u32 = 600;

/// A test that cannot hang the run: after its limit `SIGALRM` ends the program, and the test's name is the last line
/// printed. An alarm needs no second thread, and `fork` does not pass it on.
pub(crate) fn bounded(
    name: impl Into<String>,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        alarm::set(LIMIT);
        let outcome = test();
        alarm::cancel();
        outcome
    })
}

/// A test whose name is a sentence.
pub(crate) fn trial(topic: &str, sentence: &str, test: fn()) -> Trial {
    bounded(format!("{topic}::{sentence}"), move || {
        test();
        Ok(())
    })
}

/// The trials of a topic: each is named after its function.
macro_rules! trials {
    ($topic:literal: $($test:ident),+ $(,)?) => {
        vec![$(crate::common::trial($topic, stringify!($test), $test)),+]
    };
}
pub(crate) use trials;

/// Polls until a condition holds that nothing announces.
pub(crate) fn until(what: impl Display, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn supervisor() -> Supervisor {
    Supervisor::new().unwrap().grace(Duration::from_secs(5))
}

/// The exit of the child, which must end.
pub(crate) fn end_of(child: &Handle) -> Exit {
    child.join_timeout(PATIENCE).unwrap().unwrap_or_else(|| panic!("{child:?} does not end"))
}

/// The result of the child, which must return one.
pub(crate) fn result_of<T>(child: &Child<T>) -> T
where
    T: serde::Serialize + for<'de> serde::Deserialize<'de> + Send + 'static,
{
    end_of(child);
    child.result().unwrap_or_else(|error| panic!("{error}"))
}

/// A body that sleeps until it is ended.
pub(crate) fn sleep() {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

pub(crate) fn sleeper(method: StartMethod) -> Process<(), ()> {
    // So that the sleeper does not outlive a failed test.
    Process::new(sleep).name("sleeper").start_method(method).die_with_parent(true)
}

/// Waits for the end of the process of the pidfd `held`, which is not our child.
pub(crate) fn ends(held: impl AsFd) -> bool {
    poll::readable(&[held.as_fd()], poll::Deadline::after(PATIENCE)).unwrap()[0]
}

/// Whether a process exists and is not a zombie.
pub(crate) fn lives(pid: Pid) -> bool {
    of_process(pid).is_some_and(|stat| !matches!(stat.letter, 'Z' | 'X'))
}

pub(crate) fn state_of(pid: Pid) -> char {
    of_process(pid).map_or('-', |stat| stat.letter)
}

pub(crate) fn kill(pid: Pid, signal: Known) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.as_raw()), signal).unwrap();
}

pub(crate) fn own_pid() -> Pid {
    Pid::this()
}

/// Our children with this name.
pub(crate) fn children_named(name: &str) -> Vec<Pid> {
    let all = tree::all().unwrap();
    all.iter().filter(|one| one.ppid == own_pid() && one.name == name).map(|one| one.pid).collect()
}

pub(crate) fn hold(pid: Pid) -> std::os::fd::OwnedFd {
    pidfd::open(pid).unwrap()
}

/// The PID of a child that the standard library started.
pub(crate) fn id_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Runs what panics on purpose in this process, without the report on standard error.
pub(crate) fn quietly<R>(work: impl FnOnce() -> R) -> R {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    std::panic::set_hook(print);
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
