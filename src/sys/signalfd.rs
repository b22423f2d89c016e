//! Signals as data, with their origin (`signalfd(2)`).

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::signal::is_ignored;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that would end this process or are meant for the program that it runs.
const CAUGHT: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// Signals that end no process, stop or continue it, or cannot be caught.
const HARMLESS: [Signal; 10] = [
    Signal::SIGKILL,
    Signal::SIGSTOP,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGCONT,
    Signal::SIGCHLD,
    Signal::SIGWINCH,
    Signal::SIGURG,
    Signal::SIGPIPE,
];

/// A signal that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came {
    /// Its number.
    pub signal: i32,
    /// Whether the terminal sent it, which then also sent it to all other processes of the foreground group.
    pub from_terminal: bool,
}

/// Blocks signals while it is alive, and reads them.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
    /// When one was last read.
    read_at: Cell<Option<Instant>>,
}

impl Signals {
    /// Blocks SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, and SIGUSR2. SIGINT, SIGHUP and SIGQUIT stay as they are if they are ignored, because `nohup`, or a shell
    /// that runs this program in the background, wants it to survive them.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn catch() -> io::Result<Self> {
        let is_to_survive = |signal: &Signal| {
            matches!(signal, Signal::SIGINT | Signal::SIGHUP | Signal::SIGQUIT)
                && is_ignored(*signal as libc::c_int)
        };
        Self::block(CAUGHT.into_iter().filter(|signal| !is_to_survive(signal)).collect())
    }

    /// Blocks every signal that would end this process, except the real-time signals.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn catch_all() -> io::Result<Self> {
        Self::block(Signal::iterator().filter(|signal| !HARMLESS.contains(signal)).collect())
    }

    fn block(set: SigSet) -> io::Result<Self> {
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { fd, before, read_at: Cell::new(None) })
    }

    /// Unblocks the signals; those that are pending act on this process.
    pub fn release(self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }

    /// Waits until another signal is a wish of its own: `timeout(1)` sends the same one to a process and to its group, and
    /// the second one may come late on a loaded machine.
    pub fn outlast_echoes(&self) {
        const LATE: Duration = Duration::from_millis(100);
        if let Some(read_at) = self.read_at.get() {
            std::thread::sleep(LATE.saturating_sub(read_at.elapsed()));
        }
    }

    /// The signals that arrived since the last call.
    pub fn take(&self) -> Vec<Came> {
        let mut signals = Vec::new();
        while let Ok(Some(info)) = self.fd.read_signal() {
            let signal = info.ssi_signo.cast_signed();
            signals.push(Came { signal, from_terminal: info.ssi_code == libc::SI_KERNEL });
            self.read_at.set(Some(Instant::now()));
        }
        signals
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Discard unread signals: they were meant for a program that has ended.
        self.take();
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
