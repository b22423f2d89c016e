//! `/proc/PID/stat` and `schedstat`: state letter, parent, exit status, and time on and in line for the CPU.

use super::task::threads;
use super::text::printable;
use crate::sys::pid::Pid;
use crate::sys::wait::How;

/// What `/proc/PID/stat` (or `/proc/PID/task/TID/stat`) tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The ID of the process, or of the thread.
    pub pid: Pid,
    /// The name, at most 15 bytes (64 for kernel workers).
    pub name: String,
    /// The kernel's letter: `R S D T t Z X I`.
    pub letter: char,
    /// The parent.
    pub ppid: Pid,
    /// The kernel has begun to end it (`PF_EXITING`).
    pub exiting: bool,
    /// The process group.
    pub pgid: Pid,
    /// The session.
    pub session: Pid,
    /// The number of threads in the process.
    pub n_threads: u32,
    /// When it started, in clock ticks since boot: with the PID, the process's identity.
    pub start_ticks: u64,
    /// Processor time in user and kernel mode, in clock ticks.
    pub cpu_ticks: u64,
    /// The processor that it ran on last.
    pub cpu: Option<u32>,
    /// The wait status of a zombie; 0 while it lives, or where this user may not know.
    pub exit_code: i32,
}

impl Stat {
    /// Whether the process is neither a zombie nor dead. The letter is its first thread's, which may have
    /// ended before the others.
    pub fn lives(&self) -> bool {
        !matches!(self.letter, 'Z' | 'X') || self.n_threads > 1
    }
}

/// `PF_EXITING` of `linux/sched.h`.
const PF_EXITING: u32 = 0x4;

/// Reads a process's (or main thread's) stat.
pub fn of_process(pid: Pid) -> Option<Stat> {
    parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether a process's main thread is there and neither a zombie nor on its way out.
pub fn is_alive(pid: Pid) -> bool {
    of_process(pid).is_some_and(|stat| !matches!(stat.letter, 'Z' | 'X') && !stat.exiting)
}

/// Reads one thread's stat.
pub fn of_thread(pid: Pid, tid: Pid) -> Option<Stat> {
    parse(&std::fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?)
}

fn parse(bytes: &[u8]) -> Option<Stat> {
    // The name may hold spaces, parentheses, and newlines: it ends at the last `)`.
    let open = bytes.iter().position(|&byte| byte == b'(')?;
    let close = bytes.iter().rposition(|&byte| byte == b')')?;
    let name = printable(bytes.get(open + 1..close)?);
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // `proc(5)` counts from 1 and the letter is field 3.
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

/// How a zombie ended; `None` while it lives, when it is gone, or when it belongs to another user: the kernel then
/// shows 0 in the place of the status.
pub fn status_of_zombie(pid: Pid) -> Option<How> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let user = nix::unistd::geteuid();
    let stat = of_process(pid).filter(|stat| stat.letter == 'Z')?;
    // A zombie's folder belongs to root once its memory is gone, so 0 is reliable for root only.
    let certain = user.is_root() || owner == user.as_raw() || stat.exit_code != 0;
    certain.then(|| How::from_status(stat.exit_code))
}

/// `/proc/PID/task/TID/schedstat`, cumulative since the thread began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchedStat {
    /// Nanoseconds on a CPU; brought up to date when the thread leaves it and at every tick.
    pub running_ns: u64,
    /// Nanoseconds in line for a CPU; brought up to date when the thread gets it.
    pub ready_ns: u64,
    /// Times it got a CPU.
    pub turns: u64,
}

/// Reads a thread's schedstat; `None` as well where the kernel has none.
pub fn schedstat(pid: Pid, tid: Pid) -> Option<SchedStat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok());
    Some(SchedStat { running_ns: numbers.next()??, ready_ns: numbers.next()??, turns: numbers.next()?? })
}

/// How often the threads of `pid` got a processor, all together; `None` where the kernel keeps no account.
pub fn turns(pid: Pid) -> Option<u64> {
    threads(pid).into_iter().map(|tid| schedstat(pid, tid).map(|sums| sums.turns)).sum()
}

/// The command line with its arguments joined by spaces, cut at `most` bytes; empty for a zombie.
pub fn command_line(pid: Pid, most: usize) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(most as u64).read_to_end(&mut bytes).ok()?;
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    for byte in &mut bytes {
        // Blanks between arguments; other control characters are shown as such below.
        if matches!(*byte, 0 | b'\n' | b'\t') {
            *byte = b' ';
        }
    }
    Some(printable(&bytes))
}

/// The file that a process runs; `None` when it is gone or may not be asked (the check of `ptrace(2)`).
pub fn program(pid: Pid) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Clock ticks, as `/proc` counts them, in nanoseconds.
pub fn ticks_to_ns(ticks: u64) -> u64 {
    let a_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks * (1_000_000_000 / u64::try_from(a_second).unwrap_or(100).max(1))
}

/// Time that the hypervisor has taken away from all CPUs since boot, nanoseconds (`steal` of `/proc/stat`).
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
    fn a_line_that_is_cut_is_no_process() {
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
