//! `/proc/PID/stat` and `schedstat`: state letter, parent, exit status, and time spent running and ready.

use super::task::threads;
use super::text::printable;
use crate::sys::pid::Pid;
use crate::sys::signal::process_exists;
use crate::sys::wait::How;

/// The contents of `/proc/PID/stat` or `/proc/PID/task/TID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The ID of the process, or of the thread.
    pub pid: Pid,
    /// The name, at most 15 bytes (64 for kernel workers).
    pub name: String,
    /// The kernel's state letter: `R S D T t Z X I`.
    pub letter: char,
    /// The parent.
    pub ppid: Pid,
    /// Whether it is exiting (`PF_EXITING`).
    pub exiting: bool,
    /// The process group.
    pub pgid: Pid,
    /// The session.
    pub session: Pid,
    /// The number of threads in the process.
    pub n_threads: u32,
    /// The start time in clock ticks since boot, which with the PID identifies the process.
    pub start_ticks: u64,
    /// Processor time in user and kernel mode, in clock ticks.
    pub cpu_ticks: u64,
    /// The processor on which it last ran.
    pub cpu: Option<u32>,
    /// The wait status of a zombie; 0 while it is alive, or if the kernel hides it from this user.
    pub exit_code: i32,
}

impl Stat {
    /// Whether the process is neither a zombie nor dead. The letter is that of its first thread, which may have
    /// ended before the others.
    pub fn lives(&self) -> bool {
        !matches!(self.letter, 'Z' | 'X') || self.n_threads > 1
    }
}

/// `PF_EXITING` of `linux/sched.h`.
const PF_EXITING: u32 = 0x4;

/// Reads the stat of a process.
pub fn of_process(pid: Pid) -> Option<Stat> {
    parse(super::short_bytes(format!("/proc/{pid}/stat")).ok()?.as_slice())
}

/// Whether the main thread of a process exists, is not a zombie, and is not exiting.
pub fn is_alive(pid: Pid) -> bool {
    of_process(pid).is_some_and(|stat| !matches!(stat.letter, 'Z' | 'X') && !stat.exiting)
}

/// Whether a process has ended, reaped or not. A main thread that has ended before the others is a zombie too, and its
/// process lives on.
pub fn has_ended(pid: Pid) -> bool {
    match of_process(pid) {
        Some(stat) => matches!(stat.letter, 'Z' | 'X') && stat.n_threads <= 1,
        // Where `/proc` hides it, it may be alive.
        None => !process_exists(pid),
    }
}

/// Reads the stat of a thread.
pub fn of_thread(pid: Pid, tid: Pid) -> Option<Stat> {
    parse(super::short_bytes(format!("/proc/{pid}/task/{tid}/stat")).ok()?.as_slice())
}

fn parse(bytes: &[u8]) -> Option<Stat> {
    // The name may contain spaces, parentheses, and newlines. It ends at the last `)`.
    let open = bytes.iter().position(|&byte| byte == b'(')?;
    let close = bytes.iter().rposition(|&byte| byte == b')')?;
    let name = printable(bytes.get(open + 1..close)?);
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // `proc(5)` counts fields from 1, and the letter is field 3.
    let field = |number: usize| fields.get(number - 3).copied();
    let pid = std::str::from_utf8(bytes.get(..open)?).ok()?.trim().parse().ok()?;
    Some(Stat {
        pid,
        name,
        letter: field(3)?.chars().next()?,
        ppid: field(4)?.parse().ok()?,
        exiting: field(9)?.parse::<u32>().ok()? & PF_EXITING != 0,
        pgid: field(5)?.parse().ok()?,
        session: field(6)?.parse().ok()?,
        n_threads: field(20)?.parse().unwrap_or(1),
        start_ticks: field(22)?.parse().ok()?,
        cpu_ticks: field(14)?.parse::<u64>().ok()? + field(15)?.parse::<u64>().ok()?,
        cpu: field(39).and_then(|cpu| cpu.parse().ok()),
        exit_code: field(52).and_then(|code| code.parse().ok()).unwrap_or(0),
    })
}

/// How a zombie ended; `None` while the process is alive, when it is gone, or when it belongs to another user, to whom
/// the kernel shows 0 instead of the status.
pub fn status_of_zombie(pid: Pid) -> Option<How> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let user = nix::unistd::geteuid();
    let stat = of_process(pid).filter(|stat| stat.letter == 'Z')?;
    // The directory of a zombie belongs to root once its memory is gone, so a 0 is reliable for root only.
    let certain = user.is_root() || owner == user.as_raw() || stat.exit_code != 0;
    certain.then(|| How::from_status(stat.exit_code))
}

/// The contents of `/proc/PID/task/TID/schedstat`, cumulative since the thread started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedStat {
    /// Nanoseconds running on a CPU; updated when the thread is switched out and at every tick.
    pub running_ns: u64,
    /// Nanoseconds waiting for a CPU; updated when the thread is switched in.
    pub ready_ns: u64,
    /// The number of times it was switched in.
    pub turns: u64,
}

/// Reads the schedstat of a thread; `None` when it is gone or the kernel does not keep it.
pub fn schedstat(pid: Pid, tid: Pid) -> Option<SchedStat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok());
    Some(SchedStat { running_ns: numbers.next()??, ready_ns: numbers.next()??, turns: numbers.next()?? })
}

/// How often the threads of `pid` were switched in, in total; `None` if the kernel does not count it.
pub fn turns(pid: Pid) -> Option<u64> {
    threads(pid).into_iter().map(|tid| schedstat(pid, tid).map(|sums| sums.turns)).sum()
}

/// The command line, with its arguments joined by spaces and truncated to `most` bytes; empty for a zombie.
pub fn command_line(pid: Pid, most: usize) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(most as u64).read_to_end(&mut bytes).ok()?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    for byte in &mut bytes {
        // Separate arguments by spaces; `printable` replaces other control characters.
        if matches!(*byte, 0 | b'\n' | b'\t') {
            *byte = b' ';
        }
    }
    Some(printable(&bytes))
}

/// The executable of a process; `None` when it is gone or this process may not inspect it (see `ptrace(2)`).
pub fn program(pid: Pid) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Converts clock ticks, as `/proc` counts them, to nanoseconds.
pub fn ticks_to_ns(ticks: u64) -> u64 {
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks * (1_000_000_000 / u64::try_from(per_second).unwrap_or(100).max(1))
}

/// A start time in clock ticks since boot as nanoseconds of `CLOCK_MONOTONIC`, rounded down to a tick.
pub fn started_ns(start_ticks: u64) -> u64 {
    use crate::sys::clock::{monotonic_ns, since_boot_ns};
    // The kernel counts it on the clock that goes on while the machine is suspended.
    let suspended_ns = since_boot_ns().saturating_sub(monotonic_ns());
    ticks_to_ns(start_ticks).saturating_sub(suspended_ns)
}

/// The time that the hypervisor has stolen from all CPUs since boot, in nanoseconds (`steal` in `/proc/stat`).
pub fn stolen_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: u64 = text.lines().next()?.split_ascii_whitespace().nth(8)?.parse().ok()?;
    Some(ticks_to_ns(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let mut line = b"4242 (a) R (b) Z 4200 1 2 0 -1 0 0 0 0 0 50 60 0 0 20 0 3 0 777".to_vec();
        line.extend(" 0".repeat(16).bytes());
        line.extend(b" 1");
        line.extend(" 0".repeat(12).bytes());
        line.extend(b" 256\n");
        let stat = parse(&line).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.letter), (Pid::from_raw(4242), "a) R (b", 'Z'));
        assert_eq!(stat.ppid, Pid::from_raw(4200));
        assert_eq!((stat.n_threads, stat.start_ticks, stat.exit_code), (3, 777, 256));
        assert_eq!((stat.cpu_ticks, stat.cpu), (50 + 60, Some(1)));
    }

    #[test]
    fn a_truncated_line_is_rejected() {
        assert_eq!(parse(b"7 (x) S 1"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn this_process_is_running_or_asleep_and_has_been_on_a_cpu() {
        let pid = Pid::this();
        assert!("RS".contains(of_process(pid).unwrap().letter));
        assert!(schedstat(pid, pid).is_none_or(|stat| stat.turns > 0));
    }
}
