//! The identity of a process, and whether it is alive.

use crate::sys::pid::Pid;
use crate::sys::procfs::stat::of_process;
use crate::sys::{pidfd, poll};
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The identity of a process, distinct from a later process with the same PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProcessId {
    pub(super) pid: Pid,
    /// Its start time in clock ticks since boot (`proc_pid_stat(5)`, field 22). 0 if `/proc` does not show it; it
    /// is then not distinguished from a later process with the same PID.
    pub(super) start: u64,
}

/// What the kernel says about a process.
pub(super) enum Watched {
    Alive(OwnedFd),
    Dead,
    /// No pidfd can be opened for it, but the kernel does not report that it is dead.
    Unknown,
}

impl ProcessId {
    pub(super) fn own() -> Self {
        let pid = Pid::this();
        ProcessId { pid, start: start_of(pid).unwrap_or(0) }
    }

    /// Asks the kernel. A stopped process is alive, a zombie is dead.
    pub(super) fn watch(self) -> Watched {
        let pidfd = match pidfd::open(self.pid) {
            Ok(pidfd) => pidfd,
            Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => return Watched::Dead,
            Err(_) => return Watched::Unknown,
        };
        // The PID was reused if the process that now has it started at another time. The start time is read
        // after the pidfd was opened, so it is that of the pidfd's process, or of a later one, in which case the
        // pidfd's process is dead.
        let another = start_of(self.pid).is_some_and(|start| self.start != 0 && start != self.start);
        if another || has_ended(&pidfd) { Watched::Dead } else { Watched::Alive(pidfd) }
    }

    pub(super) fn is_dead(self) -> bool {
        matches!(self.watch(), Watched::Dead)
    }
}

pub(super) fn has_ended(pidfd: &OwnedFd) -> bool {
    let now = poll::Deadline::after(Duration::ZERO);
    poll::readable(&[pidfd.as_fd()], now).is_ok_and(|ready| ready[0])
}

fn start_of(pid: Pid) -> Option<u64> {
    of_process(pid).map(|stat| stat.start_ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive() {
        assert!(matches!(ProcessId::own().watch(), Watched::Alive(_)));
    }

    #[test]
    fn a_later_process_with_the_same_pid_is_another_process() {
        let own = ProcessId::own();
        assert!(ProcessId { start: own.start + 1, ..own }.is_dead());
    }
}
