//! Which process it was, and whether it still lives.

use crate::sys::pid::Pid;
use crate::sys::procfs::stat::of_process;
use crate::sys::{pidfd, poll};
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A process, told apart from a later one that was given the same PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProcessId {
    pub(super) pid: Pid,
    /// When it began, in the kernel's ticks since boot (`proc_pid_stat(5)`, field 22); 0 if /proc does
    /// not tell, which then cannot tell it from a later one.
    pub(super) start: u64,
}

/// A process that may be waited for.
pub(super) enum Watched {
    Alive(OwnedFd),
    Dead,
    /// It cannot be held by a descriptor now, yet no one says that it died.
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
        // The number was taken again if the process that now has it began at another time. Asked after
        // the descriptor was opened, so that the answer concerns the process that it holds, or a later
        // one, in which case the held one is dead.
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
    fn this_process_lives() {
        assert!(matches!(ProcessId::own().watch(), Watched::Alive(_)));
    }

    #[test]
    fn a_later_process_with_the_same_number_is_another() {
        let own = ProcessId::own();
        assert!(ProcessId { start: own.start + 1, ..own }.is_dead());
    }
}
