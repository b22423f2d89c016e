//! `/proc/locks`: the file locks that processes hold or wait for.

use crate::sys::pid::Pid;
use std::os::unix::fs::MetadataExt;

/// One line of `/proc/locks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The lock's number; a waiter has the number of the lock that it waits for.
    pub number: u64,
    /// Whether the process waits for it (`->`) instead of holding it.
    pub waiting: bool,
    /// `FLOCK`, `POSIX`, `OFDLCK`, or `LEASE`.
    pub kind: String,
    /// The process; `None` for an open file description lock, which has none.
    pub pid: Option<Pid>,
    /// The file: major and minor device number, and inode.
    pub file: (u32, u32, u64),
    /// Whether it is exclusive (`WRITE`).
    pub exclusive: bool,
    /// The first and the last byte; `u64::MAX` stands for the end of the file, wherever that is.
    pub range: (u64, u64),
}

/// All locks on the machine, at most 65,536.
pub fn all() -> Vec<Lock> {
    let text = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    text.lines().take(65_536).filter_map(parse).collect()
}

/// Parses a line such as `1: -> FLOCK  ADVISORY  WRITE 4242 08:01:1234 0 EOF`.
fn parse(line: &str) -> Option<Lock> {
    let mut words = line.split_ascii_whitespace().peekable();
    let number = words.next()?.strip_suffix(':')?.parse().ok()?;
    let waiting = words.next_if_eq(&"->").is_some();
    let kind = words.next()?.to_owned();
    let exclusive = words.nth(1)? == "WRITE";
    let pid = words.next()?.parse().ok().filter(|pid| *pid > Pid::UNKNOWN);
    let mut file = words.next()?.split(':');
    let major = u32::from_str_radix(file.next()?, 16).ok()?;
    let minor = u32::from_str_radix(file.next()?, 16).ok()?;
    let file = (major, minor, file.next()?.parse().ok()?);
    let range = (words.next()?.parse().ok()?, words.next()?.parse().unwrap_or(u64::MAX));
    Some(Lock { number, waiting, kind, pid, file, exclusive, range })
}

/// The file of descriptor `fd` of `pid`, in the form of [`Lock::file`].
pub fn file_of(pid: Pid, fd: u64) -> Option<(u32, u32, u64)> {
    let meta = std::fs::metadata(format!("/proc/{pid}/fd/{fd}")).ok()?;
    let (major, minor) = (nix::libc::major(meta.dev()), nix::libc::minor(meta.dev()));
    Some((major, minor, meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_and_its_waiter_share_a_number() {
        let held = parse("3: FLOCK  ADVISORY  WRITE 4240 fe:01:99 0 EOF").unwrap();
        let waits = parse("3: -> FLOCK  ADVISORY  WRITE 4241 fe:01:99 0 EOF").unwrap();
        assert_eq!((held.number, held.waiting, held.pid), (3, false, Some(Pid::from_raw(4240))));
        assert_eq!((waits.number, waits.waiting, waits.pid), (3, true, Some(Pid::from_raw(4241))));
        assert_eq!(held.file, (0xfe, 1, 99));
        assert_eq!(parse("1: OFDLCK ADVISORY  READ -1 00:06:1024 0 EOF").unwrap().pid, None);
    }
}
