//! `/proc/PID/task/TID/syscall` and `wchan`: where in the kernel a thread sleeps.

use super::descriptors::{Target, target};
use super::{memory, tree};
use crate::sys::pid::Pid;

/// A system call in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InCall {
    /// Its number on this architecture.
    pub number: i64,
    /// Its arguments.
    pub args: [u64; 6],
}

/// The system call in which a thread is blocked; `None` while it runs, when it is gone, or when this process may not
/// inspect it (see `ptrace(2)`).
pub fn current(pid: Pid, tid: Pid) -> Option<InCall> {
    parse(&super::short_text(format!("/proc/{pid}/task/{tid}/syscall")).ok()?)
}

/// Parses `running`, `-1 SP PC` outside any call, or `NUMBER ARG×6 SP PC`.
fn parse(text: &str) -> Option<InCall> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
    let mut args = [0; 6];
    for arg in &mut args {
        *arg = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    Some(InCall { number, args })
}

/// The kernel function in which a blocked thread sleeps, if the kernel shows it to this user.
pub fn wchan(pid: Pid, tid: Pid) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/wchan")).ok()?;
    (!name.is_empty() && name != "0").then_some(name)
}

/// What the threads of `pid` wait for that sleep until a descriptor is ready, without a timeout: the first one of each
/// `ppoll(2)`. Nothing if this process may not inspect it.
pub fn polled_without_timeout(pid: Pid) -> Vec<Target> {
    let polled = |tid| {
        let call = current(pid, tid)?;
        let [set, _, timeout, ..] = call.args;
        let is_unlimited = call.number == nix::libc::SYS_ppoll && timeout == 0;
        let first = is_unlimited.then(|| memory::read(pid, set)).flatten().map(u32::from_ne_bytes);
        target(pid, first?.into())
    };
    tree::threads(pid).into_iter().filter_map(polled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_parsed_with_its_arguments_and_a_running_thread_has_none() {
        let call = parse("61 0xffffffffffffffff 0x7f 0x0 0x0 0x0 0x0 0x7ffd 0x7f11\n").unwrap();
        assert_eq!((call.number, call.args[0], call.args[1]), (61, u64::MAX, 0x7f));
        assert_eq!(parse("running\n"), None);
        assert_eq!(parse("-1 0x7ffd 0x7f11\n"), None);
    }
}
