//! The kernel's notifications of every exit, with its status (the process connector, `linux/cn_proc.h`).
//!
//! A child that lives for half a millisecond may be reaped before a pidfd of it can be opened, but the notification
//! still has its status. Since Linux 6.6 any user may subscribe, and may subscribe to exits alone.
//!
//! # Safety
//! The one unsafe call is `socket(2)` with a protocol that `nix` does not name. Its descriptor is owned immediately.
#![expect(unsafe_code, reason = "a socket of the kernel's connector")]

use crate::sys::pid::Pid;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recv, send, setsockopt};

/// The exit of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadExit {
    /// Its process.
    pub pid: Pid,
    /// The thread.
    pub tid: Pid,
    /// Its wait status; for the main thread usually that of the process.
    pub status: i32,
    /// The CPU on which it exits.
    pub cpu: u32,
    /// `CLOCK_MONOTONIC` in nanoseconds. The thread has released its memory, and is about to leave the CPU for good.
    pub at_ns: u64,
}

/// A subscription to all exits on the machine.
#[derive(Debug)]
pub struct Exits(OwnedFd);

/// `CN_IDX_PROC` and `CN_VAL_PROC`: the connector's index and value for process events.
const PROCESSES: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
/// `PROC_EVENT_EXIT`.
const EXIT: u32 = 0x8000_0000;
/// The size of `struct nlmsghdr` and `struct cn_msg`, which precede the body.
const HEADERS: usize = 16 + 20;
/// The receive buffer in bytes. Notifications that do not fit are lost, and the statuses in them unknown.
const RECEIVE_BUFFER: usize = 1 << 20;
/// The inode numbers of the initial PID and user namespaces. In others the kernel silently sends no notifications.
const INITIAL_NAMESPACES: [(&str, u64); 2] =
    [("/proc/self/ns/pid", 0xEFFF_FFFC), ("/proc/self/ns/user", 0xEFFF_FFFD)];

impl Exits {
    /// Subscribes to the exits from now on.
    ///
    /// # Errors
    /// `EPERM` before Linux 6.6, except for root; `Unsupported` in a container.
    pub fn listen() -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        for (namespace, initial) in INITIAL_NAMESPACES {
            if std::fs::metadata(namespace)?.ino() != initial {
                return Err(io::ErrorKind::Unsupported.into());
            }
        }
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: the call takes no pointer.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
        Errno::result(fd)?;
        // SAFETY: the kernel just created this descriptor for this process; nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // The kernel caps the size at the system's limit.
        let _ = setsockopt(&fd, RcvBuf, &RECEIVE_BUFFER);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, PROCESSES))?;
        send(fd.as_raw_fd(), &subscription(), MsgFlags::empty())?;
        Ok(Self(fd))
    }

    /// Calls `each` for every pending notification, oldest first.
    pub fn drain(&self, mut each: impl FnMut(ThreadExit)) {
        const MOST: usize = 100_000;
        let mut message = [0; 256];
        for _ in 0..MOST {
            match recv(self.0.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Ok(length) => {
                    if let Some(exit) = message.get(..length).and_then(parse) {
                        each(exit);
                    }
                }
                // Some notifications were lost; the rest can be read.
                Err(Errno::ENOBUFS | Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// The subscription message: `nlmsghdr`, `cn_msg`, `proc_input`.
fn subscription() -> Vec<u8> {
    const DONE: u16 = 3;
    let body = [LISTEN, EXIT].map(u32::to_ne_bytes).concat();
    let length = u32::try_from(HEADERS + body.len()).unwrap_or(0);
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(DONE.to_ne_bytes());
    message.extend(0u16.to_ne_bytes());
    message.extend([0u8; 8]);
    message.extend([PROCESSES, PROCESSES, 0, 0].map(u32::to_ne_bytes).concat());
    message.extend((body.len() as u16).to_ne_bytes());
    message.extend(0u16.to_ne_bytes());
    message.extend(body);
    message
}

/// Parses `struct proc_event`: type, CPU, time, and for an exit the thread, process, and status.
fn parse(message: &[u8]) -> Option<ThreadExit> {
    let body = message.get(HEADERS..)?;
    let word = |at: usize| Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?));
    if word(0)? != EXIT {
        return None;
    }
    let at_ns = u64::from_ne_bytes(body.get(8..16)?.try_into().ok()?);
    let id = |at: usize| Some(Pid::from_raw(word(at)?.cast_signed()));
    Some(ThreadExit { tid: id(16)?, pid: id(20)?, status: word(24)?.cast_signed(), cpu: word(4)?, at_ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_parsed_and_a_truncated_one_is_ignored() {
        let mut message = vec![0; HEADERS];
        message.extend([EXIT, 1].map(u32::to_ne_bytes).concat());
        message.extend(99u64.to_ne_bytes());
        message.extend([8u32, 7, 0x700, 17].map(u32::to_ne_bytes).concat());
        assert_eq!(
            parse(&message),
            Some(ThreadExit {
                pid: Pid::from_raw(7),
                tid: Pid::from_raw(8),
                status: 0x700,
                cpu: 1,
                at_ns: 99
            })
        );
        assert_eq!(parse(&message[..HEADERS + 20]), None);
        assert_eq!(parse(&[]), None);
    }

    #[test]
    fn the_exit_of_a_child_is_reported_where_subscribing_is_allowed() {
        let Ok(exits) = Exits::listen() else { return };
        let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        child.wait().unwrap();
        let mut found = None;
        exits.drain(|exit| found = found.or((exit.pid == pid).then_some(exit)));
        assert_eq!(found.map(|exit| (exit.tid, exit.status)), Some((pid, 7 << 8)));
    }
}
