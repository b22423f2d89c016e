//! A foreign program as a child that is held before its first instruction until its watchers are ready.

use crate::sys::pid::Pid;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use super::exit::{Exit, Signal};
use crate::sys::exec::{AtGate, Streams, fork_at_gate};
use crate::sys::pidfd;
use crate::sys::procfs::status;
use crate::sys::signal;
use crate::sys::wait::{Whose, Zombie, try_wait};

/// A program could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such program.
    #[error("there is no program `{program}`, neither as a path nor in PATH")]
    NotFound {
        /// As it was asked for.
        program: String,
    },
    /// It is there and may not be run.
    #[error("`{program}` may not be executed: it is no program, or its permissions forbid it")]
    NotExecutable {
        /// As it was asked for.
        program: String,
    },
    /// An argument holds a NUL byte, which no program can be given.
    #[error("argument {index} holds a NUL byte, which no program can be given")]
    Nul {
        /// Its number; 0 is the program.
        index: usize,
    },
    /// The system refused.
    #[error("`{program}` could not be started")]
    Os {
        /// As it was asked for.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A child at the gate: it has a PID and can be attached to, and runs nothing of the program yet.
#[derive(Debug)]
pub struct HeldCommand {
    program: String,
    at_gate: AtGate,
    pidfd: OwnedFd,
}

/// The program runs, or has run and waits to be reaped.
#[derive(Debug)]
pub struct RunningCommand {
    pid: Pid,
    pidfd: OwnedFd,
}

impl HeldCommand {
    /// Makes the child for `argv`, its standard streams as `streams` says.
    ///
    /// # Errors
    /// [`CommandError::Nul`], or [`CommandError::Os`] when no process can be made.
    pub fn new(argv: &[OsString], streams: &Streams<'_>) -> Result<Self, CommandError> {
        let program = argv.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
        let mut strings = Vec::with_capacity(argv.len());
        for (index, arg) in argv.iter().enumerate() {
            strings.push(CString::new(arg.clone().into_vec()).map_err(|_| CommandError::Nul { index })?);
        }
        let os = |source| CommandError::Os { program: program.clone(), source };
        let at_gate = fork_at_gate(&strings, streams).map_err(os)?;
        // The child is ours and unreaped, so the number is still its own.
        let pidfd = pidfd::open(at_gate.pid()).map_err(os)?;
        Ok(Self { program, at_gate, pidfd })
    }

    /// The child's PID, which the program will keep.
    pub fn pid(&self) -> Pid {
        self.at_gate.pid()
    }

    /// Opens the gate: the child becomes the program.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::NotExecutable`] and the like; the child is then reaped.
    pub fn release(self) -> Result<RunningCommand, CommandError> {
        let HeldCommand { program, at_gate, pidfd } = self;
        let pid = at_gate.pid();
        match at_gate.open() {
            Ok(()) => Ok(RunningCommand { pid, pidfd }),
            Err(source) => {
                let _ = crate::sys::poll::readable(&[pidfd.as_fd()], crate::sys::poll::Deadline::NEVER);
                let _ = try_wait(Whose::Pidfd(pidfd.as_fd()), Zombie::Reap);
                Err(match source.kind() {
                    io::ErrorKind::NotFound => CommandError::NotFound { program },
                    // `execvp` says so as well when a folder of PATH may not be searched and the rest has nothing.
                    io::ErrorKind::PermissionDenied if is_nowhere(&program) => {
                        CommandError::NotFound { program }
                    }
                    io::ErrorKind::PermissionDenied => CommandError::NotExecutable { program },
                    _ => CommandError::Os { program, source },
                })
            }
        }
    }
}

fn is_nowhere(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    !program.contains('/') && !std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

impl RunningCommand {
    /// Its PID.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, once it has; it stays a zombie, so that `/proc` can still be asked about it.
    ///
    /// # Errors
    /// `ECHILD` when somebody else in this process has reaped it.
    pub fn ended(&self) -> io::Result<Option<Exit>> {
        Ok(try_wait(Whose::Pidfd(self.pidfd.as_fd()), Zombie::Leave)?.map(|ended| ended.how.into()))
    }

    /// Whether it has ended, by its pidfd alone: holds where it cannot be waited for.
    pub fn has_ended(&self) -> bool {
        let now = crate::sys::poll::Deadline::now();
        crate::sys::poll::readable(&[self.pidfd.as_fd()], now).is_ok_and(|ready| ready == [true])
    }

    /// Reaps the zombie.
    ///
    /// # Errors
    /// `ECHILD` when somebody else in this process has reaped it.
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        Ok(try_wait(Whose::Pidfd(self.pidfd.as_fd()), Zombie::Reap)?.map(|ended| ended.how.into()))
    }

    /// Sends it a signal; one that is gone already is no error.
    ///
    /// A command that would never hear of SIGTERM, because that was ignored or blocked when this program was started and
    /// so when the command was, is killed instead.
    pub fn signal(&self, signal: i32) {
        let is_deaf = signal == Signal::TERM.0
            && signal::inherited().holds_back(signal)
            && status::is_held_back(self.pid, signal);
        // While it has not ended it is not reaped, which this value alone does.
        if !self.has_ended() {
            let signal = if is_deaf { Signal::KILL.0 } else { signal };
            let _ = pidfd::send_signal_to_unreaped(self.pidfd.as_fd(), self.pid, signal);
        }
    }
}

impl AsFd for RunningCommand {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
