//! `/proc/PID/status` and `/proc/PID/timers`: pending signals, handlers, and timers.

use crate::sys::pid::Pid;

/// The signal sets of a process, as bit sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals {
    pending: u64,
    blocked: u64,
    caught: u64,
    ignored: u64,
}

impl Signals {
    /// The signal sets of process `pid`; `None` when it is gone or hidden.
    pub fn of(pid: Pid) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        Some(Self {
            pending: set("SigPnd:")? | set("ShdPnd:")?,
            blocked: set("SigBlk:")?,
            caught: set("SigCgt:")?,
            ignored: set("SigIgn:")?,
        })
    }

    /// The signals that are blocked.
    pub fn blocked(self) -> u64 {
        self.blocked
    }

    /// The signals that have a handler.
    pub fn caught(self) -> u64 {
        self.caught
    }

    /// Whether a signal is pending.
    pub fn any_pending(self) -> bool {
        self.pending != 0
    }

    /// Whether the process has a handler for `signal`.
    pub fn catches(self, signal: i32) -> bool {
        has(self.caught, signal)
    }

    /// Whether the process ignores `signal`.
    pub fn ignores(self, signal: i32) -> bool {
        has(self.ignored, signal)
    }
}

fn has(set: u64, signal: i32) -> bool {
    u32::try_from(signal - 1).is_ok_and(|bit| set.checked_shr(bit).unwrap_or(0) & 1 != 0)
}

/// The process that a thread belongs to. The PID of a process is the TID of its main thread.
pub fn process_of(tid: Pid) -> Option<Pid> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// Whether the TIDs that a process has for its threads are those of this `/proc`: it is in the same PID namespace.
pub fn has_the_same_tids(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    tids.is_some_and(|tids| tids.split_ascii_whitespace().count() == 1)
}

/// Whether a process has timers of `timer_create(2)`. False if the kernel does not report them (it needs
/// `CONFIG_CHECKPOINT_RESTORE`).
pub fn has_timers(pid: Pid) -> bool {
    std::fs::read(format!("/proc/{pid}/timers")).is_ok_and(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_numbered_from_one() {
        let status = "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000010000\nSigCgt:\t0000000000002002\n";
        let signals = Signals::parse(status).unwrap();
        assert!(signals.catches(2) && signals.catches(14) && !signals.catches(15));
        assert!(!signals.any_pending() && signals.ignores(17));
    }

    #[test]
    fn the_signals_of_this_process_can_be_read() {
        assert!(Signals::of(Pid::this()).is_some());
    }
}
