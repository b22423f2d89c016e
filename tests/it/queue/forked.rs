//! Copies of this process that do one thing and end, for tests of how processes affect each other.
//!
//! # Safety
//! The process that forks has one thread, and its children end by `_exit`.
#![expect(unsafe_code, reason = "fork")]

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::io::{PipeReader, Read, Write, pipe};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The limit for a delay that the death of a process causes to others. Generous, because the machine may be busy.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A process that does one thing and reports numbers.
pub(crate) struct Fresh {
    pub(crate) pid: Pid,
    tells: PipeReader,
}

impl Fresh {
    pub(crate) fn start(body: impl FnOnce() -> Vec<u64>) -> Self {
        let (tells, mut told) = pipe().expect("a pipe can be made");
        let pid = child(|| {
            let numbers = body();
            let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
            told.write_all(&bytes).expect("the parent listens");
        });
        Fresh { pid, tells }
    }

    pub(crate) fn is_over(&self) -> bool {
        state(self.pid).is_none_or(|state| state == 'Z')
    }

    pub(crate) fn end(mut self, what: &str) -> Result<Vec<u64>, String> {
        if wait_until(|| self.is_over()).is_err() {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
            return Err(format!("a process was held up: it was to {what}"));
        }
        match waitpid(self.pid, None) {
            Ok(WaitStatus::Exited(_, 0)) => {}
            other => return Err(format!("a process that was to {what} ended so: {other:?}")),
        }
        let mut bytes = Vec::new();
        self.tells.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let (numbers, _) = bytes.as_chunks();
        Ok(numbers.iter().map(|eight| u64::from_le_bytes(*eight)).collect())
    }
}

/// Forks; the child runs `body` and ends.
pub(crate) fn child(body: impl FnOnce()) -> Pid {
    // SAFETY: this process has one thread.
    match unsafe { fork() }.expect("a process can be forked") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let result = catch_unwind(AssertUnwindSafe(body));
            // SAFETY: ends the copy without running the exit handlers of the original.
            unsafe { nix::libc::_exit(i32::from(result.is_err())) }
        }
    }
}

/// The kernel's letter for the state of a process (`proc_pid_stat(5)`).
pub(crate) fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) -> Result<(), ()> {
    let begin = Instant::now();
    while !condition() {
        if begin.elapsed() > LONG + Duration::from_secs(5) {
            return Err(());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}
