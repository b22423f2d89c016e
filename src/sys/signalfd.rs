//! Signals as data (`signalfd(2)`), with where they came from.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::signal::is_ignored;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that would end this process or are meant for the program that it runs.
const CAUGHT: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came {
    /// Its number.
    pub signal: i32,
    /// The terminal sent it, and so to every process of the foreground group as well.
    pub from_terminal: bool,
}

/// The signals INT, TERM, HUP, QUIT, USR1, and USR2, held back and read here while this value lives.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Holds the signals back from now on. INT, HUP and QUIT are left alone where they are ignored: `nohup`, or the shell
    /// that runs this in the background, wants this program to outlast them.
    ///
    /// # Errors
    /// `EMFILE` when no descriptor is left.
    pub fn catch() -> io::Result<Self> {
        let is_to_outlast = |signal: &Signal| {
            matches!(signal, Signal::SIGINT | Signal::SIGHUP | Signal::SIGQUIT)
                && is_ignored(*signal as libc::c_int)
        };
        let set: SigSet = CAUGHT.into_iter().filter(|signal| !is_to_outlast(signal)).collect();
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { fd, before })
    }

    /// The signals since the last call.
    pub fn take(&self) -> Vec<Came> {
        let mut came = Vec::new();
        while let Ok(Some(info)) = self.fd.read_signal() {
            let signal = info.ssi_signo.cast_signed();
            came.push(Came { signal, from_terminal: info.ssi_code == libc::SI_KERNEL });
        }
        came
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Whatever came unseen is thrown away: it was meant for a program that has ended.
        self.take();
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}
